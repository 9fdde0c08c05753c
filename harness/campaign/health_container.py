"""A container behind a URL, frozen and killed while probes look at that URL: the half-alive case of somebody's service.

Whether it hangs or is dead for users, a chat says: what no chat felt was no hang, and is not tested.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.campaign.health import BETWEEN_S, LASTS_S, looked_at
from harness.campaign.probing import CHAT, Prober
from harness.model.capability import Capability
from harness.model.errors import HarnessError, StackError
from harness.model.external import External
from harness.model.fault import Fault
from harness.model.health import Looked, Span
from harness.model.process_faults import ProcessKill, ProcessPause
from harness.model.scenario import Load, Phases, Scenario
from harness.plan.make_plan import Drawn, make_plan
from harness.session import Session, facts
from harness.stack.external.endpoint import Endpoint
from harness.stack.external.opted_in import TARGET
from harness.stack.external.stack import ExternalStack
from harness.store.folder import RunFolder
from harness.store.registry import Registry

__all__ = [
    "DAMAGE",
    "Broken",
    "ContainerTest",
    "as_users_saw",
    "container_scenario",
    "plan_container_test",
    "replayed",
]

DAMAGE = "answers wrongly: the harness cannot damage what it did not start"
ASKED = "Say hello."
TOKENS = 8
GOLDEN_EVERY_S = 600.0  # the stack's own probe; the looks are the health command's
USERS_PER_S = 4.0  # at most: with the baseline's length, enough for it to be called steady
BASELINE_S = 6.0


@dataclass(frozen=True)
class Broken:
    """What was seen of it. Times in seconds on the clock."""

    looks: Mapping[str, list[Looked]] = field(default_factory=dict)
    spans: Mapping[str, list[Span]] = field(default_factory=dict)  # of each probe
    not_tested: tuple[str, ...] = ()
    still_down: str = ""  # that chats were not answered when it ended, in words; empty: they were
    cut_off: str = ""
    folder: RunFolder | None = None  # of the run


@dataclass(frozen=True)
class ContainerTest:
    """What is to be done to a container, planned."""

    container: str  # the name by which it opted in
    drawn: Drawn
    session: Session
    cannot: tuple[str, ...] = ()  # what cannot be tested, and why

    def touches(self) -> list[str]:
        """A sentence on what is done to it, beside what the plan says."""
        scenario = self.drawn.plan.scenario
        done = " and ".join(_words(fault) for fault in scenario.faults)
        return [f"{self.container} is {done}, while {scenario.load.rate_per_s:g} requests/s and probes are sent"]

    def run(self, run_id: str, prober: Prober, interrupted: Callable[[], int]) -> Broken:
        """Break it while the probes look. A target that cannot be run against says why."""
        scenario = self.drawn.plan.scenario
        try:
            watched, folder = looked_at(self.drawn, self.session, run_id, (prober, interrupted))
        except HarnessError as error:
            return Broken(not_tested=self.cannot, cut_off=f"{self.container} was not broken: {error}")
        spans, untested = as_users_saw(watched.spans(scenario), prober.looks, self.container)
        origin_s = folder.read_header().origin_monotonic_s
        return Broken(
            {name: [replace(one, at_s=one.at_s + origin_s, end_s=one.end_s + origin_s) for one in looks]
             for name, looks in prober.looks.items()},
            {name: [replace(one, begin_s=one.begin_s + origin_s, end_s=one.end_s + origin_s) for one in some]
             for name, some in spans.items()},
            (*untested, *self.cannot),
            _still_down(prober.looks.get(CHAT, ()), self.container),
            watched.cut_off,
            folder,
        )  # fmt: skip


def plan_container_test(
    endpoint: Endpoint, asked: tuple[str, str | None, float, float], seed: str, place: tuple[Path, Registry]
) -> ContainerTest:
    """Nothing is sent to the URL, and the engine is asked only what it has.

    `asked`: the container's name, the model to ask for, how long a look may take in seconds, and how many requests a
    second are welcome. Raises HarnessError for a container that is not there, has not opted in, is not the only one,
    or cannot be frozen.
    """
    container, model, look_limit_s, rate_per_s = asked
    external = External(
        url=endpoint.url, model=model, api_key_env=endpoint.api_key_env, ca_file=endpoint.ca_file, health=None,
        ready=None, golden_every_s=GOLDEN_EVERY_S, prompts={"chat": (ASKED,)}, max_tokens=TOKENS, proxy=False,
        containers=f"{TARGET}={container}",
    )  # fmt: skip
    lasts_s = max(LASTS_S, 2 * look_limit_s)
    stack = ExternalStack(external, load=(None, lasts_s))
    stack.check()
    found = {name: what for name, what in stack.describe().items() if name != "target"}
    if len(found) > 1:
        raise StackError(
            f"{len(found)} containers carry the label {TARGET}={container} ({'; '.join(found.values())}): "
            "only one is frozen, so give it a name of its own"
        )
    ((name, what),) = found.items()
    if Capability.PAUSE not in stack.capabilities:
        raise StackError(f"{what} does not run on this host, so it cannot be frozen from here; leave out --container")
    kill = Capability.KILL in stack.capabilities
    cannot = () if kill else (f"is dead: {what}: nothing would bring it back",)
    scenario = replace(container_scenario(name, lasts_s, min(rate_per_s, USERS_PER_S), kill=kill), external=external)
    drawn = make_plan(scenario, facts(stack), seed)
    clock = stack.clock
    return ContainerTest(name, drawn, Session(stack, clock, place[0], place[1], os.environ), (*cannot, DAMAGE))


def container_scenario(name: str, lasts_s: float, users_per_s: float, *, kill: bool) -> Scenario:
    """Frozen, then killed if something brings it back: what may not come back is last. It limits nothing."""
    faults: list[Fault] = [ProcessPause(on=name, for_s=lasts_s)]
    if kill:
        faults.append(ProcessKill(on=name, at_s=lasts_s + BETWEEN_S))
    return Scenario(
        name="health",
        load=Load(rate_per_s=users_per_s, arrivals="constant", mix={"chat_stream": 1.0}),
        phases=Phases(baseline_s=BASELINE_S, recovery_s=lasts_s + 2),
        warmup_max_s=0,
        faults=tuple(faults),
    )


def replayed(test: ContainerTest, words: Sequence[str]) -> ContainerTest:
    """The same, whose plan names the command that repeats it."""
    plan = replace(test.drawn.plan, replay=shlex.join(words))
    return replace(test, drawn=replace(test.drawn, plan=plan))


def as_users_saw(
    spans: Sequence[Span], looks: Mapping[str, Sequence[Looked]], container: str
) -> tuple[dict[str, list[Span]], list[str]]:
    """The spans of each probe, as far as chats failed in them, and sentences on what is not tested.

    A death is over when a chat is answered again. A probe that was red just before tells nothing.
    """
    found: dict[str, list[Span]] = {name: [] for name in looks}
    said: list[str] = []
    for span in (_felt(span, looks.get(CHAT, ()), container) for span in spans):
        said += [f"{span.what}: {span.skipped}"] if span.skipped else []
        for name, some in looks.items():
            red_before = not span.skipped and not _green_before(span, some)
            said += [f"{span.what}, {name}: it was red just before"] if red_before else []
            found[name].append(replace(span, skipped="it was red just before") if red_before else span)
    return found, said


def _felt(span: Span, chats: Sequence[Looked], container: str) -> Span:
    if span.skipped:
        return span
    if not _green_before(span, chats):
        return replace(span, skipped="no chat was answered just before")
    red = [one.end_s for one in chats if span.begin_s <= one.end_s < span.end_s and not one.green]
    if not red:
        return replace(span, skipped=f"chats were answered all the while, so that of {container} was felt by nobody")
    again = [one.end_s for one in chats if one.green and one.at_s >= red[0]]
    over = span.what == "is dead" and bool(again) and again[0] < span.end_s
    return replace(span, end_s=again[0]) if over else span


def _green_before(span: Span, looks: Sequence[Looked]) -> bool:
    before = [one for one in looks if one.end_s < span.begin_s]
    return bool(before) and before[-1].green


def _still_down(chats: Sequence[Looked], container: str) -> str:
    if not chats or chats[-1].green:
        return ""
    return f"no chat was answered when it ended: look whether {container} comes back"


def _words(fault: Fault) -> str:
    return f"frozen for {fault.lasts_s:g} s" if isinstance(fault, ProcessPause) else "killed"
