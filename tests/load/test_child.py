"""The child as a process: how it connects, ends, and dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.load.driver import LoadDriver
from harness.model.request import Outcome
from harness.record.request_log import Damaged, Done, NotSent, Sent, Stopped, read

from .conftest import CLOCK, START_S, make_spec, run, start, wait_for
from .scripted_server import ScriptedServer

pytestmark = pytest.mark.process


def test_reused_connections_are_few_and_new_ones_are_one_each(server: ScriptedServer, tmp_path: Path) -> None:
    opened: dict[str, int] = {}
    for connections in ("reuse", "new"):
        before = server.connections
        folder = tmp_path / connections
        folder.mkdir()
        finished = run(make_spec(server.url, folder, ["ok"] * 20, 0.03, connections=connections), folder)
        assert all(finished.ended(i).outcome is Outcome.OK for i in range(20))
        opened[connections] = server.connections - before
    assert opened["new"] == 20
    assert opened["reuse"] <= 10  # more than one only where an answer was slow


def test_a_connection_that_the_peer_closed_while_idle_is_not_blamed_on_the_target(
    server: ScriptedServer, tmp_path: Path
) -> None:
    finished = run(make_spec(server.url, tmp_path, ["impolite"] * 4, 0.3), tmp_path)
    assert [finished.ended(i).outcome for i in range(4)] == [Outcome.OK] * 4


def test_a_retry_keeps_the_id_and_only_the_last_answer_counts(server: ScriptedServer, tmp_path: Path) -> None:
    spec = make_spec(server.url, tmp_path, ["flaky", "busy", "wrong"], 0.05, retries=2, run_id="again")
    finished = run(spec, tmp_path)
    assert (finished.ended(0).outcome, finished.ended(0).detail) == (Outcome.OK, "attempts=2")
    assert (finished.ended(1).outcome, finished.ended(1).detail) == (Outcome.HTTP_ERROR, "attempts=3")
    assert finished.ended(2).detail is None
    assert [server.requests[f"again-u-{i}"] for i in range(3)] == [2, 3, 1]


def test_an_arrival_whose_deadline_passed_before_it_could_be_sent_is_the_generators_fault(
    server: ScriptedServer, tmp_path: Path
) -> None:
    driver = start(make_spec(server.url, tmp_path, ["ok"]), tmp_path)
    try:
        driver.begin("user", CLOCK.now() - 11)
        assert wait_for(lambda: driver.lane_done("user"))
        progress = driver.stop(0)
    finally:
        driver.close()
    assert progress.lane("user").by_outcome == {Outcome.NOT_SENT: 1}


def test_a_stop_marks_what_is_in_flight_and_sends_no_more(server: ScriptedServer, tmp_path: Path) -> None:
    spec = make_spec(server.url, tmp_path, ["hang"] * 3 + ["ok"], deadline_s=20)
    times = spec.lanes["user"].scheduled_us
    times[3] = 60_000_000
    driver = start(spec, tmp_path)
    try:
        driver.begin("user", CLOCK.now())
        assert wait_for(lambda: driver.poll().lane("user").in_flight == 3)
        begun_s = CLOCK.now()
        progress = driver.stop(0.2)
        assert CLOCK.now() - begun_s < 10
    finally:
        driver.close()
    assert progress.lane("user").by_outcome == {Outcome.IN_FLIGHT_AT_END: 3}
    assert progress.stopped
    assert progress.lane("user").in_flight == 0
    assert not driver.alive()
    assert driver.reason == ""


def test_a_lane_that_is_ended_lets_its_requests_finish(server: ScriptedServer, tmp_path: Path) -> None:
    spec = make_spec(server.url, tmp_path, ["stream_slow"] * 50, 0.1)
    spec = make_spec(server.url, tmp_path, ["stream_slow"] * 50, lanes={"warmup": spec.lanes["user"]})
    driver = start(spec, tmp_path)
    try:
        driver.begin("warmup", CLOCK.now())
        assert wait_for(lambda: driver.poll().lane("warmup").sent >= 2)
        driver.end("warmup")
        assert wait_for(lambda: driver.lane_done("warmup"))
        assert wait_for(lambda: driver.poll().lane("warmup").in_flight == 0)
        progress = driver.stop(1)
    finally:
        driver.close()
    lane = progress.lane("warmup")
    assert set(lane.by_outcome) == {Outcome.OK}
    assert lane.ended < 50


def test_sigkill_leaves_a_readable_log_with_at_most_the_last_moment_lost(
    server: ScriptedServer, tmp_path: Path
) -> None:
    spec = make_spec(server.url, tmp_path, ["ok"] * 2000, 0.005)
    driver = start(spec, tmp_path)
    try:
        begin_s = CLOCK.now()
        driver.begin("user", begin_s)
        assert wait_for(lambda: driver.poll().lane("user").ended >= 100)
        killed_s = CLOCK.now()
        assert driver.pid is not None
        os.kill(driver.pid, signal.SIGKILL)
        assert wait_for(lambda: not driver.alive())
        assert "ended by signal 9" in driver.reason
        assert not driver.begin("user", 0) or wait_for(lambda: not driver.begin("user", 0))
        driver.stop(1)
    finally:
        driver.close()
    records = list(read(Path(spec.log_path)))
    assert not any(isinstance(record, Damaged | Stopped) for record in records)
    last_us = max(record.sent_us for record in records if isinstance(record, Sent))
    assert last_us * 1e-6 + spec.origin_monotonic_s > killed_s - 1.0
    ended = {r.index for r in records if isinstance(r, Done | NotSent)}
    assert ended >= set(range(90))


def test_the_end_of_stdin_ends_the_child_at_once_and_keeps_the_log(server: ScriptedServer, tmp_path: Path) -> None:
    spec = make_spec(server.url, tmp_path, ["ok", "hang"], deadline_s=30, echo_url=server.url)
    path = tmp_path / "load.json"
    path.write_text(spec.to_json())
    with subprocess.Popen(
        [sys.executable, "-m", "harness.load.child", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b'{"ready": true}\n'
        child.stdin.write(b'{"begin": "user", "at_monotonic_s": %f}\n' % CLOCK.now())
        child.stdin.flush()
        log = Path(spec.log_path)
        assert wait_for(lambda: log.read_text().count('["s"') == 2)
        child.stdin.close()
        child.wait(10)
    records = list(read(log))
    outcomes = {r.index: r.outcome for r in records if isinstance(r, Done)}
    assert outcomes == {0: Outcome.OK, 1: Outcome.IN_FLIGHT_AT_END}
    assert not isinstance(records[-1], Stopped)


def test_a_child_that_cannot_start_says_why(tmp_path: Path) -> None:
    spec = make_spec("http://127.0.0.1:1", tmp_path, ["ok"], log_path=str(tmp_path / "absent" / "requests.log"))
    driver = LoadDriver(spec, tmp_path, CLOCK, os.environ)
    driver.start()
    try:
        assert not driver.wait_ready(CLOCK.now() + START_S)
        assert driver.reason.startswith("The load generator ended with exit code 1; its last words: FileNotFoundError")
    finally:
        driver.close()


def test_closing_twice_or_before_the_start_does_nothing(tmp_path: Path) -> None:
    driver = LoadDriver(make_spec("http://127.0.0.1:1", tmp_path, ["ok"]), tmp_path, CLOCK, os.environ)
    driver.close()
    driver.close()
    assert not driver.alive()


def test_a_child_that_is_paused_cannot_hang_the_driver(server: ScriptedServer, tmp_path: Path) -> None:
    driver = start(make_spec(server.url, tmp_path, ["ok"]), tmp_path)
    try:
        assert driver.pid is not None
        os.kill(driver.pid, signal.SIGSTOP)
        begun_s = CLOCK.now()
        driver.stop(0)
        assert CLOCK.now() - begun_s < 15
        assert not driver.alive()
    finally:
        driver.close()


def test_requests_for_which_this_host_has_no_file_descriptor_are_not_the_targets_fault(
    server: ScriptedServer, tmp_path: Path
) -> None:
    spec = make_spec(server.url, tmp_path, ["hang"] * 80, echo_url=server.url, deadline_s=2.0)
    path = tmp_path / "load.json"
    path.write_text(spec.to_json())
    command = f"ulimit -n 48; exec {sys.executable} -m harness.load.child {path}"
    with subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b'{"ready": true}\n'
        child.stdin.write(b'{"begin": "user", "at_monotonic_s": %f}\n' % CLOCK.now())
        child.stdin.flush()
        assert child.stdout.readline() == b'{"lane_done": "user"}\n'
        child.stdin.write(b'{"stop": true, "grace_s": 0}\n')
        child.stdin.flush()
        assert child.stdout.readline() == b'{"stopped": true}\n'
        child.stdin.close()
        assert child.wait(10) == 0
    records = list(read(Path(spec.log_path)))
    timeouts = {r.index for r in records if isinstance(r, Done) and r.outcome is Outcome.TIMEOUT}
    reasons = {r.index: r.reason for r in records if isinstance(r, NotSent)}
    assert set(reasons.values()) == {"OSError EMFILE"}
    assert timeouts
    assert not timeouts & set(reasons)
    assert timeouts | set(reasons) == set(range(80))
