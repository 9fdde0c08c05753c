"""A Prometheus beside the local stack, where its program is installed: a witness of the target's own numbers.

The users' record stays the only source of success and recovery. If this one dies or says nothing, the run goes on, and
what it did not see is a gap in `metrics.jsonl`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from harness.monitor.canonical import queries
from harness.monitor.kept import METRICS, write_metrics
from harness.monitor.scrape import SCRAPE_EVERY_S, command, scrape_config
from harness.monitor.series import Series
from harness.record.clock import Clock
from harness.stack.base import RunContext
from harness.stack.owned import RUN_LABEL
from harness.stack.ports import HeldPorts
from harness.stack.reference.settings import HOST

__all__ = ["LocalPrometheus"]

READ_WITHIN_S = 5.0  # of all questions together, when the run ends
ANSWER_WITHIN_S = 1.0


class LocalPrometheus:
    """Started by `start`, with the run's label, so that it is ended with everything else of the run."""

    def __init__(self, program: str, run: RunContext, clock: Clock) -> None:
        """`program`: its name or path; where it is not installed there is none, and nothing is written down."""
        self._program = shutil.which(program) if program else None
        self._run_id = run.run_id
        self._folder = run.folder / "stack"
        self._clock = clock
        self._origin_s = run.origin_monotonic_s
        self._url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._wall_minus_run_s = 0.0
        self._kept = False
        self._held: HeldPorts | None = None

    def start(self, sources: Mapping[str, int]) -> None:
        """`sources`: name -> port on this host. Returns at once; what cannot be started is a line in its log."""
        self.end()
        if self._program is None:
            return
        held = self._held = HeldPorts(1)
        port = held.ports[0]
        config, data = self._folder / "prometheus.json", self._folder / "prometheus"
        config.write_text(scrape_config({name: f"{HOST}:{port}" for name, port in sources.items()}), encoding="utf-8")
        shutil.rmtree(data, ignore_errors=True)
        self._url = f"http://{HOST}:{port}"
        self._wall_minus_run_s = self._wall_now_minus_run_s()
        held.release()
        with (self._folder / "prometheus.log").open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    ["nice", "-n", "10", *command(self._program, config, data, port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, RUN_LABEL: self._run_id},
                    start_new_session=True,  # a Ctrl-C at the terminal must not reach it
                )
            except OSError as error:
                log.write(f"{self._program} was not started: {error}\n".encode())

    def keep(self) -> None:
        """Write down what it saw, once. Takes a few seconds at most, and raises nothing that a run should end for."""
        if self._process is None or self._kept:
            return
        self._kept = True
        # Half a second to import, of which a run has time in its warm-up: see session._import_ahead.
        from harness.monitor.reader import MonitorError, PrometheusReader

        reader = PrometheusReader(self._url, ANSWER_WITHIN_S)
        begin_s, end_s = self._wall_minus_run_s, self._clock.wall_s()
        until_s = self._clock.now() + READ_WITHIN_S
        found: list[Series] = []
        missing: dict[str, str] = {}
        for name, query in queries("target").items():
            if self._clock.now() > until_s:
                missing[name] = f"not read within {READ_WITHIN_S:g} s"
                continue
            try:
                rows = [row for row in reader.range(query, begin_s, end_s, SCRAPE_EVERY_S) if row.at_s]
            except MonitorError as error:
                missing[name] = str(error)
                continue
            if not rows:
                missing[name] = "no sample"
            found += [Series(name, row.labels, tuple(at - begin_s for at in row.at_s), row.value) for row in rows]
        reader.close()
        head = {
            "source": "prometheus",
            "every_s": SCRAPE_EVERY_S,
            "from_s": 0.0,
            "to_s": round(end_s - begin_s, 3),
            "wall_clock_moved_s": round(self._wall_now_minus_run_s() - self._wall_minus_run_s, 3),
            "missing": missing,
            "warnings": reader.warnings,
        }
        write_metrics(self._folder / METRICS, head, found)

    def end(self) -> None:
        """Stop it and remove its data. Safe to call at any time, and twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._held is not None:
            self._held.forget()
        shutil.rmtree(self._folder / "prometheus", ignore_errors=True)

    def _wall_now_minus_run_s(self) -> float:
        """Wall time at the run's origin, by the clocks as they are now."""
        return self._clock.wall_s() - (self._clock.now() - self._origin_s)
