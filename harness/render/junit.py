"""The verdict as JUnit XML: fail is a failure, inconclusive is an error, so that neither can be mistaken for a pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

from harness.model.verdict import Finding, Verdict, VerdictOutcome
from harness.render.headline import run_id
from harness.render.numbers import plain

__all__ = ["to_junit"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENT = {VerdictOutcome.FAIL: "failure", VerdictOutcome.INCONCLUSIVE: "error"}


def to_junit(verdict: Verdict) -> str:
    """One test suite for the run, one test case for each finding."""
    findings = [*verdict.findings, *_unexplained(verdict)]
    outcomes = [finding.outcome for finding in findings]
    numbers = {
        "tests": str(len(findings)),
        "failures": str(outcomes.count(VerdictOutcome.FAIL)),
        "errors": str(outcomes.count(VerdictOutcome.INCONCLUSIVE)),
        "skipped": "0",
        "time": str(verdict.run.get("duration_s") or 0),
    }
    root = ElementTree.Element("testsuites", {"name": "harness", **numbers})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(verdict.scenario), **numbers})
    if verdict.run.get("wall_begin"):
        suite.set("timestamp", _clean(verdict.run["wall_begin"]))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(verdict):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for finding in findings:
        _case(suite, finding, verdict)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _unexplained(verdict: Verdict) -> Iterable[Finding]:
    """A verdict that is not a pass, and no finding that says so: the verdict itself is the test case."""
    if verdict.outcome is not VerdictOutcome.PASS and all(f.outcome is not verdict.outcome for f in verdict.findings):
        yield Finding("verdict", "the run can be judged", verdict.outcome, verdict.reason)


def _properties(verdict: Verdict) -> Iterable[tuple[str, object]]:
    yield "seed", verdict.seed
    yield "run id", run_id(verdict)
    yield "outcome", verdict.outcome.value
    yield "hypothesis", verdict.hypothesis
    yield "replay", verdict.run.get("replay", "")


def _case(suite: ElementTree.Element, finding: Finding, verdict: Verdict) -> None:
    names = {"classname": _clean(f"{verdict.scenario}.{finding.check}"), "name": _clean(finding.title)}
    case = ElementTree.SubElement(suite, "testcase", names)
    element = _ELEMENT.get(finding.outcome)
    if element is None:
        return
    kind = {"message": _clean(finding.reason), "type": _clean(finding.check)}
    lines = [finding.reason, *(f"{name}: {plain(value)}" for name, value in finding.evidence.items())]
    replay = verdict.run.get("replay")
    if replay:
        lines.append(f"replay: {replay}")
    ElementTree.SubElement(case, element, kind).text = _clean("\n".join(lines))


def _clean(value: object) -> str:
    """Text without the characters that XML cannot hold."""
    return _NOT_XML.sub("", str(value))
