"""One stack for several runs: each has its own times, logs and counts, and what a run leaves behind is seen."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.stack.base import Home, RunContext
from harness.stack.owned import owned_processes

pytestmark = [pytest.mark.process, pytest.mark.whole]

Eventually = Callable[..., Any]


@pytest.fixture
def kept(make_stack: Callable[..., Any], tmp_path: Path, eventually: Eventually) -> Any:
    """Up, at a home of its own, and serving a first run."""
    running = make_stack()
    running.run = replace(running.run, home=Home(f"home-{os.getpid()}", tmp_path / "home"))
    running.up()
    eventually(lambda: running.stack.ready() is None)
    return running


def serve_another(running: Any, eventually: Eventually, name: str = "second") -> RunContext:
    folder = running.run.folder.parent / name
    folder.mkdir()
    another = replace(running.run, run_id=name, folder=folder, origin_monotonic_s=running.clock.now())
    running.stack.serve(another)
    running.events.clear()
    eventually(lambda: running.stack.ready() is None)
    return another


def ask(running: Any) -> None:
    with urllib.request.urlopen(f"{running.stack.base_url}/answer", timeout=2) as answer:
        assert answer.status == 200


def test_a_run_that_breaks_nothing_leaves_the_stack_as_it_came_up(kept: Any, eventually: Eventually) -> None:
    replicas = [kept.stack.process(name) for name in ("primary", "standby")]
    ask(kept)
    assert kept.stack.release() is None
    serve_another(kept, eventually)
    ask(kept)
    assert [kept.stack.process(name) for name in ("primary", "standby")] == replicas
    assert kept.stack.release() is None


def test_all_of_it_carries_the_label_of_its_home_and_is_gone_when_it_is_taken_down(
    kept: Any, eventually: Eventually
) -> None:
    kept.stack.release()
    serve_another(kept, eventually)
    assert len(list(owned_processes(kept.run.label))) >= 5
    assert not list(owned_processes("second"))
    kept.stack.down()
    assert not list(owned_processes(kept.run.label))
    assert not list((kept.run.home.folder / "stack").glob("model-*"))


def test_gateway_and_proxy_start_anew_and_what_they_had_seen_is_not_the_next_runs(
    kept: Any, eventually: Eventually
) -> None:
    gateway = kept.stack.process("gateway")
    first = eventually(lambda: kept.seen("counters", "gateway"))[-1].fields["incarnation"]
    kept.stack.release()
    serve_another(kept, eventually)
    assert kept.stack.process("gateway") != gateway
    counted = eventually(lambda: kept.seen("counters", "gateway"))
    assert first not in {event.fields["incarnation"] for event in counted}
    eventually(lambda: len(kept.seen("target.readmitted")) == 2)
    assert all(event.at_s >= 0 for event in kept.events)


def test_what_replicas_had_counted_before_is_not_counted_for_the_next_run(kept: Any, eventually: Eventually) -> None:
    for _ in range(5):
        ask(kept)
    kept.stack.release()
    serve_another(kept, eventually)
    ask(kept)
    answered = [
        event.fields["answered"] for event in kept.stack.final_counters() if event.fields["source"] == "primary"
    ]
    assert answered == [1]


def test_each_run_has_its_own_part_of_the_logs(kept: Any, eventually: Eventually) -> None:
    first = kept.run.folder / "stack" / "supervision.jsonl"
    kept.stack.release()
    begun = first.read_text()
    assert begun.count('"primary"') >= 1
    serve_another(kept, eventually)
    kept.stack.release()
    second = (kept.run.folder.parent / "second" / "stack" / "supervision.jsonl").read_text()
    assert '"gateway"' in second
    assert '"primary"' not in second


def test_a_replica_that_was_restarted_is_not_as_it_came_up(kept: Any, eventually: Eventually) -> None:
    old = kept.stack.process("primary")
    kept.stack.signal(old, "SIGKILL")
    eventually(lambda: (now := kept.stack.process("primary")) and now != old)
    eventually(lambda: kept.stack.ready() is None)
    assert kept.stack.release() == "primary ended by itself, and its supervisor remembers that"


def test_a_replica_that_was_started_again_by_order_is_started_once_more_for_the_next_run(
    kept: Any, eventually: Eventually
) -> None:
    old, standby = kept.stack.process("primary"), kept.stack.process("standby")
    kept.stack.restart("primary")
    eventually(lambda: (now := kept.stack.process("primary")) and now != old)
    eventually(lambda: kept.stack.ready() is None)
    changed = kept.stack.process("primary")
    assert kept.stack.release() is None
    serve_another(kept, eventually)
    assert kept.stack.process("primary") not in (None, old, changed)
    assert kept.stack.process("standby") == standby
    assert kept.stack.release() is None  # as it came up this time


def test_what_happens_between_two_runs_is_seen_before_the_second(kept: Any, eventually: Eventually) -> None:
    assert kept.stack.release() is None
    assert kept.stack.changed() is None
    old = kept.stack.process("standby")
    kept.stack.signal(old, "SIGKILL")
    eventually(kept.stack.changed)


def test_a_gateway_that_ended_by_itself_is_remembered_by_its_supervisor(kept: Any, eventually: Eventually) -> None:
    old = kept.stack.process("gateway")
    kept.stack.signal(old, "SIGKILL")
    eventually(lambda: (now := kept.stack.process("gateway")) and now != old)
    eventually(lambda: kept.stack.ready() is None)
    assert kept.stack.release() == "gateway ended by itself, and its supervisor remembers that"


def test_a_supervisor_that_is_ending_is_an_error_in_words_and_its_stack_is_not_kept(kept: Any) -> None:
    assert kept.stack.release() is None
    kept.stack._up.rpc.call("shutdown")
    words = kept.stack.changed()
    assert words is not None and "supervisord" in words


def test_a_model_that_was_touched_is_not_as_it_came_up(kept: Any) -> None:
    weights = kept.stack.model_folder("standby") / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[::-1])
    weights.write_bytes(data)
    assert kept.stack.release() == f"{weights} was touched"


def test_a_fault_that_still_acts_is_not_as_it_came_up(kept: Any) -> None:
    kept.stack.service.begin(kept.stack.process("standby"), "hang", {})
    assert kept.stack.release() == "standby still has the fault hang"


def test_a_stack_whose_supervisor_has_died_is_not_kept(kept: Any) -> None:
    for process in list(owned_processes(kept.run.label)):
        os.kill(process.pid, 9)
    assert kept.stack.release() is not None


def test_a_stack_that_was_not_ready_again_for_its_run_is_not_kept(kept: Any) -> None:
    assert kept.stack.release() is None
    folder = kept.run.folder.parent / "second"
    folder.mkdir()
    kept.stack.serve(replace(kept.run, run_id="second", folder=folder, origin_monotonic_s=kept.clock.now()))
    assert kept.stack.release() == "it never was ready"
