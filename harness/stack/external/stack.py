"""The external stack: a target that the harness neither starts nor stops, with the faults that its handles allow.

users -> the harness's own proxy -> URL. Nothing of the target is touched but by a fault, and a fault needs a handle:
the proxy, a Toxiproxy on its hops, containers that carry the opt-in label, or commands that the scenario names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.model.event import Event
from harness.model.external import External
from harness.model.plan import Prompt
from harness.record.clock import Clock, SystemClock
from harness.record.journal import Inverse
from harness.stack.base import RunContext, TargetProcess
from harness.stack.external.access import Access
from harness.stack.external.embedded_proxy import USERS_LINK, EmbeddedProxy
from harness.stack.external.endpoint import Endpoint, endpoint_of
from harness.stack.external.golden_recording import Recording
from harness.stack.external.links import ExternalLinks, Hop, Question, api_of, hop_of
from harness.stack.external.not_ours import NotOurs
from harness.stack.external.opted_in import OptedIn
from harness.stack.external.probe_watch import Probe, ProbeWatch, golden_probe, page_probe
from harness.stack.external.prompts import prompts_of
from harness.stack.links import Links
from harness.stack.reference.settings import HOST

__all__ = ["ExternalStack"]

ANSWER_S = 2.0
PATIENCE_S = 30.0  # for a target that should be up already


class ExternalStack(NotOurs):
    """`url` outranks that of the scenario's section; `load`: max_tokens of answers, seconds of the longest fault."""

    name = "external"

    def __init__(
        self,
        external: External | None,
        url: str | None = None,
        load: tuple[int | None, float] = (None, 0.0),
        clock: Clock | None = None,
    ) -> None:
        output_tokens, longest_fault_s = load
        self._told = external or External()
        address = url or self._told.url
        if not address:
            raise StackError(
                "the external stack needs the target's address: --url http://host:port, or external.url in the scenario"
            )
        self.endpoint: Endpoint = endpoint_of(address, ca_file=self._told.ca_file, api_key_env=self._told.api_key_env)
        self._probed = self.endpoint
        self._clock = clock or SystemClock()
        self._prompts = prompts_of(self._told, output_tokens)
        self._handles = OptedIn(self._told.containers, longest_fault_s) if self._told.containers else None
        self._proxy: EmbeddedProxy | None = None
        self._run: RunContext | None = None
        self._recorder: Recording | None = None
        self._watch: ProbeWatch | None = None
        self._events: list[Event] = []
        self._since_s: float | None = None  # since when it has not been ready
        self.capabilities = self._of_handles()

    @property
    def clock(self) -> Clock:
        """Whose time its looks take."""
        return self._clock

    def check(self) -> None:
        self.endpoint.authorization()
        self.endpoint.context()
        if self._told.ca_file and self.endpoint.scheme != "https":
            raise StackError(f"external.ca_file is given, but {self.endpoint.url} is not encrypted; write https://")
        if self._handles:
            self._handles.check()
            self.capabilities = self._of_handles() | self._handles.capabilities()

    def describe(self) -> Mapping[str, str]:
        found = {"target": self.endpoint.url}
        return found | (dict(self._handles.describe()) if self._handles else {})

    def prompts(self) -> Mapping[str, tuple[Prompt, ...]]:
        return self._prompts

    def up(self, run: RunContext) -> None:
        assert self._run is None, "an ExternalStack serves one run"
        self._run = run
        self._folder.mkdir(parents=True, exist_ok=True)
        self._probed = self._past_the_proxy()
        if self._told.proxy and not self._told.toxiproxy:
            self._proxy = EmbeddedProxy(run, self._folder, self.endpoint.address())
        if self._handles:
            self._handles.up(run, self._clock)

    def ready(self) -> str | None:
        """Alive, ready, through the proxy, and its golden answers recorded."""
        if self._proxy:
            self._proxy.check()
        for probe in self._pages(ANSWER_S):
            if (wrong := probe.ask()) is not None:
                return self._still(f"{probe.name} of {self.endpoint.url}: {wrong}")
        if self._recorder is None:
            self._recorder = Recording(self.endpoint, self._told.model, self._wanted(), self._clock)
        if (said := self._recorder.missing()) is not None:
            return said
        if self._watch is None:
            self._begin_to_watch(self._recorder)
        return None

    @property
    def base_url(self) -> str:
        if self._proxy is None:
            return self.endpoint.url
        return f"{self.endpoint.scheme}://{HOST}:{self._proxy.port}{self.endpoint.path}"

    def access(self) -> Access:
        """What the load has to know; once it is ready, with the recorded answers."""
        done = self._recorder.done if self._recorder else None
        return Access(
            prompts=done.prompts if done else self._prompts,
            model=self._recorder.model if self._recorder else self._told.model,
            host=self.endpoint.host_header,
            api_key_env=self._told.api_key_env,
            ca_file=self._told.ca_file,
            salted=self._told.cache_salt,
            ends_with_done=done.ends_with_done if done else True,
        )

    def poll(self) -> list[Event]:
        if self._proxy:
            self._proxy.check()
        taken, self._events = self._events, []
        taken += self._watch.take() if self._watch else []
        return taken + (self._handles.poll() if self._handles else [])

    def final_counters(self) -> list[Event]:
        return []  # what it counts itself is its own; see `probe.asked` for what the harness asked it

    def down(self) -> None:
        if self._recorder is not None:
            self._recorder.stop()
        if self._watch is not None:
            self._watch.stop()
        if self._proxy is not None:
            self._proxy.end()
        if self._handles:
            self._handles.down()

    # -- kill, pause, stop

    def process(self, replica: str) -> TargetProcess | None:
        return self._opted.process(replica)

    def signal(self, process: TargetProcess, name: str) -> bool:
        return self._opted.signal(process, name)

    def state(self, process: TargetProcess) -> str:
        return self._opted.state(process)

    def exit_report(self, process: TargetProcess) -> str | None:
        return self._opted.exit_report(process)

    def restart(self, replica: str) -> None:
        raise StackError("the external stack restarts nothing")

    def ensure_running(self, replica: str) -> None:
        raise StackError("the external stack starts nothing")

    def pause_inverse(self, process: TargetProcess) -> Inverse:
        return self._opted.pause_inverse(process)

    # -- network

    def links(self) -> Mapping[str, str]:
        if self._told.toxiproxy:
            return {name: f"to {hop['upstream']}" for name, hop in self._foreign_proxies().items()}
        return {USERS_LINK: f"from the users to {self.endpoint.url}"} if self._told.proxy else {}

    @property
    def network(self) -> Links:
        done = self._recorder.done if self._recorder else None
        assert self._recorder is not None and done is not None and self._run is not None, "network before ready"
        asked = min((one for some in done.prompts.values() for one in some), key=lambda one: one.max_tokens)
        page = self._told.health or self._told.ready or "/v1/models"
        question = Question(self.endpoint, page, asked, self._recorder.model, done.ends_with_done)
        if self._told.toxiproxy:
            api, past = api_of(self._told.toxiproxy), self._told.hops
            hops = {n: hop_of(one, api[0], past.get(n)) for n, one in self._foreign_proxies().items()}
            return ExternalLinks(api, None, hops, question, self._clock)
        assert self._proxy is not None
        hop = Hop((HOST, self._proxy.port), self.endpoint.address())
        return ExternalLinks((HOST, self._proxy.api_port), self._run.run_id, {USERS_LINK: hop}, question, self._clock)

    # -- internal

    @property
    def _folder(self) -> Path:
        assert self._run is not None, "the stack is not up"
        return self._run.folder / "stack"

    @property
    def _opted(self) -> OptedIn:
        if self._handles is None:
            raise StackError("the external stack has no containers; name their label as external.containers")
        return self._handles

    def _wanted(self) -> Mapping[str, tuple[Prompt, ...]]:
        """The prompt sets of the load's mix, or all."""
        assert self._run is not None
        sets = {task.removesuffix("_stream") for task in self._run.tasks} or set(self._prompts)
        return {name: some for name, some in self._prompts.items() if name in sets}

    def _still(self, missing: str) -> str:
        """Nobody starts it for this run, so it is not waited for as long as one that is being started."""
        self._since_s = self._clock.now() if self._since_s is None else self._since_s
        if self._clock.now() > self._since_s + PATIENCE_S:
            raise StackError(f"{missing}; is it up, and are external.health and external.ready its own paths?")
        return missing

    def _of_handles(self) -> frozenset[Capability]:
        """What can be done without containers."""
        found = {Capability.EXEC}
        if self._told.proxy or self._told.toxiproxy:
            found.add(Capability.NETWORK)
        if self._told.proxy and not self._told.toxiproxy and self.endpoint.scheme == "http":
            found.add(Capability.INFERENCE_TOXICS)  # what is encrypted can be delayed and cut, not understood
        return frozenset(found)

    def _pages(self, every_s: float) -> tuple[Probe, ...]:
        paths = {"health": self._told.health, "ready": self._told.ready}
        at = (self._probed, self._clock)
        return tuple(page_probe(name, path, every_s, at) for name, path in paths.items() if path)

    def _begin_to_watch(self, recording: Recording) -> None:
        assert self._run is not None and recording.done is not None
        done, origin_s = recording.done, self._run.origin_monotonic_s
        numbers = {"asked": done.asked, "reproducible": done.reproducible, "ends_with_done": done.ends_with_done}
        self._events.append(Event(self._clock.now() - origin_s, "golden.recorded", numbers))
        golden = golden_probe(
            tuple(one for some in done.prompts.values() for one in some),
            recording.model,
            self._told.golden_every_s,
            (self._probed, self._clock),
        )
        self._watch = ProbeWatch((*self._pages(self._told.probe_every_s), golden), self._clock, origin_s)
        self._watch.start()

    def _past_the_proxy(self) -> Endpoint:
        """Where probes ask: where users do, but past a Toxiproxy on their way, if it is said how."""
        if self._told.toxiproxy is None or self.endpoint.scheme != "http":
            return self.endpoint
        host = api_of(self._told.toxiproxy)[0]
        for name, one in self._foreign_proxies().items():
            hop = hop_of(one, host, self._told.hops.get(name))
            if name in self._told.hops and hop.through[1] == self.endpoint.port:
                return replace(self.endpoint, host=hop.past[0], port=hop.past[1])
        return self.endpoint

    def _foreign_proxies(self) -> Mapping[str, Mapping[str, str]]:
        # Here, since it takes 0.2 s to import.
        from harness.stack.toxiproxy_api import ToxiproxyApi

        assert self._told.toxiproxy is not None
        return ToxiproxyApi(*api_of(self._told.toxiproxy), None).proxies()
