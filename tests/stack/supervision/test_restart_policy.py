from __future__ import annotations

from harness.model.supervision import Supervision
from harness.stack.supervision.restart_policy import Decision, Exit, RestartBudget, RestartPolicy


def crashes(
    policy: RestartPolicy, times: list[float], *, ran_s: float = 1.0, status: int | None = 70
) -> list[Decision]:
    return [policy.exited(Exit("primary", at_s, status, ran_s)) for at_s in times]


def test_the_exit_after_the_budget_is_over_it() -> None:
    budget = RestartBudget(2, 60.0)
    assert [budget.exited("primary", at_s) for at_s in (0.0, 1.0, 2.0)] == [False, False, True]


def test_exits_leave_the_window_when_they_are_as_old_as_it_is_long() -> None:
    budget = RestartBudget(1, 10.0)
    assert [budget.exited("primary", at_s) for at_s in (0.0, 10.0, 19.9)] == [False, False, True]


def test_each_program_has_a_budget_of_its_own() -> None:
    budget = RestartBudget(1, 60.0)
    assert not budget.exited("primary", 0.0)
    assert not budget.exited("standby", 0.0)
    assert budget.exited("primary", 1.0)


def test_status_zero_is_a_crash_since_nobody_asked_the_server_to_stop() -> None:
    assert RestartPolicy(Supervision(), "s").exited(Exit("primary", 1.0, 0)).action == "restart"


def test_a_status_that_is_called_normal_is_left_alone_and_costs_no_budget() -> None:
    policy = RestartPolicy(Supervision(normal_exit_codes=[0], max_restarts=1), "s")
    assert [d.action for d in crashes(policy, [1.0, 2.0, 3.0], status=0)] == ["leave"] * 3
    assert crashes(policy, [4.0])[0].action == "restart"


def test_an_end_by_a_signal_is_never_normal() -> None:
    policy = RestartPolicy(Supervision(normal_exit_codes=[0, 9, 137]), "s")
    assert crashes(policy, [1.0], status=None)[0].action == "restart"


def test_the_first_restart_is_at_once_and_the_waits_double_up_to_the_longest() -> None:
    policy = RestartPolicy(Supervision(jitter=0, max_restarts=9, backoff_s=0.5, backoff_max_s=3.0), "s")
    assert [d.delay_s for d in crashes(policy, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_without_back_off_a_crash_loop_is_as_fast_as_it_can_be() -> None:
    policy = RestartPolicy(Supervision(backoff_s=0, max_restarts=9), "s")
    assert {d.delay_s for d in crashes(policy, [1.0, 2.0, 3.0])} == {0.0}


def test_who_ran_long_enough_begins_at_no_wait_again() -> None:
    policy = RestartPolicy(Supervision(jitter=0, stable_s=10.0), "s")
    crashes(policy, [1.0, 2.0])
    assert policy.exited(Exit("primary", 20.0, 70, ran_s=10.0)).delay_s == 0.0
    assert policy.exited(Exit("primary", 21.0, 70, ran_s=1.0)).delay_s == 0.5


def test_jitter_shortens_a_wait_by_at_most_its_share_and_differs_between_programs() -> None:
    policy = RestartPolicy(Supervision(jitter=0.5, max_restarts=99, backoff_s=1.0, backoff_max_s=1.0), "s")
    waits = {
        name: [policy.exited(Exit(name, float(n), 70, 1.0)).delay_s for n in range(20)][1:]
        for name in ("primary", "standby")
    }
    assert all(0.5 < wait <= 1.0 for wait in waits["primary"])
    assert waits["primary"] != waits["standby"]


def test_the_same_seed_gives_a_program_the_same_waits_in_whatever_order_programs_crash() -> None:
    alone, mixed = RestartPolicy(Supervision(), "s"), RestartPolicy(Supervision(), "s")
    expected = [alone.exited(Exit("primary", float(n), 70, 1.0)).delay_s for n in range(4)]
    seen = []
    for n in range(4):
        mixed.exited(Exit("standby", float(n), 70, 1.0))
        seen.append(mixed.exited(Exit("primary", float(n), 70, 1.0)).delay_s)
    assert seen == expected
    assert RestartPolicy(Supervision(), "other").exited(Exit("primary", 0.0, 70)).delay_s == 0.0


def test_giving_up_says_after_how_many_restarts() -> None:
    policy = RestartPolicy(Supervision(max_restarts=3), "s")
    assert [(d.action, d.restarts) for d in crashes(policy, [1.0, 2.0, 3.0, 4.0])] == [
        ("restart", 1),
        ("restart", 2),
        ("restart", 3),
        ("give_up", 3),
    ]
