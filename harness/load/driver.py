"""The harness's side of the load: starts the child and its echo server, tells lanes to begin, reads the log."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.load.processes import Helper
from harness.load.progress import Progress
from harness.load.spec import LoadSpec
from harness.record.clock import Clock
from harness.record.request_log import Tail

__all__ = ["LoadDriver"]

_ECHO_END_S = 1.0
_STOP_MARGIN_S = 3.0  # for the child to write its last records and leave


class LoadDriver:
    """Nothing here blocks except `wait_ready`, `stop` and `close`, and these are bounded."""

    def __init__(
        self, spec: LoadSpec, folder: Path, clock: Clock, env: Mapping[str, str], *, keep_s: float = 60.0
    ) -> None:
        self.reason = ""  # why the child is gone, as a sentence
        self._spec = spec
        self._folder = folder
        self._clock = clock
        self._env = env
        self._tail = Tail(Path(spec.log_path))
        self._progress = Progress(keep_s)
        self._echo: Helper | None = None
        self._child: Helper | None = None
        self._ready = False
        self._asked_to_stop = False
        self._stopped = False
        self._done: set[str] = set()

    @property
    def pid(self) -> int | None:
        """The child's process, and the id of its session."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Launch both processes; returns at once. The environment carries the run's label."""
        errors = self._folder / "load.log"
        # The driver opens the echo server's port itself, so that the child can start at the same time.
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            fd, port = listener.fileno(), listener.getsockname()[1]
            self._echo = Helper([sys.executable, "-m", "harness.load.echo", "--fd", str(fd)], self._env, errors, [fd])
        spec = replace(self._spec, echo_url=f"http://127.0.0.1:{port}")
        path = self._folder / "load.json"
        path.write_text(spec.to_json(), encoding="utf-8")
        self._child = Helper([sys.executable, "-m", "harness.load.child", str(path)], self._env, errors)

    def wait_ready(self, deadline_s: float) -> bool:
        """Wait until requests can be sent, until `deadline_s` on the clock. False: too late, or `reason` says why."""
        while not self._ready and (left_s := deadline_s - self._clock.now()) > 0 and self.alive():
            self._listen(min(left_s, 0.1))
        return self._ready

    def begin(self, lane: str, at_monotonic_s: float) -> bool:
        """The lane's schedule counts from `at_monotonic_s`. False: the child is gone."""
        return self._tell({"begin": lane, "at_monotonic_s": at_monotonic_s})

    def end(self, lane: str) -> bool:
        """Send no more of a lane; what is in flight goes on."""
        return self._tell({"end": lane})

    def poll(self) -> Progress:
        """What the log says by now: at most 0.1 s behind."""
        self._listen(0.0)
        return self._progress.add(self._tail.read())

    def alive(self) -> bool:
        """Is the child there? If it left too early, `reason` says what its last words were."""
        if self._child is None or self._stopped:
            return False
        code = self._child.returncode
        if code is None:
            return True
        if not self.reason and not (self._asked_to_stop and code == 0):
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self.reason = f"The load generator {how}; its last words: {self._last_words()}"
        return False

    def lane_done(self, lane: str) -> bool:
        """Has every request of the lane ended?"""
        self._listen(0.0)
        return lane in self._done

    def stop(self, grace_s: float) -> Progress:
        """Stop sending, give requests in flight `grace_s` to end, end both processes; returns the final progress."""
        self._end_child(grace_s)
        self.close()
        return self._progress.add(self._tail.read())

    def _end_child(self, grace_s: float) -> None:
        if self._child is not None and not self._stopped:
            self._asked_to_stop = self._tell({"stop": True, "grace_s": grace_s})
            self._child.wait(grace_s + _STOP_MARGIN_S if self._asked_to_stop else 0.0)
            self._listen(0.0)

    def close(self) -> None:
        """End both processes whatever their state. May be called again."""
        if self._child is not None and not self._stopped:
            self.alive()  # sets the reason when it ended on its own
            self._stopped = True
            self._child.end(0.5)
        if self._echo is not None:
            self._echo.end(_ECHO_END_S)
            self._echo = None

    def _tell(self, message: Mapping[str, object]) -> bool:
        return self._child is not None and not self._stopped and self._child.tell(message)

    def _listen(self, wait_s: float) -> None:
        if self._child is None or self._stopped:
            return
        for message in self._child.messages(wait_s):
            self._hear(message)

    def _hear(self, message: Mapping[str, Any]) -> None:
        self._ready = self._ready or bool(message.get("ready"))
        if "lane_done" in message:
            self._done.add(message["lane_done"])

    def _last_words(self) -> str:
        lines = (self._folder / "load.log").read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "none.")
