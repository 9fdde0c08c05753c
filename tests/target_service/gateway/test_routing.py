"""The strategies, asked by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from target_service.gateway.routing import (
    STRATEGIES,
    ActiveStandby,
    Candidate,
    LeastConnections,
    RoundRobin,
    Strategy,
    Weighted,
)

A, B, C = (Candidate(name) for name in "abc")


def served(strategy: Strategy, candidates: list[Candidate], times: int) -> str:
    return "".join(strategy.choose(candidates) for _ in range(times))


def test_active_standby_sends_all_to_the_active_one() -> None:
    assert served(ActiveStandby(), [A, Candidate("b", active=True)], 4) == "bbbb"


def test_active_standby_takes_the_next_in_order_while_the_active_one_cannot_serve() -> None:
    assert served(ActiveStandby(), [B, C], 3) == "bbb"


def test_round_robin_gives_each_its_turn_whatever_its_weight() -> None:
    assert served(RoundRobin(), [Candidate("a", weight=9), B, C], 6) == "abcabc"


def test_round_robin_goes_on_without_one_that_has_gone() -> None:
    strategy = RoundRobin()
    served(strategy, [A, B, C], 4)
    rest = Counter(served(strategy, [A, C], 100))
    assert abs(rest["a"] - rest["c"]) <= 2


def test_weighted_serves_in_proportion_and_never_in_bursts() -> None:
    assert served(Weighted(), [Candidate("a", weight=3), B], 8) == "aabaaaba"


def test_least_connections_takes_the_one_with_the_fewest_open_requests() -> None:
    busy = [Candidate("a", open_requests=2), Candidate("b", open_requests=1), Candidate("c", open_requests=2)]
    assert served(LeastConnections(), busy, 3) == "bbb"


def test_least_connections_counts_open_requests_for_the_weight() -> None:
    assert (
        served(LeastConnections(), [Candidate("a", weight=4, open_requests=3), Candidate("b", open_requests=1)], 2)
        == "aa"
    )


def test_least_connections_takes_equals_in_turn() -> None:
    assert served(LeastConnections(), [A, B], 4) == "abab"


@pytest.mark.parametrize("name", ["round-robin", "weighted", "least-connections"])
def test_a_backup_serves_only_when_there_is_no_other(name: str) -> None:
    strategy, backup = STRATEGIES[name](), Candidate("x", weight=9, backup=True)
    assert set(served(strategy, [backup, Candidate("a", open_requests=50), B], 12)) <= {"a", "b"}
    assert strategy.choose([backup]) == "x"
