"""Send one request and write down how it ended (child only)."""

from __future__ import annotations

import errno
import time
import traceback
from http.client import HTTPException
from typing import Final

from harness.load.answer import Judgement, StreamAnswer, judge_json
from harness.load.bodies import Template, echo_template, templates
from harness.load.exchange import Answer, CutError, Pool, exchange, make_pool
from harness.load.greenlets import Cancelled, DeadlineReached, bounded
from harness.load.log_writer import Ended, LogWriter
from harness.load.schedule import peak_in_flight
from harness.load.spec import LoadSpec
from harness.model.request import Lane, Outcome

__all__ = ["Sender"]

# Faults of this host, not of the target: out of file descriptors, ports or buffers.
_OWN_FAULTS: Final = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}


class _OwnFaultError(Exception):
    """The generator could not send."""


class Sender:
    """Knows how to send every request of a spec."""

    def __init__(self, spec: LoadSpec, log: LogWriter) -> None:
        self._spec = spec
        self._log = log
        self._templates = templates(spec)
        self._echo = echo_template(spec)
        size = peak_in_flight(spec)
        self._target = make_pool(spec.base_url, size, tls=(spec.host, spec.ca_file))
        self._control = make_pool(spec.echo_url, size)

    def send(self, lane: str, index: int, due_s: float) -> None:
        """Send the lane's `index`-th request, due at `due_s`, and return when it has ended."""
        log, until_s = self._log, due_s + self._spec.deadline_s
        template, pool = self._what(lane, index)
        request = template.fill(f"{self._spec.run_id}-{lane[0]}-{index}".encode("latin-1"))
        sent_s = time.monotonic()
        if sent_s >= until_s:
            log.not_sent(lane, index, "the deadline passed before it could be sent")
            return
        log.sent(lane, index, sent_s)  # the intent comes first: a crash of the harness cannot hide a request
        try:
            ended = self._attempts(template, pool, request, until_s)
        except _OwnFaultError as error:
            log.not_sent(lane, index, str(error))
        except Cancelled:
            log.done(lane, index, sent_s, Ended(time.monotonic(), Outcome.IN_FLIGHT_AT_END))
        except Exception as error:  # noqa: BLE001  a mistake in the generator must not look like one of the target
            traceback.print_exc()
            log.not_sent(lane, index, f"error in the load generator: {error!r}")
        else:
            log.done(lane, index, sent_s, ended)

    def _what(self, lane: str, index: int) -> tuple[Template, Pool]:
        if lane == Lane.CONTROL:
            return self._echo, self._control
        arrivals = self._spec.lanes[lane]
        return self._templates[arrivals.task[index]][arrivals.prompt[index]], self._target

    def _attempts(self, template: Template, pool: Pool, request: bytes, until_s: float) -> Ended:
        """As a client with retries does: at once, with the same id; only the last answer counts."""
        attempt = 1
        ended = self._attempt(template, pool, request, until_s)
        while attempt <= self._spec.retries and _worth_a_retry(ended) and time.monotonic() < until_s:
            attempt += 1
            ended = self._attempt(template, pool, request, until_s)
        if attempt > 1:
            ended.detail = f"{ended.detail}, attempts={attempt}" if ended.detail else f"attempts={attempt}"
        return ended

    def _attempt(self, template: Template, pool: Pool, request: bytes, until_s: float) -> Ended:
        answer, body = Answer("POST"), bytearray()
        stream = StreamAnswer(ends_with_done=self._spec.ends_with_done) if template.stream else None

        def on_body(data: bytes, now_s: float) -> None:
            body.extend(data)
            if stream is not None and _is_2xx(answer):
                stream.feed(data, now_s)

        try:
            with bounded(until_s - time.monotonic()):
                exchange(pool, request, answer, on_body)
            judgement = _judge(template, answer, stream, bytes(body))
        except DeadlineReached:
            begun = answer.first_byte_s is not None
            judgement = Judgement(Outcome.DEADLINE_MISSED if begun else Outcome.TIMEOUT)
        except (OSError, CutError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _OWN_FAULTS:
                raise _OwnFaultError(_reason(error)) from error
            begun = answer.first_byte_s is not None
            judgement = Judgement(Outcome.TRUNCATED if begun else Outcome.REFUSED, _reason(error))
        return _ended(answer, stream, judgement)


def _worth_a_retry(ended: Ended) -> bool:
    status = ended.status or 0
    return ended.outcome is Outcome.REFUSED or (
        ended.outcome is Outcome.HTTP_ERROR and (status == 429 or status >= 500)
    )


def _judge(template: Template, answer: Answer, stream: StreamAnswer | None, body: bytes) -> Judgement:
    """Of a complete answer."""
    if not _is_2xx(answer):
        return Judgement(Outcome.HTTP_ERROR)
    if not template.completion:  # the echo server's answer is not a completion
        return Judgement(Outcome.OK)
    return judge_json(body, template.answer) if stream is None else stream.judge(template.answer)


def _ended(answer: Answer, stream: StreamAnswer | None, judgement: Judgement) -> Ended:
    if answer.status is not None and not _is_2xx(answer):  # the status says it, however its body ends
        judgement = Judgement(Outcome.HTTP_ERROR, judgement.detail)
    return Ended(
        done_s=time.monotonic(),
        outcome=judgement.outcome,
        first_byte_s=answer.first_byte_s,
        status=answer.status,
        served_by=answer.header("X-Served-By"),
        first_token_s=stream.first_token_s if stream else None,
        gap_max_s=stream.gap_max_s if stream else None,
        tokens=stream.tokens if stream and stream.tokens else judgement.tokens,
        checked=judgement.checked,
        detail=judgement.detail,
    )


def _is_2xx(answer: Answer) -> bool:
    return answer.status is not None and 200 <= answer.status < 300


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, CutError):
        return "closed"
    if isinstance(error, OSError):
        return name if name != "OSError" else f"OSError {errno.errorcode.get(error.errno or 0, error.errno)}"
    return f"{name}: {error}"
