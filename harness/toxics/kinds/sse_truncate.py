"""Cut a token stream after `events` events. `ending` says how:

`close` (default): FIN behind the last event; `reset`: RST; `finish`: the answer is brought to a proper end, so that
only who looks for the last event misses it (chunked answers only, at a bound of a chunk; others close).
"""

from __future__ import annotations

from harness.toxics.draws import Draws
from harness.toxics.events import Events
from harness.toxics.link import Link
from harness.toxics.pieces import End, Piece
from harness.toxics.stage import Stage
from harness.toxics.toxic import Attributes, Kind, Toxic

__all__ = ["KIND"]

ENDINGS = {"close": End.CLOSE, "reset": End.RESET, "finish": End.NOT}
LAST_CHUNK = b"0\r\n\r\n"


class SseTruncate(Stage):
    """Counts anew for each answer."""

    __slots__ = ("cut_after", "events")

    def __init__(self, toxic: Toxic, link: Link, draws: Draws) -> None:
        super().__init__(toxic, link, draws)
        self.events = Events()
        self.cut_after = False  # the answer was finished here: the rest of it is dropped

    def request_begins(self) -> None:
        super().request_begins()
        self.events = Events()
        self.cut_after = False

    def step(self) -> bool:
        piece = self.inbox[0]
        if piece.end:
            self.pass_on()
            return True
        if self.cut_after:
            self._drop(bytes(self.inbox.pop(0).data))
            return True
        limit, before = self.number("events"), self.events.count
        ends = self.events.feed(bytes(piece.data))
        if not self.events.is_stream or before + len(ends) < limit:
            self.pass_on()
            return True
        self._cut(piece, ends[limit - before - 1] if 0 < limit - before <= len(ends) else self._body(ends, piece))
        return True

    def leave(self) -> bool:
        if self.cut_after:
            self.end()  # the rest of the answer must not follow its end
        return super().leave()

    def _drop(self, data: bytes) -> None:
        assert self.events.chunked is not None
        self.events.chunked.feed(data)
        self.cut_after = not self.events.chunked.over

    def _body(self, ends: list[int], piece: Piece) -> int:
        """Where to cut when no event may pass at all: behind the head."""
        return max(0, bytes(piece.data).find(b"\r\n\r\n") + 4) if b"\r\n\r\n" in bytes(piece.data) else 0

    def _cut(self, piece: Piece, at: int) -> None:
        ending = str(self.toxic.attributes["ending"])
        chunked = self.events.chunked
        if ending == "finish" and chunked is not None:
            self._finish(piece, at)
            return
        if at:
            self.after.put(Piece(piece.data[:at], piece.at))
        self.end(ENDINGS[ending] or End.CLOSE)

    def _finish(self, piece: Piece, at: int) -> None:
        assert self.events.chunked is not None
        bounds = [bound for bound in self.events.chunked.bounds if bound >= at]
        self.inbox.pop(0)
        self.cut_after = True
        self.after.put(Piece(bytes(piece.data[: bounds[0] if bounds else at]) + LAST_CHUNK, piece.at))


def _check(attributes: Attributes) -> str | None:
    if int(attributes["events"]) < 0:
        return "events must not be negative"
    return None if attributes["ending"] in ENDINGS else f"ending is one of {', '.join(ENDINGS)}"


KIND = Kind(
    "sse_truncate",
    SseTruncate,
    {"events": 0, "ending": "close"},
    _check,
    reads_requests=True,
    only_stream="downstream",
    official=False,
)
