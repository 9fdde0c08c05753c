"""Which options gateway and replicas of the reference target have, so that a scenario's are looked at before a start.

A test holds the first two to the target's own command lines: harness and target never import each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["GATEWAY", "OPTIONS", "REPLICA"]

_GATEWAY = """
admin_token_file api_keys_file beat_s beat_timeout_s breaker_failures breaker_open_s breaker_probes drain_s
eject_failures failback fingerprint_texts golden golden_prompts golden_streams golden_timeout_s hedge_after_s host
keepalive_s log_dir log_guard log_keep_days log_max_mb log_prompts login_failures login_lock_s login_window_s
metric_names missed_beats open_files port protection rate_limit_burst rate_limit_per_s register_token_file replica
request_timeout_s retry_backoff_s retry_max retry_share reuse_connections seed slow_request_s stale_address_s
strategy stream_stall_s try_timeout_s
"""
_REPLICA = """
advertise_url batch_max batch_wait_ms batching cache_key cache_size cache_ttl_s cancel_on_disconnect disable_mmap
drain_s dtype early_ready engine_death_exit_code engine_process engine_restart_window_s engine_restarts_max
faults_token faults_token_file follow follow_every_s health_mode health_probe_s health_stall_s host hub_url
keepalive_s lease_s log_dir log_guard log_keep_days log_max_mb log_prompts max_active max_queue mem_collect_share
mem_exit_code mem_look_s mem_patience_s mem_soft_limit_mb mem_soft_limit_share metric_names model model_source
monitor_engine name nan_guard on_bad_model orphan_engine port protection qps_limit queue_timeout_s
register_token_file register_with requests_in_shm restart_engine run_timeout_s service slow_load_s slow_request_s
sse_heartbeat_s stream_error_event threads token_cost_ms validate verify_every_s verify_weights warmup_tokens
watchdog_clock watchdog_s
"""
GATEWAY = frozenset(_GATEWAY.split())
REPLICA = frozenset(_REPLICA.split())
OPTIONS: Mapping[str, Collection[str]] = {
    "gateway": GATEWAY | {"api_keys"},
    "replica": REPLICA | {"weight", "backup", "register"},
}
"""Those, and what the stack itself makes options of: secrets, and what names another server (wiring.py)."""
