"""What a replica measures, for Prometheus, in a registry of its own; the names are in `metric_names`."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import Metric

from target_service.observability.logs import Logs
from target_service.observability.memory import group_memory, resident_bytes, system_memory_share
from target_service.observability.naming import Sample, families, sets_of
from target_service.observability.settings import ObservabilitySettings
from target_service.observability.tally import Tally
from target_service.replica.cache import AnswerCache
from target_service.replica.engine import Finished
from target_service.replica.metric_names import HISTOGRAMS, NAMES
from target_service.replica.state import ReplicaState

__all__ = ["STARTS", "ReplicaMetrics"]

# A supervisor that counts starts hands the count in by this environment variable.
STARTS = "SERVICE_STARTS"
TURNED_AWAY = frozenset({"queue_full", "rate_limited", "queue_timeout", "not_ready", "memory_pressure", "429", "503"})


class ReplicaMetrics:
    """Counts what handlers tell; everything else is read when scraped instead of being kept twice."""

    def __init__(self, state: ReplicaState, cache: AnswerCache, logs: Logs | None = None) -> None:
        self._state = state
        self._cache = cache
        self._logs = logs or Logs(ObservabilitySettings(), state.name)
        self._tally = Tally(good="ok")
        self._refused: Counter[str] = Counter()
        self._finished: Counter[str] = Counter()
        self._prompt_tokens = 0
        self._registry = CollectorRegistry()
        self._sets = sets_of(self._logs.settings.metric_names, tuple(NAMES))
        self._histograms = {name: self._shaped(name) for name in HISTOGRAMS}
        self._registry.register(self)
        # The standard process_* names: memory, CPU, open files.
        ProcessCollector(registry=self._registry)

    def began(self) -> None:
        """One more chat request."""
        self._tally.began()

    def ended(self, outcome: str, reason: str | None, total_s: float, *, probe: bool) -> None:
        """Count one request; `outcome` is ok, cancelled, truncated or the status as text, `reason` why it failed."""
        self._tally.ended(outcome, total_s, probe=probe)
        if outcome == "cancelled":
            self._finished["abort"] += 1
        elif outcome != "ok" and not probe:
            self._refused[reason or outcome] += 1

    def finished(self, event: Finished, total_s: float) -> None:
        """An answer is whole."""
        usage = event.usage
        self._finished[event.finish_reason] += 1
        self._prompt_tokens += usage.prompt_tokens
        self.observe("prompt_tokens", usage.prompt_tokens)
        self.observe("completion_tokens", usage.completion_tokens)
        if total_s > 0:
            self.observe("tokens_per_s", usage.completion_tokens / total_s)

    def observe(self, quantity: str, value: float) -> None:
        """One more value of a quantity of HISTOGRAMS."""
        for histogram in self._histograms[quantity]:
            histogram.observe(value)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry for each scrape."""
        samples = {**self._tally.samples(), **self._counted(), **self._of_state(), **self._of_engine()}
        for each in self._sets:
            yield from families(NAMES[each], samples, self._common(each))

    def _common(self, names: str) -> Mapping[str, str]:
        return {"model_name": self._state.model, "engine": "0"} if names == "vllm" else {}

    def _shaped(self, quantity: str) -> list[Histogram]:
        made = []
        for each in self._sets:
            shape, common = HISTOGRAMS[quantity].get(each), self._common(each)
            if shape is not None:
                histogram = Histogram(
                    shape.name, shape.help, tuple(common), buckets=shape.buckets, registry=self._registry
                )
                made.append(histogram.labels(**common) if common else histogram)
        return made

    def _counted(self) -> dict[str, float | list[Sample] | None]:
        turned_away = {reason: count for reason, count in self._refused.items() if reason in TURNED_AWAY}
        starts = os.environ.get(STARTS, "")
        memory, gpu_bytes = group_memory(), _gpu_memory_bytes()
        return {
            "refused": _by_label(self._refused),
            "turned_away": _by_label(turned_away),
            "finished": _by_label(self._finished),
            "prompt_total": self._prompt_tokens,
            "cache_hits": self._cache.hits_total,
            "cache_misses": self._cache.misses_total,
            "starts": int(starts) if starts.isdecimal() else None,
            "group_used": memory.used_bytes if memory else None,
            "group_limit": memory.limit_bytes if memory else None,
            "machine_memory": system_memory_share(),
            "gpu_memory": gpu_bytes,
            "log_dropped": self._logs.dropped_total,
            "log_suppressed": self._logs.suppressed_total,
        }

    def _of_state(self) -> dict[str, float | list[Sample] | None]:
        state, now_s = self._state, time.monotonic()
        verification = state.verification
        # Before the first check, and where nobody checks, nothing is known.
        looked = verification.last_good_s is not None or verification.problem is not None
        return {
            "ready": float(state.ready),
            "healthy": float(state.engine_problem is None),
            "uptime_s": now_s - state.started_monotonic_s,
            "engine_starts": state.engine_starts,
            "build": [Sample(1, (state.name, state.model, state.weights_sha256 or ""))],
            "verified": float(verification.problem is None) if looked else None,
            "integrity": _by_label(verification.failures),
            "verified_age_s": verification.age_s(now_s),
            "engine_memory": None if state.engine_pid is None else resident_bytes(state.engine_pid),
        }

    def _of_engine(self) -> dict[str, float | list[Sample] | None]:
        serving = self._state.serving
        # Before the model is loaded these are absent, not zero.
        if serving is None:
            return {}
        engine = serving.engine
        return {
            "waiting": engine.waiting,
            "running": engine.running,
            "running_max": engine.running_max,
            "tokens": engine.tokens_total,
            "non_finite": engine.nan_guard.non_finite_total,
            "load_s": serving.load_s,
        }


def _by_label(counts: Mapping[str, int]) -> list[Sample]:
    return [Sample(count, (label,)) for label, count in counts.items()]


def _gpu_memory_bytes() -> float | None:
    """What torch has allocated; None without a GPU, or where torch is not loaded in this process."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return float(cuda.memory_allocated()) if cuda is not None and cuda.is_available() else None
