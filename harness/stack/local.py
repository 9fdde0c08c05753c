"""The local stack: the target as supervised processes on this host.

client -> gateway -> replicas `primary` and `standby`, each with its own copy of the model, and a proxy in each of these
links. One supervisord per run starts them, restarts what exits, and gives up on what keeps crashing. Everything carries
the run's label.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.model.capability import OF_CONTAINERS, Capability
from harness.model.errors import StackError
from harness.model.event import Event
from harness.model.plan import Prompt
from harness.record.clock import Clock, SystemClock
from harness.record.journal import Inverse
from harness.stack.base import RunContext, TargetProcess, Weights
from harness.stack.held_weights import Replica, held_parts, held_weights
from harness.stack.links import Links
from harness.stack.local_links import LocalLinks
from harness.stack.local_service import LocalService, make_private, remove_private
from harness.stack.local_settings import LINKS, PROXIES, REPLICAS, LocalSettings, Ports, proxies, target_programs
from harness.stack.model_source import check_model, copy_model, golden_prompts
from harness.stack.orders import Orders
from harness.stack.owned import identify
from harness.stack.ports import HeldPorts
from harness.stack.readiness import missing, port_taken
from harness.stack.resources import Resources
from harness.stack.supervisor_config import stop_wait_s_of
from harness.stack.supervisor_rpc import SupervisorSilent
from harness.stack.supervisord import Supervisord
from harness.stack.target_signals import TargetSignals
from harness.stack.witness import Scene, SupervisionTail, Witness

__all__ = ["LocalStack"]


class LocalStack:
    """`model`: the pristine model folder, which is only read."""

    name = "local"

    def __init__(self, model: Path, settings: LocalSettings | None = None, clock: Clock | None = None) -> None:
        self._model = model.resolve()
        self._settings = settings or LocalSettings()
        lacking = set() if self._settings.proxy_is_ours else {Capability.INFERENCE_TOXICS}
        lacking |= set() if self._settings.service_faults else {Capability.SERVICE_FAULTS}
        self.capabilities = frozenset(Capability) - lacking - OF_CONTAINERS
        self._clock = clock or SystemClock()
        self._run: RunContext | None = None
        self._ports: Ports | None = None
        self._supervisord: Supervisord | None = None
        self._witness: Witness | None = None
        self._links: LocalLinks | None = None
        self._was_ready = False
        self._second_try = False
        self._orders: Orders | None = None

    def check(self) -> None:
        check_model(self._model)
        for module in self._settings.required_modules:
            if importlib.util.find_spec(module) is None:
                raise StackError(
                    f"the module {module} is not installed, which the target needs; "
                    "install it with `pip install 'reliability-harness[target]'`"
                )
        if shutil.which(self._settings.proxy_command[0]) is None:
            program = self._settings.proxy_command[0]
            raise StackError(f"{program}: no such program; set HARNESS_TOXIPROXY to a Toxiproxy server, or unset it")
        for path in ("/proc/self/maps", "/proc/self/environ"):
            if not Path(path).exists():
                raise StackError(
                    f"{path}: missing; the local stack needs Linux, use `--stack compose` or `--stack fake`"
                )

    def describe(self) -> Mapping[str, str]:
        return dict.fromkeys(REPLICAS, f"process with its own copy of {self._model}")

    def prompts(self) -> Mapping[str, tuple[Prompt, ...]]:
        return golden_prompts(self._model)

    def up(self, run: RunContext) -> None:
        assert self._run is None, "a LocalStack serves one run"
        self._run = replace(run, folder=run.folder.resolve())
        self._orders = Orders(self._clock, run.origin_monotonic_s)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in REPLICAS:
                copy_model(self._model, self.model_folder(name))
            make_private(self._folder, REPLICAS)
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
        reason = f"{ordered[0]}: being started again" if ordered else missing(supervisord, ports, self._clock)
        self._was_ready = self._was_ready or reason is None
        return reason

    @property
    def base_url(self) -> str:
        assert self._ports is not None, "base_url before up"
        return self._ports.through("gateway")

    def poll(self) -> list[Event]:
        failures = self._orders.failures() if self._orders else []
        return failures + (self._witness.take() if self._witness else [])

    def final_counters(self) -> list[Event]:
        """What everybody has counted at last, as `counters` events. Call when the load has ended; takes up to 1.1 s."""
        return self._witness.final_counters() if self._witness else []

    def down(self) -> None:
        if self._orders is not None:
            self._orders.close()
        if self._witness is not None:
            self._witness.stop()
        if self._supervisord is not None:
            self._supervisord.end()
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

    def signal(self, process: TargetProcess, name: str) -> bool:
        return self._signals.send(process, name)

    def state(self, process: TargetProcess) -> str:
        return self._signals.state(process)

    def exit_report(self, process: TargetProcess) -> str | None:
        if self.state(process) != "gone":
            return None  # the log may still hold an older process's end under this pid
        program, how = self._up.exit_reports().get(process.pid, ("", ""))
        return how if program == process.replica else None

    def restart(self, replica: str) -> None:
        self._up_orders.give(replica, lambda: self._restart(replica))

    def ensure_running(self, replica: str) -> None:
        self._up_orders.give(replica, lambda: self._up.start_if_down(replica))

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        return self._signals.pause_inverse(process)

    # -- network

    def links(self) -> Mapping[str, str]:
        return LINKS

    @property
    def network(self) -> Links:
        assert self._links is not None, "network before up"
        return self._links

    # -- service_faults

    @property
    def service(self) -> LocalService:
        assert self._run is not None and self._ports is not None and self._links is not None, "service before up"
        look = partial(self._links.look, past=True)
        return LocalService((self._run.run_id, self._folder), self._ports, look, self._clock)

    # -- resources, clock, slow_storage

    @property
    def resources(self) -> Resources:
        raise StackError("processes of one host have no limits of their own; use `--stack compose`")

    # -- corrupt_files

    def model_folder(self, replica: str) -> Path:
        return self._folder / f"model-{replica}"

    def held_weights(self, replica: str) -> Weights:
        assert self._ports is not None, "held_weights before up"
        where = Replica(replica, self._ports.url(replica), self._model)
        return held_weights(where, self.process(replica), self._last_exit(replica), self._clock)

    def held_parts(self, replica: str) -> Mapping[str, str]:
        assert self._ports is not None, "held_parts before up"
        return held_parts(Replica(replica, self._ports.url(replica), self._model), self._clock)

    # -- internal

    @property
    def _up_orders(self) -> Orders:
        assert self._orders is not None, "the stack is not up"
        return self._orders

    @property
    def _signals(self) -> TargetSignals:
        assert self._run is not None, "the stack is not up"
        return TargetSignals(self._run.run_id)

    @property
    def _up(self) -> Supervisord:
        assert self._supervisord is not None, "the stack is not up"
        return self._supervisord

    @property
    def _folder(self) -> Path:
        assert self._run is not None, "the stack is not up"
        return self._run.folder / "stack"

    def _start(self, avoid: tuple[int, ...]) -> tuple[Supervisord, Ports]:
        assert self._run is not None
        held = HeldPorts(len(REPLICAS) + len(LINKS) + 2, avoid=avoid)
        n = len(REPLICAS)
        of_replicas, (gateway, proxy_api), of_links = held.ports[:n], held.ports[n : n + 2], held.ports[n + 2 :]
        ports = Ports(
            dict(zip(REPLICAS, of_replicas, strict=True)), gateway, dict(zip(LINKS, of_links, strict=True)), proxy_api
        )
        models = {name: self.model_folder(name) for name in REPLICAS}
        golden = self._model / "golden.json"
        programs = target_programs(self._settings, ports, models, golden, self._run)
        supervisord = Supervisord(self._run.run_id, self._folder, self._clock)
        self._supervisord, self._ports = supervisord, ports
        instance = self._run.run_id if self._settings.proxy_is_ours else None
        sets = {task.removesuffix("_stream") for task in self._run.tasks if task.endswith("_stream")}
        prompts = self.prompts()
        asked = [one for name in sorted(sets or prompts) for one in prompts.get(name, ())]
        self._links = LocalLinks(ports, instance, asked, self._clock)
        (self._folder / PROXIES).write_text(json.dumps(proxies(ports)), encoding="utf-8")
        held.release()
        supervisord.start(programs, self._run, replicas=ports.replicas, stop_wait_s=self._settings.stop_wait_s)
        origin_s = self._run.origin_monotonic_s
        watched = (*ports.servers, "proxy")
        tail = SupervisionTail(supervisord.supervision, watched, supervisord.exit_reports, origin_s)
        self._witness = Witness(Scene(ports, tail.new_events, self._clock, origin_s))
        self._witness.start()
        return supervisord, ports

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
