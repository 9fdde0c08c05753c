"""SIGKILL at a random point of a container run, with faults of every family in flight, and what is left afterwards.

Points are drawn from a seed. To put another family in flight: a line in MIXES, beside faults that do not clash with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.record.journal import pending
from harness.stack.owned import RUN_LABEL
from tests.engine_relay import Relay

ROOT = Path(__file__).parent.parent
GONE_S = 10.0
LONGEST_START_S = 150.0
ENGINE_S = 30.0

MIXES = (  # faults that are in flight at the same time; each lasts for longer than the latest kill after its begin
    (
        "{kind: process.pause, on: primary, for_s: 20}",
        "{kind: weights.bit_flip, on: standby, for_s: 20, restart_after_s: null}",
        "{kind: network.latency, on: gateway, for_s: 20, latency_ms: 300}",
        "{kind: clock.jump, on: standby, for_s: 20}",
    ),
    (
        "{kind: weights.missing, on: primary, for_s: 20, restart_after_s: 1}",
        "{kind: network.down, on: primary, for_s: 20}",
        "{kind: process.pause, on: standby, for_s: 20}",
        "{kind: resources.shm, on: standby, for_s: 20}",
    ),
    (
        "{kind: weights.nan, on: primary, for_s: 20, restart_after_s: null}",
        "{kind: process.kill, on: primary}",
        "{kind: network.http_status, on: standby, for_s: 20}",
        "{kind: storage.slow, on: standby, for_s: 20}",
        "{kind: traffic.burst, for_s: 20, rate_per_s: 20}",
    ),
    (
        "{kind: node.down, on: standby, for_s: 20}",
        "{kind: process.pause, on: primary, for_s: 20}",
        "{kind: resources.disk_full, on: primary, for_s: 20}",
    ),
    (
        "{kind: network.dns, for_s: 20}",
        "{kind: process.crash_loop, on: primary, for_s: 20}",
        "{kind: start.port_taken, on: standby, for_s: 20}",
    ),
    (
        "{kind: service.hang, on: primary, for_s: 20}",
        "{kind: memory.pressure, on: primary, for_s: 20}",
        "{kind: network.partition, on: standby, for_s: 20}",
        "{kind: resources.cpu, on: standby, for_s: 20}",
    ),
)
REMOTE = (  # on an engine of another host, which fewer faults reach
    "{kind: process.pause, on: primary, for_s: 20}",
    "{kind: network.latency, on: gateway, for_s: 20, latency_ms: 300}",
    "{kind: node.down, on: standby, for_s: 20}",
)


@dataclass(frozen=True)
class Point:
    """When the harness is killed: so many seconds after an event of the run; "" is the start of its process."""

    number: int
    mix: int
    event: str
    after_s: float
    with_guard: bool  # the guard is killed as well, at once
    remote: bool = False  # the engine is spoken to as if it were another host's

    @property
    def faults(self) -> tuple[str, ...]:
        return REMOTE if self.remote else MIXES[self.mix]

    def __str__(self) -> str:
        killed = "harness and guard" if self.with_guard else "harness"
        which = "remote" if self.remote else f"mix {self.mix}"
        return f"{self.number}: {killed}, {self.after_s:.2f} s after {self.event or 'its start'}, {which}"


def points(seed: str, count: int) -> list[Point]:
    """Of ten: two while the project is brought up, one while the models are loaded, seven with faults in flight.

    Of the seven one is on an engine of another host, and the others have every mix in turn.
    """
    draw = random.Random(seed)
    found = []
    for number in range(count):
        place = number % 10
        if place < 2:
            event, latest_s = "", 3.5
        elif place == 3:
            event, latest_s = "stack_up", 6.0
        else:
            event, latest_s = "fault_begin", 3.0
        with_guard = place in (3, 9)
        mix = (number // 10 * 6 + max(0, place - 4)) % len(MIXES)  # in flight, each comes in turn
        after_s = draw.uniform(0.2 if event else 1.2, latest_s)
        found.append(Point(number, mix, event, after_s, with_guard, remote=place == 2))
    return found


def scenario(point: Point) -> str:
    faults = ", ".join(point.faults)
    return (
        "name: killed\nload: {rate_per_s: 5, mix: {sentiment: 1}}\nwarmup_max_s: 0\n"
        f"phases: {{baseline_s: 1, recovery_s: 1}}\nfaults: [{faults}]\n"
    )


@dataclass
class Victim:
    """A harness on the container stack that is to be killed, with everything of its own."""

    process: subprocess.Popen[bytes]
    out: Path
    state: Path
    log: Path
    relay: Relay | None = None  # to the engine
    networks: set[str] = field(default_factory=set)  # ids, as seen while it lived

    def run_id(self) -> str | None:
        return next((path.name for path in self.out.iterdir() if path.is_dir()), None)

    def events(self) -> str:
        return "".join(path.read_text() for path in self.out.glob("*/events.jsonl"))

    def said(self) -> str:
        return self.log.read_text()


def start(point: Point, folder: Path, model: Path) -> Victim:
    """Start `harness run --stack compose` on the point's scenario."""
    file, out, log = folder / "killed.yaml", folder / "out", folder / "log"
    out.mkdir(parents=True)
    file.write_text(scenario(point))
    command = [sys.executable, "-m", "harness.cli", "run", str(file), "--out", str(out), "--model", str(model)]
    relay = Relay() if point.remote else None
    engine = {"DOCKER_HOST": relay.address} if relay else {}
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, "--seed", "1", "--stack", "compose"],
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state"), **engine},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Victim(process, out, folder / "state", log, relay)


def kill_at(victim: Victim, point: Point) -> None:
    """SIGKILL at the point. Raises AssertionError when the run ended before."""
    if point.event:
        wanted = len(point.faults) if point.event == "fault_begin" else 1
        within(LONGEST_START_S, lambda: _reached(victim, point.event, wanted))
    time.sleep(point.after_s)
    run_id = victim.run_id()
    if run_id:
        victim.networks |= set(listed("network", "ls", run_id=run_id))
    assert victim.process.poll() is None, f"it ended before it was killed: {victim.said()}"
    guards = guards_of(victim.process.pid) if point.with_guard else []
    assert guards or not point.with_guard, "its guard was not found"
    for pid in [*guards, victim.process.pid]:
        os.kill(pid, signal.SIGKILL)
    victim.process.wait()


def _reached(victim: Victim, event: str, wanted: int) -> bool:
    assert victim.process.poll() is None, f"it ended before it was killed: {victim.said()}"
    said = victim.events()
    assert '"fault_skipped"' not in said, said
    return said.count(f'"kind":"{event}"') >= wanted


def left(victim: Victim, model: Path, before: dict[str, str]) -> list[str]:
    """Whatever is still there of it, in words; nothing is what is wanted."""
    run_id = victim.run_id()
    if run_id is None:
        return []
    found = [f"{kind} {one}" for kind, one in things_of(run_id)]
    found += [f"process {pid}" for pid in labelled(run_id)]
    found += [f"rule {rule}" for rule in rules_of(victim.networks)]
    found += [f"journal {entry}" for entry in pending(victim.out / run_id / "undo.jsonl")]
    found += [f"registered {path.name}" for path in victim.state.glob("reliability-harness/live/*.json")]
    found += [f"copy {path}" for path in victim.out.glob("*/stack/model-*/*.safetensors")]
    if hashes(model) != before:
        found.append("the model's files differ from what they were")
    return found


def things_of(run_id: str) -> list[tuple[str, str]]:
    """Containers, networks and volumes that carry the run's label."""
    kinds = (("container", "ls", "-a"), ("network", "ls"), ("volume", "ls"))
    return [(kind[0], one) for kind in kinds for one in listed(*kind, run_id=run_id)]


def listed(*kind: str, run_id: str) -> list[str]:
    label = f"label=reliability-harness.run={run_id}"
    command = ["docker", *kind, "-q", "--filter", label]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=ENGINE_S).stdout.split()


def rules_of(networks: set[str]) -> list[str]:
    """Rules of the host's packet filter that name the bridge of one of these networks."""
    if not networks:
        return []
    done = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True, timeout=ENGINE_S)
    return [line for line in done.stdout.splitlines() if any(f"br-{one[:12]}" in line for one in networks)]


def labelled(run_id: str) -> Iterator[int]:
    """Processes of the run, in containers or not."""
    wanted = f"{RUN_LABEL}={run_id}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)
            except OSError:
                continue


def guards_of(pid: int) -> list[int]:
    """Guards that a harness has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in children if b"harness.guard" in Path(f"/proc/{one}/cmdline").read_bytes()]


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def within(limit_s: float, condition: Callable[[], bool]) -> float:
    """How long until it holds; fails after the limit."""
    begin_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begin_s < limit_s, f"not within {limit_s} s"
        time.sleep(0.05)
    return time.monotonic() - begin_s


def clean_after_s(victim: Victim, model: Path, before: dict[str, str], limit_s: float = GONE_S) -> float:
    """How long until nothing is left. Raises AssertionError with what is left after the limit."""
    begin_s = time.monotonic()
    while found := left(victim, model, before):
        assert time.monotonic() - begin_s < limit_s, f"after {limit_s} s there is still {found}; {victim.said()}"
        time.sleep(0.1)
    return time.monotonic() - begin_s


def next_command(victim: Victim) -> subprocess.CompletedProcess[str]:
    """Any command, by the same user."""
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", "faults"],
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(victim.state)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def in_flight(victim: Victim) -> int:
    """Inverses that the journal holds when the harness has just been killed."""
    run_id = victim.run_id()
    path = victim.out / str(run_id) / "undo.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return sum("intend" in row for row in rows)
