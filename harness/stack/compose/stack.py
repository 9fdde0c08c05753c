"""The container stack: the same target as on the local stack, as a Compose project of its own for every run.

users -> toxiproxy -> gateway -> toxiproxy -> primary and standby, each replica with its own copy of the model, mounted
read-only. The engine restarts what dies. Everything carries the run's label, as a container and as a process.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.model.event import Event
from harness.record.clock import Clock
from harness.stack.base import RunContext, TargetProcess, Weights
from harness.stack.compose.clocks import with_clocks
from harness.stack.compose.handles import ContainerHandles
from harness.stack.compose.haproxy import HAPROXY, behind_haproxy, not_served_by_haproxy, watching_haproxy
from harness.stack.compose.links import PublishedLinks
from harness.stack.compose.prometheus import save_targets, url_of, watching, with_prometheus
from harness.stack.compose.up import Project, bring_up, check_engine, with_other_ports
from harness.stack.containers.address import known_again
from harness.stack.containers.events import ContainerTail
from harness.stack.containers.project import OVERRIDE, USER, override, own, project_name, with_switches
from harness.stack.owned import identify, kill_owned
from harness.stack.ports import HeldPorts
from harness.stack.prometheus_witness import PrometheusWitness
from harness.stack.reference.held_weights import held_weights
from harness.stack.reference.model_source import asked, check_model, copy_model
from harness.stack.reference.orders import Orders
from harness.stack.reference.readiness import not_served
from harness.stack.reference.service import make_private, remove_private
from harness.stack.reference.settings import LOGS, PORTS, REPLICAS, laid_out
from harness.stack.reference.witness import Scene, Witness
from harness.stack.switches import switches_in
from harness.stack.target_signals import server_below
from harness.stack.watched import Watching

if TYPE_CHECKING:
    from harness.stack.containers.admin import ContainerAdmin

__all__ = ["ComposeSettings", "ComposeStack"]

COMPOSE_FOLDER = Path(__file__).parents[3] / "compose"
RESTARTS_MAX = 3  # of one container before it was ever ready: what fails that often at its start will fail again
COMPOSE_VARIABLES = ("HARNESS_IMAGE", "HARNESS_REPLICA_CPUS", "HARNESS_REPLICA_MEMORY")  # that change the target
DOWN = {"exited": "has exited", "dead": "is dead", "created": "was not started", "paused": "is paused"}


@dataclass(frozen=True)
class ComposeSettings:
    """`folder` holds compose.yaml. `environ`: variables for it, such as HARNESS_IMAGE."""

    folder: Path = COMPOSE_FOLDER
    environ: Mapping[str, str] | None = None
    up_s: float = 120.0  # until every container is started; an image may have to be pulled or built before that
    stop_wait_s: int = 5
    prometheus: bool = False


class ComposeStack(ContainerHandles):
    """`model`: the pristine model folder, which is only read."""

    name = "compose"

    def __init__(self, model: Path, settings: ComposeSettings | None = None, clock: Clock | None = None) -> None:
        self._opened = os.geteuid() == 0  # only root can hand the run's token to the containers' user
        # The engine restarts what dies.
        lacking = {Capability.SUPERVISOR} | (set() if self._opened else {Capability.SERVICE_FAULTS, Capability.SECRETS})
        self.capabilities = frozenset(Capability) - lacking
        super().__init__(model, clock)
        self._settings = settings or ComposeSettings()
        self._containers: ContainerAdmin | None = None
        self._tail: ContainerTail | None = None
        self._prometheus: PrometheusWitness | None = None
        self._closing = False
        self._held: list[HeldPorts] = []

    def check(self) -> None:
        check_model(self._model)
        check_engine(self._settings.folder / "compose.yaml", self._settings.environ or {})

    def describe(self) -> Mapping[str, str]:
        return dict.fromkeys(REPLICAS, f"container with its own copy of {self._model}, mounted read-only")

    def switches(self) -> Mapping[str, str]:
        """Those of the target, which are passed on by name, and those that compose.yaml itself asks for."""
        return switches_in(os.environ, COMPOSE_VARIABLES)

    def watching(self) -> Watching:
        return watching(on=self._settings.prometheus)

    def up(self, run: RunContext) -> None:
        from harness.stack.containers.admin import ContainerAdmin

        assert self._run is None, "a ComposeStack serves one run"
        self._run = replace(run, folder=run.folder.resolve())
        self._containers = ContainerAdmin(run.run_id)
        self._orders = Orders(self._clock, run.origin_monotonic_s)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            known_again(self._folder)
            self._start(self._run, self._place_models())
        except BaseException:
            with suppress(StackError):  # why it did not come up matters more; what is left is found by its label
                self.down()
            raise

    def ready(self) -> str | None:
        if self._ports is None:
            return "the stack is not up"
        for name, state in self._engine.states().items():
            if state.status in DOWN:
                said = self._engine.last_words(name)
                raise StackError(f"{name}: its container {DOWN[state.status]} (exit {state.exit_code}): {said}")
            if state.restarts >= RESTARTS_MAX:
                how = "" if state.pid else f" (exit {state.exit_code})"  # one that runs again has no exit status
                raise StackError(f"{name}: has ended {state.restarts} times{how}: {self._engine.last_words(name)}")
            if state.status == "restarting":
                return f"{name}: being restarted after exit {state.exit_code}: {self._engine.last_words(name)}"
        for name in REPLICAS:
            self.process(name)  # so that its pid is known when it ends
        return (not_served_by_haproxy if self._haproxy else not_served)(self._ports, self._clock)

    def poll(self) -> list[Event]:
        if self._tail is not None and self._tail.broken and not self._closing:
            raise StackError(f"{self._tail.broken}; is the Docker engine still running?")
        failures = self._orders.failures() if self._orders else []
        return failures + (self._witness.take() if self._witness else [])

    def down(self) -> None:
        self._closing = True
        if self._orders is not None:
            self._orders.close()
        if self._witness is not None:
            self._witness.stop()
        if self._orders is not None:
            self._orders.wait(1.0)
        for held in self._held:
            held.forget()
        if self._run is None or self._containers is None:
            return
        if self._prometheus is not None:
            self._prometheus.keep()
            self._prometheus = None
        with suppress(StackError, OSError):  # an engine that is gone has no evidence to give
            save_targets(self._folder, self._clock)
            self._containers.save(self._folder)
        try:
            failed = self._containers.remove()
        except StackError as error:
            failed = [str(error)]
        self._containers.close()
        kill_owned(self._run.run_id)
        for name in (*REPLICAS, "gateway"):
            shutil.rmtree(self.model_folder(name), ignore_errors=True)
        remove_private(self._folder)
        if failed:
            raise StackError(f"left behind: {'; '.join(failed)}; the guard tries again, and so does `harness undo`")

    # -- kill, pause, stop

    def process(self, replica: str) -> TargetProcess | None:
        state = self._engine.state(replica)
        pid = None if state is None or not state.pid else server_below(state.pid)
        found = identify(pid) if pid else None
        if found is None:
            return None
        if self._tail is not None:
            self._tail.note_pid(replica, found.pid)
        return TargetProcess(replica, found.pid, found.started)

    def exit_report(self, process: TargetProcess) -> str | None:
        if self._tail is None or self.state(process) != "gone":
            return None
        service, how = self._tail.exit_reports().get(process.pid, ("", ""))
        return how if service == process.replica else None

    def restart(self, replica: str) -> None:
        self._up_orders.give(replica, lambda: self._engine.restart(replica, self._settings.stop_wait_s))

    def ensure_running(self, replica: str) -> None:
        self._up_orders.give(replica, lambda: self._engine.start(replica))

    # -- corrupt_files

    def held_weights(self, replica: str) -> Weights:
        ends = self._tail.exit_reports().values() if self._tail else ()
        last = [how for service, how in ends if service == replica]
        return held_weights(self._replica(replica), self.process(replica), last[-1] if last else None, self._clock)

    # -- internal

    @property
    def _engine(self) -> ContainerAdmin:
        assert self._containers is not None, "the stack is not up"
        return self._containers

    @property
    def _haproxy(self) -> bool:
        return self._run is not None and self._run.target.balancer == HAPROXY

    def _place_models(self) -> dict[str, Path]:
        """Each server's folder, with a copy of the model, on the engine's host."""
        models = {name: self.model_folder(name) for name in (*REPLICAS, "gateway")}
        for folder in set(models.values()):
            copy_model(self._model, folder)
            folder.chmod(0o755)  # for the user in the container
        logs = self._folder / LOGS
        logs.mkdir(exist_ok=True)
        logs.chmod(0o777)  # the user in the containers writes into it, and is nobody here
        if self._opened:
            assert self._run is not None
            make_private(self._folder, REPLICAS, self._run.target, USER)
        return models

    def _start(self, run: RunContext, models: Mapping[str, Path]) -> None:
        began_wall_s = self._clock.wall_s()
        self._tail = ContainerTail(
            lambda: self._engine.events(began_wall_s), self._pid_at_start, self._clock, run.origin_monotonic_s
        )
        self._tail.start()
        with_other_ports(lambda: self._try_to_start(run, models), self._engine.remove)
        assert self._ports is not None
        self._links = PublishedLinks(
            self._ports, run.run_id, asked(self.prompts(), run.tasks), self._clock, self.user_key()
        )
        scene = Scene(self._ports, self._tail.new_events, self._clock, run.origin_monotonic_s)
        self._witness = Witness(watching_haproxy(scene) if self._haproxy else scene)
        self._witness.start()

    def _try_to_start(self, run: RunContext, models: Mapping[str, Path]) -> None:
        held = HeldPorts(PORTS)
        self._held.append(held)
        ports = self._ports = laid_out(held.ports)
        file = self._folder / OVERRIDE
        parts = with_clocks(override(run, own(), ports, models, opened=self._opened), run)
        parts = with_switches(parts, super().switches())
        parts = behind_haproxy(parts) if self._haproxy else parts
        parts = with_prometheus(parts) if self._settings.prometheus else parts
        file.write_text(json.dumps(parts, indent=1), encoding="utf-8")
        if self._settings.prometheus:
            self._prometheus = PrometheusWitness(url_of(parts), self._folder, self._clock, run.origin_monotonic_s)
        environ = {"HARNESS_PORT": str(ports.links["gateway"]), "HARNESS_MODEL": str(self._model)}
        environ |= self._settings.environ or {}
        files = (self._settings.folder / "compose.yaml", file)
        held.release()
        project = Project(project_name(run.run_id), run.run_id, files, environ, tuple(parts["services"]))
        bring_up(project, self._engine, self._settings.up_s)

    def _pid_at_start(self, service: str) -> int | None:
        if service not in REPLICAS or self._closing:
            return None
        deadline_s = self._clock.now() + 1.0
        while self._clock.now() < deadline_s:
            process = self.process(service)
            if process is not None:
                return process.pid
            self._clock.sleep(0.02)
        return None
