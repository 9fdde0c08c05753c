from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.record.clock import SystemClock
from harness.stack.owned import RUN_LABEL
from harness.stack.supervision.leftovers import Leftovers, port_is_free, shared_memory_in, sockets_in, wait_for_port

process_test = pytest.mark.process

MAPS = """\
7f00-7f10 rw-s 00000000 00:1a 42       /dev/shm/offload_1.mmap
7f10-7f20 rw-s 00000000 00:1a 43       /dev/shm/two words
7f20-7f30 rw-s 00000000 00:1a 44       /dev/shm/gone (deleted)
7f30-7f40 r-xp 00000000 08:01 99       /usr/lib/libc.so.6
"""
NET_UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000: 00000002 00000000 00010000 0001 01 111 /tmp/engine.sock
0000: 00000002 00000000 00010000 0001 01 222 /tmp/other.sock
0000: 00000002 00000000 00010000 0001 01 333 @abstract
0000: 00000003 00000000 00000000 0001 03 111
"""
HOLDER = """
import os, socket, subprocess, sys, time
path, sock, role = sys.argv[1:4]
held = open(path, "wb")
held.write(b"x" * 4096); held.flush()
listener = socket.socket(socket.AF_UNIX); listener.bind(sock); listener.listen()
if role == "parent":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
time.sleep(600)
"""


def test_shared_memory_is_found_in_maps_unless_it_is_removed_already() -> None:
    assert shared_memory_in(MAPS) == {"/dev/shm/offload_1.mmap", "/dev/shm/two words"}


def test_only_bound_sockets_of_the_process_are_found() -> None:
    assert sockets_in(NET_UNIX, {"111", "333"}) == {"/tmp/engine.sock"}


def test_a_port_is_free_when_nobody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)
    assert wait_for_port(port, 0.0, SystemClock())


class Server:
    """A supervised program that holds shared memory and a socket and has a child."""

    def __init__(self, folder: Path, run_id: str, program: str) -> None:
        self.shared = Path("/dev/shm") / f"harness-test-{run_id}-{program}"
        self.socket = folder / f"{program}.sock"
        environ = {**os.environ, RUN_LABEL: run_id, "SUPERVISOR_PROCESS_NAME": program}
        command = [sys.executable, "-c", HOLDER, str(self.shared), str(self.socket), "parent"]
        self.process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        with self.process.stdout:
            assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def run_id(tmp_path: Path) -> Iterator[str]:
    name = uuid.uuid4().hex[:12]
    yield name
    leftovers = Leftovers(name, SystemClock())
    for program in ("primary", "standby"):
        leftovers.kill_orphans(program, lambda: True)
    for path in Path("/dev/shm").glob(f"harness-test-{name}-*"):
        path.unlink()


@process_test
def test_orphans_of_the_dead_program_are_killed_and_nobody_elses(tmp_path: Path, run_id: str) -> None:
    dead, alive = Server(tmp_path, run_id, "primary"), Server(tmp_path, run_id, "standby")
    dead.kill()
    leftovers = Leftovers(run_id, SystemClock())
    assert leftovers.kill_orphans("primary", lambda: False) == []
    assert len(leftovers.kill_orphans("primary", lambda: True)) == 1
    assert leftovers.kill_orphans("primary", lambda: True) == []
    assert alive.process.poll() is None
    alive.kill()


@process_test
def test_files_that_only_the_dead_server_held_are_removed(tmp_path: Path, run_id: str) -> None:
    server = Server(tmp_path, run_id, "primary")
    leftovers = Leftovers(run_id, SystemClock())
    leftovers.look("primary", server.process.pid)
    assert leftovers.remove_files("primary") == []
    leftovers.look("primary", server.process.pid)
    server.kill()
    leftovers.kill_orphans("primary", lambda: True)
    assert leftovers.remove_files("primary") == sorted([str(server.shared), str(server.socket)])
    assert not server.shared.exists()
    assert not server.socket.exists()


@process_test
def test_a_file_that_was_never_seen_held_is_left_alone(tmp_path: Path, run_id: str) -> None:
    server = Server(tmp_path, run_id, "primary")
    server.kill()
    assert Leftovers(run_id, SystemClock()).remove_files("primary") == []
    assert server.shared.exists()


@process_test
def test_a_file_that_was_made_anew_under_the_same_name_is_left_alone(tmp_path: Path, run_id: str) -> None:
    server = Server(tmp_path, run_id, "primary")
    leftovers = Leftovers(run_id, SystemClock())
    leftovers.look("primary", server.process.pid)
    server.kill()
    other = server.shared.with_name(f"{server.shared.name}-new")
    other.write_bytes(b"another's")
    other.rename(server.shared)
    assert str(server.shared) not in leftovers.remove_files("primary")
    assert server.shared.read_bytes() == b"another's"


@process_test
def test_a_file_that_is_older_than_the_server_is_left_alone(tmp_path: Path, run_id: str) -> None:
    server = Server(tmp_path, run_id, "primary")
    os.utime(server.shared, (0, 0))
    leftovers = Leftovers(run_id, SystemClock())
    leftovers.look("primary", server.process.pid)
    server.kill()
    leftovers.kill_orphans("primary", lambda: True)
    assert leftovers.remove_files("primary") == [str(server.socket)]
    assert server.shared.exists()
