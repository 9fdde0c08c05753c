"""toxiproxy-python works unmodified. It points every client of the process at one server, so it is restored."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

pytestmark = [pytest.mark.official, pytest.mark.process]


@pytest.fixture
def toxiproxy(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toxiproxy]:
    monkeypatch.setattr(APIConsumer, "host", "127.0.0.1")
    monkeypatch.setattr(APIConsumer, "port", 8474)
    client = Toxiproxy()
    client.update_api_consumer(urlsplit(server_url).hostname, urlsplit(server_url).port)
    yield client
    client.destroy_all()


def test_all_that_the_client_covers(toxiproxy: Toxiproxy) -> None:
    assert toxiproxy.running()
    assert json.loads(toxiproxy.version()) == {"version": "2.12.0"}
    proxy = toxiproxy.create(upstream="127.0.0.1:1", name="p")
    with pytest.raises(ProxyExists):
        toxiproxy.create(upstream="127.0.0.1:1", name="p")
    proxy.add_toxic(type="latency", attributes={"latency": 5, "jitter": 1})
    toxic = proxy.get_toxic("latency_downstream")
    assert (toxic.stream, toxic.toxicity, toxic.attributes) == ("downstream", 1, {"latency": 5, "jitter": 1})
    with pytest.raises(InvalidToxic):
        proxy.add_toxic(type="none")
    proxy.destroy_toxic("latency_downstream")
    assert proxy.toxics() == {}
    host, port = proxy.listen.split(":")
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    socket.create_connection((host, int(port))).close()
    assert toxiproxy.reset()
    assert list(toxiproxy.proxies()) == ["p"]
    toxiproxy.destroy(proxy)
    with pytest.raises(NotFound):
        proxy.destroy()
    assert toxiproxy.get_proxy("p") is None
