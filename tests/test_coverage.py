"""`scenarios/COVERAGE.md` is true: no number is missing, its paths exist, and scenarios and rows name each other."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from harness.model.capability import Capability
from harness.model.expectation import expectation
from harness.plan.make_plan import TargetFacts, lacking, make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.stack.compose.stack import ComposeStack
from harness.stack.fake.stack import FakeStack
from harness.stack.local.check import capabilities_of
from harness.stack.reference.settings import LINKS, LocalSettings
from tests.bench.pair_table import CONTAINED, catalogue

ROOT = Path(__file__).parent.parent
SCENARIOS = catalogue()
FAILURES = [f"F{number:02d}" for number in range(1, 69)]
CHECKLIST = [str(number) for number in range(1, 119)]
INJECTABLE = [str(number) for number in range(6, 28)]
WITHOUT_SCENARIO = {
    "F12": "a hang after minutes of load needs more than a scenario's time",
    "F23": "orphaned probes are a defect of a health check that the replica does not have, with any option",
    "F24": "growth in the first half hour of load is `harness soak`'s",
    "F31": "files of a dead engine are a defect of supervisors: tests leave them behind, no replica here does",
    "F53": "a cancel that hits a neighbour is a defect of a batcher that the replica does not have, with any option",
    "F60": "a race of milliseconds, which no fault makes certain",
}
FOLDERS = {
    *("half-alive", "health-checks", "death-and-supervision", "memory-and-resources", "request-lifecycle"),
    *("network", "weights", "overload", "deployment"),
}


@cache
def rows() -> dict[str, str]:
    """Number -> where, as the last cell of its row says."""
    found: dict[str, str] = {}
    for line in (ROOT / "scenarios" / "COVERAGE.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"F\d\d|\d+", cells[0]):
            assert cells[0] not in found, f"{cells[0]} has two rows"
            found[cells[0]] = cells[-1]
    return found


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def sources_of(path: Path) -> set[str]:
    """The numbers that a scenario names after 'Sources:'."""
    comment = " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
    _, found, said = comment.partition("Sources:")
    assert found, f"{shown(path)} names no sources"
    numbers = re.search(r"\bseeds? ([\d, ]+)", said)
    return {*re.findall(r"\bF\d\d\b", said), *(re.findall(r"\d+", numbers[1]) if numbers else [])}


def test_no_number_is_missing_and_none_is_made_up() -> None:
    assert list(rows()) == [*FAILURES, *CHECKLIST]


@pytest.mark.parametrize("number", [*FAILURES, *CHECKLIST])
def test_each_row_names_what_is_there_or_says_why_not(number: str) -> None:
    where = rows()[number]
    paths = [path for path in re.findall(r"`([\w./-]+)`", where) if "/" in path or path.endswith((".md", ".txt"))]
    assert paths or re.fullmatch(r"not: .{10,}", where), where
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", SCENARIOS, ids=shown)
def test_a_scenario_stands_in_the_rows_of_its_sources_and_in_no_other(path: Path) -> None:
    named = {number for number, where in rows().items() if f"`{shown(path)}`" in where}
    sources = sources_of(path)
    assert sources
    assert sources <= named
    assert {number for number in named - sources if "and the others" not in rows()[number]} <= {"45", "84"}


@pytest.mark.parametrize("path", SCENARIOS, ids=shown)
def test_a_scenario_lies_in_its_family_and_says_its_hypothesis_first(path: Path) -> None:
    assert path.parent.name in FOLDERS
    scenario = parse_scenario(path.read_text(), shown(path))
    assert scenario.name == path.stem
    assert re.match(r"If .+\.$", path.read_text().splitlines()[0].removeprefix("# ")), "one sentence, on the first line"


@pytest.mark.parametrize("path", SCENARIOS, ids=shown)
def test_a_scenario_says_what_must_come_out_without_protections_and_with_all(path: Path) -> None:
    expect = parse_scenario(path.read_text(), shown(path)).expect
    fragile, hardened = expectation(expect, "fragile"), expectation(expect, "hardened")
    assert fragile is not None and (fragile.outcome, bool(fragile.because)) == ("fail", True)
    assert hardened is not None and hardened.outcome == "pass"


def test_every_family_and_every_failure_has_a_scenario_but_those_that_cannot_have_one() -> None:
    assert {path.parent.name for path in SCENARIOS} == FOLDERS
    without = {number for number in (*FAILURES, *INJECTABLE) if "`scenarios/" not in rows()[number]}
    assert without == set(WITHOUT_SCENARIO)
    assert len(SCENARIOS) >= 40


def test_each_scenario_can_be_planned_on_some_stack_of_the_harness() -> None:
    """Which, its faults say: what only containers have is left out elsewhere, with a sentence."""
    fake = FakeStack(FakeClock())
    local = capabilities_of(LocalSettings())
    assert ComposeStack(ROOT).capabilities | {Capability.SERVICE_FAULTS, Capability.SECRETS} == CONTAINED
    planned: dict[str, int] = {"local": 0, "compose": 0}
    for path in SCENARIOS:
        scenario = parse_scenario(path.read_text(), shown(path))
        found = 0
        for stack, has in (("local", local), ("compose", CONTAINED)):
            target = TargetFacts(stack, has, fake.describe(), fake.prompts(), LINKS)
            if not lacking(scenario, stack, has):
                plan = make_plan(scenario, target, "7").plan
                assert plan.replay == f"harness run {shown(path)} --stack {stack} --seed 7"
                found += 1
                planned[stack] += 1
        assert found, f"{shown(path)} can be run nowhere"
    assert planned["compose"] >= 50
    assert planned["local"] >= 36
