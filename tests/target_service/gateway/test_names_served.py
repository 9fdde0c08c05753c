"""A gateway that loses its name server, with the last known addresses kept and without."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from target_service.gateway import names
from tests.target_service.gateway.stub_replicas import gateway_before, pair

pytestmark = pytest.mark.process

HOSTS = {"primary": "primary.test", "standby": "standby.test"}


class NameServer:
    """What the resolver of this machine says of the replicas' names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.refused = 0
        self._really = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)
        # A connector would ask only every ten seconds.
        monkeypatch.setattr(names, "FRESH_S", 0)

    def getaddrinfo(self, host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in HOSTS.values():
            return self._really(host, *arguments, **options)
        if self.error is not None:
            self.refused += 1
            raise socket.gaierror(self.error, "scripted")
        return self._really("127.0.0.1", *arguments, **options)

    async def refuses(self, times: int) -> None:
        """Wait for that many more questions that got no address."""
        until = self.refused + times
        async with asyncio.timeout(10):
            while self.refused < until:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    return NameServer(monkeypatch)


async def test_without_a_name_server_replicas_that_have_not_moved_are_kept(
    name_server: NameServer, tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, hosts=HOSTS, stale_address_s=60.0) as stack:
        name_server.error = socket.EAI_AGAIN
        await name_server.refuses(20)  # of both: far more than three beats
        state = await stack.get("/gateway/state")
        assert [each["admitted"] for each in state["replicas"].values()] == [True, True]
        assert await stack.served(3) == [(200, "primary")] * 3
        assert "beat_missed" not in await stack.kinds("primary")
        # And what is really down is still seen.
        stack.stubs["primary"].ready = False
        await stack.until(lambda s: s["active"] == "standby")
        assert (await stack.served(1)) == [(200, "standby")]


async def test_without_the_mechanism_a_gateway_loses_all_replicas_with_its_name_server(
    name_server: NameServer, tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, hosts=HOSTS, stale_address_s=0.0) as stack:
        name_server.error = socket.EAI_AGAIN
        await stack.until(lambda s: not any(each["admitted"] for each in s["replicas"].values()))
        assert await stack.served(1) == [(503, None)]


async def test_a_name_that_is_gone_takes_its_replica_with_it(name_server: NameServer, tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, hosts=HOSTS, stale_address_s=60.0) as stack:
        name_server.error = socket.EAI_NONAME
        await stack.until(lambda s: not any(each["admitted"] for each in s["replicas"].values()))
