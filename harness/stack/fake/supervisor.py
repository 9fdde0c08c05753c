"""The scripted target's supervisor: the real policy on a fake clock, and each script's passes as arithmetic."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from harness.model.scenario import TargetOptions
from harness.model.supervision import Supervision
from harness.stack.supervision.restart_policy import Exit, RestartPolicy

__all__ = ["RESTART_S", "Acts", "FakeSupervisor", "refusal"]

RESTART_S = 3.0
STATUS = re.compile(r"exit status (\d+)")
NOT_MODELLED = ("clean_orphans", "clean_files", "port_wait_s")


class _Replica(Protocol):
    """What is needed of a scripted replica."""

    name: str
    status: str
    generation: int


@dataclass(frozen=True)
class Acts:
    """What the scripted target does for its supervisor."""

    now_s: Callable[[], float]
    due: Callable[[Any, float, Callable[[float], None]], None]  # void once its replica is of a later generation
    load: Callable[[Any, float], None]
    end_process: Callable[[str, str], None]
    say: Callable[..., None]


CACHE = {"cache_size", "cache_ttl_s"}  # of a replica: options that the script has, too


def refusal(target: TargetOptions) -> str | None:
    """Why the script cannot play a target that is set up like this, in a sentence; None: it can."""
    single = ({*target.gateway, *target.replica} - CACHE).union(*target.each.values())
    if single:
        knows = f"`protection`, and of replicas {' and '.join(sorted(CACHE))}"
        return f"target: the fake stack is a script and has no option {min(single)}; it knows {knows}"
    options, usual = target.supervision, Supervision()
    for name in NOT_MODELLED:
        if getattr(options, name) != getattr(usual, name):
            return f"target.supervision.{name}: the fake stack has no processes, files or ports; leave it out"
    if target.supervised_by == "cron-script" and options.period_s < options.pause_s + RESTART_S:
        least = f"{options.pause_s + RESTART_S:g}"
        return f"target.supervision.period_s: the fake stack plays no passes that overlap; make it at least {least}"
    return None


class FakeSupervisor:
    """Restarts take 3 s to be loaded. Scripts pass at whole multiples of their period, from the run's origin."""

    def __init__(self, target: TargetOptions, seed: str, acts: Acts) -> None:
        self._kind = target.supervised_by
        self._options = target.supervision
        self._policy = RestartPolicy(target.supervision, seed)
        self._acts = acts
        self._began: dict[str, float] = {}
        self._starting: set[str] = set()
        self._in_pass: set[str] = set()

    def ended(self, replica: _Replica, report: str, *, asked_for: bool = False) -> None:
        """Its process has ended now."""
        self._starting.discard(replica.name)
        found = STATUS.fullmatch(report)
        status = int(found[1]) if found else None
        if asked_for or self._kind == "always":
            self._start(replica)
        elif self._kind == "budget":
            self._by_budget(replica, status)
        elif self._kind == "unexpected" and status not in self._normal():
            self._start(replica)
        elif self._kind in ("never", "unexpected"):
            why = "nobody restarts it" if self._kind == "never" else f"{report} is called a normal exit"
            self._acts.say("not_restarted", replica.name, why=why)
        elif replica.name not in self._in_pass:
            script = self._cron_pass if self._kind == "cron-script" else self._retry_pass
            self._acts.due(replica, self._until_pass_s(), lambda _: script(replica))

    def loaded(self, name: str, at_s: float) -> None:
        """Its process has begun to serve."""
        self._starting.discard(name)
        self._began[name] = at_s

    def paused(self, replica: _Replica) -> None:
        """It hangs: who asks with a time limit kills it, a check without one hangs as well."""
        options = self._options
        if self._kind == "budget" and options.liveness_period_s > 0:
            seen_s = options.liveness_failures * max(options.liveness_period_s, options.liveness_timeout_s)
            self._acts.due(replica, seen_s, lambda _: self._kill(replica))
        elif self._kind == "cron-script":
            self._acts.due(replica, self._until_pass_s() + options.period_s, lambda _: self._hangs(replica, 1))

    def ensure_running(self, replica: _Replica) -> None:
        """Somebody asks for it: whoever was given up, or waits, is started now."""
        if replica.status == "dead" and replica.name not in self._starting:
            replica.generation += 1
            self._in_pass.discard(replica.name)
            self._start(replica)

    def _normal(self) -> tuple[int, ...]:
        chosen = self._options.normal_exit_codes
        return (0,) if chosen is None else tuple(chosen)

    def _by_budget(self, replica: _Replica, status: int | None) -> None:
        ran_s = self._acts.now_s() - self._began.get(replica.name, 0.0)
        self._began[replica.name] = math.inf  # a process that ends while it loads has not run
        decision = self._policy.exited(Exit(replica.name, self._acts.now_s(), status, ran_s))
        counted = {"restarts": decision.restarts}
        if decision.action == "leave":
            self._acts.say("not_restarted", replica.name, why=f"exit status {status} is called a normal exit")
        elif decision.action == "give_up":
            self._acts.say("given_up", replica.name, **counted, per_s=self._options.per_s)
        elif decision.delay_s > 0:
            self._acts.say("backing_off", replica.name, delay_s=round(decision.delay_s, 3), **counted)
            self._acts.due(replica, decision.delay_s, lambda _: self._start(replica, **counted))
        else:
            self._start(replica, **counted)

    def _start(self, replica: _Replica, **fields: object) -> None:
        self._starting.add(replica.name)
        if fields:
            self._acts.say("restarting", replica.name, **fields)
        self._acts.due(replica, RESTART_S, lambda at_s: self._acts.load(replica, at_s))

    def _kill(self, replica: _Replica) -> None:
        self._acts.say("unhealthy", replica.name, missed=self._options.liveness_failures, killed=True)
        self._acts.end_process(replica.name, "terminated by SIGKILL")

    def _until_pass_s(self) -> float:
        period_s = self._options.period_s
        return period_s - self._acts.now_s() % period_s

    def _hangs(self, replica: _Replica, checks: int) -> None:
        self._acts.say("check_hangs", replica.name, checks=checks)
        self._acts.due(replica, self._options.period_s, lambda _: self._hangs(replica, checks + 1))

    def _cron_pass(self, replica: _Replica) -> None:
        self._acts.say("restarting", replica.name, why="Service unreachable, restarting...")
        self._acts.due(replica, self._options.pause_s, lambda _: self._start(replica))

    def _retry_pass(self, replica: _Replica, attempt: int = 1) -> None:
        self._in_pass.add(replica.name)
        self._start(replica, restarts=attempt, max_restarts=self._options.retries)
        self._acts.due(replica, self._options.retry_delay_s, lambda _: self._retried(replica, attempt))

    def _retried(self, replica: _Replica, attempt: int) -> None:
        running = replica.status != "dead" or replica.name in self._starting
        if attempt < self._options.retries:
            if not running:
                self._retry_pass(replica, attempt + 1)
                return
        else:
            self._acts.say("recovery_failed", replica.name, attempts=attempt, but_running=running)
        self._in_pass.discard(replica.name)
        if not running:
            self._acts.due(replica, self._until_pass_s(), lambda _: self._retry_pass(replica))
