"""Reading a Prometheus: within a time limit, in one try, whole, and never taking silence for zero."""

from __future__ import annotations

import json
import math
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.monitor.reader import CHUNK_S, POINTS_MAX, MonitorError, PrometheusReader


class Scripted(BaseHTTPRequestHandler):
    """Answers range queries with the time itself as the value, as strictly as Prometheus does."""

    asked: ClassVar[list[tuple[str, dict[str, str]]]] = []
    status = 200
    body: Any = None

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        words = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append((parts.path, words))
        body, status = self.body, self.status
        if body is None:
            status, body = self._range(words) if parts.path.endswith("query_range") else (200, self._now(words))
        data = json.dumps(body).encode() if not isinstance(body, bytes) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _range(self, words: dict[str, str]) -> tuple[int, Any]:
        begin, end, step = int(words["start"]), int(words["end"]), float(words["step"])
        if (end - begin) / step > 11_000:
            return 400, {"status": "error", "error": "exceeded maximum resolution of 11,000 points per timeseries"}
        times = [begin + number * step for number in range(int((end - begin) / step) + 1)]
        row = {"metric": {"instance": "primary"}, "values": [[at, str(at)] for at in times]}
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": [row]}}

    def _now(self, words: dict[str, str]) -> Any:
        row = {"metric": {"instance": "primary"}, "value": [float(words["time"]), "NaN"]}
        found = {"resultType": "vector", "result": [row]}
        return {"status": "success", "data": found, "warnings": ["a part of it did not answer"]}

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Scripted.asked.clear()
    Scripted.status, Scripted.body = 200, None
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as found:
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.fixture
def reader(server: str) -> Iterator[PrometheusReader]:
    found = PrometheusReader(server, timeout_s=20.0)  # a loaded machine takes its time for 10,000 points
    yield found
    found.close()


def test_a_range_is_asked_for_in_utc_and_cut_to_what_was_wanted(reader: PrometheusReader) -> None:
    (series,) = reader.range("up", 1_700_000_000.6, 1_700_000_004.4, 1.0)
    assert list(series.at_s) == [1_700_000_001, 1_700_000_002, 1_700_000_003, 1_700_000_004]
    assert series.labels == {"instance": "primary"}
    ((_, words),) = Scripted.asked
    assert (words["start"], words["end"]) == ("1700000000", "1700000005")


@pytest.mark.parametrize("step_s", [1.0, 0.5, 2.5])
def test_a_long_range_is_read_in_parts_without_a_hole_or_a_double(reader: PrometheusReader, step_s: float) -> None:
    begin_s, points = 1_700_000_000.0, 2 * POINTS_MAX + 7
    (series,) = reader.range("up", begin_s, begin_s + (points - 1) * step_s, step_s)
    assert len(Scripted.asked) == 3
    assert series.at_s == tuple(begin_s + number * step_s for number in range(points))


def test_samples_are_read_in_parts_at_the_times_at_which_they_were_taken(
    reader: PrometheusReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [1_700_000_000.137 + number for number in range(2 * int(CHUNK_S) + 10)]

    def held(_: Scripted, words: dict[str, str]) -> Any:
        selector, _, window = words["query"].partition("[")
        end, back = float(words["time"]), int(window.removesuffix("s]"))
        found = [[at, "1"] for at in taken if end - back <= at <= end]  # closed at both ends, as Prometheus 2 has it
        row = {"metric": {"__name__": selector, "alertstate": "firing"}, "values": found}
        return {"status": "success", "data": {"resultType": "matrix", "result": [row]}}

    monkeypatch.setattr(Scripted, "_now", held)
    (series,) = reader.samples("ALERTS", taken[3], taken[-4])
    assert list(series.at_s) == taken[3:-3]
    assert len(Scripted.asked) == 3


def test_rules_are_those_that_it_has_loaded_and_a_refusal_is_a_sentence(reader: PrometheusReader) -> None:
    Scripted.body = {"status": "success", "data": {"groups": [{"name": "users", "rules": []}]}}
    assert reader.rule_groups() == [{"name": "users", "rules": []}]
    Scripted.body = {"status": "success"}
    with pytest.raises(MonitorError, match="its rules"):
        reader.rule_groups()
    Scripted.status = 503
    with pytest.raises(MonitorError, match="503"):
        reader.rule_groups()


def test_warnings_of_the_server_are_kept_and_what_is_no_number_stays_none(reader: PrometheusReader) -> None:
    (series,) = reader.instant("up", 1_700_000_000.25)
    assert math.isnan(series.value[0])
    assert reader.warnings == ["a part of it did not answer"]


def test_nothing_found_is_nothing_and_not_zero(reader: PrometheusReader) -> None:
    Scripted.body = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    assert reader.range("up", 0, 10, 1) == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_is_asked_for_once_and_told(reader: PrometheusReader, status: int) -> None:
    Scripted.status, Scripted.body = status, {"status": "error", "error": "too busy"}
    with pytest.raises(MonitorError, match=r"refuses 'up': .*too busy"):
        reader.instant("up", 1.0)
    assert len(Scripted.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", {"status": "success"}, {"data": {"result": [{"metric": {}}]}}, []])
def test_an_answer_that_is_none_of_a_prometheus_is_a_sentence(reader: PrometheusReader, body: Any) -> None:
    Scripted.body = body
    with pytest.raises(MonitorError, match="none of a Prometheus"):
        reader.instant("up", 1.0)


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader = PrometheusReader(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)
        with pytest.raises(MonitorError, match="it took too long"):
            reader.range("up", 0, 1, 1)
        assert "it took too long" in (reader.ready() or "")
        reader.close()


def test_nobody_there_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    reader = PrometheusReader(f"http://127.0.0.1:{port}", timeout_s=0.3)
    assert "no connection" in (reader.ready() or "")
    with pytest.raises(MonitorError, match="no connection"):
        reader.metric_names()
    reader.close()
