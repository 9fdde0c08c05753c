"""The worst month request by request: faults that are far apart add up, those that meet cost more than each alone."""

from __future__ import annotations

import dataclasses

import pytest

from harness.model.faults import FAULTS, ProcessKill
from harness.model.soak import FaultRate, FaultType, Simulated, SoakFile
from harness.model.soak_report import Overlap
from harness.model.soak_trials import Night
from harness.render.soak import to_html, to_markdown
from harness.soak.months import project_months
from harness.soak.overlap import overlap_of_worst
from harness.soak.project import project
from harness.soak.sample import sample_of
from tests.soak.trials import drawn_costs, night, soak_file

pytestmark = pytest.mark.whole

SERVICE = Simulated(servers=4, queue_limit=50)
NIGHT = night({"crash": drawn_costs(1), "hang": drawn_costs(2)})


def seldom_and_often(events: int, **changes: object) -> SoakFile:
    """Each replica dies so often in thirty days; it is back after 4 s, and the gateway sees it after 0.5 s."""
    rate = FaultRate(events=events, exposure_days=30, source="a test")
    types = (
        FaultType(name="crash", rate=rate, inject=(ProcessKill(),)),
        FaultType(name="hang", rate=rate, inject=(ProcessKill(on="standby"),)),
    )
    return soak_file(faults=types, simulate=SERVICE, **changes)


def found_in(soak: SoakFile, one: Night = NIGHT) -> Overlap:
    sample = sample_of(soak, [one])
    found = overlap_of_worst(soak, sample, project_months(soak, sample, 1, 1000), 1)
    assert found is not None
    return found


def test_faults_that_are_far_apart_lose_what_each_loses_alone() -> None:
    """Half a second until the gateway sees it, at ten requests a second; of the standby nobody notices."""
    found = found_in(seldom_and_often(2))
    assert found.together == found.alone and found.left_out == ()
    assert 0 < found.alone <= 10 * found.faults and found.requests == pytest.approx(3100 * found.faults, rel=0.4)


def test_faults_that_meet_lose_more_than_each_alone() -> None:
    """Each replica dies seven times a day and is away for ten minutes: both are away at once now and then."""
    long = tuple(dataclasses.replace(trial, verify_s=600.0) for trial in NIGHT.trials)
    found = found_in(seldom_and_often(200), dataclasses.replace(NIGHT, trials=long))
    assert found.faults == 100 and found.together > 2 * found.alone > 0


def test_what_the_simulator_does_not_know_is_named() -> None:
    soak = seldom_and_often(2)
    delay = FaultType(name="hang", rate=soak.faults[1].rate, inject=(FAULTS["network.down"](on="gateway"),))  # type: ignore[call-arg]
    found = found_in(dataclasses.replace(soak, faults=(soak.faults[0], delay)))
    assert found.left_out == ("hang",) and found.faults < 20


def test_a_file_that_does_not_say_what_the_service_is_gets_no_such_row() -> None:
    report = project(soak_file(), [NIGHT], seed=1)
    assert report.overlap is None and any("a simulate block would show it" in limit for limit in report.limits)
    report = project(soak_file(simulate=SERVICE), [NIGHT], seed=1)
    for text in (to_html(report), to_markdown(report)):
        assert "each alone: the difference is what overlaps and backlogs do" in text
