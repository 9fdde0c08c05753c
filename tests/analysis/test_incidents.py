from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.incidents import Incident, Sample, allowed_bad, find_incident
from harness.model.verdict import Interval

NEVER = float("inf")
SERVICE_S, P99_S, DEADLINE_S, HOLD_S = 0.05, 0.06, 2.0, 1.0
NORMAL = (P99_S, HOLD_S, 0)
BEGIN_S, END_S = 10.0, 30.0

Row = tuple[float, float, str]  # sent_s, done_s, "ok" or "lost"


def sample(rows: Sequence[Row]) -> Sample:
    rows = sorted(rows)
    ended = np.array([row[2] for row in rows])
    times = np.array([row[:2] for row in rows], dtype=float).reshape(-1, 2)
    return Sample(times[:, 0], times[:, 1], ended == "lost", ended == "ok")


def ok(*sent_s: float, service_s: float = SERVICE_S) -> list[Row]:
    return [(at_s, at_s + service_s, "ok") for at_s in sent_s]


def lost(*sent_s: float, after_s: float = 0.001) -> list[Row]:
    return [(at_s, at_s + after_s, "lost") for at_s in sent_s]


def every(step_s: float, begin_s: float, end_s: float) -> list[float]:
    return [round(begin_s + step_s * i, 6) for i in range(round((end_s - begin_s) / step_s))]


def found(rows: Sequence[Row], normal: tuple[float, float, int] = NORMAL, end_s: float = END_S) -> Incident:
    return find_incident(sample(rows), BEGIN_S, end_s, normal)


def bounds(interval: Interval | None) -> tuple[float, float | None]:
    assert interval is not None
    return pytest.approx(interval.low), None if interval.high is None else pytest.approx(interval.high)


@pytest.mark.parametrize("answered_after_s", [0.0005, 0.001, 0.03], ids=["refuse", "drop", "503"])
def test_when_losses_are_told_at_once_recovery_lies_between_the_last_lost_and_the_first_good(
    answered_after_s: float,
) -> None:
    rows = lost(*every(0.1, 10.0, 13.0), after_s=answered_after_s) + ok(*every(0.1, 13.0, 20.0))
    incident = found(rows)
    assert bounds(incident.recovery_s) == (2.9, 3.0 + SERVICE_S)
    assert incident.first_good_s == incident.recovery_s
    assert incident.down_from_s == pytest.approx(0.0)


def test_after_a_hang_who_waited_longer_than_normal_was_sent_while_it_was_bad() -> None:
    hang_end_s = 15.0
    timed_out = lost(*every(0.1, 10.0, 13.0), after_s=DEADLINE_S)
    held = [(at_s, hang_end_s + 0.01, "ok") for at_s in every(0.1, 13.0, 15.0)]
    incident = found(timed_out + held + ok(*every(0.1, 15.0, 20.0)))
    # 14.8 had waited 0.21 s and 14.7 0.31 s when the first answer came, more than twice the p99 of 0.1 s: two of them,
    # and the earlier one is the bound. 14.9 had waited 0.11 s, which a new connection may cost.
    assert bounds(incident.recovery_s) == (4.7, 5.01)


def test_one_slow_first_answer_is_no_evidence_that_the_service_was_still_bad() -> None:
    slow_s = P99_S + 0.001  # a new connection had to be opened
    rows = lost(*every(0.1, 10.0, 13.0)) + ok(13.0, service_s=slow_s) + ok(*every(0.1, 13.1, 20.0))
    assert bounds(found(rows).recovery_s) == (2.9, 3.0 + slow_s)


def test_requests_stuck_on_a_hung_replica_do_not_put_off_the_failover() -> None:
    stuck = lost(*every(0.1, 10.0, 11.0), after_s=DEADLINE_S)  # known as lost only at 12.0 to 12.9
    incident = found(stuck + ok(*every(0.1, 11.0, 20.0)))
    assert bounds(incident.recovery_s) == (0.9, 1.0 + SERVICE_S)


def test_while_some_are_stuck_and_some_are_served_recovery_comes_after_the_last_stuck_one() -> None:
    stuck = lost(*every(0.2, 10.0, 11.0), after_s=DEADLINE_S)
    served = ok(*every(0.2, 10.1, 11.1), *every(0.1, 11.1, 20.0))
    incident = found(stuck + served)
    assert bounds(incident.first_good_s) == (0.0, 0.1 + SERVICE_S)
    assert bounds(incident.recovery_s) == (0.8, 0.9 + SERVICE_S)


def test_what_was_in_flight_when_the_fault_began_and_is_lost_belongs_to_it() -> None:
    rows = ok(*every(0.1, 8.0, 9.9)) + lost(9.95, after_s=0.07) + ok(*every(0.1, 10.05, 20.0))
    incident = found(rows)
    assert bounds(incident.recovery_s) == (0.0, 0.05 + SERVICE_S)
    assert incident.down_from_s == 0.0


def test_a_good_answer_from_before_the_fault_is_no_recovery_from_it() -> None:
    rows = lost(9.0, after_s=DEADLINE_S) + ok(9.5) + ok(10.4, 10.5, 10.6)
    assert bounds(found(rows).recovery_s) == (0.0, 0.4 + SERVICE_S)


def test_a_loss_that_ended_before_the_fault_is_not_its_doing() -> None:
    assert found(lost(9.0) + ok(*every(0.1, 10.0, 20.0))) == Incident(None, None, None)


def test_flapping_is_over_after_the_last_flap_and_first_good_is_in_the_first_gap() -> None:
    rows = lost(*every(0.1, 10.0, 11.0), *every(0.1, 13.0, 14.0))
    rows += ok(*every(0.1, 11.0, 13.0), *every(0.1, 14.0, 20.0))
    incident = found(rows)
    assert bounds(incident.first_good_s) == (0.9, 1.0 + SERVICE_S)
    assert bounds(incident.recovery_s) == (3.9, 4.0 + SERVICE_S)


def test_losses_at_the_baselines_own_rate_do_not_put_off_recovery() -> None:
    stray = [10.05, 14.05, 16.55, 19.05]
    rows = lost(*every(0.1, 10.5, 13.0), *stray) + ok(*every(0.1, 10.0, 10.5), *every(0.1, 13.0, 20.0))
    incident = found(rows, (P99_S, HOLD_S, 1))
    assert bounds(incident.recovery_s) == (2.9, 3.0 + SERVICE_S)


def test_a_stray_loss_soon_after_recovery_is_told_from_the_outage() -> None:
    rows = lost(*every(0.1, 10.0, 13.0), 13.45) + ok(*every(0.1, 13.0, 20.0))
    assert bounds(found(rows, (P99_S, HOLD_S, 2)).recovery_s) == (2.9, 3.0 + SERVICE_S)
    assert bounds(found(rows).recovery_s) == (3.45, 3.5 + SERVICE_S)


def test_only_losses_that_the_baseline_has_too_are_no_incident() -> None:
    rows = ok(*every(0.1, 10.0, 20.0)) + lost(11.05, 14.05, 17.05)
    assert found(rows, (P99_S, HOLD_S, 1)) == Incident(None, None, None)


def test_never_recovered_is_censored_at_the_last_loss() -> None:
    incident = found(lost(*every(0.1, 10.0, 20.0)), end_s=20.0)
    assert bounds(incident.recovery_s) == (9.9, None)
    assert bounds(incident.first_good_s) == (9.9, None)


def test_good_again_but_not_for_long_enough_is_first_good_and_no_recovery() -> None:
    rows = lost(*every(0.1, 10.0, 19.5)) + ok(*every(0.1, 19.5, 20.0))
    incident = found(rows, end_s=20.0)
    assert bounds(incident.first_good_s) == (9.4, 9.5 + SERVICE_S)
    assert bounds(incident.recovery_s) == (9.4, None)


def test_when_nothing_is_lost_there_is_nothing_to_recover_from() -> None:
    assert found(ok(*every(0.1, 10.0, 20.0))) == Incident(None, None, None)
    assert found([]) == Incident(None, None, None)


def test_what_a_cut_off_run_left_unanswered_is_censored() -> None:
    rows = [(at_s, NEVER, "lost") for at_s in every(0.1, 10.0, 11.0)]  # judged as bad: late when the run was cut off
    rows += [(11.05, NEVER, "in flight")]
    incident = found(rows, end_s=11.1)
    assert bounds(incident.recovery_s) == (0.9, None)


def test_without_a_baseline_nothing_is_slow() -> None:
    held = [(at_s, 15.01, "ok") for at_s in every(0.1, 13.0, 15.0)]
    rows = lost(*every(0.1, 10.0, 13.0), after_s=DEADLINE_S) + held
    assert bounds(found(rows, (NEVER, HOLD_S, 0)).recovery_s) == (2.9, 5.01)


def test_a_faultless_baseline_allows_no_loss_and_a_lossy_one_its_99_percent_quantile() -> None:
    assert allowed_bad(100, 1.0, 0.0) == 0
    assert allowed_bad(100, 1.0, 0.02) == 6  # P(X <= 6) = 0.996, P(X <= 5) = 0.985 for n = 100


KINDS = st.sampled_from(["at once", "hang", "stuck"])


def ideal(kind: str, sent_s: Sequence[float], outage: tuple[float, float]) -> list[Row]:
    """A server that is bad in `outage` and otherwise answers after SERVICE_S."""
    rows: list[Row] = []
    for at_s in sent_s:
        if not outage[0] <= at_s < outage[1]:
            rows += ok(at_s)
        elif kind == "at once":
            rows += lost(at_s)
        elif kind == "hang" and outage[1] + SERVICE_S <= at_s + DEADLINE_S:
            rows.append((at_s, outage[1] + SERVICE_S, "ok"))
        else:  # stuck: whoever was sent to the hung replica stays there
            rows += lost(at_s, after_s=DEADLINE_S)
    return rows


ARRIVALS = st.lists(st.floats(0.0, 30.0), min_size=40, max_size=200, unique=True)


@given(kind=KINDS, sent_s=ARRIVALS, delay_s=st.floats(0.0, 2.0), length_s=st.floats(0.1, 8.0))
def test_the_end_of_an_ideal_outage_is_always_inside(
    kind: str, sent_s: list[float], delay_s: float, length_s: float
) -> None:
    outage = (BEGIN_S + delay_s, BEGIN_S + delay_s + length_s)
    rows = ideal(kind, sent_s, outage)
    incident = found(rows)
    truth_s = delay_s + length_s
    if not any(row[2] == "lost" for row in rows):
        assert incident == Incident(None, None, None)
        return
    assert incident.recovery_s is not None
    assert incident.recovery_s.low <= truth_s
    assert incident.recovery_s.high is None or truth_s <= incident.recovery_s.high
    assert incident.first_good_s is not None
    assert incident.first_good_s.low <= incident.recovery_s.low + 1e-9


@given(
    kind=KINDS, sent_s=ARRIVALS, length_s=st.floats(0.1, 8.0), extra_s=st.floats(10.0, 30.0), allowed=st.integers(0, 3)
)
def test_one_loss_more_never_shortens_recovery(
    kind: str, sent_s: list[float], length_s: float, extra_s: float, allowed: int
) -> None:
    rows = ideal(kind, sent_s, (BEGIN_S, BEGIN_S + length_s))
    normal = (P99_S, HOLD_S, allowed)
    before, after = found(rows, normal).recovery_s, found(rows + lost(extra_s), normal).recovery_s
    if before is None:
        return
    assert after is not None
    assert after.low >= before.low
    assert after.high is None or (before.high is not None and after.high >= before.high)
