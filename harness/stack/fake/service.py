"""The fake stack's replicas themselves: their own faults, and what a look at them sees, as a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.model.errors import StackError
from harness.record.journal import Inverse
from harness.stack.base import TargetProcess
from harness.stack.fake.links import GOOD, Over
from harness.stack.fake.target import LOAD_S, PLACES, FakeReplica, FakeTarget
from harness.stack.links import Ask, Look, Seen
from harness.stack.service import PLACES as PLACES_METRIC
from harness.stack.service import RUNNING, WAITING, Parameters, Usage

__all__ = ["FakeService"]
RESIDENT_MB = 400.0
SPARE_MB = 100_000.0
SPIN_SHARE = 1.0
ROLE, PIECE, DONE = b'data: {"role"}\n\n', b'data: {"text"}\n\n', b"data: [DONE]\n\n"
PIECES = 4  # of a whole answer
LAST_CHUNK = b"0\r\n\r\n"


class FakeService:
    """`target` is the script, advanced to now."""

    def __init__(self, target: Callable[[], FakeTarget]) -> None:
        self._target = target

    def begin(self, process: TargetProcess, fault: str, parameters: Parameters) -> None:
        if fault == "stale_cache" and not self._target().cache_ttl_s:
            raise StackError("stale_cache: no answers are kept (--cache-size 0).")
        if self._target().current(process) is not None:
            self._target().begin_fault(process.replica, fault, parameters)

    def end(self, process: TargetProcess, fault: str) -> None:
        if self._target().current(process) is not None:
            self._target().end_fault(process.replica, fault)

    def has(self, process: TargetProcess, fault: str) -> bool:
        replica = self._target().current(process)
        return replica is not None and fault in replica.faults

    def inverse(self, process: TargetProcess, fault: str) -> Inverse:
        return Inverse("nothing", {"because": "a scripted process ends with its run", "fault": fault})

    def start_with(self, replica: str, options: Sequence[str]) -> None:
        self._target().start_with(replica, options)

    def starts_with(self, replica: str) -> tuple[str, ...]:
        return self._target().replicas[replica].start_options

    def start_inverse(self, replica: str) -> Inverse:
        return Inverse("nothing", {"because": "a scripted process ends with its run", "replica": replica})

    def look(self, replica: str, ask: Ask) -> Look:
        found = self._target().replicas[replica]
        if found.status == "dead":
            return Over(Seen(connected=False, refused=True))
        if found.status == "paused":
            return Over(Seen(connected=True))
        if not ask.stream:
            return Over(_page(found, ask.page, self._target().cache_ttl_s))
        return Over(_chat(found) if ask.says is None else self._asked(found, ask.says, probe=ask.probe))

    def _asked(self, replica: FakeReplica, words: str, *, probe: bool) -> Seen:
        """A question of the harness's own: from the cache, or computed unless it is poisoned."""
        now_s, target = self._target().now_s, self._target()
        kept_s = None if probe else replica.kept.get(words)
        if kept_s is not None and ("stale_cache" in replica.faults or now_s < kept_s + target.cache_ttl_s):
            return _chat(replica)
        poison = replica.faults.get("poison")
        if poison is not None and str(poison["marker"]) in words:
            target.poisoned(replica.name)
            return Seen(connected=True) if replica.silent else replace(GOOD, status=500, answered=False)
        answer = _chat(replica)
        if answer.answered and not probe and target.cache_ttl_s:
            replica.kept[words] = now_s
        return answer

    def load_s(self, replica: str) -> float | None:
        return LOAD_S if self._target().replicas[replica].status == "up" else None

    def usage(self, process: TargetProcess) -> Usage | None:
        replica, now_s = self._target().current(process), self._target().now_s
        if replica is None:
            return None
        cpu_s = SPIN_SHARE * (now_s - replica.faults_since_s["spin"]) if "spin" in replica.faults else 0.0
        leaked_mb = float(replica.faults.get("leak_memory", {}).get("mb", 0))
        members = frozenset({(replica.pid, 1), (-replica.pid, 1)})  # server and engine
        return Usage(now_s - replica.started_s, cpu_s, RESIDENT_MB + leaked_mb, members)

    def spare_mb(self) -> float:
        return SPARE_MB


def _chat(replica: FakeReplica) -> Seen:
    if replica.status == "loading":
        return replace(GOOD, status=503, answered=False)
    if replica.silent:
        return Seen(connected=True)
    if (stalled := replica.faults.get("stall_stream")) is not None:
        pieces = PIECE * int(stalled["events"])
        return replace(GOOD, data=ROLE + pieces, answered=False, closed_s=None)
    if (cut := replica.faults.get("truncate_stream")) is not None:
        return replace(GOOD, data=ROLE + PIECE * int(cut["events"]) + LAST_CHUNK, answered=False)
    return replace(GOOD, data=ROLE + PIECE * PIECES + DONE + LAST_CHUNK)


def _page(replica: FakeReplica, page: str, cache_ttl_s: float) -> Seen:
    if page == "/config":
        return replace(GOOD, data=json.dumps({"config": {"http.cache_ttl_s": cache_ttl_s}}).encode())
    if page == "/version":
        return replace(GOOD, data=json.dumps({"weights_sha256": "pristine"}).encode())
    if page == "/ready" and replica.status == "loading" and not replica.early:
        return replace(GOOD, status=503)
    if page != "/metrics":
        return GOOD
    numbers = {WAITING: int(replica.silent), RUNNING: 0 if replica.silent else 1, PLACES_METRIC: PLACES}
    return replace(GOOD, data="".join(f"{name} {value}\n" for name, value in numbers.items()).encode())
