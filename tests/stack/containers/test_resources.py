"""Each resource fault on a real container, with the kernel's real counters. Needs a Docker engine and the image.

The server is Python's own: these faults are the container's. On the whole target they are tried in tests/e2e.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.faults.base import ActiveFault, CannotInject, Where
from harness.faults.inverse import carry_out
from harness.faults.table import activate
from harness.model.fault import Fault
from harness.model.plan import Prompt
from harness.model.resource_faults import (
    ClockJump,
    MemoryOom,
    MemoryPressure,
    ResourcesCpu,
    ResourcesDiskFull,
    ResourcesFd,
    ResourcesShm,
    StorageSlow,
)
from harness.record.clock import SystemClock
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.containers.admin import ContainerAdmin
from harness.stack.containers.clock import clock_file, with_clock, write_offset
from harness.stack.containers.events import ContainerTail
from harness.stack.containers.labelled import SERVICE
from harness.stack.containers.project import RUN
from harness.stack.containers.resources import ContainerResources, Place
from harness.stack.links import Ask
from harness.stack.look import BackgroundLook, look_at, request_bytes
from harness.stack.owned import RUN_LABEL, identify
from harness.stack.ports import HeldPorts
from harness.stack.target_signals import TargetSignals, server_below
from tests.e2e.test_compose import MISSING

pytestmark = [
    pytest.mark.process,
    pytest.mark.model,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]

IMAGE = "reliability-harness/target:local"
SERVER = """
import http.server, threading, time
ready = threading.Event()
def load():
    time.sleep(1)  # as a real server imports its libraries first
    open("/model/weights", "rb").read()
    ready.set()
def burn():
    while True: sum(range(20000)); time.sleep(0.001)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if self.path == "/ready" and not ready.is_set() else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
threading.Thread(target=burn, daemon=True).start()
threading.Thread(target=load, daemon=True).start()
held = b"x" * (40 << 20)
http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
"""


class OneContainer:
    """As much of a stack as these faults ask for."""

    def __init__(self, run_id: str, folder: Path, port: int) -> None:
        self._containers, self._clock = ContainerAdmin(run_id), SystemClock()
        self._signals = TargetSignals(run_id)
        began_s = self._clock.wall_s()
        self._tail = ContainerTail(lambda: self._containers.events(began_s), lambda _: None, self._clock, 0.0)
        self._tail.start()
        known = (run_id, folder, self._containers, self.process, self._restart, self._tail.ooms)

        def look(replica: str, ask: Ask) -> BackgroundLook:
            request = request_bytes(ask, Prompt((), 1, None))
            return BackgroundLook(partial(look_at, port, ask, request, self._clock))

        self.resources = ContainerResources(Place(*known, {"primary": port}, look, self._clock))

    def process(self, replica: str) -> TargetProcess | None:
        state = self._containers.state(replica)
        pid = server_below(state.pid) if state is not None and state.pid else None
        found = identify(pid) if pid else None
        if found is None:
            return None
        self._tail.note_pid(replica, found.pid)
        return TargetProcess(replica, found.pid, found.started)

    def _restart(self, replica: str, then: Callable[[], None]) -> None:
        self._containers.restart(replica, 1)
        then()

    def state(self, process: TargetProcess) -> str:
        return self._signals.state(process)

    def exit_report(self, process: TargetProcess) -> str | None:
        return self._tail.exit_reports().get(process.pid, (None, None))[1]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Where]:
    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o755)
    run_id = f"resources-test-{time.time_ns()}"
    held = HeldPorts(1)
    (port,) = held.ports
    held.forget()
    write_offset(clock_file(folder, "primary"), 0.0)
    (folder / "model-primary").mkdir()
    (folder / "model-primary" / "weights").write_bytes(os.urandom(1_500_000))
    clock = with_clock({}, folder, "primary")
    environment = [part for key, value in clock["environment"].items() for part in ("--env", f"{key}={value}")]
    limits = ["--memory", "256m", "--memory-swap", "256m", "--cpus", "0.5", "--ulimit", "nofile=200:200"]
    user = ["--user", "10001:10001", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--read-only"]
    labels = ["--label", f"{RUN}={run_id}", "--label", f"{SERVICE}=primary", "--env", f"{RUN_LABEL}={run_id}"]
    mounts = ["--tmpfs", "/logs:size=16m,uid=10001,gid=10001", "--volume", f"{folder / 'clock-primary'}:/clock:ro"]
    mounts += ["--volume", f"{folder / 'model-primary'}:/model:ro"]
    placed = ["--publish", f"127.0.0.1:{port}:8000", "--init", "--restart", "unless-stopped"]
    command = ["docker", "run", "--detach", *limits, *user, *labels, *mounts, *placed, *environment]
    subprocess.run([*command, IMAGE, "python3", "-c", SERVER], check=True, capture_output=True)
    try:
        stack: Any = OneContainer(run_id, folder, port)
        until(lambda: stack.resources.clock_offset_s("primary") is not None)
        yield Where(stack, run_id, folder, "seed/1/0")
    finally:
        assert ContainerAdmin(run_id).remove() == []


@pytest.fixture(autouse=True)
def _answering(where: Where) -> None:
    """Whatever the test before has done: the server has been started again, and answers."""
    stack: Any = where.stack
    until(lambda: stack.resources.clock_offset_s("primary") is not None)


def until(what: Callable[[], object], within_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def injected(fault: Fault, where: Where) -> tuple[ActiveFault, Inverse]:
    found = activate(fault, where)
    inverse = found.prepare()
    found.apply()
    return found, inverse


FAULTS: tuple[tuple[Fault, str], ...] = (
    (MemoryPressure(share=0.75), "of 256 MiB (7"),
    (ResourcesCpu(processors=0.05), "may use 0.05 processors, before 0.5; its quota was used up in "),
    (ResourcesDiskFull(), "sees 0 bytes free at /logs; 16384 of 16384 KiB were before"),
    (ResourcesShm(), "sees 0 bytes free at /dev/shm"),
    (ResourcesFd(), "before 200; a new connection to it got no answer"),
    (ClockJump(by_s=-86400), "dates its answers -86"),
    (StorageSlow(), "with at most 256 KiB/s, while GET /ready answered 503"),
)


@pytest.mark.parametrize(("fault", "evidence"), FAULTS, ids=[fault.kind for fault, _ in FAULTS])
def test_each_bites_on_a_real_container_and_is_taken_back_by_what_the_journal_says(
    where: Where, fault: Fault, evidence: str
) -> None:
    active, inverse = injected(fault, where)
    proofs: list[str] = []
    until(lambda: proofs.extend([found.evidence] if (found := active.proof()) else []) or proofs)
    assert evidence in proofs[0], proofs
    assert active.lost() is None
    assert not active.healed()
    carry_out(inverse)
    until(active.healed)
    carry_out(inverse)  # another process may come second


def test_a_folder_that_is_no_volume_is_refused(where: Where) -> None:
    with pytest.raises(CannotInject, match="/tmp is no volume of its own in the container of primary"):
        activate(ResourcesDiskFull(volume="tmp"), where).prepare()


def test_out_of_memory_kills_the_server_and_the_engine_restarts_it(where: Where) -> None:
    victim = where.stack.process("primary")
    resources: Any = where.stack.resources
    before = resources.ooms("primary")
    active, inverse = injected(MemoryOom(), where)
    proofs: list[str] = []
    until(lambda: proofs.extend([found.evidence] if (found := active.proof()) else []) or proofs)
    assert "the kernel's OOM killer struck in the container of primary" in proofs[0]
    assert proofs[0].endswith("its supervisor says: terminated by SIGKILL")
    assert resources.ooms("primary")[1] > before[1], "by the kernel's log"
    carry_out(inverse)
    until(active.healed)
    assert where.stack.process("primary") != victim
