"""Who restarts, on real processes: each supervisor keeps its promise, and its defect."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from harness.model.scenario import TargetOptions
from harness.model.supervision import Supervision
from harness.stack.owned import identify, owned_processes, send_signal

pytestmark = pytest.mark.process
Eventually = Callable[..., Any]


def target(supervisor: Any, **options: Any) -> TargetOptions:
    return TargetOptions(supervisor=supervisor, supervision=Supervision(**options))


def ended(running: Any, eventually: Eventually, name: str = "SIGTERM") -> Any:
    """End the primary as nobody had asked for; returns its old process. SIGTERM makes it exit with status 0."""
    # Not within its first second, in which supervisord takes an end for a start that failed.
    eventually(lambda: running.stack._up.state("primary").state == "RUNNING")
    old = running.stack.process("primary")
    running.stack.signal(old, name)
    eventually(lambda: running.stack.exit_report(old))
    return old


def successor(running: Any, eventually: Eventually, old: Any) -> Any:
    return eventually(lambda: (now := running.stack.process("primary")) and now != old and now)


def stays_down(running: Any, for_s: float = 2.0) -> bool:
    begin_s = running.clock.now()
    while running.clock.now() < begin_s + for_s:
        if running.stack.process("primary") is not None:
            return False
        running.clock.sleep(0.1)
    return True


def test_status_zero_is_restarted_by_the_budget_and_left_down_by_the_naive_policy(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    good = make_stack(target("budget")).up_and_ready()
    successor(good, eventually, ended(good, eventually))
    good.stack.down()
    naive = make_stack(target("unexpected")).up_and_ready()
    ended(naive, eventually)
    (said,) = eventually(lambda: naive.seen("target.not_restarted", "primary"))
    assert said.fields["why"] == "exit status 0 is called a normal exit"
    assert stays_down(naive)


def test_a_crash_loop_waits_longer_each_time_and_is_given_up_with_every_decision_reported(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    options = target("budget", max_restarts=3, backoff_s=0.2, jitter=0)
    running = make_stack(options, environment={"STUB_EXIT": "78"}).up()
    (given_up,) = eventually(lambda: running.seen("target.given_up", "primary"))
    assert given_up.fields["restarts"] == 3
    waits = [event.fields["delay_s"] for event in running.seen("target.backing_off", "primary")]
    assert waits == [0.2, 0.4]
    assert len(running.seen("target.restarting", "primary")) == 3
    assert len(running.seen("target.exited", "primary")) == 4
    assert stays_down(running, 1.0)


def test_always_restarts_a_clean_end_and_loops_where_the_budget_gave_up(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(target("always")).up_and_ready()
    old = ended(running, eventually)
    for _ in range(6):  # one more than the budget's five
        eventually(lambda: running.stack.ready() is None)
        old = successor(running, eventually, old) and ended(running, eventually)
    successor(running, eventually, old)
    assert running.seen("target.given_up", "primary") == []


def test_an_orphan_that_keeps_the_port_is_killed_before_the_restart(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(target("budget"), environment={"STUB_ORPHAN": "1"}).up_and_ready()
    successor(running, eventually, ended(running, eventually, "SIGKILL"))
    (cleaned,) = eventually(lambda: running.seen("target.cleaned_up", "primary"))
    assert "orphan process" in cleaned.fields["what"]
    eventually(lambda: running.stack.ready() is None, within_s=20)


def test_without_the_clean_up_the_orphan_keeps_the_port_and_the_replica_is_given_up(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    options = target("budget", clean_orphans=False, port_wait_s=0.3, max_restarts=2, backoff_s=0)
    running = make_stack(options, environment={"STUB_ORPHAN": "1"}).up_and_ready()
    ended(running, eventually, "SIGKILL")
    eventually(lambda: running.seen("target.given_up", "primary"))
    assert [event.fields["waited_s"] for event in running.seen("target.port_busy", "primary")] == [0.3, 0.3]
    assert "Address already in use" in running.stack._up.last_words("primary")


def test_a_server_that_hangs_is_killed_and_restarted_by_liveness_only(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(
        target("budget", liveness_period_s=0.2, liveness_timeout_s=0.3, liveness_failures=2)
    ).up_and_ready()
    running.clock.sleep(1.0)  # it has to be seen healthy first
    old = running.stack.process("primary")
    running.stack.signal(old, "SIGSTOP")
    successor(running, eventually, old)
    assert running.stack.exit_report(old) == "terminated by SIGKILL"
    (hung,) = eventually(lambda: running.seen("target.unhealthy", "primary"))
    assert hung.fields["killed"] is True


def test_the_cron_script_restarts_a_dead_server_and_truncates_its_log(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(target("cron-script", period_s=1, pause_s=0.3)).up_and_ready()
    log = running.stack._folder / "primary.err.log"
    log.write_text("why it died\n")
    successor(running, eventually, ended(running, eventually, "SIGKILL"))
    assert eventually(lambda: running.seen("target.log_truncated", "primary"))[0].fields["bytes"] >= 12
    assert "why it died" not in log.read_text()


def test_the_cron_script_never_restarts_a_server_that_hangs(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(target("cron-script", period_s=0.5, pause_s=0.1)).up_and_ready()
    running.clock.sleep(1.0)  # it may just be restarting what was still starting, which is another defect of it
    restarted = len(running.seen("target.restarting", "primary"))
    old = eventually(lambda: running.stack.process("primary"))
    running.stack.signal(old, "SIGSTOP")
    hung = eventually(lambda: [e for e in running.seen("target.check_hangs", "primary") if e.fields["checks"] >= 3])
    assert running.stack.process("primary") == old
    assert len(running.seen("target.restarting", "primary")) == restarted
    assert hung[0].fields["checks"] == 3


def test_the_retry_script_restarts_what_does_not_run_and_calls_its_third_restart_failed(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    options = target("retry-script", period_s=0.5, retry_delay_s=2.0)  # a process may take a second to fail
    running = make_stack(options, environment={"STUB_EXIT": "78"}).up()
    (failed, *_) = eventually(lambda: running.seen("target.recovery_failed", "primary"))
    assert failed.fields["attempts"] == 3
    assert len(running.seen("target.restarting", "primary")) >= 3


def test_nothing_is_left_of_a_script_or_of_orphans_after_down(make_stack: Callable[..., Any]) -> None:
    running = make_stack(target("cron-script", period_s=1), environment={"STUB_ORPHAN": "1"}).up_and_ready()
    running.stack.down()
    assert list(owned_processes(running.run.run_id)) == []


def test_a_crash_while_the_listener_is_dead_is_restarted_when_it_is_back(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(target("budget")).up_and_ready()
    listener = identify(running.stack._up.rpc.state("restart_budget:restart_budget").pid)
    assert listener is not None
    assert send_signal(listener, signal.SIGKILL, running.run.run_id)
    successor(running, eventually, ended(running, eventually, "SIGKILL"))
    eventually(lambda: running.stack.ready() is None)
