"""What a Prometheus saw, as a file: read as it was written, and never guessed at where it is damaged."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.monitor.kept import METRICS, read_metrics, write_metrics
from harness.monitor.series import Series

HEAD = {"every_s": 1, "missing": {"kv_usage": "no sample"}}
SERIES = Series("up", {"instance": "primary"}, (0.5, 1.5), (1.0, math.nan))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_metrics(tmp_path / METRICS, HEAD, [SERIES])
    return tmp_path / METRICS


def test_it_is_read_as_it_was_written(path: Path) -> None:
    kept = read_metrics(path)
    assert kept is not None
    assert (kept.every_s, kept.missing, kept.damaged) == (1.0, {"kv_usage": "no sample"}, 0)
    (series,) = kept.series
    assert (series.name, series.labels, series.at_s) == ("up", {"instance": "primary"}, (0.5, 1.5))
    assert series.value[0] == 1.0 and math.isnan(series.value[1])


def test_no_file_and_a_head_that_cannot_be_read_are_nothing(path: Path) -> None:
    assert read_metrics(path.with_name("other")) is None
    for text in ("", "{}", "no json\n", "[1]\n"):
        path.write_text(text)
        assert read_metrics(path) is None


@pytest.mark.parametrize("line", ["{", "[]", '{"name": "x"}', '{"name":"x","labels":{},"at_s":[1],"value":[1,2]}'])
def test_a_line_that_cannot_be_read_is_left_out_and_counted(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")
    kept = read_metrics(path)
    assert kept is not None
    assert (len(kept.series), kept.damaged) == (1, 1)
