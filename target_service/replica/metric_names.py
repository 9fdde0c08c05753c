"""Our quantities and their names: ours, those of vLLM, and those of the seed documents.

vLLM's names, labels and buckets are of vllm/v1/metrics/loggers.py. The seed names are taken literally, so some have no
unit in them: times are ms, memory is MB (2**20) or, for the machine, percent. What has no GPU tells nothing of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from target_service.observability.naming import SERVICE, Named

__all__ = ["HISTOGRAMS", "NAMES", "Shape"]


@dataclass(frozen=True)
class Shape:
    """A histogram's name in one set, and its buckets in the quantity's unit."""

    name: str
    help: str
    buckets: tuple[float, ...]


E2E_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 20, 30)
TTFT_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
GAP_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
PER_S = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
VLLM_E2E_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
VLLM_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
               640, 2560)  # fmt: skip
VLLM_GAP_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)

# Quantity -> set -> histogram.
HISTOGRAMS: Mapping[str, Mapping[str, Shape]] = {
    "ttft_s": {
        "target": Shape("target_ttft_seconds", "Request to first token", TTFT_S),
        "vllm": Shape("vllm:time_to_first_token_seconds", "Request to first token", VLLM_TTFT_S),
    },
    "gap_s": {
        "target": Shape("target_inter_token_seconds", "From one piece of text to the next", GAP_S),
        "vllm": Shape("vllm:inter_token_latency_seconds", "From one piece of text to the next", VLLM_GAP_S),
    },
    "e2e_s": {
        "target": Shape("target_e2e_seconds", "Request to whole answer", E2E_S),
        "vllm": Shape("vllm:e2e_request_latency_seconds", "Request to whole answer", VLLM_E2E_S),
    },
    "queue_s": {
        "target": Shape("target_queue_seconds", "Waiting in the engine's queue", E2E_S),
        "vllm": Shape("vllm:request_queue_time_seconds", "Waiting in the engine's queue", VLLM_E2E_S),
    },
    "tokens_per_s": {
        "target": Shape("target_tokens_per_second", "Tokens of an answer over its whole time", PER_S),
    },
    "prompt_tokens": {
        "target": Shape("target_prompt_tokens", "Of a request that was answered", TOKENS),
        "vllm": Shape("vllm:request_prompt_tokens", "Of a request that was answered", TOKENS),
    },
    "completion_tokens": {
        "target": Shape("target_completion_tokens", "Of a whole answer", TOKENS),
        "vllm": Shape("vllm:request_generation_tokens", "Of a whole answer", TOKENS),
    },
}

TARGET = (
    Named("ready", "target_ready", "gauge", "1 if /ready is 200"),
    Named("build", "target_build_info", "gauge", "What runs", ("name", "model", "weights_sha256")),
    Named("uptime_s", "target_uptime_seconds", "gauge", "Since the process began"),
    Named("starts", "target_starts", "gauge", "Starts of this process, this one included, as the supervisor counts"),
    Named("engine_starts", "target_engine_starts", "counter", "Engines that began to load, the first included"),
    Named("requests", "target_requests", "counter", "Chat requests by how they ended", ("outcome", "traffic")),
    Named("refused", "target_rejected", "counter", "Requests of users that were not served, by reason", ("reason",)),
    Named("finished", "target_finished", "counter", "Whole answers by why they ended", ("finish_reason",)),
    Named("open", "target_open_requests", "gauge", "Requests under way, those in the queue included"),
    Named("waiting", "target_queue_depth", "gauge", "Requests waiting"),
    Named("running", "target_running", "gauge", "Requests taking turns"),
    Named("running_max", "target_running_max", "gauge", "Requests that may take turns at once"),
    Named("tokens", "target_generated_tokens", "counter", "Tokens computed: progress"),
    Named("non_finite", "target_non_finite_logits", "counter", "Steps with NaN or infinity; --nan-guard"),
    Named("cache_hits", "target_cache_hits", "counter", "Answers from the cache"),
    Named("cache_misses", "target_cache_misses", "counter", "Answers computed past it"),
    Named("verified", "target_verified", "gauge", "1 if the last check found the model good"),
    Named("verified_age_s", "target_verified_age_seconds", "gauge", "Since the model was known to be good"),
    Named("integrity", "target_integrity_failures", "counter", "Times a detector fired", ("detector",)),
    Named("load_s", "target_model_load_seconds", "gauge", "Folder to proven"),
    Named("group_used", "target_cgroup_memory_bytes", "gauge", "Of the control group, page cache included"),
    Named("group_limit", "target_cgroup_memory_limit_bytes", "gauge", "Of the control group"),
    Named(
        "engine_memory", "target_engine_resident_bytes", "gauge", "Of the engine's process, be it the server's or not"
    ),
    Named("gpu_memory", "target_gpu_memory_bytes", "gauge", "Allocated on the GPU"),
    Named("log_dropped", "target_log_lines_dropped", "counter", "Lines that the disk refused, or was too slow for"),
    Named("log_suppressed", "target_log_lines_suppressed", "counter", "Repeated complaints that were cut short"),
)

VLLM = (
    Named("running", "vllm:num_requests_running", "gauge", "Requests in the running batch"),
    Named("waiting", "vllm:num_requests_waiting", "gauge", "Requests waiting"),
    Named("finished", "vllm:request_success", "counter", "Finished requests", ("finished_reason",)),
    Named("prompt_total", "vllm:prompt_tokens", "counter", "Prompt tokens of answered requests"),
    Named("tokens", "vllm:generation_tokens", "counter", "Tokens computed"),
    Named("turned_away", "vllm:admission_rejections", "counter", "Refused for load (429, 503)", ("reason",)),
)

SEED = (
    # Counted when it is called, as the document says; whether it ended well is the next one's business.
    Named("calls", "auto_glm_inferences", "counter", "Calls, however they ended"),
    Named("successes", "auto_glm_inferences_succeeded", "counter", "Calls that were answered whole"),
    Named("gpu_memory", "auto_glm_gpu_memory_mb", "gauge", "Allocated on the GPU, MB", scale=1 / 2**20),
    *SERVICE,
    Named("gpu_memory", "gpu_memory_usage", "gauge", "Allocated on the GPU, MB", scale=1 / 2**20),
)

NAMES: Mapping[str, tuple[Named, ...]] = {"target": TARGET, "vllm": VLLM, "seed": SEED}
