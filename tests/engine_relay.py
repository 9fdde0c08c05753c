"""Another way to this machine's Docker engine: a port or a socket file behind which is the engine's own socket.

`python -m tests.engine_relay COMMAND...` runs a command in a network of its own with nothing but its loopback address,
on which there is a TCP port that leads to the engine, named by DOCKER_HOST.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

ENGINE = "/var/run/docker.sock"
SET_FLAGS, UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP


class Relay:
    """Carries connections until it is cut; `path`: a socket file instead of a TCP port of the loopback address."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._open: list[socket.socket] = []
        self._listener = self._listen(0)
        self._port = 0 if path else int(self._listener.getsockname()[1])
        self.address = f"unix://{path}" if path else f"tcp://127.0.0.1:{self._port}"
        self._serve()

    def cut(self) -> None:
        """Nothing comes through any more, and nobody listens."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._path is not None:
            self._path.unlink()
        for one in self._open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def mend(self) -> None:
        """At the same address as before."""
        self._listener = self._listen(self._port)
        self._serve()

    def _listen(self, port: int) -> socket.socket:
        if self._path is None:
            return socket.create_server(("127.0.0.1", port))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen()
        return listener

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(ENGINE)
            self._open += [client, engine]
            other = {client: engine, engine: client}
            while other:
                for one in select.select(list(other), [], [])[0]:
                    try:
                        data = one.recv(65536)
                        other[one].sendall(data) if data else other[one].shutdown(socket.SHUT_WR)
                    except OSError:
                        return
                    if not data:
                        other.pop(one)


def main(command: list[str]) -> int:
    """Returns the command's exit code."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", UP))
    relay = Relay()
    done = subprocess.run(command, env={**os.environ, "DOCKER_HOST": relay.address}, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
