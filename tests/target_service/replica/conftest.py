"""An engine with a decoder that needs no network, and a replica's application around one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from target_service.replica.engine import Engine
from tests.target_service.replica.replica import Replica
from tests.target_service.replica.spelling import FAST, Counting


@pytest.fixture
def decoder() -> Counting:
    return Counting()


@pytest.fixture
def engine(decoder: Counting) -> Iterator[Engine]:
    engine = Engine(decoder, FAST)
    engine.start()
    yield engine
    decoder.gate.set()
    engine.stop()


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    replica = Replica()
    await replica.start()
    yield replica
    await replica.close()
