"""Named sets of options: the same fault against `fragile` and `hardened` shows what the mechanisms are worth.

Keys are options as in `settings`, with `_` for `-`. A single option on the command line wins.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PROTECTIONS"]

# As real servers were when the failures of their issue trackers happened to them.
FRAGILE: Mapping[str, object] = {
    "max_queue": 0,
    "queue_timeout_s": 0.0,
    "run_timeout_s": 0.0,
    "qps_limit": 0.0,
    "validate": "off",
    "cancel_on_disconnect": "off",
    "drain_s": 0.0,
    "warmup_tokens": 0,
    "health_mode": "shallow",
    "watchdog_s": 0.0,
    "engine_death_exit_code": 0,
    "verify_weights": "off",
    "disable_mmap": "off",
    "nan_guard": "off",
    "sse_heartbeat_s": 0.0,
    "stream_error_event": "off",
    "keepalive_s": 5.0,
    "cache_key": "prompt-only",
    "log_guard": "off",
    "slow_request_s": 0.0,
    "monitor_engine": "off",
    "restart_engine": "off",
    "orphan_engine": "on",
    "mem_soft_limit_share": 0.0,
}

HARDENED: Mapping[str, object] = {
    "max_queue": 64,
    # A quarter of the 2 s that users wait in scenarios. Who begins later is answered too late, and the work is lost.
    "queue_timeout_s": 0.5,
    "run_timeout_s": 60.0,
    "validate": "on",
    "cancel_on_disconnect": "on",
    "drain_s": 10.0,
    "warmup_tokens": 16,
    "health_mode": "deep",
    "watchdog_s": 5.0,
    "engine_death_exit_code": 70,
    "verify_weights": "periodic",
    "verify_every_s": 5.0,
    "on_bad_model": "stay",
    "disable_mmap": "on",
    "nan_guard": "abort",
    "sse_heartbeat_s": 5.0,
    "stream_error_event": "on",
    "keepalive_s": 3630.0,
    "cache_key": "full",
    "log_guard": "on",
    "slow_request_s": 5.0,
    "monitor_engine": "on",
    "restart_engine": "on",
    "orphan_engine": "off",
    "mem_soft_limit_share": 0.9,
}

PROTECTIONS: Mapping[str, Mapping[str, object]] = {"default": {}, "fragile": FRAGILE, "hardened": HARDENED}
