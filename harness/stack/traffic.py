"""Strangers: clients of the harness's own beside the measured users, as a process that can be ended at any time.

What they open is closed by the kernel when that process ends, so that ending it is the whole inverse; it is found by
a mark in its environment, beside the run's label, also by another process and after a crash.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Protocol, runtime_checkable

from harness.model.errors import StackError
from harness.model.health import Served
from harness.record.clock import Clock
from harness.record.journal import Inverse
from harness.stack.keyed import USER_KEY
from harness.stack.owned import RUN_LABEL, owned_processes, send_signal

__all__ = ["MARK", "HasTraffic", "LocalTraffic", "Strangers", "Traffic", "end_strangers"]

MARK = "RELIABILITY_HARNESS_STRANGERS"
END_S = 5.0


@dataclass(frozen=True)
class Strangers:
    """Who they are: a name that is unique in the run, what they do, and what they ask."""

    name: str
    kind: str  # burst, long_prompt, abandon, retry_storm, idle_connections
    arguments: Mapping[str, int | float]
    messages: tuple[Mapping[str, str], ...]
    max_tokens: int
    model: str | None = None  # which they name; None: none


class Traffic(Protocol):
    """The strangers of a stack that is up."""

    def begin(self, who: Strangers) -> None:
        """Let them come. Raises StackError."""

    def end(self, who: Strangers) -> None:
        """Send them away; does no harm when they have gone. Raises StackError when some are still there."""

    def there(self, who: Strangers) -> bool:
        """Whether they come now, as the operating system says."""

    def inverse(self, who: Strangers) -> Inverse:
        """How another process could send them away."""


@runtime_checkable
class HasTraffic(Protocol):
    """What a stack with the capability `traffic` has beside the rest."""

    @property
    def traffic(self) -> Traffic:
        """Strangers beside the measured users, while the stack is up."""


class LocalTraffic:
    """Strangers as a child process of this host. `key`: what they show, as all users of that target must.

    `ca_file`: certificates that they trust; None: the public authorities'.
    """

    def __init__(
        self, run_id: str, base_url: str, clock: Clock, key: str | None = None, ca_file: str | None = None
    ) -> None:
        self._run_id = run_id
        self._key = {} if key is None else {USER_KEY: key}
        self._base_url = base_url
        self._ca_file = ca_file
        self._clock = clock
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._tallies: dict[str, IO[bytes]] = {}
        self._served: dict[str, Served] = {}

    def begin(self, who: Strangers) -> None:
        said = {"kind": who.kind, "url": self._base_url, "messages": list(who.messages), "max_tokens": who.max_tokens}
        said |= {"model": who.model, "request_id": f"{self._run_id}-{who.name}", "arguments": dict(who.arguments)}
        said |= {"ca_file": self._ca_file}
        environ = {**os.environ, **self._key, RUN_LABEL: self._run_id, MARK: who.name}
        tally = self._tallies[who.name] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `end`
        self._children[who.name] = subprocess.Popen(
            [sys.executable, "-m", "harness.stack.strangers", json.dumps(said)],
            stdin=subprocess.PIPE,  # its end tells them that the harness has died
            stdout=tally,
            stderr=subprocess.DEVNULL,
            env=environ,
        )

    def end(self, who: Strangers) -> None:
        end_strangers(self._run_id, who.name)
        child = self._children.pop(who.name, None)
        if child is not None:
            assert child.stdin is not None
            child.stdin.close()
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired as error:
                raise StackError(f"the strangers of {who.name} did not end within {END_S:g} s") from error
        tally = self._tallies.pop(who.name, None)
        if tally is not None:
            with tally:
                self._served[who.name] = _served(tally)

    def served(self, who: Strangers) -> Served:
        """What became of their requests, once they have been sent away."""
        return self._served.get(who.name, Served())

    def there(self, who: Strangers) -> bool:
        child = self._children.get(who.name)
        return child is not None and child.poll() is None

    def inverse(self, who: Strangers) -> Inverse:
        return Inverse("traffic.end", {"run_id": self._run_id, "name": who.name})


def _served(tally: IO[bytes]) -> Served:
    tally.seek(0)
    said = tally.read()
    return Served(**json.loads(said)) if said else Served()


def end_strangers(run_id: str, name: str) -> None:
    """Kill those of a name, of this run alone; the kernel closes what they had open."""
    for process in owned_processes(run_id, also=f"{MARK}={name}"):
        send_signal(process, signal.SIGKILL, run_id)
