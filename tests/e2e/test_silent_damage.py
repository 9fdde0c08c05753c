"""A report says which detector fired, and for how long users were served from damaged weights before it did."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Start, events_of

pytestmark = [pytest.mark.e2e, pytest.mark.model]

SERVED_S = 1.0  # within which one of ten requests a second is sent to the primary and answered


@pytest.mark.parametrize("verify", ["start", "periodic"])
def test_damage_that_changes_no_answer_is_served_until_something_notices(start: Start, verify: str) -> None:
    """Four bits for each weight spoil no answer of the small model, so users cannot tell; the file is mapped."""
    one = start(f"""
name: silent
load: {{rate_per_s: 10, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 4, recovery_s: 12}}
target: {{replica: {{verify_weights: {verify}, verify_every_s: 3, on_bad_model: stay}}}}
faults: [{{kind: weights.quantise, restart_after_s: null, for_s: 6}}]
observe: {{silent_s: {{max: 4}}}}
""")
    assert one.process.wait(timeout=150) in (0, 1, 3), one.said()
    verdict = json.loads((one.folder / "verdict.json").read_text())
    (episode,) = verdict["episodes"]
    assert episode["proven"], episode
    (found,) = episode["corruptions"]
    at_s = {event["kind"]: event["at_s"] for event in events_of(one)}
    if verify == "periodic":
        assert found["detector"] == "manifest"
        assert 0 < found["detected_s"] < 4
        if found["silent_s"] is None:  # the check came by before anybody can be shown to have been served
            assert at_s["fault_begin"] + found["detected_s"] < at_s["fault_proof"] + SERVED_S
        else:
            assert "altered bytes" in found["served"], found
            assert found["ended_by"] == "detector"
            assert found["silent_s"]["high"] == pytest.approx(found["detected_s"])
    else:
        assert "altered bytes" in found["served"], found
        assert (found["detector"], found["ended_by"]) == (None, "inverse")
        assert found["silent_s"]["low"] > 4
        assert "unnoticed" in verdict["reason"]
    assert "Damaged models" in (one.folder / "report.md").read_text()
    assert not one.owned()
