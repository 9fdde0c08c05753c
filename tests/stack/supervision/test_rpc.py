"""What supervisord refuses, and what counts as no answer at all."""

from __future__ import annotations

import socketserver
import threading
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.stack.supervision.rpc import NOT_RUNNING, SHUTTING_DOWN, SupervisorRpc, SupervisorSilent


class _Refusing(socketserver.StreamRequestHandler):
    """Answers every call with its server's fault."""

    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.rfile.read(length)
        assert isinstance(self.server, _Server)
        body = xmlrpc.client.dumps(xmlrpc.client.Fault(self.server.code, "REFUSED")).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n")
        self.wfile.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)


class _Server(socketserver.UnixStreamServer):
    code = NOT_RUNNING


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    with _Server(str(tmp_path / "s"), _Refusing) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_refusal_is_a_fault_with_its_code(server: _Server, tmp_path: Path) -> None:
    with pytest.raises(xmlrpc.client.Fault) as refused:
        SupervisorRpc(tmp_path / "s").call("stopProcess", "target:primary")
    assert refused.value.faultCode == NOT_RUNNING


def test_one_that_is_ending_answers_nothing_any_more(server: _Server, tmp_path: Path) -> None:
    server.code = SHUTTING_DOWN
    with pytest.raises(SupervisorSilent, match="shutting down"):
        SupervisorRpc(tmp_path / "s").state("target:primary")


def test_a_socket_that_is_not_there_is_silence_in_words(tmp_path: Path) -> None:
    with pytest.raises(SupervisorSilent, match="does not answer"):
        SupervisorRpc(tmp_path / "s").states()
