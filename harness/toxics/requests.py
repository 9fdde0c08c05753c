"""Where HTTP/1.1 requests begin and end in what a client sends: by Content-Length and chunks, never by timing.

What is not HTTP is passed on as it is, without a bound. A toxic that joins in the middle of a body looks for the next
read that begins like a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.toxics.chunked import Chunked
from harness.toxics.pieces import Piece

__all__ = ["Requests"]

LARGEST_HEAD = 64 * 1024  # bytes
_BEGINS = re.compile(rb"[A-Z]{3,10} [^\s]")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked[ \t]*\r\n", re.IGNORECASE)


class Requests:
    """The place in one connection's stream of requests."""

    __slots__ = ("_chunked", "_head", "_left")

    def __init__(self) -> None:
        self._head: bytearray | None = None  # of the request that has begun and whose head is not complete
        self._left = 0  # bytes of the body
        self._chunked: Chunked | None = None

    def split(self, piece: Piece) -> Iterator[Piece]:
        """Cut at the bounds; `first` and `last` are set on the parts."""
        while len(piece.data):
            begins = self._between()
            if begins and not _BEGINS.match(piece.data):
                yield piece
                return
            if begins:
                self._head = bytearray()
            size = self._advance(bytes(piece.data))
            part = piece.cut(size) if size < len(piece.data) else piece
            part.first = begins
            part.last = self._between()
            yield part
            if part is piece:
                return

    def _between(self) -> bool:
        return self._head is None and not self._left and self._chunked is None

    def _advance(self, data: bytes) -> int:
        """Bytes of `data` that belong to the current request."""
        used = 0
        if self._head is not None:
            used = self._read_head(data)
            if self._head is not None:
                return len(data)
        if self._chunked is not None:
            used += self._chunked.feed(data[used:])
            if self._chunked.over:
                self._chunked = None
            return used
        body = min(self._left, len(data) - used)
        self._left -= body
        return used + body

    def _read_head(self, data: bytes) -> int:
        """Bytes of `data` that belong to the head; when it is complete, what follows is known."""
        assert self._head is not None
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n", max(0, before - 3))
        if end < 0:
            if len(self._head) > LARGEST_HEAD:
                self._head = None  # no HTTP, or none that anyone would accept
            return len(data)
        head = bytes(self._head[: end + 4])
        self._head = None
        if _CHUNKED.search(head):
            self._chunked = Chunked()
        elif length := _LENGTH.search(head):
            self._left = int(length[1])
        return end + 4 - before
