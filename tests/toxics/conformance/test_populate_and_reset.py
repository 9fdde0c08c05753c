from __future__ import annotations

import socket

import pytest

from tests.toxics.client import Client, connected
from tests.toxics.upstreams import Upstream

pytestmark = pytest.mark.official


def wanted(name: str, upstream: str = "u:1", listen: str = "127.0.0.1:0", **more: object) -> dict[str, object]:
    return {"name": name, "listen": listen, "upstream": upstream, **more}


async def test_populate_creates_all_and_says_so(api: Client) -> None:
    answer = await api.call("POST", "/populate", [wanted("a"), wanted("b", enabled=False)])
    assert (answer.status, answer.type) == (201, "application/json")
    assert [(one["name"], one["enabled"]) for one in answer.json["proxies"]] == [("a", True), ("b", False)]
    assert not answer.text.endswith("\n")


@pytest.mark.parametrize("body", [b"[]", b"null"])
async def test_nothing_to_populate_is_null(api: Client, body: bytes) -> None:
    answer = await api.call("POST", "/populate", body)
    assert (answer.status, answer.text) == (201, '{"proxies":null}')


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{}", "bad request body: "),
        (b"", "bad request body: EOF"),
        (b'[{"name": "a", "upstream": "u:1", "listen": "127.0.0.1:0"}, {}]', "missing required field: name at proxy 2"),
        (b'[{"name": "a"}]', "missing required field: upstream at proxy 1"),
    ],
)
async def test_a_bad_populate_creates_nothing(api: Client, body: bytes, error: str) -> None:
    answer = await api.call("POST", "/populate", body)
    assert (answer.status, answer.type) == (400, "application/json")
    assert answer.json["error"].startswith(error)
    assert (answer.json["status"], answer.json["proxies"]) == (400, None)
    assert not answer.text.endswith("\n")
    assert (await api.call("GET", "/proxies")).text == "{}"


async def test_populate_stops_at_a_port_in_use_and_keeps_what_it_made(api: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = await api.call("POST", "/populate", [wanted("a"), wanted("b", listen=listen), wanted("c")])
    assert answer.status == answer.json["status"] == 500
    assert answer.json["error"] == f"listen tcp {listen}: bind: address already in use"
    assert [one["name"] for one in answer.json["proxies"]] == ["a"]
    assert list((await api.call("GET", "/proxies")).json) == ["a"]


async def test_populate_again_leaves_the_same_proxies_alone(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("noop")
    listen = f"{address[0]}:{address[1]}"
    async with await connected(address) as peer:
        await peer.ask(b"x")
        answer = await api.call("POST", "/populate", [wanted("p", upstream.address, listen, enabled=False)])
        assert answer.status == 201
        assert await peer.ask(b"y") == b"y"
    found = (await api.call("GET", "/proxies/p")).json
    assert (found["enabled"], len(found["toxics"])) == (True, 1)


async def test_populate_replaces_what_differs_and_its_toxics(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("noop")
    async with await connected(address) as peer:
        await peer.ask(b"x")
        await api.call("POST", "/populate", [wanted("p", "u:2", f"{address[0]}:{address[1]}")])
        assert await peer.rest() == b""
    found = (await api.call("GET", "/proxies/p")).json
    assert (found["upstream"], found["toxics"]) == ("u:2", [])


async def test_a_replacement_that_cannot_listen_leaves_the_old_one_disabled(api: Client) -> None:
    await api.proxy("u:1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = await api.call("POST", "/populate", [wanted("p", "u:1", listen)])
    assert answer.status == 500
    found = (await api.call("GET", "/proxies/p")).json
    assert (found["enabled"], found["upstream"]) == (False, "u:1")


async def test_of_two_with_one_name_the_second_replaces_the_first(api: Client) -> None:
    answer = await api.call("POST", "/populate", [wanted("a", "u:1"), wanted("a", "u:2")])
    assert [(one["upstream"], one["enabled"]) for one in answer.json["proxies"]] == [("u:1", False), ("u:2", True)]
    assert (await api.call("GET", "/proxies/a")).json["upstream"] == "u:2"


async def test_reset_enables_all_and_removes_toxics(api: Client, upstream: Upstream) -> None:
    await api.proxy(upstream.address, name="a", enabled=False)
    address = await api.proxy(upstream.address, name="b")
    await api.toxic("latency", proxy="b", latency=5)
    async with await connected(address) as peer:
        await peer.ask(b"x")
        answer = await api.call("POST", "/reset", b"whatever")
        assert (answer.status, answer.text) == (204, "")
        assert await peer.ask(b"y") == b"y"
    found = (await api.call("GET", "/proxies")).json
    assert {name: (one["enabled"], one["toxics"]) for name, one in found.items()} == {"a": (True, []), "b": (True, [])}


async def test_reset_ends_connections_with_a_timeout_toxic(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    async with await connected(address) as peer:
        await peer.ask(b"x")
        await api.toxic("timeout", toxicity=0)
        await api.call("POST", "/reset")
        assert await peer.rest() == b""


async def test_reset_fails_when_a_disabled_proxy_cannot_start(api: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        await api.call("POST", "/proxies", wanted("p", listen=listen, enabled=False))
        answer = await api.call("POST", "/reset")
    assert answer.error == (500, f"listen tcp {listen}: bind: address already in use")
