"""What flows through a link: pieces of bytes, and last of all how the sender ended."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["LARGEST", "End", "Piece"]

LARGEST = 32 * 1024  # bytes of one piece where toxics are at work, as in the official server


class End(IntEnum):
    """How the bytes end; the order is the strength."""

    NOT = 0
    EOF = 1  # the sender will send no more, but still reads
    CLOSE = 2  # the connection is over; what is under way is delivered first
    RESET = 3  # the connection is over, and the receiver is told so with RST


class Piece:
    """Bytes with the time at which they were read (s, monotonic); or the end, without bytes.

    `first` and `last` mark the bounds of an HTTP request; they are set only where a toxic needs them.
    """

    __slots__ = ("at", "data", "end", "first", "last")

    def __init__(self, data: bytes | memoryview, at: float, end: End = End.NOT) -> None:
        self.data = data
        self.at = at
        self.end = end
        self.first = False
        self.last = False

    def cut(self, size: int) -> Piece:
        """Take the first `size` bytes off as a piece of their own."""
        data = memoryview(self.data)  # of which a slice is no copy
        head = Piece(data[:size], self.at)
        head.first, self.first = self.first, False
        self.data = data[size:]
        return head
