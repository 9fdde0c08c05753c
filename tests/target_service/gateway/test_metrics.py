"""What a gateway tells Prometheus."""

from __future__ import annotations

import pytest

from target_service.gateway.admission import Admission
from target_service.gateway.events import EventLog
from target_service.gateway.metrics import GatewayMetrics
from target_service.gateway.traffic import Traffic
from target_service.observability.logs import Logs
from target_service.observability.settings import METRIC_NAMES, ObservabilitySettings


def values_of(names: str) -> dict[str, float]:
    logs = Logs(ObservabilitySettings(metric_names=names), "gateway")
    admission = Admission(["a"], EventLog(lambda: 0.0), missed_max=3, failback=True, active_standby=True)
    metrics = GatewayMetrics(admission, {}, Traffic(), logs)
    for outcome, duration_s in (("answered", 0.2), ("timeout", 3.0), ("cancelled", 1.0)):
        metrics.began()
        metrics.ended(outcome, duration_s, probe=False)
    metrics.began()
    lines = [line.rpartition(" ") for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


@pytest.mark.parametrize("names", METRIC_NAMES)
def test_the_seed_names_are_beside_its_own_unless_others_are_chosen(names: str) -> None:
    values = values_of(names)
    assert values['gateway_requests_total{outcome="answered",traffic="user"}'] == 1
    assert values["gateway_requests_under_way"] == 1
    assert values["gateway_log_lines_dropped_total"] == 0
    assert values["process_resident_memory_bytes"] > 2**20
    assert ("request_count" in values) is (names in ("seed", "all"))


def test_the_seed_names_count_calls_errors_and_answers_apart() -> None:
    values = values_of("all")
    assert (values["request_count"], values["error_count"], values["concurrent_requests"]) == (4, 1, 1)
    assert values["success_rate"] == pytest.approx(1 / 3)
    assert (values["avg_response_time"], values["chord_response_time"]) == (pytest.approx(200), pytest.approx(1000))
    assert values["chord_service_health"] == 0
    assert "gpu_memory_usage" not in values
