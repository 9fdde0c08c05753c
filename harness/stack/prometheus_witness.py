"""What a run keeps of its Prometheus, wherever that runs: its series and what its alert rules said, as `metrics.jsonl`.

The users' record stays the only source of success and recovery. If the Prometheus dies or says nothing, the run goes
on, and what is not known is a gap in the file.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.monitor.alerts import ALERT, as_groups, rules_line
from harness.monitor.canonical import queries
from harness.monitor.kept import METRICS, write_metrics
from harness.monitor.scrape import SCRAPE_EVERY_S
from harness.monitor.series import Series
from harness.record.clock import Clock

if TYPE_CHECKING:
    from harness.monitor.reader import PrometheusReader

__all__ = ["PrometheusWitness"]

READ_WITHIN_S = 5.0  # of all questions together, when the run ends
ANSWER_WITHIN_S = 1.0


class PrometheusWitness:
    """Of the Prometheus at `url`, which starts now. `folder`: of the stack, in the run's folder."""

    def __init__(self, url: str, folder: Path, clock: Clock, origin_s: float) -> None:
        self._url = url
        self._folder = folder
        self._clock = clock
        self._origin_s = origin_s
        self._wall_minus_run_s = self._wall_now_minus_run_s()
        self._until_s = 0.0
        self._found: list[Series] = []
        self._missing: dict[str, str] = {}

    def keep(self) -> None:
        """Write down what it saw. Takes a few seconds at most, and raises nothing that a run should end for."""
        # Half a second to import, of which a run has time in its warm-up: see session._import_ahead.
        from harness.monitor.reader import PrometheusReader

        self._found, self._missing = [], {}
        reader = PrometheusReader(self._url, ANSWER_WITHIN_S)
        begin_s, end_s = self._wall_minus_run_s, self._clock.wall_s()
        self._until_s = self._clock.now() + READ_WITHIN_S
        rules = self._rules(reader)
        if rules is not None:
            self._read(reader, ALERT, "ALERTS", (begin_s, end_s))
        for name, query in queries("target").items():
            self._read(reader, name, query, (begin_s, end_s))
        reader.close()
        head: dict[str, object] = {
            "source": "prometheus",
            "every_s": SCRAPE_EVERY_S,
            "from_s": 0.0,
            "to_s": round(end_s - begin_s, 3),
            "wall_clock_moved_s": round(self._wall_now_minus_run_s() - self._wall_minus_run_s, 3),
            "missing": self._missing,
            "warnings": reader.warnings,
            "alerts": rules,
        }
        with suppress(OSError):  # no room on the disk: a run has to be taken down all the same
            write_metrics(self._folder / METRICS, head, self._found)

    def _rules(self, reader: PrometheusReader) -> dict[str, Any] | None:
        """What it has loaded; None, with the reason among what is missing: not known."""
        from harness.monitor.reader import MonitorError

        try:
            return rules_line(as_groups(reader.rule_groups()), reader.metric_names())
        except MonitorError as error:
            self._missing[ALERT] = str(error)
        except (KeyError, TypeError, ValueError) as error:
            self._missing[ALERT] = f"it says its rules in another way than is known here: {error}"
        return None

    def _read(self, reader: PrometheusReader, name: str, query: str, span: tuple[float, float]) -> None:
        from harness.monitor.reader import MonitorError

        begin_s, end_s = span
        if self._clock.now() > self._until_s:
            self._missing[name] = f"not read within {READ_WITHIN_S:g} s"
            return
        try:
            if name == ALERT:
                found = reader.samples(query, begin_s, end_s)  # when it began to fire is not rounded to a step
            else:
                found = reader.range(query, begin_s, end_s, SCRAPE_EVERY_S)
        except MonitorError as error:
            self._missing[name] = str(error)
            return
        rows = [row for row in found if row.at_s]
        if not rows:
            self._missing[name] = "no sample"
        self._found += [Series(name, row.labels, tuple(at - begin_s for at in row.at_s), row.value) for row in rows]

    def _wall_now_minus_run_s(self) -> float:
        """Wall time at the run's origin, by the clocks as they are now."""
        return self._clock.wall_s() - (self._clock.now() - self._origin_s)
