from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from harness.record.clock import SystemClock
from harness.stack.http_get import Answer, get_json, parse_answer

CLOCK = SystemClock()


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Serve one connection with the given function; yields the URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(handle: Callable[[socket.socket], None]) -> str:
        def work() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                handle(connection)

        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/x?y=1"

    yield serve
    for thread in threads:
        thread.join(5)
    listening.close()


def test_a_json_answer_comes_with_its_status(server: Callable[..., str]) -> None:
    url = server(lambda sock: sock.sendall(b'HTTP/1.0 503 No\r\nContent-Length: 8\r\n\r\n{"a": 1}'))
    assert get_json(url, clock=CLOCK, total_s=2) == Answer(503, {"a": 1})


def test_the_total_time_is_limited_even_when_bytes_trickle(server: Callable[..., str]) -> None:
    def trickle(sock: socket.socket) -> None:
        try:
            sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            for _ in range(50):
                sock.sendall(b" ")
                CLOCK.sleep(0.02)
        except OSError:
            pass

    begin_s = CLOCK.now()
    assert get_json(server(trickle), clock=CLOCK, total_s=0.2) is None
    assert CLOCK.now() - begin_s < 0.6


def test_nobody_listening_is_no_answer() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert get_json(f"http://127.0.0.1:{sock.getsockname()[1]}/", clock=CLOCK, total_s=1) is None


@pytest.mark.parametrize(
    ("received", "answer"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}', Answer(200, {"a": 1})),
        (b"HTTP/1.0 404 Not Found\r\n\r\nnope", Answer(404, {})),
        (b"HTTP/1.0 200 OK\r\n\r\n[1]", Answer(200, {})),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1}', None),
        (b"HTTP/1.1 200 OK\r\n", None),
        (b"", None),
        (b"SSH-2.0-x\r\n\r\n", None),
    ],
)
def test_answers_are_read_or_recognised_as_incomplete(received: bytes, answer: Answer | None) -> None:
    assert parse_answer(received) == answer
