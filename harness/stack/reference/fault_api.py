"""Talking to a replica's fault endpoints, past the gateway, with the token that only replicas of this run take."""

from __future__ import annotations

from pathlib import Path

from harness.model.errors import StackError
from harness.record.clock import Clock
from harness.stack.http_get import Answer, send_json
from harness.stack.service import Parameters, ReplicaSilent

__all__ = ["FaultApi"]

HEADER = "X-Fault-Token"
DONE_WITHIN_S = 2.0  # a large leak is touched before the answer
TOLD_WITHIN_S = 0.8  # asked again and again, by who has other things to do


class FaultApi:
    """`token_file` is read at each call: the token is in no record of a run, only where it is."""

    def __init__(self, port: int, token_file: Path, clock: Clock) -> None:
        self._url = f"http://127.0.0.1:{port}/faults"
        self._token_file = token_file
        self._clock = clock

    def begin(self, fault: str, parameters: Parameters) -> None:
        """Raises StackError when it is refused, ReplicaSilent when there is no answer."""
        answer = self._send("POST", f"/{fault}", parameters)
        if answer.status != 200:
            raise StackError(f"{self._url}/{fault}: refused with status {answer.status}: {_words(answer)}")

    def end(self, fault: str) -> None:
        """Safe to call twice. Raises StackError when the fault is still there afterwards."""
        answer = self._send("DELETE", f"/{fault}")
        if answer.status not in (200, 404) or self.has(fault):
            raise StackError(f"{self._url}/{fault}: not ended, status {answer.status}: {_words(answer)}")

    def has(self, fault: str) -> bool:
        """Whether it acts now, as the replica says."""
        return fault in self.active()

    def active(self) -> frozenset[str]:
        """All that act now, as the replica says. Raises StackError."""
        answer = self._send("GET", "")
        active = answer.body.get("active")
        if answer.status != 200 or not isinstance(active, dict):
            raise StackError(f"{self._url}: status {answer.status}: {_words(answer)}")
        return frozenset(active)

    def _send(self, method: str, path: str, body: Parameters | None = None) -> Answer:
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise StackError(f"{self._token_file}: the run's fault token cannot be read: {error.strerror}") from error
        url, headers = f"{self._url}{path}", {HEADER: token}
        limit_s = TOLD_WITHIN_S if method == "GET" else DONE_WITHIN_S
        answer = send_json(method, url, clock=self._clock, total_s=limit_s, headers=headers, body=body)
        if answer is None:
            raise ReplicaSilent(f"{url}: no answer within {limit_s:g} s")
        return answer


def _words(answer: Answer) -> str:
    error = answer.body.get("error")
    return str(error.get("message")) if isinstance(error, dict) else "no reason given"
