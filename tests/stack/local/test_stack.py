from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.model.errors import StackError
from harness.model.scenario import TargetOptions
from harness.model.supervision import Supervision
from harness.stack.base import Stack, TargetProcess
from harness.stack.local.stack import LocalStack
from harness.stack.owned import identify
from harness.stack.reference.settings import LocalSettings

Eventually = Callable[..., Any]
process_test = pytest.mark.process


def budget_of(restarts: int) -> TargetOptions:
    return TargetOptions(supervision=Supervision(max_restarts=restarts))


def as_stack(stack: LocalStack) -> Stack:
    """The type checker holds LocalStack to the protocol here."""
    return stack


def killed(running: Any, eventually: Eventually, name: str = "SIGKILL") -> tuple[TargetProcess, TargetProcess]:
    """Signal the primary; returns its old and its new process."""
    old = running.stack.process("primary")
    assert running.stack.signal(old, name)
    eventually(lambda: running.stack.exit_report(old))
    new = eventually(lambda: (now := running.stack.process("primary")) and now != old and now)
    return old, new


# -- before anything runs


def test_a_missing_model_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="build_model"):
        as_stack(LocalStack(tmp_path / "absent")).check()


def test_a_missing_module_is_refused_with_the_command_that_installs_it(stub_model: Path) -> None:
    stack = LocalStack(stub_model, LocalSettings(required_modules=("no_such_module",)))
    with pytest.raises(StackError, match=r"no_such_module.*pip install 'reliability-harness\[target\]'"):
        stack.check()


def test_it_has_prompts_and_describes_its_replicas_before_it_is_up(stub_model: Path) -> None:
    stack = LocalStack(stub_model, LocalSettings(required_modules=()))
    stack.check()
    assert stack.prompts()["chat"][0].answer == "hello"
    assert set(stack.describe()) == {"primary", "standby"}


def test_down_before_up_does_nothing(stub_model: Path) -> None:
    stack = LocalStack(stub_model)
    stack.down()
    stack.down()


def test_one_that_never_came_up_is_not_kept_for_another_run(stub_model: Path) -> None:
    assert LocalStack(stub_model).release() == "it never came up"


# -- a running stack


@process_test
def test_users_reach_a_replica_through_proxy_and_gateway(make_stack: Callable[..., Any]) -> None:
    running = make_stack().up_and_ready()
    with urllib.request.urlopen(f"{running.stack.base_url}/answer", timeout=2) as answer:
        assert b'"served_by": "primary"' in answer.read()


@process_test
def test_each_replica_has_its_own_copy_and_the_source_stays_untouched(
    make_stack: Callable[..., Any], stub_model: Path
) -> None:
    stamp = (stub_model / "model.safetensors").stat().st_mtime_ns
    running = make_stack().up_and_ready()
    copies = {running.stack.model_folder(name) / "model.safetensors" for name in ("primary", "standby")}
    assert len({path.stat().st_ino for path in copies}) == 2
    running.stack.down()
    assert not any(path.exists() for path in copies)
    assert (stub_model / "model.safetensors").stat().st_mtime_ns == stamp


@process_test
def test_a_killed_replica_is_restarted_and_the_supervisor_says_how_it_died(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack().up_and_ready()
    old, new = killed(running, eventually)
    assert running.stack.exit_report(old) == "terminated by SIGKILL"
    assert running.stack.exit_report(new) is None
    assert running.stack.state(old) == "gone"
    assert not running.stack.signal(old, "SIGKILL")
    eventually(lambda: running.stack.ready() is None)


@process_test
def test_a_clean_exit_is_restarted_as_well(make_stack: Callable[..., Any], eventually: Eventually) -> None:
    running = make_stack().up_and_ready()
    old, _ = killed(running, eventually, "SIGTERM")
    assert running.stack.exit_report(old) == "exit status 0"


@process_test
def test_a_paused_replica_is_stopped_until_it_is_continued(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack().up_and_ready()
    process = running.stack.process("primary")
    inverse = running.stack.pause_inverse(process)
    assert (inverse.name, inverse.args["pid"], inverse.args["run_id"]) == (
        "process.continue",
        process.pid,
        running.run.run_id,
    )
    running.stack.signal(process, "SIGSTOP")
    eventually(lambda: running.stack.state(process) == "stopped")
    assert running.stack.process("primary") == process
    running.stack.signal(process, "SIGCONT")
    eventually(lambda: running.stack.state(process) == "running")


@process_test
def test_a_paused_replica_can_be_restarted(make_stack: Callable[..., Any], eventually: Eventually) -> None:
    running = make_stack().up_and_ready()
    old = running.stack.process("primary")
    running.stack.signal(old, "SIGSTOP")
    running.stack.restart("primary")
    eventually(lambda: (now := running.stack.process("primary")) and now != old)
    assert running.stack.exit_report(old) == "exit status 0"


@process_test
def test_restart_returns_at_once_and_is_not_taken_for_a_crash(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(budget_of(0)).up_and_ready()
    old = running.stack.process("standby")
    running.stack.restart("standby")
    assert "standby" in (running.stack.ready() or "")
    eventually(lambda: (now := running.stack.process("standby")) and now != old)
    eventually(lambda: running.stack.ready() is None)
    (exited,) = eventually(lambda: running.seen("target.exited", "standby"))
    assert exited.fields["asked_for"]


@process_test
def test_a_replica_that_uses_up_its_budget_is_given_up_until_it_is_asked_for_again(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(budget_of(1)).up_and_ready()
    killed(running, eventually)
    second = running.stack.process("primary")
    running.stack.signal(second, "SIGKILL")
    eventually(lambda: running.seen("target.given_up", "primary"))
    assert running.stack.process("primary") is None
    assert "primary: ended" in running.stack.ready()
    running.stack.ensure_running("primary")
    eventually(lambda: running.stack.ready() is None)


@process_test
def test_a_replica_that_never_starts_is_reported_with_its_last_words(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack(environment={"STUB_EXIT": "78"}).up()
    eventually(lambda: "the model is bad" in (running.stack.ready() or ""))
    (exited, *_) = eventually(lambda: running.seen("target.exited", "primary"))
    assert exited.fields["how"] == "exit status 78"
    eventually(lambda: running.stack.held_weights("primary").source == "no process: exit status 78")
    assert running.stack.held_weights("primary").altered is None


@process_test
def test_what_the_gateway_and_the_supervisor_saw_is_polled(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack().up_and_ready()
    eventually(lambda: running.seen("target.readmitted", "primary"))
    old, new = killed(running, eventually)
    eventually(lambda: len(running.seen("target.readmitted", "primary")) == 2)
    (exited,) = running.seen("target.exited", "primary")
    assert (exited.fields["pid"], exited.fields["how"]) == (old.pid, "terminated by SIGKILL")
    assert running.seen("target.started", "primary")[-1].fields["pid"] == new.pid
    isolated = running.seen("target.isolated", "primary")[0]
    assert exited.at_s - 0.05 < isolated.at_s < running.seen("target.readmitted", "primary")[-1].at_s


@process_test
def test_counters_come_from_everybody_and_once_more_at_the_end(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack().up_and_ready()
    for source in ("primary", "standby", "gateway"):
        eventually(lambda source=source: running.seen("counters", source))
    with urllib.request.urlopen(f"{running.stack.base_url}/answer", timeout=2):
        pass

    def final_counters() -> Any:
        final = {event.fields["source"]: event.fields for event in running.stack.final_counters()}
        return len(final) == 3 and final

    final = eventually(final_counters)
    assert final["primary"]["answered"] == 1


@process_test
def test_a_gateway_that_restarts_begins_a_new_sequence_of_events(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack().up_and_ready()
    (first, *_) = eventually(lambda: running.seen("target.readmitted", "primary"))
    gateway = identify(running.stack._up.state("gateway").pid)
    assert gateway is not None
    running.stack.signal(TargetProcess("gateway", gateway.pid, gateway.started), "SIGKILL")
    again = eventually(lambda: running.seen("target.readmitted", "primary")[1:])
    assert again[0].fields["gateway_incarnation"] != first.fields["gateway_incarnation"]


@process_test
def test_a_hung_gateway_does_not_block_poll(make_stack: Callable[..., Any]) -> None:
    running = make_stack().up_and_ready()
    gateway = identify(running.stack._up.state("gateway").pid)
    assert gateway is not None
    running.stack.signal(TargetProcess("gateway", gateway.pid, gateway.started), "SIGSTOP")
    begin_s = running.clock.now()
    running.stack.poll()
    assert running.clock.now() - begin_s < 0.3
    assert running.stack.ready() == "gateway: not answering"
