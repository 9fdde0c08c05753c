"""The trained grounding model, through the service that serves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_service.vision.build import held_out, shares_of
from tests.target_service.services.folder import served

pytestmark = pytest.mark.model

# Not the seed by which the builder judged: these images neither taught nor chose the model.
SEED = 1234
IMAGES = 300


async def test_on_held_out_images_it_finds_what_is_there_and_nothing_else(chord_folder: Path) -> None:
    asked = held_out(SEED, IMAGES)
    answers: list[list[list[float]]] = []
    async with served(chord_folder) as (client, _):
        for at in range(0, IMAGES, 30):
            entries = [{"image": each.png, "prompt": each.question.text} for each in asked[at : at + 30]]
            async with client.post("/api/predict/batch", json={"requests": entries}) as response:
                assert response.status == 200
                answers += [result["boxes"] for result in (await response.json())["results"]]
    shares = shares_of(asked, answers)
    print(shares)
    assert shares.present_n >= 150 and shares.absent_n >= 100
    assert shares.iou_share >= 0.80
    assert shares.absent_share >= 0.95


async def test_it_is_verified_by_manifest_parameters_and_golden_images(chord_folder: Path) -> None:
    async with served(chord_folder) as (client, state):
        assert state.service == "chord"
        async with client.get("/ready") as response:
            body = await response.json()
        assert (response.status, body["verified"]) == (200, True)


async def test_a_golden_image_is_asked_through_v1_as_a_gateway_does(chord_folder: Path) -> None:
    from target_service.model.golden import GOLDEN, read_golden

    golden = read_golden(chord_folder / GOLDEN)
    assert golden is not None
    async with served(chord_folder) as (client, _):
        for prompt in golden.prompts[::4]:
            async with client.post("/v1/chat/completions", json=prompt.body()) as response:
                body = await response.json()
            assert body["choices"][0]["message"]["content"] == prompt.answer, prompt.question


async def test_images_of_two_users_who_take_turns_are_not_mixed_up(chord_folder: Path) -> None:
    """The network of transformers keeps the last image's positions on itself; ours must not rely on them."""
    asked = held_out(SEED, 12)
    entries = [{"image": each.png, "prompt": each.question.text} for each in asked]
    async with served(chord_folder) as (client, _):
        async with client.post("/api/predict/batch", json={"requests": entries}) as response:
            together = (await response.json())["results"]
        for entry, result in zip(entries, together, strict=True):
            async with client.post("/api/predict", json=entry) as response:
                assert await response.json() == result


def test_a_seed_trains_the_same_network_and_another_seed_another() -> None:
    from dataclasses import replace

    from target_service.model.build import begin_building
    from target_service.model.loading import params_sha256
    from target_service.vision.recipe import ChordRecipe
    from target_service.vision.tokenizer import train_tokenizer
    from target_service.vision.training import train

    begin_building()
    recipe = ChordRecipe(steps=2, batch=4)
    tokenizer = train_tokenizer(recipe.vocabulary)
    told: list[str] = []
    digests = [params_sha256(train(each, tokenizer, told.append)) for each in (recipe, recipe, replace(recipe, seed=8))]
    assert digests[0] == digests[1] != digests[2]
