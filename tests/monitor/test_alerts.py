"""What a Prometheus said of its alerts: kept with its times, and never taken for silence where it was not asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.model.alerts import AlertRecord, alert_rules, seconds_of
from harness.monitor.alerts import NO_WATCHDOG, alert_record, as_groups, rules_line
from harness.monitor.kept import METRICS, Kept, read_metrics, write_metrics
from harness.monitor.series import Series

API = [
    {
        "name": "slo",
        "rules": [{"type": "recording", "name": "job:errors:ratio5m", "query": "sum(rate(errors_total[5m]))"}],
    },
    {
        "name": "users",
        "rules": [
            {
                "type": "alerting",
                "name": "Errors",
                "query": 'job:errors:ratio5m{env="prod [7d]"} > 0.1 and on (instance) up == 1',
                "duration": 90,
                "labels": {"severity": "page"},
                "annotations": {"brought_by": "process.* network.down", "not_before": "1m30s"},
            },
            {"type": "alerting", "name": "Watchdog", "query": "vector(1)", "duration": 0},
        ],
    },
]
HEAD = {"every_s": 1, "missing": {}, "alerts": rules_line(as_groups(API), ["up"])}


def samples(name: str, state: str, at_s: list[float], instance: str = "") -> Series:
    labels = {"alertname": name, "alertstate": state} | ({"instance": instance} if instance else {})
    return Series("alert", labels, tuple(at_s), tuple(1.0 for _ in at_s))


def record_of(tmp_path: Path, *series: Series, **head: Any) -> AlertRecord:
    write_metrics(tmp_path / METRICS, {**HEAD, **head}, series)
    found = alert_record(read_metrics(tmp_path / METRICS))
    assert found is not None
    return found


def test_a_rule_is_known_with_its_window_its_metrics_and_the_faults_that_bring_it_about() -> None:
    errors, _ = alert_rules(as_groups(API))
    assert (errors.for_s, errors.range_s, errors.condition_s, errors.earliest_s) == (90, 300, 90, 180)
    assert errors.metrics == ("errors_total", "up")
    assert errors.faults == ("process.*", "network.down")
    assert errors.severity == "page"


def test_recordings_that_take_one_another_end() -> None:
    rules = [
        {"record": "a", "expr": "b + x"},
        {"record": "b", "expr": "a + y[7s]"},
        {"alert": "Loop", "expr": "a > 1", "for": "5s"},
    ]
    (loop,) = alert_rules([{"rules": rules}])
    assert (loop.metrics, loop.range_s) == (("x", "y"), 7)


@pytest.mark.parametrize(("words", "seconds"), [("500ms", 0.5), ("1h30m", 5400), ("3d", 259_200)])
def test_durations_are_those_of_prometheus(words: str, seconds: float) -> None:
    assert seconds_of(words) == seconds


@pytest.mark.parametrize("words", ["", "5", "5 m", "-5m", "1h junk"])
def test_what_is_no_duration_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds_of(words)


def test_an_alert_is_a_stretch_from_its_first_to_its_last_sample_and_says_when_it_was_last_silent(
    tmp_path: Path,
) -> None:
    record = record_of(
        tmp_path,
        samples("Watchdog", "firing", [0.4, 1.4, 2.4, 3.4, 4.4, 5.4, 6.4, 7.4]),
        samples("Errors", "pending", [2.5, 3.5], "primary"),
        samples("Errors", "firing", [4.5, 5.5, 6.5], "primary"),
    )
    assert [(one.state, one.source, one.begin_s, one.end_s) for one in record.spans] == [
        ("pending", "primary", 2.5, 3.5),
        ("firing", "primary", 4.5, 6.5),
    ]
    assert record.spans[1].silent_s == pytest.approx(3.5)  # one evaluation before
    assert record.evaluated == ((0.4, 7.4),)
    assert [rule.name for rule in record.rules] == ["Errors"]
    assert record.absent == {"Errors": ("errors_total",)}


def test_an_alert_that_ends_and_begins_again_is_two(tmp_path: Path) -> None:
    times = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    watchdog = samples("Watchdog", "firing", times)
    record = record_of(tmp_path, watchdog, samples("Errors", "firing", [1.0, 2.0, 6.0, 7.0]))
    assert [(one.begin_s, one.end_s) for one in record.spans] == [(1.0, 2.0), (6.0, 7.0)]


def test_where_the_watchdog_is_silent_nothing_is_known(tmp_path: Path) -> None:
    watchdog = samples("Watchdog", "firing", [0.0, 1.0, 2.0, 9.0, 10.0])
    record = record_of(tmp_path, watchdog, samples("Errors", "firing", [9.0, 10.0]))
    assert record.evaluated == ((0.0, 2.0), (9.0, 10.0))
    assert record.known(0.0, 2.0) and not record.known(0.0, 9.5)
    assert record.spans[0].silent_s == 2.0  # it may have begun at any time since


def test_without_a_watchdog_there_is_no_silence_either(tmp_path: Path) -> None:
    record = record_of(tmp_path, samples("Errors", "firing", [1.0]))
    assert (record.problem, record.spans) == (NO_WATCHDOG, ())


def test_a_wall_clock_that_moved_takes_the_times_of_alerts_with_it(tmp_path: Path) -> None:
    watchdog = samples("Watchdog", "firing", [0.0, 1.0])
    assert "clock moved by -7.0 s" in record_of(tmp_path, watchdog, wall_clock_moved_s=-7.0).problem


def test_a_prometheus_that_did_not_answer_is_a_reason_and_a_run_without_one_is_none(tmp_path: Path) -> None:
    record = record_of(tmp_path, alerts=None, missing={"alert": "http://x does not answer: no connection"})
    assert record.problem == "http://x does not answer: no connection"
    assert alert_record(read_metrics(tmp_path / "nothing.jsonl")) is None
    assert alert_record(Kept(1.0, ())).problem == "its rules were not kept"  # type: ignore[union-attr]


@pytest.mark.parametrize("damaged", [{}, {"rules": 7}, {"rules": [{"name": "x"}]}, {"rules": [7]}])
def test_rules_that_were_damaged_are_said_to_be(tmp_path: Path, damaged: dict[str, Any]) -> None:
    assert record_of(tmp_path, alerts=damaged).problem == "what was kept of its rules is damaged"


def test_the_rules_are_kept_as_json(tmp_path: Path) -> None:
    write_metrics(tmp_path / METRICS, HEAD, [])
    head = json.loads((tmp_path / METRICS).read_text())
    assert [rule["name"] for rule in head["alerts"]["rules"]] == ["Errors", "Watchdog"]
