"""One direction of one connection: what the source sends goes through the stages to the destination.

    source -> link > stage > stage > link -> destination

Without a stage, bytes go from socket to socket through one buffer that all links share; nobody looks at them. A
destination that does not take them stops the source from being read.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.toxics.pieces import LARGEST, End, Piece
from harness.toxics.stage import Stage
from harness.toxics.timing import Alarms, now

if TYPE_CHECKING:
    from harness.toxics.connection import Connection
    from harness.toxics.metrics import Counter
    from harness.toxics.toxic import Toxic

__all__ = ["Link"]

_BUFFER = bytearray(256 * 1024)
_VIEW = memoryview(_BUFFER)  # shared: it is empty again before anyone else can run


def _nothing() -> None:
    """For a link that is closed."""


class Link:
    """Both ends of the chain: it reads for the first stage and writes for the last."""

    __slots__ = (
        "alarms", "broken", "connection", "counter", "dest", "ended", "ending", "finished", "loop", "outbox",
        "readable", "reading", "source", "stages",
    )  # fmt: skip

    def __init__(self, connection: Connection, source: socket.socket, dest: socket.socket, counter: Counter) -> None:
        self.connection = connection
        self.loop = connection.loop
        self.alarms: Alarms = connection.alarms
        self.source = source
        self.dest = dest
        self.counter = counter
        self.stages: list[Stage] = []
        self.outbox: deque[bytes | memoryview] | None = None  # what the destination has not taken yet
        self.reading = False
        self.ended = False  # the source will send nothing more
        self.ending = End.NOT  # how to end once the outbox is empty
        self.finished = False  # nothing more will be sent
        self.broken = False  # the destination takes nothing any more
        self.readable: Callable[[], None] = self._reader()

    # from the source

    def pump(self) -> None:
        """Read on, for there is room."""
        if not (self.reading or self.ended):
            self.reading = True
            self.loop.add_reader(self.source.fileno(), self.readable)

    def pause(self) -> None:
        if self.reading:
            self.reading = False
            self.loop.remove_reader(self.source.fileno())

    def _reader(self) -> Callable[[], None]:
        """What is called when the source can be read. What does not change is bound here: it is most of the cost."""
        stages, connection, counter = self.stages, self.connection, self.counter
        receive, send, buffer, view = self.source.recv_into, self.dest.send, _BUFFER, _VIEW

        def readable() -> None:
            if stages or connection.requests is not None:
                self._read_piece()
                return
            try:
                size = receive(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.source_ended(End.RESET if connection.policy.pass_reset else End.CLOSE)
                return
            if not size:
                self.source_ended(End.EOF)
                return
            counter.received += size
            if self.broken:
                return
            try:
                sent = send(view[:size])
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._broke()
                return
            counter.sent += sent
            if sent < size:
                self._wait_for_dest(bytes(view[sent:size]))
                self.pause()

        return readable

    def _read_piece(self) -> None:
        head = self.stages[0] if self.stages else self
        if not head.room():
            self.pause()
            return
        try:
            data = self.source.recv(LARGEST)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.source_ended(End.RESET if self.connection.policy.pass_reset else End.CLOSE)
            return
        if not data:
            self.source_ended(End.EOF)
            return
        self.counter.received += len(data)
        piece = Piece(data, now())
        if self.connection.requests is not None and self is self.connection.up:
            for part in self.connection.requests.split(piece):
                if part.first:
                    self.connection.request_begins()
                self.feed(part)
        else:
            self.feed(piece)

    def feed(self, piece: Piece) -> None:
        """Put a piece at the head of the chain."""
        head = self.stages[0] if self.stages else self
        head.put(piece)
        if not head.room():
            self.pause()

    def source_ended(self, how: End) -> None:
        """The end follows what is under way."""
        if not self.ended:
            self.pause()
            self.ended = True
            self.feed(Piece(b"", now(), how))

    # to the destination

    def room(self) -> bool:
        return not self.outbox

    def put(self, piece: Piece) -> None:
        if piece.end:
            if self.finished and not self.broken:
                return
            self.ending = max(self.ending, piece.end)
            if not self.outbox:
                self._finish()
            return
        if self.broken or self.finished:
            return
        if self.outbox:
            self.outbox.append(piece.data)
            return
        try:
            sent = self.dest.send(piece.data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._broke()
            return
        self.counter.sent += sent
        if sent < len(piece.data):
            self._wait_for_dest(piece.data[sent:])

    def _wait_for_dest(self, rest: bytes | memoryview) -> None:
        self.outbox = deque((rest,))
        self.loop.add_writer(self.dest.fileno(), self._writable)

    def _writable(self) -> None:
        assert self.outbox
        try:
            sent = self.dest.send(self.outbox[0])
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._broke()
            return
        self.counter.sent += sent
        if sent < len(self.outbox[0]):
            self.outbox[0] = self.outbox[0][sent:]
            return
        self.outbox.popleft()
        if self.outbox:
            return
        self._forget_outbox()
        if self.ending:
            self._finish()
        else:
            (self.stages[-1] if self.stages else self).pump()

    def _forget_outbox(self) -> None:
        if self.outbox is not None:
            self.outbox = None
            self.loop.remove_writer(self.dest.fileno())

    def _broke(self) -> None:
        """The destination has gone. What it sent before is still read by the other link, which then ends as well."""
        self._forget_outbox()
        self.broken = True
        self.finished = True
        if self.ending:
            self._finish()
        elif self.connection.running and self.connection.other(self).finished:
            self.connection.close()
        else:
            (self.stages[-1] if self.stages else self).pump()  # what still comes is read and dropped

    def _finish(self) -> None:
        self.finished = True
        self.connection.link_ended(self, self.ending)

    # its stages

    def join(self, stage: Stage) -> None:
        """Append a stage to the chain."""
        stage.after = self
        if self.stages:
            stage.before = self.stages[-1]
            self.stages[-1].after = stage
        self.stages.append(stage)

    def add(self, stage: Stage) -> None:
        """Append a stage while the link runs; the one before it starts anew."""
        last = self.stages[-1] if self.stages else None
        self.join(stage)
        stage.start()
        if last is not None:
            last.restart()

    def change(self, toxic: Toxic) -> None:
        for stage in self.stages:
            if stage.toxic is toxic:
                stage.restart()

    def remove(self, toxic: Toxic) -> None:
        """Take its stage out; what it holds goes on at once."""
        for index, stage in enumerate(self.stages):
            if stage.toxic is toxic:
                if stage.leave() and self.stages:  # none: the connection has ended over it
                    self._take_out(index)
                return

    def _take_out(self, index: int) -> None:
        stages = self.stages
        before = stages[index - 1] if index else None
        after = stages[index + 1] if index + 1 < len(stages) else None
        del stages[index]
        if before is not None:
            before.after = after or self
        if after is not None:
            after.before = before or self
        if before is not None:
            before.restart()
        elif not self.reading and self.connection.running and (after or self).room():
            self.pump()

    def close(self) -> None:
        """Stop everything; the sockets are closed by the connection."""
        self.ended = self.finished = True
        self.stop_io()
        self.readable = _nothing  # it refers to the link, which should go without the collector
        for stage in self.stages:
            stage.closed = True
            stage.inbox.clear()
            stage.cancel()
        self.stages.clear()

    def stop_io(self) -> None:
        self.pause()
        self._forget_outbox()
