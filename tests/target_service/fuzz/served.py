"""A gateway before a replica without a network, in a loop of their own thread; and a client that sends any bytes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import http_exceptions, web

from target_service.gateway.serving import make_runner
from target_service.gateway.settings import GatewaySettings, ReplicaAddress
from target_service.observability.logs import Logs
from target_service.observability.settings import ObservabilitySettings
from target_service.protocol.web import refuse_odd_expectations
from target_service.replica.app import make_app
from target_service.replica.engine import Engine
from target_service.replica.faults import Faults
from target_service.replica.settings import EngineSettings, HttpSettings
from target_service.replica.state import ReplicaState, Serving
from tests.target_service.replica.spelling import Counting

GOOD = {"messages": [{"role": "user", "content": "right"}], "max_tokens": 50}
GATEWAY = {"breaker_failures": 3, "eject_failures": 3, "retry_share": 0.1, "beat_s": 0.2, "golden_prompts": 1}


def request_bytes(method: str, path: str, body: bytes, *headers: bytes) -> bytes:
    """One well-framed request, whatever is in it."""
    head = [f"{method} {path} HTTP/1.1".encode("utf-8", "surrogateescape"), b"Host: x", *headers]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])


class Reply:
    """Status, headers and body; a body that breaks off raises."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def error(self) -> dict[str, Any]:
        body = json.loads(self.body)
        assert set(body["error"]) == {"message", "type", "param", "code"}
        return cast(dict[str, Any], body["error"])


def exchange(port: int, data: bytes, method: str = "POST", wait_s: float = 10.0) -> Reply | None:
    """Send bytes on a connection of their own; None when the server says nothing that is HTTP, or just closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        try:
            connection.sendall(data)
            return Reply(connection, method)
        except (TimeoutError, ConnectionError, http.client.HTTPException):
            return None


@contextmanager
def good_one_under_way(port: int) -> Iterator[None]:
    """A user's request that is half sent before the block and whole after it, and whose answer must be right."""
    data = request_bytes("POST", "/v1/chat/completions", json.dumps(GOOD).encode(), b"Content-Type: application/json")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data[:60])
        yield
        connection.sendall(data[60:])
        reply = Reply(connection, "POST")
    assert reply.status == 200, reply.body
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "right"


class Complaints(logging.Handler):
    """What the servers found worth a traceback though it was only a bad request."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        # A request that is not HTTP is refused, and logged by aiohttp.
        if not isinstance(error, http_exceptions.HttpProcessingError | web.RequestPayloadError):
            self.seen.append(record.getMessage() + repr(error))


class Served:
    """Both servers."""

    def __init__(self, observability: ObservabilitySettings | None = None) -> None:
        settings = observability or ObservabilitySettings()
        self.logs = {name: Logs(settings, name, ["sesame"]) for name in ("replica-primary", "gateway")}
        self.decoder = Counting()
        self.engine = Engine(self.decoder, EngineSettings(token_cost_s=0, queue_max=100, active_max=8))
        self.engine.start()
        self.state = ReplicaState("primary", "m")
        self.state.serving = Serving(self.engine, cast(Any, SimpleNamespace(versions={})), True, "all is right", 0.1)
        self.complaints = Complaints()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runners: list[web.AppRunner] = []
        app = make_app(self.state, HttpSettings(faults_token="sesame"), Faults(), self.logs["replica-primary"])
        self.replica = self._listen(
            web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        )
        address = ReplicaAddress("primary", f"http://127.0.0.1:{self.replica}")
        gateway = GatewaySettings(0, "127.0.0.1", (address,), observability=settings, **GATEWAY)  # type: ignore[arg-type]
        self.gateway = self._listen(make_runner(gateway, self.logs["gateway"]))
        logging.getLogger().addHandler(self.complaints)

    def _listen(self, runner: web.AppRunner) -> int:
        async def start() -> int:
            await runner.setup()
            refuse_odd_expectations(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return int(runner.addresses[0][1])

        self._runners.append(runner)
        return asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)

    def state_of_gateway(self) -> dict[str, Any]:
        reply = exchange(self.gateway, request_bytes("GET", "/gateway/state", b""), "GET")
        assert reply is not None
        return cast(dict[str, Any], json.loads(reply.body))

    def until_admitted(self) -> None:
        give_up_s = time.monotonic() + 20
        while not self.state_of_gateway()["replicas"]["primary"]["admitted"]:
            assert time.monotonic() < give_up_s
            time.sleep(0.05)

    def assert_unharmed(self) -> None:
        """No replica was blamed, the engine lives, nobody had to be surprised."""
        primary = self.state_of_gateway()["replicas"]["primary"]
        assert primary["admitted"]
        assert (primary["ejected_total"], primary["breaker"]["state"]) == (0, "closed")
        assert not self.engine.died
        seen, self.complaints.seen = self.complaints.seen, []
        assert seen == []

    def close(self) -> None:
        if self._loop.is_closed():
            return
        logging.getLogger().removeHandler(self.complaints)
        for runner in reversed(self._runners):
            with contextlib.suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self.engine.stop()
        for logs in self.logs.values():
            logs.close()
