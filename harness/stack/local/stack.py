"""The local stack: the target as supervised processes on this host.

client -> gateway -> replicas `primary` and `standby`, each with its own copy of the model, and a proxy in each of these
links. One supervisord per run starts them, restarts what exits, and gives up on what keeps crashing. Everything carries
the run's label.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.model.errors import StackError
from harness.model.event import Event
from harness.model.process_faults import Victim
from harness.record.clock import Clock
from harness.stack.base import RunContext, TargetProcess, Weights
from harness.stack.local.check import capabilities_of, check_host
from harness.stack.local.prometheus import LocalPrometheus, watching
from harness.stack.local.serves_again import ServesAgain
from harness.stack.owned import identify
from harness.stack.ports import HeldPorts
from harness.stack.reference.held_weights import held_weights
from harness.stack.reference.links import LocalLinks
from harness.stack.reference.model_source import asked, check_model, copy_model
from harness.stack.reference.orders import Orders
from harness.stack.reference.readiness import missing, port_taken
from harness.stack.reference.service import make_private, remove_private
from harness.stack.reference.settings import (
    PORTS,
    PROXIES,
    REPLICAS,
    LocalSettings,
    Ports,
    laid_out,
    proxies,
    target_programs,
)
from harness.stack.reference.witness import Scene, SupervisionTail, Witness, counted
from harness.stack.supervision.config import stop_wait_s_of
from harness.stack.supervision.rpc import SupervisorSilent
from harness.stack.supervision.supervisord import Supervisord
from harness.stack.target_signals import related
from harness.stack.watched import Watching

__all__ = ["LocalStack"]


class LocalStack(ServesAgain):
    """`model`: the pristine model folder, which is only read."""

    name = "local"

    def __init__(self, model: Path, settings: LocalSettings | None = None, clock: Clock | None = None) -> None:
        super().__init__(model, clock)
        self._settings = settings or LocalSettings()
        self.capabilities = capabilities_of(self._settings)
        self._supervisord: Supervisord | None = None
        self._prometheus: LocalPrometheus | None = None
        self._was_ready = False
        self._second_try = False
        self._held: list[HeldPorts] = []
        self._attended = False

    def check(self) -> None:
        check_model(self._model)
        check_host(self._settings)

    def describe(self) -> Mapping[str, str]:
        return dict.fromkeys(REPLICAS, f"process with its own copy of {self._model}")

    def watching(self) -> Watching:
        return watching(self._settings.prometheus)

    def up(self, run: RunContext) -> None:
        assert self._run is None, "a LocalStack comes up once"
        self._begin(run)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for folder in {self.model_folder(name) for name in REPLICAS}:
                copy_model(self._model, folder)
            make_private(self._folder, REPLICAS, run.target)
            self._start(avoid=())
        except BaseException:
            self.down()
            raise

    def ready(self) -> str | None:
        supervisord, ports = self._supervisord, self._ports
        if supervisord is None or ports is None:
            return "the stack is not up"
        died = supervisord.died()
        if died:
            raise StackError(f"{supervisord.folder / 'supervisord.log'}: {died}")
        if not self._was_ready:
            supervisord, ports = self._away_from_taken_port(supervisord, ports)
        ordered = self._orders.under_way() if self._orders else []
        if not ordered and not self._attended:
            self._attend(supervisord, ports)
        reason = f"{ordered[0]}: being started again" if ordered else missing(supervisord, ports, self._clock)
        if reason is None:
            self._was_ready = self._is_ready = True
        assert self._run is not None
        if reason is None and self._came_up is None and self._run.home is not None:
            self._came_up = self._fingerprint()
        return reason

    def poll(self) -> list[Event]:
        failures = self._orders.failures() if self._orders else []
        return failures + (self._witness.take() if self._witness else [])

    def down(self) -> None:
        if self._orders is not None:
            self._orders.close()
        self._leave()
        if self._supervisord is not None:
            self._supervisord.end()
        for held in self._held:
            held.forget()
        if self._orders is not None:
            self._orders.wait(1.0)
        if self._run is not None:
            for name in REPLICAS:
                shutil.rmtree(self.model_folder(name), ignore_errors=True)
            remove_private(self._folder)

    # -- kill, pause, stop

    def process(self, replica: str) -> TargetProcess | None:
        try:
            pid = self._up.state(replica).pid
        except SupervisorSilent as error:
            raise StackError(str(error)) from error
        process = identify(pid) if pid else None
        return TargetProcess(replica, process.pid, process.started) if process else None

    def exit_report(self, process: TargetProcess) -> str | None:
        if self.state(process) != "gone":
            return None  # the log may still hold an older process's end under this pid
        program, how = self._up.exit_reports().get(process.pid, ("", ""))
        return how if program == process.replica else None

    def restart(self, replica: str) -> None:
        self._up_orders.give(replica, lambda: self._restart(replica))

    def ensure_running(self, replica: str) -> None:
        self._up_orders.give(replica, lambda: self._up.start_if_down(replica))

    def related(self, process: TargetProcess, of: Victim) -> TargetProcess | None:
        return related(process, of)

    def why_down(self, replica: str) -> str | None:
        end = self._up.newest_end(replica)
        if end is None or self.process(replica) is not None:
            return None
        return f"{end}: {self._up.last_words(replica)}"

    # -- corrupt_files

    def held_weights(self, replica: str) -> Weights:
        return held_weights(self._replica(replica), self.process(replica), self._last_exit(replica), self._clock)

    # -- internal

    def _begin(self, run: RunContext) -> None:
        """What is up, or will be, belongs to this run."""
        self._run, self._is_ready = replace(run, folder=run.folder.resolve()), False
        self._orders = Orders(self._clock, run.origin_monotonic_s)
        self.__dict__.pop("traffic", None)  # it names the run
        (self._run.folder / "stack").mkdir(parents=True, exist_ok=True)

    def _leave(self) -> None:
        """Nobody watches for the run any more. Safe to call twice."""
        if self._witness is not None:
            self._witness.stop()
        if self._prometheus is not None:
            self._prometheus.keep()
            self._prometheus.end()
        self._witness, self._prometheus, self._attended = None, None, False

    @property
    def _up(self) -> Supervisord:
        assert self._supervisord is not None, "the stack is not up"
        return self._supervisord

    def _start(self, avoid: tuple[int, ...]) -> tuple[Supervisord, Ports]:
        assert self._run is not None
        held = HeldPorts(PORTS, avoid=avoid)
        self._held.append(held)
        ports = laid_out(held.ports)
        models = {name: self.model_folder(name) for name in REPLICAS}
        programs = target_programs(self._settings, ports, models, self._model / "golden.json", self._run)
        supervisord = Supervisord(self._run.label, self._folder, self._clock)
        self._supervisord, self._ports = supervisord, ports
        (self._folder / PROXIES).write_text(json.dumps(proxies(ports)), encoding="utf-8")
        held.release()
        supervisord.start(programs, self._run, replicas=ports.replicas, stop_wait_s=self._settings.stop_wait_s)
        self._attend(supervisord, ports)
        return supervisord, ports

    def _attend(self, supervisord: Supervisord, ports: Ports) -> None:
        """Who watches and looks for the run. What others have seen and counted before is not the run's."""
        assert self._run is not None
        origin_s, again = self._run.origin_monotonic_s, self._was_ready
        instance = self._run.label if self._settings.proxy_is_ours else None
        self._links = LocalLinks(ports, instance, asked(self.prompts(), self._run.tasks), self._clock, self.user_key())
        told = (supervisord.supervision, (*ports.servers, "proxy"), supervisord.exit_reports)
        tail = SupervisionTail(*told, origin_s)
        if again:
            tail.new_events()
        before = counted(ports, self._clock) if again else {}
        self._witness = Witness(Scene(ports, tail.new_events, self._clock, origin_s, before))
        self._witness.start()
        self._prometheus = self._prometheus or LocalPrometheus(self._settings.prometheus, self._run, self._clock)
        self._prometheus.start(ports.servers)
        self._attended = True

    def _away_from_taken_port(self, supervisord: Supervisord, ports: Ports) -> tuple[Supervisord, Ports]:
        """Between our release of a port and the server's bind somebody else may take it: start over, once."""
        thief = port_taken(supervisord, ports)
        if thief is None:
            return supervisord, ports
        if self._second_try:
            raise StackError(f"{thief}; stop what listens there, or run again")
        self._second_try = True
        assert self._witness is not None
        self._witness.stop()
        supervisord.end()
        for log in self._folder.glob("*.log"):
            log.rename(log.with_suffix(".log.first-try"))
        supervisord.supervision.unlink(missing_ok=True)
        return self._start(avoid=ports.all())

    def _restart(self, replica: str) -> None:
        process = self.process(replica)
        if process is not None and self.state(process) == "stopped":
            self.signal(process, "SIGCONT")  # a stopped process would sit out the whole time to stop
        assert self._run is not None
        stop_wait_s = stop_wait_s_of(self._run.target.supervised_by, self._settings.stop_wait_s)
        self._up.restart(replica, stop_within_s=stop_wait_s + 3.0)

    def _last_exit(self, replica: str) -> str | None:
        reports = [how for program, how in self._up.exit_reports().values() if program == replica]
        return reports[-1] if reports else None
