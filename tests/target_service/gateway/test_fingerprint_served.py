"""Re-admission after a fingerprint: what golden answers let through, and what is not compared at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from target_service.gateway.protection import PROTECTIONS
from target_service.gateway.settings import GatewaySettings
from target_service.model.fingerprint import FINGERPRINT, Fingerprint, KnownText
from target_service.model.publish import write_json
from tests.target_service.gateway.stub_replicas import gateway_before, pair

RIGHT = (200, {"dtype": "float32", "logprobs": [[-1.0, -2.0]]})
OFF = (200, {"dtype": "float32", "logprobs": [[-1.0, -2.001]]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = KnownText(({"role": "user", "content": "x"},), "positive", (-1.0, -2.0))
    write_json(tmp_path / FINGERPRINT, Fingerprint("float32", 1e-4, (text, text)).body())
    return tmp_path


@pytest.mark.parametrize(
    "said", [RIGHT, (404, {}), (405, {}), (200, {"dtype": "bfloat16", "logprobs": [[-1.0, -2.05]]})]
)
async def test_a_replica_whose_fingerprint_is_right_or_not_comparable_is_admitted(
    folder: Path, said: tuple[int, dict[str, Any]]
) -> None:
    stubs = pair()
    stubs["primary"].fingerprint = said
    async with gateway_before(stubs, folder, fingerprint_texts=1) as stack:
        assert "golden_failed" not in await stack.kinds("primary")


@pytest.mark.parametrize(
    "said", [OFF, (503, {}), (200, {}), (200, {"dtype": "float32", "logprobs": [[-1.0]]}),
             (200, {"dtype": "float32", "logprobs": []}), (200, {"dtype": "float32", "logprobs": [["a", "b"]]})]
)  # fmt: skip
async def test_a_replica_whose_answers_are_right_and_whose_fingerprint_is_not_stays_out(
    folder: Path, said: tuple[int, dict[str, Any]]
) -> None:
    stubs = pair()
    stubs["primary"].ready = False
    stubs["primary"].fingerprint = said
    async with gateway_before(stubs, folder, fingerprint_texts=1) as stack:
        stubs["primary"].ready = True
        await stack.until(lambda state: stubs["primary"].golden_asked >= 6)
        state = await stack.get("/gateway/state")
        assert not state["replicas"]["primary"]["admitted"]
        events = (await stack.get("/gateway/events?since=0"))["events"]
        failed = [event for event in events if event["kind"] == "golden_failed"]
        assert failed[0]["reason"].startswith("fingerprint")
        stubs["primary"].fingerprint = RIGHT
        await stack.until(lambda state: bool(state["replicas"]["primary"]["admitted"]))


async def test_without_the_setting_answers_are_enough(folder: Path) -> None:
    stubs = pair()
    stubs["primary"].fingerprint = OFF
    async with gateway_before(stubs, folder) as stack:
        assert "golden_failed" not in await stack.kinds("primary")


async def test_a_model_without_a_fingerprint_is_compared_by_its_answers(tmp_path: Path) -> None:
    stubs = pair()
    stubs["primary"].fingerprint = OFF
    async with gateway_before(stubs, tmp_path, fingerprint_texts=2) as stack:
        assert "golden_failed" not in await stack.kinds("primary")


def test_it_is_off_by_default_and_on_when_hardened() -> None:
    assert GatewaySettings.fingerprint_texts == 0
    assert [PROTECTIONS[name].get("fingerprint_texts") for name in ("fragile", "default", "hardened")] == [0, None, 2]
