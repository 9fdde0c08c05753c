"""The verdict as JSON and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.errors import RunFolderError
from harness.model.health import Health
from harness.model.verdict import Estimate, Finding, Interval, Verdict, VerdictOutcome
from harness.render.verdict_json import from_json, to_json

_BASE = """{"outcome": "fail", "reason": "", "seed": "", "scenario": "", "sli": {}, "findings": [], "hypothesis": "",
 "stack": "", "run": {}, "estimates": {}, "phases": [], "series": {}, "marks": [], "limits": [], "recompute": "",
 "episodes": [{"number": 1, "faults": ["noop"], "begin_s": 0, "fault_begin_s": null, "fault_end_s": null, "end_s": 1,
  "proven": true, "proof": "", "valid": true, "invalid_reason": "", "requests": 0, "lost": {}, "lost_requests": 0,
  "wrong_answers": 0, "first_good_s": null, "recovery_s": null, "stages": {}, "latency_ms_p99": null,
  "dispatch_lag_ms_p99": null}]}"""

_numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
_maybe = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_estimates = st.builds(Estimate, _maybe, _maybe, _maybe, st.floats(0, 1), st.text(), st.integers(0))
_findings = st.builds(
    Finding,
    st.text(),
    st.text(),
    st.sampled_from(VerdictOutcome),
    st.text(),
    st.dictionaries(st.text(), _json, max_size=3),
)


def test_every_sample_comes_back_exactly(sample: Verdict) -> None:
    assert from_json(to_json(sample)) == sample


@settings(deadline=None, database=None)
@given(
    findings=st.lists(_findings, max_size=3).map(tuple),
    estimates=st.dictionaries(st.text(), _estimates, max_size=3),
    reason=st.text(),
    recovery=st.builds(Interval, st.floats(0, 1e9), _maybe),
)
def test_any_verdict_comes_back_exactly(
    findings: tuple[Finding, ...], estimates: dict[str, Estimate], reason: str, recovery: Interval
) -> None:
    base = from_json(_BASE)
    episodes = (replace(base.episodes[0], recovery_s=recovery), *base.episodes[1:])
    verdict = replace(base, findings=findings, estimates=estimates, reason=reason, episodes=episodes)
    assert from_json(to_json(verdict)) == verdict


def test_what_matters_comes_first(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    keys = list(json.loads(to_json(verdicts["fail"]())))
    assert keys[:7] == ["outcome", "reason", "seed", "scenario", "sli", "episodes", "findings"]
    assert sorted([*keys, "health"]) == sorted(Verdict.__dataclass_fields__)
    measured = replace(verdicts["fail"](), health=Health("fake", (), ()))
    assert sorted(json.loads(to_json(measured))) == sorted(Verdict.__dataclass_fields__)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_json_does_not_have_is_refused(verdicts: dict[str, Callable[[], Verdict]], bad: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(replace(verdicts["fail"](), sli={"success_rate": bad}))


def test_a_column_of_the_series_is_one_line(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    text = to_json(verdicts["large"]())
    assert len(text.splitlines()) < 3000


def test_dataclasses_and_sets_in_the_evidence_are_written_as_what_they_hold(
    verdicts: dict[str, Callable[[], Verdict]],
) -> None:
    finding = Finding("x", "x", VerdictOutcome.PASS, "x", {"at": Interval(1.0, None), "seen": {"b", "a"}})
    data = json.loads(to_json(replace(verdicts["fail"](), findings=(finding,))))
    assert data["findings"][0]["evidence"] == {"at": {"low": 1.0, "high": None}, "seen": ["a", "b"]}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"outcome": NaN}', '{"outcome": "maybe"}'])
def test_a_damaged_file_is_named_with_the_remedy(text: str) -> None:
    with pytest.raises(RunFolderError, match=r"verdict\.json is damaged.*harness judge"):
        from_json(text)
