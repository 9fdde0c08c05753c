"""The engine's end of the connection: takes requests from the server, runs them, tells what becomes of them.

Three threads beside the engine's: a reader, which also does what a message asks for, the main one, which loads and
then writes, and one for each call that takes long. The reader never waits for the engine.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

from target_service.model.loading import BadModelError
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.engine import Begun, Event, Failed, Finished
from target_service.replica.engine_face import HeldModel, OpenJob
from target_service.replica.faults import Crash, Faults, parse_fault
from target_service.replica.outbox import Outbox
from target_service.replica.settings import ReplicaSettings
from target_service.replica.shared_requests import taken
from target_service.replica.startup import start_serving
from target_service.replica.state import Serving
from target_service.replica.wire import Frames, Status, WireError, encode, event_message, request_from

__all__ = ["EngineEnd", "Start"]

log = logging.getLogger(__name__)

EXIT_BAD_MODEL = 78
BEAT_S = 0.1
GATHER_S = 0.001
UNSENT_MAX = 20_000
READ_BYTES = 256 * 1024
Start = Callable[[ReplicaSettings, Faults], Serving]


@dataclass
class _Open:
    """A request of the server's; `job` None until the engine has taken it."""

    job: OpenJob | None = None


def _recheck(serving: Serving, _: Any) -> None:
    if serving.recheck is None:
        raise BadModelError("check: there is nothing to verify by")
    serving.recheck()


# What the server can ask for, each in a thread of its own; a BadModelError is an answer too.
ANSWERS: dict[str, Callable[[Serving, Any], Any]] = {
    "digests": lambda serving, _: dict(cast(HeldModel, serving.loaded).digests_now()),
    "fingerprint": lambda serving, texts: dict(cast(HeldModel, serving.loaded).fingerprint_now(texts)),
    "recheck": _recheck,
}


class EngineEnd:
    """`run` is the process's main thread; `start` and `end` are for tests."""

    def __init__(
        self,
        connection: socket.socket,
        settings: ReplicaSettings,
        start: Start = start_serving,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._start = start
        self._end = end
        self._faults = Faults()
        self._outbox = Outbox(UNSENT_MAX)
        self._serving: Serving | None = None
        self._open: dict[int, _Open] = {}
        self._submits = 0
        self._server_gone = False

    def run(self) -> int | None:
        """Load, then serve until told to stop; the exit code, or None when the server has gone without a word."""
        threading.Thread(target=self._read, name="read", daemon=True).start()
        try:
            self._serving = serving = self._start(self._settings, self._faults)
        except BadModelError as error:
            return self._refuse(str(error))
        except Exception as error:
            log.exception("loading failed")
            return self._refuse(f"load: {error!r}")
        facts = {
            "verified": serving.verified,
            "note": serving.verified_note,
            "load_s": serving.load_s,
            "versions": dict(serving.loaded.versions),
            "can_recheck": serving.recheck is not None,
        }
        self._outbox.put(["loaded", facts])
        self._write()
        return None if self._server_gone else 0

    def _refuse(self, reason: str) -> int:
        self._outbox.put(["bad", reason])
        self._outbox.close()
        self._write()
        return EXIT_BAD_MODEL

    # -- to the server

    def _write(self) -> None:
        while (batch := self._outbox.take(BEAT_S)) is not None:
            status = self._status()
            try:
                # Behind the events, so that nobody sees an answer whose tokens are not counted yet.
                self._connection.sendall(encode([["status", asdict(status)], *batch]))
            except OSError:
                self._lost_server()
            # The tokens of a round come within a moment of each other: one frame for all of them.
            time.sleep(GATHER_S)

    def _status(self) -> Status:
        if self._serving is None:
            return Status()
        submits, engine = self._submits, self._serving.engine
        return Status(
            waiting=engine.waiting,
            running=engine.running,
            busy=engine.busy,
            died=engine.died,
            tokens_total=engine.tokens_total,
            steps_total=engine.steps_total,
            non_finite_total=engine.nan_guard.non_finite_total,
            submits=submits,
        )

    def _lost_server(self) -> None:
        self._server_gone = True
        self._outbox.close()
        if not self._settings.process.orphan:
            self._end(0)

    # -- from the server

    def _read(self) -> None:
        frames = Frames()
        while True:
            try:
                data = self._connection.recv(READ_BYTES)
            except OSError:
                data = b""
            try:
                messages = frames.feed(data)
            except WireError:
                log.exception("the server does not keep to the protocol")
                break
            if not data:
                break
            for message in messages:
                try:
                    self._take(message)
                except Exception:
                    # One message that cannot be carried out must not end all the others.
                    log.exception("a message of the server failed: %s", message[0])
        if not self._outbox.closed:
            self._lost_server()

    def _take(self, message: list[Any]) -> None:
        match message:
            case ["shared", int(number), str(path)]:
                handed = taken(number, path)
                self._submits += handed is None  # its client has left: it is taken, and there is nothing to do
                self._take(handed or ["cancel", number])
            case ["submit", int(number), dict(body), bool(express)]:
                self._submit(number, body, express=express)
            case ["cancel", int(number)]:
                cancelled = self._open.pop(number, None)
                if cancelled is not None and cancelled.job is not None:
                    cancelled.job.cancelled.set()
            case ["fault", str(name), parameters]:
                self._fault(name, parameters)
            case ["call", int(number), str(what), argument]:
                threading.Thread(target=self._call, args=(number, what, argument), name=what, daemon=True).start()
            case ["collect"]:
                gc.collect()
            case ["stop"]:
                self._stop()
            case _:
                log.error("the server sent what is no message: %s", message[0])

    def _submit(self, number: int, body: dict[str, Any], *, express: bool) -> None:
        opened = self._open[number] = _Open()

        def emit(event: Event) -> None:
            if isinstance(event, Finished | Failed):
                wanted = self._open.pop(number, None) is not None
            else:
                wanted = number in self._open
            if not wanted:
                return  # its client has left, and the engine goes on for nobody
            if isinstance(event, Begun) and opened.job is not None:
                self._outbox.put(["waited", number, float(opened.job.begun_s - opened.job.queued_s)])
            self._outbox.put(event_message(number, event))

        assert self._serving is not None, "a request before the model was loaded"
        try:
            request = request_from(body)
            if not express:
                self._faults.taste(request)
            opened.job = self._serving.engine.submit(request, emit, express=express)
        except RequestRejectedError as rejected:
            emit(Failed(rejected))
        except Exception as error:
            log.exception("a request cannot be submitted")
            emit(Failed(RequestRejectedError(500, f"{type(error).__name__}: {error}", code="engine_error")))
        finally:
            self._submits += not express

    def _fault(self, name: str, parameters: dict[str, Any] | None) -> None:
        if parameters is None:
            self._faults.clear(name)
            return
        fault = parse_fault(name, parameters)
        self._faults.start(name, fault)
        if isinstance(fault, Crash):
            threading.Thread(target=self._crash, args=(fault,), name="crash", daemon=True).start()

    def _crash(self, fault: Crash) -> None:
        time.sleep(fault.after_s)
        if self._faults.active().get("crash") is not None:
            sys.stderr.flush()
            self._end(fault.exit_code)

    def _call(self, number: int, what: str, argument: Any) -> None:
        try:
            if self._serving is None or what not in ANSWERS:
                raise BadModelError(f"{what!r} cannot be asked for")
            self._outbox.put(["result", number, ANSWERS[what](self._serving, argument)])
        except BadModelError as error:
            self._outbox.put(["refused", number, str(error)])
        except Exception as error:
            log.exception("%s failed", what)
            self._outbox.put(["refused", number, f"{what}: {error!r}"])

    def _stop(self) -> None:
        if self._serving is None:
            self._end(0)  # loading cannot be interrupted
            return
        self._serving.engine.stop()
        self._outbox.close()
