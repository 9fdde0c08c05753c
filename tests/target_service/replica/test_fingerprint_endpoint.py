"""POST /fingerprint before an engine without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from target_service.replica import startup
from target_service.replica.startup import LocalModel
from tests.target_service.replica.replica import Replica

TEXT = {"messages": [{"role": "user", "content": "hi"}], "answer": "ho"}


@pytest.fixture
async def replica(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replica]:
    made = Replica()
    decoder = SimpleNamespace(network=SimpleNamespace(dtype="torch.float32"))
    object.__setattr__(made.state.serving, "loaded", LocalModel(cast(Any, SimpleNamespace(decoder=decoder))))
    monkeypatch.setattr(startup, "token_logprobs", lambda _, messages, answer: [-float(len(answer)), -0.5])
    await made.start()
    yield made
    await made.close()


async def test_each_text_gets_its_log_probabilities(replica: Replica) -> None:
    body = {"texts": [TEXT, {**TEXT, "answer": "hello"}]}
    assert await replica.send("POST", "/fingerprint", body) == (
        200, {"dtype": "float32", "logprobs": [[-2.0, -0.5], [-5.0, -0.5]]},
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        [], "x", {}, {"texts": None}, {"texts": []}, {"texts": [TEXT] * 17}, {"texts": [None]}, {"texts": ["x"]},
        {"texts": [{"answer": "x"}]}, {"texts": [{**TEXT, "messages": []}]}, {"texts": [{**TEXT, "answer": 3}]},
        {"texts": [{**TEXT, "answer": "x" * 5000}]}, {"texts": [{**TEXT, "messages": [{"role": "user"}]}]},
        {"texts": [{**TEXT, "messages": [{"role": "user", "content": None}]}]}, {"texts": [{**TEXT, "messages": 4}]},
    ],
)  # fmt: skip
async def test_anything_else_is_a_400(replica: Replica, body: Any) -> None:
    status, reply = await replica.send("POST", "/fingerprint", body)
    assert (status, reply["error"]["param"]) == (400, "texts")


async def test_while_no_model_is_loaded_it_is_a_503(replica: Replica) -> None:
    replica.state.serving = None
    assert (await replica.send("POST", "/fingerprint", {"texts": [TEXT]}))[0] == 503
