"""A container's health check."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from target_service.healthcheck import healthy
from tests.answering import answering


@pytest.fixture
def url() -> Iterator[str]:
    """Answers with the status that the path names."""
    with answering(lambda _, path, __: (int(path.strip("/")), {})) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False), (404, False), (204, False)])
def test_only_a_200_is_healthy(url: str, status: int, well: bool) -> None:
    assert healthy(f"{url}/{status}") is well


def test_a_server_that_accepts_and_never_answers_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert not healthy(f"http://127.0.0.1:{listening.getsockname()[1]}/", within_s=0.05)


def test_where_nobody_listens_nothing_is_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert not healthy(f"http://127.0.0.1:{port}/")
