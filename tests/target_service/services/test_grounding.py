"""/api/predict of Chord, on a real socket and before an engine that knows what it should see."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from target_service.protocol.chat import Message
from target_service.protocol.errors import RequestRejectedError
from target_service.vision.images import as_png
from tests.target_service.services.service import serving

pytestmark = pytest.mark.process

SMALL = {"min_pixels": 3136, "max_pixels": 3136, "patch_size": 7}


def picture(width: int = 56, height: int = 56) -> str:
    return base64.b64encode(as_png(np.full((height, width, 3), 200, np.uint8))).decode()


def png_head(width: int, height: int) -> str:
    """A PNG that claims a size; a few bytes that would unpack to gigabytes."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, data, b"IEND")]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def sees(messages: Sequence[Message]) -> str:
    assert len(messages[0].images) == 1
    if "break" in messages[0].content:
        raise RequestRejectedError(400, "broken on purpose")
    if "two" in messages[0].content:
        return '[{"bbox_2d": [0, 0, 10, 20]}, {"bbox_2d": [10, 20, 56, 57]}]'
    return "(12,20),(30,40)" if "red" in messages[0].content else "none"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SMALL))
    return tmp_path


async def test_a_prompt_gives_boxes_and_the_images_size(folder: Path) -> None:
    async with serving("chord", folder, sees) as service:
        body = {"image": picture(), "prompt": "Find the red one.", "max_new_tokens": 512}
        answer = {"answer": "(12,20),(30,40)", "finish_reason": "stop"}
        expected = {"boxes": [[12, 20, 30, 40]], "image_size": [56, 56], **answer}
        assert await service.post("/api/predict", body) == (200, expected)
        status, none = await service.post("/api/predict", {**body, "prompt": "Find the blue one."})
        assert (status, none["boxes"]) == (200, [])


async def test_boxes_are_on_the_image_as_it_was_sent_and_inside_it(folder: Path) -> None:
    async with serving("chord", folder, sees) as service:
        _, body = await service.post("/api/predict", {"image": picture(112, 112), "prompt": "two"})
    assert body["boxes"] == [[0, 0, 20, 40], [20, 40, 112, 112]]
    assert body["image_size"] == [112, 112]


async def test_an_answer_that_was_cut_off_says_so(folder: Path) -> None:
    async with serving("chord", folder, sees) as service:
        body = {"image": picture(), "prompt": "red", "max_new_tokens": 5}
        _, answer = await service.post("/api/predict", body)
    assert (answer["boxes"], answer["finish_reason"], answer["answer"]) == ([], "length", "(12,2")


async def test_of_several_prompts_one_that_fails_harms_no_other(folder: Path) -> None:
    async with serving("chord", folder, sees) as service:
        prompts = ["red", "break", "blue"]
        status, body = await service.post("/api/predict", {"image": picture(), "prompt": prompts})
        assert status == 200 and [result["prompt"] for result in body["results"]] == prompts
        assert body["results"][0]["boxes"] == [[12, 20, 30, 40]] and body["results"][2]["boxes"] == []
        assert body["results"][1]["error"]["message"] == "broken on purpose"
        status, body = await service.post("/api/predict", {"image": picture(), "prompt": ["break"]})
        assert (status, body["error"]["message"]) == (400, "broken on purpose")


async def test_of_a_batch_a_broken_image_harms_no_other(folder: Path) -> None:
    good = {"image": picture(), "prompt": "red"}
    bad: list[Any] = [{**good, "image": "!"}, {**good, "image": png_head(40_000, 40_000)}, {**good, "prompt": ""}, 7]
    async with serving("chord", folder, sees) as service:
        status, body = await service.post("/api/predict/batch", {"requests": [good, *bad, good]})
        assert status == 200
        assert [result.get("status", 200) for result in body["results"]] == [200, 422, 413, 422, 422, 200]
        assert body["results"][0] == body["results"][-1] and body["results"][0]["image_size"] == [56, 56]
        status, body = await service.post("/api/predict/batch", {"requests": bad})
        assert status == 422 and len(body["results"]) == 4 and body["error"]["message"]
        assert len(service.decoder.asked) == 2


BAD = {
    "no JSON": (b"{", 400),
    "no object": ([], 422),
    "nothing": ({}, 422),
    "no image": ({"prompt": "red"}, 422),
    "an image of another type": ({"image": 5, "prompt": "red"}, 422),
    "no base64": ({"image": "§§§§", "prompt": "red"}, 422),
    "an empty image": ({"image": "", "prompt": "red"}, 422),
    "a text for an image": ({"image": base64.b64encode(b"hello").decode(), "prompt": "red"}, 422),
    "half an image": ({"image": picture()[:60], "prompt": "red"}, 422),
    "a page that claims a GIF": ({"image": base64.b64encode(b"GIF89a" + bytes(50)).decode(), "prompt": "red"}, 422),
    "a bomb": ({"image": png_head(2000, 2000), "prompt": "red"}, 413),
    "a huge bomb": ({"image": png_head(200_000, 200_000), "prompt": "red"}, 413),
    "a long line": ({"image": png_head(10_000, 1), "prompt": "red"}, 413),
    "too many bytes": ({"image": "A" * (4 * 2**20 - 100), "prompt": "red"}, 413),
    "a body beyond the limit": ({"image": "A" * (5 * 2**20), "prompt": "red"}, 413),
    "an empty prompt": ({"image": picture(), "prompt": " "}, 422),
    "a prompt of another type": ({"image": picture(), "prompt": {}}, 422),
    "no prompts": ({"image": picture(), "prompt": []}, 422),
    "too many prompts": ({"image": picture(), "prompt": ["red"] * 9}, 413),
    "an endless prompt": ({"image": picture(), "prompt": "red" * 2000}, 413),
    "no tokens": ({"image": picture(), "prompt": "red", "max_new_tokens": 0}, 422),
    "true tokens": ({"image": picture(), "prompt": "red", "max_new_tokens": True}, 422),
    "half a token": ({"image": picture(), "prompt": "red", "max_new_tokens": 0.5}, 422),
}


async def test_every_bad_request_is_refused_in_one_sentence_and_never_reaches_the_engine(folder: Path) -> None:
    async with serving("chord", folder, sees) as service:
        for name, (body, expected) in BAD.items():
            status, text = await service.post_text("/api/predict", body)
            assert status == expected, (name, text)
            message = json.loads(text)["error"]["message"]
            assert message.endswith(".") and len(message) < 200, name
        assert service.decoder.asked == []
        assert service.state.counters.open == 0


async def test_a_bad_batch_is_refused_whole(folder: Path) -> None:
    async with serving("chord", folder, sees) as service:
        for body, expected in (({}, 422), ({"requests": []}, 422), ({"requests": [{}] * 33}, 413)):
            assert (await service.post("/api/predict/batch", body))[0] == expected


async def test_a_replica_that_loads_refuses_and_only_chord_grounds(folder: Path) -> None:
    async with serving("chord", folder, sees) as service:
        service.state.serving = None
        assert (await service.post("/api/predict", {}))[0] == 503
    async with serving("all-in-one", folder, sees) as service:
        assert (await service.post("/api/predict", {}))[0] == 404
