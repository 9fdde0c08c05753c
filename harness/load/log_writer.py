"""Write the load child's log: lines are kept for at most 100 ms and then written whole, so a SIGKILL loses no more."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from harness.model.request import Outcome

__all__ = ["Ended", "LogWriter"]


@dataclass(slots=True)
class Ended:
    """How a request ended. Times are seconds on the monotonic clock."""

    done_s: float
    outcome: Outcome
    first_byte_s: float | None = None
    status: int | None = None
    served_by: str | None = None
    first_token_s: float | None = None
    gap_max_s: float | None = None
    tokens: int | None = None
    checked: bool = False
    detail: str | None = None


class LogWriter:
    """Formats records by hand: at 2,000 lines a second json.dumps would cost a tenth of a core."""

    def __init__(self, path: Path, origin_monotonic_s: float) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._origin_s = origin_monotonic_s
        self._lines: list[str] = []

    def began(self, lane: str, at_s: float) -> None:
        """A lane's schedule counts from `at_s`."""
        self._lines.append(f'["b","{lane}",{self._us(at_s)}]\n')

    def sent(self, lane: str, index: int, sent_s: float) -> None:
        """A request is about to be sent."""
        self._lines.append(f'["s","{lane}",{index},{self._us(sent_s)}]\n')

    def not_sent(self, lane: str, index: int, reason: str) -> None:
        """The generator could not send a request."""
        self._lines.append(f'["n","{lane}",{index},{json.dumps(reason)}]\n')

    def done(self, lane: str, index: int, sent_s: float, ended: Ended) -> None:
        """A request's end; time to first token is written as a duration from sending."""
        first_byte = "null" if ended.first_byte_s is None else self._us(ended.first_byte_s)
        ttft = "null" if ended.first_token_s is None else round((ended.first_token_s - sent_s) * 1e6)
        gap = "null" if ended.gap_max_s is None else round(ended.gap_max_s * 1e6)
        self._lines.append(
            f'["d","{lane}",{index},{self._us(sent_s)},{first_byte},{self._us(ended.done_s)},"{ended.outcome.value}",'
            f"{_or_null(ended.status)},{_quoted(ended.served_by)},{ttft},{gap},{_or_null(ended.tokens)},"
            f"{int(ended.checked)},{_quoted(ended.detail)}]\n"
        )

    def stopped(self) -> None:
        """The run ended in good order."""
        self._lines.append('["e","stopped"]\n')

    def flush(self) -> None:
        """One write of whole lines: a reader sees at most one torn line, the last."""
        if not self._lines:
            return
        data = "".join(self._lines).encode()
        self._lines.clear()
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        os.close(self._fd)

    def _us(self, monotonic_s: float) -> int:
        return round((monotonic_s - self._origin_s) * 1e6)


def _or_null(value: int | None) -> int | str:
    return "null" if value is None else value


def _quoted(text: str | None) -> str:
    return "null" if text is None else json.dumps(text)
