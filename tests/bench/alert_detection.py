"""How long after what brings it about does an alert fire, against the theoretical time of its rule?

Twenty servers are scraped by the Prometheus of a local run, with the rules of `compose/prometheus/rules`. Each breaks
at a moment of its own, in one of the ways that a rule without a long `for` is about, and what the harness keeps and
reads of ALERTS says when it fired. The figure is the largest delay beyond the rule's theoretical time; the other rules
are tested by promtool (`compose/prometheus/tests`).
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness.model.alerts import AlertRecord, AlertRule
from harness.monitor.alerts import alert_record
from harness.monitor.kept import METRICS, read_metrics
from harness.monitor.scrape import SCRAPE_EVERY_S
from harness.record.clock import SystemClock
from harness.scenario_files import known_rules
from harness.stack.base import RunContext
from harness.stack.local.prometheus import LocalPrometheus
from tests.bench.figure import Figure, Goal, span
from tests.exposed import served

TRIALS = 20
FOR_S_MAX = 30.0
LIVE = ("Stalled", "SlowRequest", "ManyErrors", "HighMachineMemory")  # without a long `for`, and of one server each
BEGIN_S, SPREAD_S, END_S = (
    15.0,
    8.0,
    16.0,
)  # Prometheus starts meanwhile; breaks are spread over; the last is waited for
GOALS = (Goal("alert_detection_beyond_theory_s_max", "<=", 2 * SCRAPE_EVERY_S, "s"),)  # one scrape, one evaluation
GOOD = {"target_running": 1.0, "error_count": 0.0, "system_memory_usage": 50.0}


@dataclass
class Server:
    """What one server tells; `rule` is the one that it will bring about at `breaks_s` of the clock."""

    rule: AlertRule
    breaks_s: float
    clock: SystemClock
    begun_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun_s = self.clock.now()

    def text(self) -> bytes:
        now_s = self.clock.now()
        broken = now_s >= self.breaks_s
        working_s = (self.breaks_s if broken and self.rule.name == "Stalled" else now_s) - self.begun_s
        values = {**GOOD, "target_generated_tokens_total": 20 * working_s}
        slow = 3.0 if broken and self.rule.name == "SlowRequest" else 0.0
        values["gateway_request_seconds_count"] = 100.0 + slow
        values |= {"error_count": 20.0} if broken and self.rule.name == "ManyErrors" else {}
        values |= {"system_memory_usage": 95.0} if broken and self.rule.name == "HighMachineMemory" else {}
        lines = [f"{name} {value}" for name, value in values.items()]
        lines += [f'gateway_request_seconds_bucket{{le="{le}"}} {n}' for le, n in (("5.0", 100), ("+Inf", 100 + slow))]
        return ("\n".join(lines) + "\n").encode()

    @property
    def theory_s(self) -> float:
        """After the break. A slow request is over when it breaks here, so its 5 s are over as well."""
        return self.rule.for_s if self.rule.name == "SlowRequest" else self.rule.earliest_s


def figures(trials: int = TRIALS, seed: str = "alerts") -> list[Figure]:
    program = shutil.which("prometheus")
    if program is None:
        return [goal.not_measured() for goal in GOALS]
    late = _late_s(program, trials, seed)
    return [GOALS[0].figure(max(late), f"{span(late)} trials")]


def _late_s(program: str, trials: int, seed: str) -> list[float]:
    """Of each trial: from its theoretical time to the sample with which the alert fires. Raises RuntimeError else."""
    clock, rng = SystemClock(), random.Random(seed)
    rules = [rule for rule in known_rules() if rule.for_s <= FOR_S_MAX and rule.name in LIVE]
    begin_s = clock.now()
    servers = {
        f"server-{number}": Server(rules[number % len(rules)], begin_s + BEGIN_S + rng.uniform(0, SPREAD_S), clock)
        for number in range(trials)
    }
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        (Path(folder) / "stack").mkdir()
        ports = {name: running.enter_context(served(one.text)) for name, one in servers.items()}
        prometheus = LocalPrometheus(program, RunContext("alert-detection", Path(folder), begin_s), clock)
        running.callback(prometheus.end)
        prometheus.start(ports)
        time.sleep(max(0.0, max(one.breaks_s for one in servers.values()) + END_S - clock.now()))
        prometheus.keep()
        record = alert_record(read_metrics(Path(folder) / "stack" / METRICS))
    if record is None or record.problem:
        raise RuntimeError(record.problem if record else "nothing was kept")
    return [_beyond_s(record, name, one, begin_s) for name, one in servers.items()]


def _beyond_s(record: AlertRecord, name: str, one: Server, begin_s: float) -> float:
    fired = [span.begin_s for span in record.spans
             if (span.alert, span.source, span.state) == (one.rule.name, name, "firing")]  # fmt: skip
    if not fired:
        raise RuntimeError(f"{one.rule.name} of {name} did not fire")
    return min(fired) - (one.breaks_s - begin_s) - one.theory_s
