"""The helper that holds what a fault takes, and putting right what it changed: on real processes of this host."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.faults.inverse import carry_out
from harness.model.errors import BlastRadiusError, StackError
from harness.record.journal import Inverse
from harness.stack.containers import inside
from harness.stack.containers.clock import clock_file, with_clock, write_offset
from harness.stack.containers.resources import dated_s, quota_words
from harness.stack.containers.undo import HELPER, device_of, files_limit, oom_score
from harness.stack.owned import RUN_LABEL, identify, owned_processes

pytestmark = pytest.mark.process

Start = Callable[..., subprocess.Popen[bytes]]
SERVER = "import time\nprint(flush=True)\nwhile True: time.sleep(1)"  # says when it has opened what it needs


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, run: str = "undo-test", **environ: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*command], env={**os.environ, RUN_LABEL: run, **environ}, stdout=subprocess.PIPE)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def serving(start: Start, run: str = "undo-test") -> subprocess.Popen[bytes]:
    server = start(sys.executable, "-c", SERVER, run=run)
    assert server.stdout is not None and server.stdout.readline() == b"\n"
    return server


def helper(start: Start, what: str, server: int, *more: str) -> subprocess.Popen[bytes]:
    """As it is started in a container."""
    found = identify(server)
    text = Path(inside.__file__).read_text()
    started = str(found.started if found else 0)
    return start(sys.executable, "-I", "-S", "-c", text, what, str(server), started, *more, **{HELPER: "tag"})


def inverse_of(server: int, **before: int | None) -> Inverse:
    found = identify(server)
    assert found is not None
    return Inverse(
        "container.end_helper",
        {"run_id": "undo-test", "tag": "tag", "pid": found.pid, "started": found.started, **before},
    )


def until(what: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_descriptors_are_limited_while_the_helper_lives_and_given_back_by_the_inverse(start: Start) -> None:
    server = serving(start).pid
    before = files_limit(server)
    helper(start, "files", server, "60", "2", "")
    open_now = len(os.listdir(f"/proc/{server}/fd"))
    until(lambda: files_limit(server) == open_now + 2)
    inverse = inverse_of(server, files=before, oom_score_adj=oom_score(server))
    carry_out(inverse)
    assert files_limit(server) == before
    assert not list(owned_processes("undo-test", f"{HELPER}=tag"))
    carry_out(inverse)  # harmless when done twice


def test_what_a_killed_helper_could_not_put_right_is_put_right_from_outside(start: Start) -> None:
    server = serving(start).pid
    before, score = files_limit(server), oom_score(server)
    assert before is not None and score is not None
    resource.prlimit(server, resource.RLIMIT_NOFILE, (5, resource.prlimit(server, resource.RLIMIT_NOFILE)[1]))
    Path(f"/proc/{server}/oom_score_adj").write_text("1000")
    carry_out(inverse_of(server, files=before, oom_score_adj=score))
    assert (files_limit(server), oom_score(server)) == (before, score)


def test_a_process_of_another_run_is_never_changed(start: Start) -> None:
    server = serving(start, run="another").pid
    with pytest.raises(BlastRadiusError, match="does not belong to run undo-test"):
        carry_out(inverse_of(server, files=7))


def test_a_server_that_has_gone_needs_nothing(start: Start) -> None:
    server = serving(start)
    inverse = inverse_of(server.pid, files=7, oom_score_adj=3)
    server.kill()
    server.wait()
    carry_out(inverse)


def test_a_helper_that_nobody_ends_ends_by_its_own_timer(start: Start, tmp_path: Path) -> None:
    server = serving(start).pid
    before = files_limit(server)
    held = helper(start, "files", server, "1", "0", "")
    assert held.wait(timeout=20) == 0
    assert files_limit(server) == before


def test_memory_for_a_kill_stops_at_what_it_was_given_and_makes_the_server_the_victim(start: Start) -> None:
    server = serving(start).pid
    before = oom_score(server)
    held = helper(start, "oom", server, "60", str(8 * 2**20), "")
    until(lambda: oom_score(server) == 1000)
    held.terminate()
    assert held.wait(timeout=20) == 0
    assert oom_score(server) == before


def test_the_clock_file_is_right_again_and_nothing_outside_its_folder_is_written(tmp_path: Path) -> None:
    path = clock_file(tmp_path, "primary")
    write_offset(path, -86400.0)
    assert path.read_text() == "-86400\n"
    carry_out(Inverse("clock.restore", {"path": str(path), "root": str(tmp_path)}))
    assert path.read_text() == "+0\n"
    with pytest.raises(BlastRadiusError, match="outside the run's folder"):
        carry_out(Inverse("clock.restore", {"path": str(path), "root": str(tmp_path / "other")}))
    carry_out(Inverse("clock.restore", {"path": str(tmp_path / "gone" / "offset"), "root": str(tmp_path)}))
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(("offset_s", "text"), [(3600.0, "+3600\n"), (-1e9, "-1000000000\n"), (10.5, "+10.5\n")])
def test_an_offset_is_written_as_the_library_reads_it(tmp_path: Path, offset_s: float, text: str) -> None:
    path = clock_file(tmp_path, "primary")
    write_offset(path, offset_s)
    assert path.read_text() == text


def test_a_clock_of_its_own_is_added_to_what_a_replica_has_already(tmp_path: Path) -> None:
    made = with_clock({"environment": {"A": "1"}, "volumes": ["x"], "command": ["y"]}, tmp_path, "primary")
    assert made["command"] == ["y"] and made["volumes"][0] == "x"
    assert made["environment"]["A"] == "1" and made["environment"]["FAKETIME_DONT_FAKE_MONOTONIC"] == "1"
    assert made["volumes"][1]["source"] == str(tmp_path / "clock-primary") and made["volumes"][1]["read_only"]


@pytest.mark.parametrize(
    ("config", "processors", "words"),
    [
        ({"NanoCpus": 1_500_000_000}, 0.1, ["--cpus", "0.1"]),
        ({"CpuQuota": 50_000, "CpuPeriod": 50_000}, 0.5, ["--cpu-period", "50000", "--cpu-quota", "25000"]),
        ({}, 0.5, ["--cpu-period", "100000", "--cpu-quota", "50000"]),
        ({}, None, ["--cpu-period", "100000", "--cpu-quota", "-1"]),
    ],
)
def test_a_quota_is_changed_in_the_way_in_which_it_was_given(
    config: dict[str, object], processors: float | None, words: list[str]
) -> None:
    assert quota_words(config, processors) == words


def test_the_time_of_an_answer_is_that_of_its_date_header() -> None:
    head = b"HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:07 GMT\r\n\r\n"
    assert dated_s(head) == 946_684_807.0
    assert dated_s(b"HTTP/1.1 200 OK\r\n\r\nDate: Sat, 01 Jan 2000 00:00:07 GMT") is None
    assert dated_s(b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n") is None
    assert dated_s(b"") is None


def test_a_folder_on_no_disk_cannot_be_slowed_down() -> None:
    with pytest.raises(StackError, match="/proc lies on no block device"):
        device_of(Path("/proc"))
