"""The verdict as JUnit XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from harness.model.verdict import Verdict, VerdictOutcome
from harness.render.junit import to_junit

Verdicts = dict[str, Callable[[], Verdict]]


@pytest.mark.parametrize("name", ["pass", "fail", "inconclusive", "empty"])
def test_the_file_is_the_golden_one(name: str, verdicts: Verdicts, golden: Callable[[str, str], None]) -> None:
    golden(f"junit-{name}.xml", to_junit(verdicts[name]()))


def test_any_text_gives_valid_xml(sample: Verdict) -> None:
    assert ElementTree.fromstring(to_junit(sample)).tag == "testsuites"


def test_a_fail_is_a_failure_and_inconclusive_is_an_error(verdicts: Verdicts) -> None:
    failed = ElementTree.fromstring(to_junit(verdicts["fail"]()))
    assert [element.get("type") for element in failed.iter("failure")] == [
        "observe.recovery_s",
        "observe.wrong_answers",
    ]
    assert not list(failed.iter("error"))
    unclear = ElementTree.fromstring(to_junit(verdicts["inconclusive"]()))
    assert [e.get("message") for e in unclear.iter("error")] == [
        "The fault of episode 1 cannot be shown to have taken effect."
    ]


def test_a_run_without_findings_is_not_a_green_suite(verdicts: Verdicts) -> None:
    suite = ElementTree.fromstring(to_junit(verdicts["empty"]()))[0]
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_a_fail_that_no_finding_explains_still_fails(verdicts: Verdicts) -> None:
    suite = ElementTree.fromstring(to_junit(replace(verdicts["pass"](), outcome=VerdictOutcome.FAIL)))[0]
    assert suite.get("failures") == "1"


def test_the_suite_names_seed_and_run(verdicts: Verdicts) -> None:
    root = ElementTree.fromstring(to_junit(verdicts["fail"]()))
    properties = {item.get("name"): item.get("value") for item in root.iter("property")}
    assert properties["seed"] == "7f3a"
    assert properties["run id"] == "20261120T174113-kill-primary"
