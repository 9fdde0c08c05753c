"""The health score of a target that can be broken: one run, one fault of each kind, all probes looking meanwhile."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from harness.campaign.probing import PAGES, Prober
from harness.model.event import Event
from harness.model.health import Health, Span, health_of
from harness.model.scenario import Load, Phases, Scenario
from harness.model.service_faults import ServiceHang, ServiceKillEngine
from harness.model.target import TargetOptions
from harness.model.traffic_faults import TrafficBurst
from harness.model.weights_faults import WeightsBitFlip
from harness.plan.environment import on_the_command_line
from harness.plan.make_plan import Drawn
from harness.session import Session, Watcher, judge_folder, run_session
from harness.store.folder import RunFolder

__all__ = ["BETWEEN_S", "LASTS_S", "Watched", "health_run", "health_scenario", "looked_at"]

LASTS_S = 10.0  # of each fault: what is not red by then is blind
BETWEEN_S = 15.0  # for the target to come back: a replica that was restarted loads its model first
BUSY_PER_S = 60.0
WHAT = {
    "traffic.burst": "busy",
    "service.hang": "hangs",
    "weights.bit_flip": "answers wrongly",
    "service.kill_engine": "is dead",
    "process.pause": "hangs",
    "process.kill": "is dead",
}


def health_scenario(protection: Literal["default", "fragile", "hardened"]) -> Scenario:
    """Busy, then hung, then wrong, then dead: what may not come back is last. Under two minutes.

    Without a hypothesis: it measures and limits nothing, so that its verdict could confirm none.
    """
    step_s = LASTS_S + BETWEEN_S
    faults = (
        TrafficBurst(rate_per_s=BUSY_PER_S, for_s=LASTS_S),
        ServiceHang(at_s=step_s, for_s=LASTS_S),
        WeightsBitFlip(at_s=2 * step_s, for_s=LASTS_S, restart_after_s=None),
        ServiceKillEngine(at_s=3 * step_s),
    )
    return Scenario(
        name="health",
        target=TargetOptions(protection=protection),
        load=Load(rate_per_s=10, mix={"chat_stream": 0.7, "sentiment": 0.3}),
        phases=Phases(baseline_s=5, recovery_s=LASTS_S + 2),
        faults=faults,
    )


@dataclass
class Watched:
    """What was done to the target, and when. `lasts_s`: how long the consequences of a fault are looked at."""

    lasts_s: float = LASTS_S
    begins: dict[int, tuple[str, float]] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)
    proven: set[int] = field(default_factory=set)
    up: bool = False
    cut_off: str = ""  # why the run ended before its time
    cut_off_s: float = math.inf

    def on_event(self, event: Event) -> None:
        number = int(event.fields.get("fault", -1))
        if event.kind in ("target_ready", "run_end"):
            self.up = event.kind == "target_ready"
        elif event.kind == "fault_begin":
            self.begins[number] = (WHAT[event.fields["fault_kind"]], event.at_s)
        elif event.kind == "fault_end":
            self.ends[number] = event.at_s
        elif event.kind == "fault_skipped":
            self.skipped[number] = str(event.fields["reason"])
        elif event.kind == "fault_proof" and event.fields["proven"]:
            self.proven.add(number)
        elif event.kind in ("stopped", "broken"):
            self.cut_off, self.cut_off_s = f"{event.fields['reason']}, after {event.at_s:.0f} s", event.at_s

    def spans(self, scenario: Scenario) -> list[Span]:
        """One for each fault; what was not proven was not tested."""
        found = []
        for number, fault in enumerate(scenario.faults):
            what = WHAT[fault.kind]
            if self._cut_short(number):
                found.append(Span(what, skipped="the run was cut off before"))
                continue
            if number in self.skipped or number not in self.proven:
                found.append(Span(what, skipped=self.skipped.get(number, f"{fault.kind} was not proven")))
                continue
            begin_s = self.begins[number][1]
            # One that is over at once has consequences that last; the others are over when they are taken back.
            end_s = self.ends.get(number, begin_s) if fault.lasts_s else begin_s + self.lasts_s
            found.append(Span(what, begin_s, end_s))
        return found

    def _cut_short(self, number: int) -> bool:
        """Whether a fault was not, or not as long as it should have been, because the run ended before its time."""
        begin_s = self.begins[number][1] if number in self.begins else math.inf
        return bool(self.cut_off) and number not in self.skipped and begin_s + self.lasts_s > self.cut_off_s


def looked_at(
    drawn: Drawn, session: Session, run_id: str, looking: tuple[Prober, Callable[[], int]]
) -> tuple[Watched, RunFolder]:
    """Run it while probes look; times are seconds from the run's origin. Raises HarnessError.

    `looking`: the probes, and how often the user asked to stop.
    """
    prober, interrupted = looking
    watched = Watched(max((fault.lasts_s for fault in drawn.plan.scenario.faults), default=LASTS_S))

    def on_progress(_: object, now_s: float) -> None:
        if watched.up:
            prober.poll(now_s)

    watcher = Watcher(watched.on_event, on_progress, lambda _: None, interrupted)
    return watched, run_session(drawn, session, run_id, watcher)


def health_run(
    plan: Callable[[Scenario], Drawn],
    session: Session,
    run_id: str,
    how: tuple[Literal["default", "fragile", "hardened"], str, Callable[[], int]],
) -> tuple[Health, Path]:
    """Run it on the session's stack, and judge it: its reports have the score, too. Raises HarnessError.

    Looks go to the primary itself, past gateway and links.

    `how`: the target's protection, more words for the command that repeats it, and how often the user asked to stop.
    What ended before its time says so.
    """
    protection, more, interrupted = how
    scenario = health_scenario(protection)
    prober = Prober(PAGES, lambda ask: session.stack.service.look("primary", ask))
    drawn = plan(scenario)
    plain = drawn.plan
    words = ("harness", "health", "--protection", protection, "--stack", plain.stack, "--seed", plain.seed)
    replay = f"{on_the_command_line(plain.environment)}{shlex.join(words)}{more}"
    drawn = replace(drawn, plan=replace(plain, replay=replay))
    watched, folder = looked_at(drawn, session, run_id, (prober, interrupted))
    spans = watched.spans(scenario)
    probes = tuple(health_of(name, looks, spans) for name, looks in prober.looks.items())
    untested = tuple(f"{span.what}: {span.skipped}" for span in spans if span.skipped)
    found = Health(f"{session.stack.name}, {protection}", probes, untested, cut_off=watched.cut_off)
    folder.write_health(found)
    judge_folder(folder)
    return found, folder.path
