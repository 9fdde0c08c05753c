"""Follow a body in chunked transfer coding: where its payload is, and where it ends."""

from __future__ import annotations

__all__ = ["Chunked"]


class Chunked:
    """Fed with raw bytes as they come; `payload` holds the bounds of the payload in what was fed last."""

    __slots__ = ("_left", "_line", "_state", "bounds", "over", "payload")

    def __init__(self) -> None:
        self._state = "size"  # then data, end (its CRLF), trailer
        self._line = b""  # the part of a line that has come
        self._left = 0  # bytes of the chunk
        self.payload: list[tuple[int, int]] = []  # begin and end
        self.bounds: list[int] = []  # where chunks are complete
        self.over = False

    def feed(self, data: bytes) -> int:
        """Bytes of `data` that belong to the body."""
        self.payload, self.bounds = [], []
        at = 0
        while at < len(data) and not self.over:
            if self._state == "data":
                size = min(self._left, len(data) - at)
                self.payload.append((at, at + size))
                at += size
                self._left -= size
                if not self._left:
                    self._state = "end"
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                self._line = (self._line + data[at:])[:4096]
                return len(data)
            line, self._line = (self._line + data[at:newline]).strip(), b""
            at = newline + 1
            self._read_line(line, at)
        return at

    def _read_line(self, line: bytes, at: int) -> None:
        if self._state == "end":
            self._state = "size"
            self.bounds.append(at)
        elif self._state == "trailer":
            self.over = not line
        else:
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError:
                self._left = -1
            if self._left < 0:
                self.over = True  # not chunked after all
            self._state = "data" if self._left > 0 else "trailer"
