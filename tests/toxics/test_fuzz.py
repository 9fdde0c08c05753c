"""Whatever is sent: no crash, no hang, no answer 500 without a sentence, and bytes arrive as they were."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.toxics import go_json
from harness.toxics.kinds.table import KINDS
from harness.toxics.server import Settings, running
from tests.toxics.client import Client, connected
from tests.toxics.upstreams import Upstream

pytestmark = pytest.mark.process  # real sockets and real seconds: not for `make check`

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-3, 200) | st.floats() | st.none() | st.text(max_size=3)
NAMES = sorted({name for kind in KINDS.values() for name in kind.defaults})
TOXIC = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(KINDS)) | st.text(max_size=4)},
    optional={
        "stream": st.sampled_from(["upstream", "downstream", "UPSTREAM", ""]),
        "toxicity": NUMBERS,
        "toxicity_per": st.sampled_from(["request", "connection", "x"]),
        "name": st.text(max_size=5),
        "attributes": st.dictionaries(st.sampled_from(NAMES), NUMBERS, max_size=4) | JSON,
    },
)
LISTEN = ["127.0.0.1:0", "localhost:0", "localhost", "127.0.0.1:x", "127.0.0.1:65536", "[::1", "]", "\x00", "1:2:3"]
PROXY = st.fixed_dictionaries(
    {"name": JSON, "upstream": JSON, "listen": st.sampled_from(LISTEN)},
    optional={"enabled": st.booleans() | JSON},
)
BODIES = st.binary(max_size=40) | (JSON | TOXIC | PROXY | st.lists(PROXY, max_size=2)).map(
    lambda value: json.dumps(value).encode()
)
CALLS = st.tuples(
    st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
    st.sampled_from(
        ["/proxies", "/populate", "/proxies/p", "/proxies/p/toxics", "/proxies/p/toxics/latency_downstream", "/reset"]
    ),
    BODIES,
)
MANY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(st.lists(CALLS, min_size=1, max_size=12))
def test_no_request_body_harms_the_server(calls: list[tuple[str, str, bytes]]) -> None:
    asyncio.run(fuzz_api(calls))


async def fuzz_api(calls: list[tuple[str, str, bytes]]) -> None:
    async with (
        asyncio.timeout(20),
        running(Settings(port=0)) as (_, port),
        Client(f"http://127.0.0.1:{port}") as api,
    ):
        await api.proxy("127.0.0.1:1")
        for method, path, body in calls:
            answer = await api.call(method, path, body)
            assert answer.status in (200, 201, 204, 400, 404, 405, 409, 500), answer
            if answer.status >= 400 and answer.status not in (405,):
                assert answer.json["status"] == answer.status
                assert answer.status != 500 or answer.json["error"].startswith(("listen tcp", "address", "lookup"))
        assert (await api.call("GET", "/version")).status == 200
        assert (await api.call("GET", "/proxies")).status == 200


HARMLESS = st.sampled_from(
    [
        ("noop", {}),
        ("latency", {"latency": 3, "jitter": 3}),
        ("slicer", {"average_size": 700, "size_variation": 500}),
        ("bandwidth", {"rate": 20_000}),
        ("slow_close", {"delay": 5}),
        ("corrupt", {"flips_per_million": 0}),
        ("limit_data", {"bytes": 10**9}),
        ("sse_stall", {"events": 1}),
        ("blackhole", {}),
    ]
)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "change", "remove"]), HARMLESS, st.integers(0, 1)), max_size=12)


@MANY
@given(STEPS, st.integers(1, 400_000))
def test_bytes_arrive_as_they_were_while_toxics_come_and_go(steps: list[Any], size: int) -> None:
    asyncio.run(fuzz_data(steps, size))


async def fuzz_data(steps: list[Any], size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    async with (
        asyncio.timeout(30),
        Upstream() as upstream,
        running(Settings(port=0)) as (proxies, port),
        Client(f"http://127.0.0.1:{port}") as api,
    ):
        async with await connected(await api.proxy(upstream.address)) as peer:
            peer.writer.write(data)
            peer.writer.write_eof()
            reading = asyncio.create_task(peer.reader.read())
            for step, (kind, attributes), direction in steps:
                stream = ("upstream", "downstream")[direction if not kind.startswith("sse") else 1]
                path = f"/proxies/p/toxics/{kind}_{stream}"
                body = {"type": kind, "stream": stream, "attributes": attributes}
                if step == "add":
                    await api.call("POST", "/proxies/p/toxics", body)
                elif step == "change":
                    await api.call("PATCH", path, {"attributes": attributes})
                else:
                    await api.call("DELETE", path)
            await api.call("POST", "/reset")
            assert await reading == data
        await upstream.no_one_left()
        assert not proxies.get("p").connections


@given(st.binary(max_size=60))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(go_json.BadBody):
        go_json.dump(go_json.parse(body)).encode()


def test_deep_nesting_is_refused() -> None:
    for body in (b"[" * 100_000, b'{"a":' * 100_000):
        try:
            go_json.parse(body)
        except go_json.BadBody:
            continue
        raise AssertionError(body[:5])
