"""The container stack on an engine of another host, with only its API between us: no port, folder or pid is shared.

The load runs in a container of the project, processes are signalled by an agent in another one, and what is asked of
the servers goes through a tunnel. Faults that reach into the engine's host in other ways are refused when a run is
planned. Times of the other host are put on our clock, and how well that is known is part of the run's record.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.model.event import Event
from harness.model.process_faults import Victim
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.base import RunContext, TargetProcess
from harness.stack.compose.stack import ComposeSettings, ComposeStack
from harness.stack.compose.up import Project, bring_up
from harness.stack.containers.address import where
from harness.stack.containers.events import ContainerTail
from harness.stack.containers.plugin import INSTALL, compose_images
from harness.stack.containers.project import ACCESS, LINK_PORTS, OVERRIDE, override, own, project_name, with_switches
from harness.stack.links import Ask, Seen
from harness.stack.load_place import LoadPlace
from harness.stack.look import look_at
from harness.stack.owned import RUN_LABEL
from harness.stack.reference.links import LocalLinks
from harness.stack.reference.model_source import asked
from harness.stack.reference.settings import LOGS, REPLICAS, laid_out
from harness.stack.reference.witness import Scene, Witness
from harness.stack.remote.agent_client import AgentClient
from harness.stack.remote.clock import Offset, ShiftedClock
from harness.stack.remote.project import (
    CODE,
    LOAD,
    MODEL,
    SIGNALS,
    WRITTEN,
    code_files,
    log_files,
    model_files,
    on_another_host,
    servers,
    volumes,
)
from harness.stack.remote.tunnel_client import TunnelClient
from harness.stack.remote.volumes import fill_volumes
from harness.stack.switches import switches_in
from harness.stack.watched import Watching

__all__ = ["REACHES", "RemoteStack", "continue_remotely"]

REACHES = frozenset(
    {
        Capability.KILL,
        Capability.KILL_INIT,
        Capability.PAUSE,
        Capability.STOP,
        Capability.NETWORK,
        Capability.INFERENCE_TOXICS,
        Capability.PARTITION,
        Capability.NODES,
        Capability.OPTIONS,
        Capability.EXEC,
    }
)
"""What needs nothing but the engine's API, and the two containers."""
AGENT = ("python3", "-m", "harness.stack.remote.agent")
HAS_LOCUST = "import importlib.util as u, sys; sys.exit(u.find_spec('locust') is None)"


class RemoteStack(ComposeStack):
    """`model`: the pristine model folder on this host, which is copied into a volume of the run."""

    def __init__(self, model: Path, settings: ComposeSettings | None = None, clock: Clock | None = None) -> None:
        super().__init__(model, settings, clock)
        self._opened = False
        self.capabilities = REACHES
        self._agent: AgentClient | None = None
        self._tunnel: TunnelClient | None = None
        self._offset = Offset()
        self._said: list[Event] = []
        self._log: IO[bytes] | None = None

    def check(self) -> None:
        if self._settings.prometheus:
            raise StackError(
                f"the Docker engine at {where()} cannot read this host's files for a Prometheus; run without"
            )
        super().check()

    def watching(self) -> Watching:
        return Watching(f"the Docker engine at {where()} cannot read this host's files for one")

    def why_limited(self) -> str:
        return f"the Docker engine at {where()} is another host's, where only its API and the network reach"

    def describe(self) -> Mapping[str, str]:
        return dict.fromkeys(REPLICAS, f"container of the engine at {where()}, with a copy of {self._model} there")

    def poll(self) -> list[Event]:
        said, self._said = self._said, []
        return said + super().poll()

    def final_counters(self) -> list[Event]:
        return [*super().final_counters(), *([] if self._agent is None else [self._compared()])]

    def down(self) -> None:
        if self._agent is not None and self._containers is not None:
            with suppress(StackError, OSError):  # an engine that is gone has no evidence to give
                self._containers.fetch(LOAD, f"{ACCESS}/{WRITTEN}/.", self._folder / LOGS)
        for end in (self._agent, self._tunnel, self._log):
            if end is not None:
                end.close()
        super().down()

    def load_place(self) -> LoadPlace:
        """The load's container."""
        return LoadPlace(self._inside(LOAD), f"http://toxiproxy:{LINK_PORTS['gateway']}", self._offset.monotonic_s)

    # -- kill, pause, stop

    def process(self, replica: str) -> TargetProcess | None:
        state = self._engine.state(replica)
        if self._agent is None or state is None or not state.pid:
            return None
        found = self._agent.server(replica, state.pid)
        if found is not None and self._tail is not None:
            self._tail.note_pid(replica, found.pid)
        return found

    def signal(self, process: TargetProcess, name: str) -> bool:
        return self._far.send(process, name)

    def state(self, process: TargetProcess) -> str:
        return self._far.state(process)

    def related(self, process: TargetProcess, of: Victim) -> TargetProcess | None:
        state = self._engine.state(process.replica) if of == "init" else None
        return self._far.related(process, of, 0 if state is None else state.pid)

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        return self._far.pause_inverse(process)

    # -- internal

    @property
    def _far(self) -> AgentClient:
        assert self._agent is not None, "the stack is not up"
        return self._agent

    def _place_models(self) -> dict[str, Path]:
        return {}

    def _start(self, run: RunContext, models: Mapping[str, Path]) -> None:
        skew = Offset(wall_s=self._engine.wall_s() - self._clock.wall_s())
        far = ShiftedClock(self._clock, skew)
        began_wall_s = far.wall_s()
        self._tail = ContainerTail(
            lambda: self._engine.events(began_wall_s), self._pid_at_start, far, run.origin_monotonic_s
        )
        self._tail.start()
        self._bring_up(run)
        self._reach(run)
        assert self._ports is not None and self._tunnel is not None
        self._links = RemoteLinks(self._ports, run.run_id, asked(self.prompts(), run.tasks), self._clock)
        self._links.tunnel = self._tunnel
        there = ShiftedClock(self._clock, self._offset)
        origin_s = run.origin_monotonic_s + self._offset.monotonic_s
        self._witness = Witness(Scene(self._ports, self._tail.new_events, there, origin_s))
        self._witness.start()

    def _bring_up(self, run: RunContext) -> None:
        base = self._settings.folder / "compose.yaml"
        environ = {"HARNESS_PORT": "0", "HARNESS_MODEL": MODEL, **(self._settings.environ or {})}
        (image,) = compose_images([base], environ, ["primary"])
        names = volumes(run.run_id)
        contents = {CODE: code_files(self._settings.folder), MODEL: model_files(self._model), ACCESS: log_files()}
        nowhere = laid_out(range(len(servers())))
        models = dict.fromkeys((*REPLICAS, "gateway"), Path(MODEL))
        switched = with_switches(override(run, own(), nowhere, models, opened=False), switches_in(os.environ))
        parts = on_another_host(switched, run, image)
        file = self._folder / OVERRIDE  # before anything is made: it tells the guard that there may be containers
        file.write_text(json.dumps(parts, indent=1), encoding="utf-8")
        fill_volumes(run.run_id, image, {place: (names[place], files) for place, files in contents.items()})
        project = Project(project_name(run.run_id), run.run_id, (base, file), environ, tuple(parts["services"]))
        bring_up(project, self._engine, self._settings.up_s)
        if not self._engine.succeeds(LOAD, ["python3", "-c", HAS_LOCUST]):
            raise StackError(
                f"image {image} holds no Locust, which the load needs there; build it with `harness images`"
            )

    def _reach(self, run: RunContext) -> None:
        self._log = (self._folder / "remote.log").open("ab")
        environ = {**os.environ, RUN_LABEL: run.run_id}
        self._tunnel = TunnelClient(
            [*self._inside(LOAD), "python3", "-m", "harness.stack.remote.tunnel"], servers(), environ, self._log
        )
        self._ports = laid_out(self._tunnel.ports)
        self._agent = AgentClient(run.run_id, [*self._inside(SIGNALS), *AGENT, run.run_id], environ, self._log)
        self._offset = self._agent.offset(self._clock)
        self._said.append(self._compared(self._offset))

    def _compared(self, offset: Offset | None = None) -> Event:
        """How the other host's clock goes beside ours, now."""
        assert self._run is not None
        found = offset or self._far.offset(self._clock)
        at_s = self._clock.now() - self._run.origin_monotonic_s
        known = {"used_s": self._offset.monotonic_s, "offset_s": found.monotonic_s, "error_s": found.error_s}
        return Event(at_s, "probe.clock", {**known, "engine": where()})

    def _inside(self, service: str) -> tuple[str, ...]:
        state = self._engine.state(service)
        if state is None or not state.pid:
            raise StackError(f"{service}: its container does not run: {self._engine.last_words(service)}")
        program = shutil.which("docker")
        if program is None:
            raise StackError(f"docker: no such program; {INSTALL}")
        return (program, "exec", "-i", "-w", CODE, state.container_id)


class RemoteLinks(LocalLinks):
    """The same links through a tunnel; looks wait for its far end, so that a refusal there is one here."""

    tunnel: TunnelClient

    def seen(self, port: int, ask: Ask, request: bytes) -> Seen:
        return look_at(partial(self.tunnel.dial, port), ask, request, self._clock)


def continue_remotely(args: Mapping[str, Any]) -> None:
    """The inverse of a pause, through the engine; does no harm twice, or when the containers have gone."""
    # Here, since the client takes 0.3 s to import, which most runs' guards can do without.
    from harness.stack.containers.admin import ContainerAdmin

    run_id = args["run_id"]
    with ContainerAdmin(run_id) as containers:
        states = containers.states()
        if SIGNALS in states and states[SIGNALS].pid:
            containers.output(SIGNALS, [*AGENT, run_id, "continue", str(args["pid"]), str(args["started"])])
        elif any(states[name].pid for name in REPLICAS if name in states):
            raise StackError(f"{SIGNALS} of run {run_id} does not run, so its process {args['pid']} was not continued")
