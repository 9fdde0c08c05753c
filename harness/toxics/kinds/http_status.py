"""Answer requests with `status` and, if it is above 0, `Retry-After: retry_after` s; the upstream never sees them.

With `"toxicity": 0.3, "toxicity_per": "request"` three requests of ten are answered so. HTTP/1.1 without pipelining.
"""

from __future__ import annotations

import http
from typing import ClassVar

from harness.toxics.draws import Draws
from harness.toxics.link import Link
from harness.toxics.pieces import Piece
from harness.toxics.stage import Stage
from harness.toxics.timing import now
from harness.toxics.toxic import Attributes, Kind, Toxic

__all__ = ["KIND"]

LARGEST_WAIT_S = 10**9


class HttpStatus(Stage):
    """Swallows the request, its body too, then answers: so the connection can be used again."""

    __slots__ = ("answering",)
    discards: ClassVar[bool] = True

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.answering = False  # the request that is under way is ours; one that began before the toxic came is not

    def request_begins(self) -> None:
        super().request_begins()
        self.answering = self.active

    def step(self) -> bool:
        piece = self.inbox[0]
        if piece.end or not self.answering:
            self.pass_on()
            return True
        self.inbox.pop(0)
        if piece.last:
            self.answering = False
            down = self.link.connection.down
            if down is not None and not down.ended:
                down.feed(Piece(self._answer(), now()))
        return True

    def leave(self) -> bool:
        if self.answering:
            self.end()  # half a request is gone
        return super().leave()

    def _answer(self) -> bytes:
        status, wait_s = self.number("status"), self.number("retry_after")
        try:
            phrase = http.HTTPStatus(status).phrase
        except ValueError:
            phrase = "Status"
        body = f'{{"error":{{"message":"{phrase}","code":{status}}}}}'
        lines = [f"HTTP/1.1 {status} {phrase}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        if wait_s > 0:
            lines.append(f"Retry-After: {wait_s}")
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _check(attributes: Attributes) -> str | None:
    if not 400 <= int(attributes["status"]) <= 599:
        return "status must be from 400 to 599"
    return None if 0 <= int(attributes["retry_after"]) <= LARGEST_WAIT_S else "retry_after must be from 0 to 1000000000"


KIND = Kind(
    "http_status",
    HttpStatus,
    {"status": 503, "retry_after": 0},
    _check,
    reads_requests=True,
    only_stream="upstream",
    official=False,
)
