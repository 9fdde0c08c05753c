"""Where server-sent events end in the bytes of an HTTP answer, chunked or not."""

from __future__ import annotations

import re

from harness.toxics.chunked import Chunked

__all__ = ["Events"]

LARGEST_HEAD = 64 * 1024  # bytes
_STREAM = re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked[ \t]*\r\n", re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/1\.1 1\d\d ")


class Events:
    """One answer, followed as it comes. An event is a block of lines with `data`, up to its empty line."""

    __slots__ = ("_data", "_head", "_head_over", "_line", "chunked", "count", "is_stream")

    def __init__(self) -> None:
        self._head = bytearray()
        self._head_over = False
        self._line = b""
        self._data = False  # the block has a data line
        self.is_stream = False
        self.chunked: Chunked | None = None
        self.count = 0

    def feed(self, data: bytes) -> list[int]:
        """Where in `data` an event ends, just behind its empty line."""
        begin = 0
        while not self._head_over:
            begin += self._read_head(data[begin:])
            if begin >= len(data):
                return []
        if not self.is_stream:
            return []
        if self.chunked is None:
            return self._scan(data, begin, len(data))
        self.chunked.feed(data[begin:])
        ends: list[int] = []
        for first, last in self.chunked.payload:
            ends += self._scan(data, begin + first, begin + last)
        return ends

    def _read_head(self, data: bytes) -> int:
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n", max(0, before - 3))
        if end < 0:
            if len(self._head) > LARGEST_HEAD:
                self._head_over = True  # this is no HTTP
            return len(data)
        head = bytes(self._head[: end + 4])
        if _INTERIM.match(head):
            self._head = bytearray()  # the answer itself is to come
        else:
            self._head_over = True
            self.is_stream = bool(_STREAM.search(head))
            self.chunked = Chunked() if _CHUNKED.search(head) else None
        return end + 4 - before

    def _scan(self, data: bytes, begin: int, end: int) -> list[int]:
        ends = []
        while begin < end:
            newline = data.find(b"\n", begin, end)
            if newline < 0:
                self._line = (self._line + data[begin:end])[:16]
                break
            line = (self._line + data[begin:newline])[:16].rstrip(b"\r")
            self._line = b""
            begin = newline + 1
            if line.startswith(b"data"):
                self._data = True
            elif not line and self._data:
                self._data = False
                self.count += 1
                ends.append(begin)
        return ends
