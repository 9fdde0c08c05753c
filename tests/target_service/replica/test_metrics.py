"""What a replica tells Prometheus, under all names, and what it does not tell because it cannot know."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from target_service.observability.access import RequestFacts
from target_service.observability.logs import Logs
from target_service.observability.settings import METRIC_NAMES, ObservabilitySettings
from target_service.protocol.chat import Usage
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.cache import AnswerCache
from target_service.replica.engine import Begun, Event, Failed, Finished, Piece
from target_service.replica.metric_names import HISTOGRAMS, NAMES
from target_service.replica.metrics import STARTS, ReplicaMetrics
from target_service.replica.observation import observed
from target_service.replica.state import ReplicaState

LABELS = {"model_name": "m", "engine": "0"}


def metrics_of(names: str = "all", state: ReplicaState | None = None) -> ReplicaMetrics:
    logs = Logs(ObservabilitySettings(metric_names=names), "replica-a")
    return ReplicaMetrics(state or ReplicaState("a", "m"), AnswerCache(0, 1.0), logs)


def told(metrics: ReplicaMetrics) -> dict[str, float]:
    """Samples as NAME or NAME{LABEL=VALUE,...}, the labels of vLLM left out."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if LABELS.get(key) != value}
            shown = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
            found[f"{sample.name}{{{shown}}}" if shown else sample.name] = sample.value
    return found


def ticking(*times_s: float) -> Callable[[], float]:
    left = list(times_s)
    return lambda: left.pop(0)


async def watched(metrics: ReplicaMetrics, events: list[Event], *times_s: float) -> RequestFacts:
    async def source() -> AsyncGenerator[Event]:
        for event in events:
            yield event

    facts = RequestFacts()
    async for _ in observed(source(), facts, metrics, 0.0, ticking(*times_s)):
        pass
    return facts


ANSWER: list[Event] = [Begun(), Piece("a"), Piece("b"), Finished("stop", Usage(5, 4))]


async def test_first_token_gaps_and_speed_are_of_the_times_when_events_came() -> None:
    metrics = metrics_of()
    facts = await watched(metrics, ANSWER, 0.3, 0.3, 0.9, 2.0)
    values = told(metrics)
    assert (facts.ttft_s, facts.answer, facts.finish_reason) == (0.3, "ab", "stop")
    assert (facts.prompt_tokens, facts.completion_tokens) == (5, 4)
    for name in ("target_ttft_seconds", "vllm:time_to_first_token_seconds"):
        assert values[f"{name}_sum"] == pytest.approx(0.3)
    for name in ("target_inter_token_seconds", "vllm:inter_token_latency_seconds"):
        assert values[f"{name}_sum"] == pytest.approx(0.6)
    assert values["target_tokens_per_second_sum"] == pytest.approx(2.0)
    assert (values["vllm:request_generation_tokens_sum"], values["vllm:prompt_tokens_total"]) == (4, 5)
    assert values["vllm:request_success_total{finished_reason=stop}"] == 1
    assert values["vllm:time_to_first_token_seconds_bucket{le=0.25}"] == 0
    assert values["vllm:time_to_first_token_seconds_bucket{le=0.5}"] == 1


async def test_an_answer_that_fails_says_why() -> None:
    rejected = RequestRejectedError(503, "late", code="queue_timeout")
    assert (await watched(metrics_of(), [Failed(rejected)], 1.0)).reason == "queue_timeout"


def test_the_seeds_count_calls_and_ours_count_how_they_ended() -> None:
    metrics = metrics_of()
    for _ in range(5):
        metrics.began()
    metrics.ended("ok", None, 0.2, probe=False)
    metrics.ended("ok", None, 0.4, probe=True)
    metrics.ended("429", "queue_full", 0.0, probe=False)
    metrics.ended("cancelled", None, 0.1, probe=False)
    values = told(metrics)
    assert (values["auto_glm_inferences_total"], values["auto_glm_inferences_succeeded_total"]) == (5, 2)
    assert values["target_requests_total{outcome=ok,traffic=user}"] == 1
    assert values["target_requests_total{outcome=ok,traffic=probe}"] == 1
    assert (values["request_count"], values["error_count"], values["concurrent_requests"]) == (5, 1, 1)
    assert values["success_rate"] == 0.5
    assert values["avg_response_time"] == pytest.approx(300)
    assert values["chord_response_time"] == pytest.approx(100)
    assert values["chord_service_health"] == 1
    assert values["target_rejected_total{reason=queue_full}"] == 1
    assert values["vllm:admission_rejections_total{reason=queue_full}"] == 1


def test_a_bad_request_is_rejected_but_not_for_load() -> None:
    metrics = metrics_of()
    metrics.ended("400", "400", 0.0, probe=False)
    values = told(metrics)
    assert values["target_rejected_total{reason=400}"] == 1
    assert not [name for name in values if name.startswith("vllm:admission_rejections")]


def test_what_cannot_be_known_is_absent_and_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STARTS, raising=False)
    values = told(metrics_of())
    unknown = {"success_rate", "avg_response_time", "chord_response_time", "auto_glm_gpu_memory_mb", "gpu_memory_usage",
               "target_gpu_memory_bytes", "target_starts", "target_verified", "target_running", "target_queue_depth",
               "vllm:num_requests_running", "vllm:generation_tokens_total"}  # fmt: skip
    assert unknown & set(values) == set()
    assert values["service_uptime"] >= 0
    assert 0 < values["system_memory_usage"] < 100
    assert values["process_resident_memory_bytes"] > 2**20


def test_the_engines_memory_is_of_its_process_now_and_absent_without_one() -> None:
    state = ReplicaState("a", "m")
    assert "target_engine_resident_bytes" not in told(metrics_of(state=state))
    state.engine_pid = os.getpid()
    assert told(metrics_of(state=state))["target_engine_resident_bytes"] > 2**20
    state.engine_pid = 2**22 + 1  # above what the kernel gives out
    assert "target_engine_resident_bytes" not in told(metrics_of(state=state))


def test_a_gpu_is_told_of_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(is_available=lambda: True, memory_allocated=lambda: 3 * 2**20)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    values = told(metrics_of())
    assert (values["auto_glm_gpu_memory_mb"], values["gpu_memory_usage"]) == (3, 3)


@pytest.mark.parametrize(("handed_in", "told_of"), [("3", 3.0), ("many", None), ("", None)])
def test_starts_are_known_only_from_the_supervisor(
    monkeypatch: pytest.MonkeyPatch, handed_in: str, told_of: float | None
) -> None:
    monkeypatch.setenv(STARTS, handed_in)
    assert told(metrics_of()).get("target_starts") == told_of


def test_verified_is_about_the_last_check() -> None:
    state = ReplicaState("a", "m")
    state.verification.good(0.0)
    assert told(metrics_of(state=state))["target_verified"] == 1
    state.verification.bad("manifest: x")
    assert told(metrics_of(state=state))["target_verified"] == 0


@pytest.mark.parametrize("chosen", METRIC_NAMES)
def test_names_are_those_of_the_chosen_sets_and_no_others(chosen: str) -> None:
    metrics = metrics_of(chosen)
    metrics.observe("ttft_s", 0.1)
    metrics.began()
    begins = {"target": "target_", "vllm": "vllm:"}
    names = set(told(metrics))
    for each in NAMES:
        own = [n for n in names if n.startswith(begins.get(each, ("auto_glm_", "chord_", "service_", "request_count")))]
        assert bool(own) is (chosen in (each, "all")), each


def test_every_name_is_unique_and_every_histogram_is_ours_at_least() -> None:
    plain = [named.name for names in NAMES.values() for named in names]
    shaped = [shape.name for shapes in HISTOGRAMS.values() for shape in shapes.values()]
    assert len(set(plain + shaped)) == len(plain + shaped)
    assert all("target" in shapes for shapes in HISTOGRAMS.values())


def test_every_quantity_that_has_a_name_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STARTS, "1")
    cuda = SimpleNamespace(is_available=lambda: True, memory_allocated=lambda: 1)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    state = ReplicaState("a", "m")
    engine = SimpleNamespace(
        waiting=1, running=2, running_max=16, tokens_total=3, nan_guard=SimpleNamespace(non_finite_total=4)
    )
    state.serving = SimpleNamespace(engine=engine, load_s=1.0, verified=True, verified_note="")  # type: ignore[assignment]
    metrics = metrics_of(state=state)
    known: dict[str, Any] = {
        **metrics._tally.samples(),
        **metrics._counted(),
        **metrics._of_state(),
        **metrics._of_engine(),
    }
    assert {named.quantity for names in NAMES.values() for named in names} <= set(known)
