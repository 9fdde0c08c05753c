"""One name for one quantity, whatever the server calls it. Pure.

Names of each server: vllm/v1/metrics/loggers.py, TGI docs/source/reference/metrics.md, SGLang `--enable-metrics`,
Triton docs/user_guide/metrics.md, llama.cpp server README. What a server does not tell has no entry, and is unknown,
never 0. Sums go over all label sets of an instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["KINDS", "PROCESS", "QUANTITIES", "kind_of", "queries"]

QUANTITIES: Mapping[str, str] = {
    "running": "requests in the engine",
    "waiting": "requests in its queue",
    "kv_usage": "share of the key-value cache in use, 0 to 1",
    "answered_total": "requests answered whole",
    "failed_total": "requests that the server counts as failed",
    "tokens_total": "tokens generated",
    "progress_total": "grows while the engine computes; standing still with requests running is a hang",
    "ttft_s_mean": "seconds to the first token, mean of the last 30 s",
    "cache_hits_total": "answers, or blocks of a prompt, that a cache had",
    "cache_lookups_total": "how often it was asked",
    "up": "1 while the last scrape succeeded",
    "resident_bytes": "memory of the process",
    "engine_resident_bytes": "memory of the engine's process, which may be another one",
    "cpu_s_total": "processor time of the process, in seconds",
    "open_fds": "open descriptors of the process",
    "cgroup_bytes": "memory of its control group, page cache included",
    "cgroup_limit_bytes": "limit of that",
}


def _sum(*names: str) -> str:
    """Of the first of these metrics that there is, by instance."""
    return " or ".join(f"sum by (instance) ({name})" for name in names)


def _mean(histogram: str, scale: str = "") -> str:
    return (
        f"sum by (instance) (rate({histogram}_sum[30s])) / sum by (instance) (rate({histogram}_count[30s]) > 0){scale}"
    )


PROCESS: Mapping[str, str] = {
    "up": "up",
    "resident_bytes": _sum("target_memory_bytes", "process_resident_memory_bytes"),
    "cpu_s_total": _sum("process_cpu_seconds_total"),
    "open_fds": _sum("process_open_fds"),
    "cgroup_bytes": _sum("target_cgroup_memory_bytes", "gateway_cgroup_memory_bytes"),
    "cgroup_limit_bytes": _sum("target_cgroup_memory_limit_bytes", "gateway_cgroup_memory_limit_bytes"),
}
"""What does not depend on the kind of server."""

KINDS: Mapping[str, Mapping[str, str]] = {
    "target": {
        "running": _sum("target_running"),
        "waiting": _sum("target_queue_depth"),
        "answered_total": _sum("target_finished_total"),
        "tokens_total": _sum("target_generated_tokens_total"),
        "progress_total": _sum("target_generated_tokens_total"),
        "ttft_s_mean": _mean("target_ttft_seconds"),
        "engine_resident_bytes": _sum("target_engine_resident_bytes"),
        "cache_hits_total": _sum("target_cache_hits_total"),
        "cache_lookups_total": (
            "sum by (instance) (target_cache_hits_total) + sum by (instance) (target_cache_misses_total)"
        ),
    },
    "vllm": {
        "running": _sum("vllm:num_requests_running"),
        "waiting": _sum("vllm:num_requests_waiting"),
        "kv_usage": _sum("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        "answered_total": _sum("vllm:request_success_total"),
        "failed_total": _sum('http_requests_total{status=~"5.."}', 'http_requests_total{status="5xx"}'),
        "tokens_total": _sum("vllm:generation_tokens_total"),
        "progress_total": _sum("vllm:generation_tokens_total"),
        "ttft_s_mean": _mean("vllm:time_to_first_token_seconds"),
        "cache_hits_total": _sum("vllm:prefix_cache_hits_total"),
        "cache_lookups_total": _sum("vllm:prefix_cache_queries_total"),
    },
    "tgi": {
        "running": _sum("tgi_batch_current_size"),
        "waiting": _sum("tgi_queue_size"),
        "answered_total": _sum("tgi_request_success"),
        "failed_total": _sum("tgi_request_failure"),
        "tokens_total": _sum("tgi_request_generated_tokens_sum"),
        "progress_total": _sum("tgi_batch_inference_count"),
    },
    "sglang": {
        "running": _sum("sglang:num_running_reqs", "sglang_num_running_reqs"),
        "waiting": _sum("sglang:num_queue_reqs", "sglang_num_queue_reqs"),
        "kv_usage": _sum("sglang:token_usage", "sglang_token_usage"),
        "answered_total": (
            "sum by (instance) (sglang:num_requests_total) - sum by (instance) (sglang:num_aborted_requests_total)"
            " or sum by (instance) (sglang_num_requests_total) - sum by (instance) (sglang_num_aborted_requests_total)"
        ),
        "failed_total": _sum('sglang:http_responses_total{status_code=~"5.."}'),
        "tokens_total": _sum("sglang:generation_tokens_total", "sglang_generation_tokens_total"),
        "progress_total": _sum("sglang:generation_tokens_total", "sglang_generation_tokens_total"),
        "ttft_s_mean": _mean("sglang:time_to_first_token_seconds"),
    },
    "triton": {
        "waiting": _sum("nv_inference_pending_request_count"),
        "answered_total": _sum("nv_inference_request_success"),
        "failed_total": _sum("nv_inference_request_failure"),
        "progress_total": _sum("nv_inference_exec_count"),
        "ttft_s_mean": _mean("nv_inference_first_response_histogram_ms", " / 1000"),
    },
    "llama.cpp": {
        "running": _sum("llamacpp:requests_processing"),
        "waiting": _sum("llamacpp:requests_deferred"),
        "kv_usage": _sum("llamacpp:kv_cache_usage_ratio"),
        "tokens_total": _sum("llamacpp:tokens_predicted_total"),
        "progress_total": _sum("llamacpp:n_decode_total"),
    },
}
"""Kind of server -> quantity -> PromQL, one value for each instance."""

_PREFIXES = {
    "target": "target_",
    "vllm": "vllm:",
    "tgi": "tgi_",
    "sglang": "sglang",
    "triton": "nv_inference_",
    "llama.cpp": "llamacpp:",
}


def kind_of(names: Iterable[str]) -> str | None:
    """Which kind of server exposes metrics of these names; the first in the order of KINDS; None: none of them."""
    known = list(names)
    return next((kind for kind, prefix in _PREFIXES.items() if any(name.startswith(prefix) for name in known)), None)


def queries(kind: str | None) -> Mapping[str, str]:
    """Quantity -> PromQL, of a kind of server and of its process. Raises KeyError for a kind that is not in KINDS."""
    return {**PROCESS, **(KINDS[kind] if kind is not None else {})}
