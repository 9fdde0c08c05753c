"""A Prometheus beside the local stack, where its program is installed: a witness of the target's own numbers.

It has the alert rules of `compose/prometheus/rules`, as that of the container stack has. What it saw is kept by
`prometheus_witness.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from harness.monitor.scrape import command, scrape_config
from harness.record.clock import Clock
from harness.stack.base import RunContext
from harness.stack.owned import RUN_LABEL
from harness.stack.ports import HeldPorts
from harness.stack.prometheus_witness import PrometheusWitness
from harness.stack.reference.settings import HOST
from harness.stack.watched import RULES, Watching

__all__ = ["LocalPrometheus", "watching"]


def watching(program: str) -> Watching:
    """For the plan."""
    if program and shutil.which(program):
        return Watching()
    return Watching(
        "install prometheus (Debian: apt-get install prometheus), or name its program in HARNESS_PROMETHEUS"
    )


class LocalPrometheus:
    """Started by `start`, with the run's label, so that it is ended with everything else of the run."""

    def __init__(self, program: str, run: RunContext, clock: Clock) -> None:
        """`program`: its name or path; where it is not installed there is none, and nothing is written down."""
        self._program = shutil.which(program) if program else None
        self._run_id = run.run_id
        self._folder = run.folder / "stack"
        self._clock = clock
        self._origin_s = run.origin_monotonic_s
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._held: HeldPorts | None = None
        self._witness: PrometheusWitness | None = None

    def start(self, sources: Mapping[str, int]) -> None:
        """`sources`: name -> port on this host. Returns at once; what cannot be started is a line in its log."""
        self.end()
        if self._program is None:
            return
        held = self._held = HeldPorts(1)
        port = held.ports[0]
        config, data = self._folder / "prometheus.json", self._folder / "prometheus"
        addresses = {name: f"{HOST}:{port}" for name, port in sources.items()}
        config.write_text(scrape_config(addresses, sorted(RULES.glob("*.yml"))), encoding="utf-8")
        shutil.rmtree(data, ignore_errors=True)
        self.url = f"http://{HOST}:{port}"
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
                return
        self._witness = PrometheusWitness(self.url, self._folder, self._clock, self._origin_s)

    def keep(self) -> None:
        """Write down what it saw, once. Takes a few seconds at most, and raises nothing that a run should end for."""
        if self._witness is not None:
            self._witness.keep()
            self._witness = None

    def end(self) -> None:
        """Stop it and remove its data. Safe to call at any time, and twice."""
        self._witness = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._held is not None:
            self._held.forget()
        shutil.rmtree(self._folder / "prometheus", ignore_errors=True)
