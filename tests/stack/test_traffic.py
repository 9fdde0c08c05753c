"""Strangers as real processes: what they send, and that nothing of them is left."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from harness.faults.inverse import carry_out
from harness.record.clock import SystemClock
from harness.stack.owned import owned_processes
from harness.stack.strangers import address, request_of
from harness.stack.traffic import LocalTraffic, Strangers
from tests.openai_server import Switches, serving

pytestmark = pytest.mark.process
RUN = "traffic-test"
WITHIN_S = 15.0


class Server:
    """Counts connections and requests; answers 503 to each request."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.heads: list[bytes] = []
        self.open: set[socket.socket] = set()
        self.peak = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def close(self) -> None:
        self.listener.close()
        for one in list(self.open):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.open.add(connection)
                self.peak = max(self.peak, len(self.open))
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            data = connection.recv(1 << 20)
            if data:
                self.heads.append(data)
                connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.close()
        self.open.discard(connection)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def strangers(kind: str, arguments: Mapping[str, int | float]) -> Strangers:
    return Strangers(f"1-0-{kind}", kind, arguments, ({"role": "user", "content": "Say hello."},), 8)


def until(what: str, found: object) -> None:
    begin = time.monotonic()
    while not found():  # type: ignore[operator]
        assert time.monotonic() - begin < WITHIN_S, what
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("kind", "arguments", "requests"),
    [
        ("burst", {"rate_per_s": 100}, 50),
        ("long_prompt", {"rate_per_s": 50, "words": 300}, 10),
        ("abandon", {"rate_per_s": 50, "after_s": 0.2, "output_tokens": 99}, 10),
        ("retry_storm", {"clients": 5, "patience_s": 0.5, "output_tokens": 9}, 50),
    ],
)
def test_strangers_come_and_nothing_of_them_is_left(
    server: Server, kind: str, arguments: Mapping[str, int | float], requests: int
) -> None:
    traffic, who = LocalTraffic(RUN, server.url, SystemClock()), strangers(kind, arguments)
    traffic.begin(who)
    try:
        until("too few came", lambda: len(server.heads) >= requests)
        assert traffic.there(who)
    finally:
        traffic.end(who)
    assert not traffic.there(who)
    assert list(owned_processes(RUN)) == []
    until("connections are left", lambda: not server.open)
    body = json.loads(server.heads[0].partition(b"\r\n\r\n")[2])
    assert b"X-Request-Id: traffic-test-1-0-" in server.heads[0]
    assert len(body["messages"][-1]["content"].split()) == arguments.get("words", 2)
    assert body["max_tokens"] == arguments.get("output_tokens", 8)
    traffic.end(who)  # a second time does no harm


def test_idle_connections_say_nothing_and_end_with_their_process(server: Server) -> None:
    traffic, who = LocalTraffic(RUN, server.url, SystemClock()), strangers("idle_connections", {"connections": 120})
    traffic.begin(who)
    try:
        until("too few connections", lambda: len(server.open) == 120)
    finally:
        carry_out(traffic.inverse(who))  # as another process would, after a crash
    until("connections are left", lambda: not server.open)
    assert server.heads == []
    traffic.end(who)


def test_an_inverse_ends_only_strangers_of_its_own_name(server: Server) -> None:
    traffic = LocalTraffic(RUN, server.url, SystemClock())
    one = strangers("burst", {"rate_per_s": 5})
    other = strangers("idle_connections", {"connections": 3})
    traffic.begin(one)
    traffic.begin(other)
    try:
        until("they never came", lambda: len(server.open) >= 3 and server.heads)
        carry_out(traffic.inverse(one))
        until("the first is still there", lambda: not traffic.there(one))
        assert traffic.there(other)
    finally:
        traffic.end(one)
        traffic.end(other)


def test_strangers_end_when_whoever_called_them_is_killed(server: Server) -> None:
    code = (
        "import sys, time\nfrom harness.record.clock import SystemClock\n"
        "from harness.stack.traffic import LocalTraffic, Strangers\n"
        "who = Strangers('orphan', 'idle_connections', {'connections': 5}, ({'role': 'user', 'content': 'x'},), 1)\n"
        "LocalTraffic(sys.argv[1], sys.argv[2], SystemClock()).begin(who)\nprint('begun', flush=True)\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, f"{RUN}-orphan", server.url]
    caller = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert caller.stdout is not None and caller.stdout.readline() == b"begun\n"
    until("they never came", lambda: len(server.open) == 5)
    caller.kill()
    caller.wait()
    caller.stdout.close()
    until("they outlived their caller", lambda: not list(owned_processes(f"{RUN}-orphan")))


def test_a_target_that_is_not_there_does_not_end_the_strangers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    traffic, who = LocalTraffic(RUN, url, SystemClock()), strangers("retry_storm", {"clients": 2, "patience_s": 0.1})
    traffic.begin(who)
    try:
        time.sleep(0.5)
        assert traffic.there(who)
    finally:
        traffic.end(who)


def test_what_strangers_were_answered_is_counted_though_they_are_killed(server: Server) -> None:
    traffic, who = LocalTraffic(RUN, server.url, SystemClock()), strangers("burst", {"rate_per_s": 100})
    traffic.begin(who)
    try:
        until("too few came", lambda: len(server.heads) >= 20)
    finally:
        traffic.end(who)
    found = traffic.served(who)
    assert found.asked >= 20 and found.served == 0 and found.first_refusal == "status 503"
    assert 0 <= found.under_way < found.asked and found.share == 0


def test_strangers_that_reach_nobody_say_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    traffic, who = LocalTraffic(RUN, url, SystemClock()), strangers("burst", {"rate_per_s": 50})
    traffic.begin(who)
    tally = traffic._tallies[who.name].fileno()
    try:
        until("nobody came", lambda: b"refused" in os.pread(tally, 512, 0).rpartition(b"first_refusal")[2])
    finally:
        traffic.end(who)
    assert traffic.served(who).first_refusal == "the connection was refused"


def test_strangers_that_never_came_were_answered_nothing() -> None:
    found = LocalTraffic(RUN, "http://127.0.0.1:1", SystemClock()).served(strangers("burst", {"rate_per_s": 1}))
    assert (found.asked, found.served, found.share) == (0, 0, None)


@pytest.mark.parametrize("trusted", [True, False])
def test_strangers_speak_tls_and_trust_what_they_are_told_to(
    own_authority: tuple[Path, ssl.SSLContext], trusted: bool
) -> None:
    certificate, context = own_authority
    switches = Switches()
    with serving(switches, context) as url:
        traffic = LocalTraffic(RUN, url, SystemClock(), ca_file=str(certificate) if trusted else None)
        who = strangers("burst", {"rate_per_s": 50})
        traffic.begin(who)
        tally = traffic._tallies[who.name].fileno()
        try:
            wanted = rb'"served": [1-9]' if trusted else b"certificate"
            until("nobody came", lambda: re.search(wanted, os.pread(tally, 512, 0)))
        finally:
            traffic.end(who)
    found = traffic.served(who)
    assert bool(found.served) == bool(switches.bodies) == trusted
    assert found.first_refusal.startswith("" if trusted else "its certificate is not trusted (")
    assert not (trusted and found.first_refusal)


def test_idle_connections_over_tls_are_connections(own_authority: tuple[Path, ssl.SSLContext]) -> None:
    certificate, context = own_authority
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        traffic, who = (
            LocalTraffic(RUN, url, SystemClock(), ca_file=str(certificate)),
            strangers("idle_connections", {"connections": 1}),
        )
        listener.settimeout(WITHIN_S)
        traffic.begin(who)
        try:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as shaken:  # raises if they speak no TLS
                assert shaken.version()
        finally:
            traffic.end(who)


def test_a_url_without_a_port_is_that_of_its_scheme() -> None:
    assert address({"url": "https://[::1]/v1"}) == ("::1", 443)
    assert address({"url": "http://localhost"}) == ("localhost", 80)
    assert address({"url": "http://127.0.0.1:8000/v1"}) == ("127.0.0.1", 8000)


@pytest.mark.parametrize(("named", "said"), [({"model": "tiny"}, "tiny"), ({"model": None}, None), ({}, None)])
def test_strangers_name_a_model_when_they_are_told_one(named: Mapping[str, str | None], said: str | None) -> None:
    order = {"kind": "burst", "url": "http://h:1", "messages": [], "max_tokens": 4, "request_id": "x", "arguments": {}}
    body = json.loads(request_of({**order, **named}).partition(b"\r\n\r\n")[2])
    assert body.get("model") == said and ("model" in body) == (said is not None)


def test_a_request_that_will_be_left_asks_for_a_long_answer_as_a_stream() -> None:
    order = {
        "kind": "abandon",
        "url": "http://127.0.0.1:1/base",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 4,
        "request_id": "x",
        "arguments": {"output_tokens": 400, "after_s": 0.2, "rate_per_s": 1},
    }
    head, _, body = request_of(order).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /base/v1/chat/completions HTTP/1.1\r\n")
    said = json.loads(body)
    assert said["stream"] is True and said["ignore_eos"] is True and said["max_tokens"] == 400
