"""A folder of a published model's name and configuration loads, answers in the right form, and is served unverified."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient

from target_service.vision.images import as_png
from tests.target_service.services.folder import served
from tests.target_service.services.published import FOLDERS, make_folder

pytestmark = pytest.mark.model

HELLO = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 6}
SERVICES = dict(zip(FOLDERS, ("all-in-one", "autoglm", "chord"), strict=True))


@pytest.mark.parametrize("name", FOLDERS)
async def test_a_published_configuration_is_served_unverified(name: str, tmp_path: Path) -> None:
    make_folder(name, tmp_path / name)
    async with served(tmp_path / name) as (client, state):
        assert (state.service, state.model) == (SERVICES[name], name)
        async with client.get("/ready") as response:
            body = await response.json()
            assert response.status == 200 and body["verified"] is None
            assert body["reason"] == "the model folder has no manifest.json"
        async with client.post("/v1/chat/completions", json=HELLO) as response:
            body = await response.json()
            assert response.status == 200 and body["usage"]["completion_tokens"] in range(1, 7)
            assert isinstance(body["choices"][0]["message"]["content"], str)
        await own_endpoint(client, state.service)


async def own_endpoint(client: TestClient[Any, Any], service: str) -> None:
    """What only this service has: random weights say nonsense, so only the form can be right."""
    if service == "all-in-one":
        async with client.post("/predict", json={"features": "a fine film"}) as response:
            body = await response.json()
            assert response.status == 500 and body["error"]["code"] == "no_prediction"
    elif service == "chord":
        image = np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8)
        sent = {"image": base64.b64encode(as_png(image)).decode(), "prompt": "Find it.", "max_new_tokens": 5}
        async with client.post("/api/predict", json=sent) as response:
            body = await response.json()
            assert response.status == 200 and body["image_size"] == [130, 90]
            assert isinstance(body["boxes"], list) and isinstance(body["answer"], str)
        async with client.post("/api/predict", json={**sent, "prompt": "<|image_pad|>"}) as response:
            assert response.status == 400
    else:
        picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
        asked = {"messages": [{"role": "user", "content": picture}]}
        async with client.post("/v1/chat/completions", json=asked) as response:
            assert response.status == 400 and "text only" in (await response.json())["error"]["message"]
