"""Which addresses a name has while nobody can say: against a scripted resolver, on a fake clock."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult

from target_service.gateway import names
from target_service.gateway.events import EventLog
from target_service.gateway.names import LastKnown, OwnThreads, StaleRules

UNCLEAR = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NO_SUCH = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class Scripted(AbstractResolver):
    """Answers with `says`: an address, an error, or nothing until `release` is set."""

    def __init__(self) -> None:
        self.says: str | OSError = "10.0.0.1"
        self.silent = False
        self.release = asyncio.Event()
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if self.silent:
            await self.release.wait()
        if isinstance(self.says, OSError):
            raise self.says
        return [ResolveResult(hostname=host, host=self.says, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        self.release.set()


class Bench:
    """The names under test, with everything that a test turns."""

    def __init__(self, stale_s: float = 60.0, wait_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.inner = Scripted()
        self.events = EventLog(lambda: self.now_s)
        self.names = LastKnown(self.inner, StaleRules(stale_s, wait_s), self.events, lambda: self.now_s)

    async def address(self, host: str = "primary", port: int = 80) -> str:
        (only,) = await self.names.resolve(host, port)
        assert only["port"] == port
        return only["host"]

    def said(self) -> list[tuple[str, str]]:
        return [(event["kind"], event["host"]) for event in self.events.since(0)]


async def test_the_last_known_address_is_kept_while_the_name_cannot_be_resolved_and_the_next_one_taken() -> None:
    bench = Bench(wait_s=5.0)
    assert await bench.address() == "10.0.0.1"
    bench.inner.says = UNCLEAR
    assert [await bench.address() for _ in range(3)] == ["10.0.0.1"] * 3
    assert bench.said() == [("address_kept", "primary")], "once, not with every beat"
    bench.inner.says = "10.0.0.2"
    assert await bench.address() == "10.0.0.2"
    assert bench.said()[1:] == [("address_resolved_again", "primary")]


async def test_an_address_that_was_seen_too_long_ago_is_not_kept() -> None:
    bench = Bench(stale_s=60.0, wait_s=5.0)
    await bench.address()
    bench.inner.says = UNCLEAR
    bench.now_s = 60.0
    assert await bench.address() == "10.0.0.1"
    bench.now_s = 60.1
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        await bench.address()


async def test_a_name_that_was_never_known_fails_as_the_resolver_says() -> None:
    bench = Bench()
    bench.inner.says = UNCLEAR
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        await bench.address()
    assert bench.said() == []


async def test_a_name_server_that_says_that_there_is_no_such_name_is_believed_for_good() -> None:
    bench = Bench(wait_s=5.0)
    await bench.address()
    bench.inner.says = NO_SUCH
    with pytest.raises(socket.gaierror, match="not known"):
        await bench.address()
    bench.inner.says = UNCLEAR
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        await bench.address()


async def test_a_look_up_that_gets_no_answer_is_made_once_and_its_late_answer_still_counts() -> None:
    bench = Bench(wait_s=5.0)
    await bench.address()
    bench.inner.silent, bench.inner.says = True, "10.0.0.2"
    bench.names._rules = StaleRules(60.0, wait_s=0.0)
    assert [await bench.address() for _ in range(3)] == ["10.0.0.1"] * 3
    assert bench.inner.asked == 2
    bench.inner.release.set()
    await asyncio.gather(*bench.names._under_way.values())
    bench.inner.says = UNCLEAR
    bench.inner.silent = False
    bench.names._rules = StaleRules(60.0, wait_s=5.0)
    assert await bench.address() == "10.0.0.2"


async def test_the_ports_of_one_host_are_two_names() -> None:
    bench = Bench(wait_s=5.0)
    assert await bench.address(port=1) == "10.0.0.1"
    bench.inner.says = UNCLEAR
    assert await bench.address(port=1) == "10.0.0.1"
    with pytest.raises(socket.gaierror):
        await bench.address(port=2)


async def test_no_more_names_are_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "NAMES_MAX", 2)
    bench = Bench(wait_s=5.0)
    for host in ("a", "b", "a", "c"):
        await bench.address(host)
    bench.inner.says = UNCLEAR
    assert await bench.address("a") == await bench.address("c") == "10.0.0.1"
    with pytest.raises(socket.gaierror):
        await bench.address("b")


async def test_closing_gives_up_what_is_being_looked_up() -> None:
    bench = Bench()
    bench.inner.silent = True
    asking = asyncio.create_task(bench.address())
    while not bench.inner.asked:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await bench.names.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not bench.names._under_way


async def test_a_name_has_all_its_addresses_as_numbers_and_one_that_is_none_is_no_such_name() -> None:
    (found,) = await OwnThreads().resolve("localhost", 80, socket.AF_INET)
    assert (found["hostname"], found["host"], found["port"]) == ("localhost", "127.0.0.1", 80)
    for none in ("a" * 64 + ".test", ".."):
        with pytest.raises(socket.gaierror) as error:
            await OwnThreads().resolve(none)
        assert error.value.errno in names.NO_SUCH_NAME


def test_look_ups_that_get_no_answer_hold_up_no_connection_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, held = threading.Event(), []

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        held.append(threading.current_thread())
        answers.wait(30)
        raise UNCLEAR

    async def connected_while_names_hang() -> None:
        resolver = OwnThreads()
        asking = [asyncio.create_task(resolver.resolve(f"{number}.test")) for number in range(names.LOOKUPS_MAX + 2)]
        async with asyncio.timeout(20):
            while len(held) < names.LOOKUPS_MAX:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
            with socket.socket() as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, server.sockets[0].getsockname())
            server.close()
        assert len(held) == names.LOOKUPS_MAX, "as many at a time as may be"
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the gateway runs
            runner.run(connected_while_names_hang())
        assert all(thread.daemon and thread.is_alive() for thread in held[: names.LOOKUPS_MAX])
    finally:
        answers.set()
        for thread in held:
            thread.join()
