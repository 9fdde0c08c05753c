"""What an answer is counted as, and what it says of the replica that gave it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from target_service.gateway.evidence import Evidence, evidence_of_answer, outcome_of_answer

RULES = Path(__file__).parent.parent.parent.parent / "compose" / "prometheus" / "rules" / "recording.yml"


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome", "evidence"),
    [
        (200, False, "answered", Evidence.GOOD),
        (302, False, "answered", Evidence.GOOD),
        (400, False, "invalid", Evidence.NEUTRAL),
        (404, False, "invalid", Evidence.NEUTRAL),
        (429, False, "upstream_shed", Evidence.NEUTRAL),
        (429, True, "upstream_shed", Evidence.NEUTRAL),
        (500, False, "upstream_error", Evidence.FAILED),
        (503, False, "upstream_error", Evidence.FAILED),
        (503, True, "upstream_shed", Evidence.NEUTRAL),
        (504, True, "upstream_error", Evidence.FAILED),
    ],
)
def test_a_user_who_got_an_error_was_not_served_whoever_said_it(
    status: int, *, retry_after: bool, outcome: str, evidence: Evidence
) -> None:
    assert outcome_of_answer(status, retry_after=retry_after) == outcome
    assert evidence_of_answer(status, retry_after=retry_after) is evidence


def test_the_alerts_share_of_errors_counts_what_replicas_themselves_answered() -> None:
    rules = RULES.read_text()
    good, total = (set(re.findall(rf'rate\(gateway_requests_total{{traffic="user",outcome!~"({words})"', rules))
                   for words in (r"answered\|[a-z|]+", r"cancelled\|[a-z|]+"))  # fmt: skip
    assert good == {"answered|cancelled|invalid"}
    assert total == {"cancelled|invalid"}
    for status in (429, 500, 503):
        assert not re.fullmatch(*good, outcome_of_answer(status, retry_after=False))
