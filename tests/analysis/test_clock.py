"""A run whose target was on another host is believed as far as the two hosts' clocks could be compared."""

from __future__ import annotations

import dataclasses

import pytest

from harness.analysis.judge import judge
from harness.analysis.validity import CLOCK_S_MAX
from harness.model.event import Event
from harness.model.history import History
from harness.model.verdict import Finding
from tests.fake_run import history_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> History:
    return history_of(tmp_path_factory.mktemp("clock"), "")


def looked(history: History, *looks: tuple[float, float]) -> History:
    """With looks at the other host's clock, by (offset, error) in seconds; the first offset is the one that is used."""
    used_s = looks[0][0]
    events = [
        Event(0.0, "probe.clock", {"used_s": used_s, "offset_s": offset_s, "error_s": error_s, "engine": "tcp://far:1"})
        for offset_s, error_s in looks
    ]
    return dataclasses.replace(history, events=[*history.events, *events])


def clock_of(history: History) -> Finding | None:
    return next((one for one in judge(history).findings if one.check == "clock"), None)


def test_a_target_of_this_host_has_no_other_clock(run: History) -> None:
    assert clock_of(run) is None


def test_clocks_that_are_known_well_enough_are_said_with_how_well_however_far_they_are_apart(run: History) -> None:
    found = clock_of(looked(run, (86_400.0, 0.002), (86_400.003, 0.001)))
    assert found is not None and found.outcome == "pass"
    assert "off by 4.0 ms at most" in found.reason


@pytest.mark.parametrize("looks", [((5.0, CLOCK_S_MAX * 1.1),), ((5.0, 0.01), (5.0 - CLOCK_S_MAX, 0.01))])
def test_a_way_that_is_too_long_or_a_clock_that_drifts_makes_the_run_inconclusive(
    run: History, looks: tuple[tuple[float, float], ...]
) -> None:
    history = looked(run, *looks)
    found = clock_of(history)
    assert found is not None and found.outcome == "inconclusive"
    assert "may be off by 110 ms, above 100 ms" in found.reason
    assert judge(history).outcome == "inconclusive"
