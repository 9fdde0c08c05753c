"""Talking to supervisord: XML-RPC over its unix socket."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ALREADY_STARTED", "NOT_RUNNING", "ProgramState", "SupervisorRpc", "SupervisorSilent"]

NOT_RUNNING = 70  # fault codes of Supervisor
ALREADY_STARTED = 60
SHUTTING_DOWN = 6  # whatever it is asked, once it was told to end


class SupervisorSilent(Exception):
    """supervisord did not answer: not up yet, ending, gone, or busy for longer than the time-out."""


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says of a program: STARTING, RUNNING, BACKOFF, STOPPING, STOPPED, EXITED, FATAL or UNKNOWN."""

    program: str
    state: str
    pid: int | None
    exit_status: int | None = None  # of its last process; None: ended by a signal, or none has ended


class SupervisorRpc:
    """Each call opens its own connection, so it can be used from several threads. `timeout_s` is per read."""

    def __init__(self, path: Path, *, timeout_s: float = 1.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def states(self) -> dict[str, ProgramState]:
        """Every program by name."""
        return {row["name"]: _program_state(row) for row in self.call("getAllProcessInfo")}

    def state(self, full_name: str) -> ProgramState:
        """One program, named `group:program`."""
        return _program_state(self.call("getProcessInfo", full_name))

    def call(self, method: str, *arguments: object, timeout_s: float | None = None) -> Any:
        """Raises xmlrpc.client.Fault when supervisord refuses, SupervisorSilent when it does not answer."""
        transport = _UnixTransport(self._path, timeout_s or self._timeout_s)
        try:
            with xmlrpc.client.ServerProxy("http://supervisord", transport=transport) as server:
                return getattr(server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != SHUTTING_DOWN:
                raise
            raise SupervisorSilent(f"supervisord at {self._path} is shutting down") from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise SupervisorSilent(f"supervisord does not answer at {self._path}: {error}") from error


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s

        self._made: _UnixConnection | None = None

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        self.close()
        self._made = _UnixConnection(self._path, self._timeout_s)
        return self._made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
            self._made = None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("supervisord", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


def _program_state(row: dict[str, Any]) -> ProgramState:
    ended = row["exitstatus"] if row["stop"] and row["exitstatus"] >= 0 else None  # -1: by a signal
    return ProgramState(row["name"], row["statename"], row["pid"] or None, ended)
