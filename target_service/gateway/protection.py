"""Named sets of settings: how well a gateway protects its users. Single options go before them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PROTECTIONS"]

PROTECTIONS: Mapping[str, Mapping[str, float | str]] = {
    "default": {},
    # Beats stay: they are how a gateway knows whom it has.
    "fragile": {
        "golden_prompts": 0,
        "fingerprint_texts": 0,
        "breaker_failures": 0,
        "retry_share": 0.0,
        "hedge_after_s": 0.0,
        "eject_failures": 0,
        "rate_limit_per_s": 0.0,
        "try_timeout_s": 0.0,
        "stale_address_s": 0.0,
        "stream_stall_s": 0.0,
        "golden_streams": "off",
        "open_files": 0,
        "login_failures": 0,
        "drain_s": 0.0,
        # Shorter than clients keep idle connections: they send into ones that are just being closed.
        "keepalive_s": 5.0,
        "log_guard": "off",
        "slow_request_s": 0.0,
    },
    "hardened": {
        "golden_prompts": 3,
        "fingerprint_texts": 2,
        "breaker_failures": 5,
        "retry_share": 0.1,
        "hedge_after_s": 2.0,
        "eject_failures": 5,
        "rate_limit_per_s": 100.0,
        "rate_limit_burst": 200,
        # Longer than a hardened replica lets a request wait: overload is answered by shedding, not by trying again.
        "try_timeout_s": 15.0,
        # The shortest that RFC 8767 (section 5) suggests as a limit.
        "stale_address_s": 86400.0,
        # Twice a hardened replica's heartbeat, which says that it computes, and is no token.
        "stream_stall_s": 10.0,
        "golden_streams": "on",
        # What the kernel gives one process at most, unless it is told otherwise (fs.nr_open).
        "open_files": 1048576,
        "login_failures": 5,
        # As long as the longest request may take.
        "drain_s": 30.0,
        # Longer than an hour, the longest that common clients and balancers keep idle connections.
        "keepalive_s": 3630.0,
        "log_guard": "on",
        "slow_request_s": 5.0,
    },
}
