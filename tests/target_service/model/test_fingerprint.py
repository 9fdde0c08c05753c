"""The fingerprint sees what golden answers do not."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_service.model.fingerprint import (
    FINGERPRINT,
    TOLERANCE,
    Fingerprint,
    KnownText,
    deviation,
    read_fingerprint,
    token_logprobs,
)
from target_service.model.golden import GOLDEN, read_golden
from target_service.model.loading import BadModelError, Loaded, LoadOptions, load
from target_service.model.publish import write_json


def test_a_distance_is_the_greatest_and_never_hides_what_cannot_be_compared() -> None:
    assert deviation([-1.0, -2.0], [-1.5, -2.25]) == 0.5
    assert deviation([], []) == 0
    assert deviation([-1.0], [-1.0, -1.0]) == math.inf
    assert deviation([-1.0, -1.0], [math.nan, -1.0]) == math.inf


def test_a_fingerprint_survives_its_file(tmp_path: Path) -> None:
    text = KnownText(({"role": "user", "content": "hi"},), "ho", (-0.1234567, -9.0))
    made = Fingerprint("float32", TOLERANCE, (text,))
    assert read_fingerprint(tmp_path / FINGERPRINT) is None
    write_json(tmp_path / FINGERPRINT, made.body())
    assert read_fingerprint(tmp_path / FINGERPRINT) == made
    for broken in ("{", "[]", '{"dtype": "x"}', '{"dtype": "x", "tolerance": 1, "texts": [{}]}'):
        (tmp_path / FINGERPRINT).write_text(broken)
        with pytest.raises(ValueError, match="is not a fingerprint"):
            read_fingerprint(tmp_path / FINGERPRINT)


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> Loaded:
    if not (model_folder / FINGERPRINT).exists():
        pytest.fail(f"{model_folder} has no {FINGERPRINT}; build the model again with `make model`")
    return load(LoadOptions(model_folder, dtype="float32", disable_mmap=True))


@pytest.fixture
def intact(loaded: Loaded) -> Any:
    """Whatever a test does to the parameters is taken back."""
    network = loaded.decoder.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    yield loaded
    network.load_state_dict(before)


def check(model_folder: Path, loaded: Loaded) -> None:
    from target_service.replica.integrity import check_fingerprint

    fingerprint = read_fingerprint(model_folder / FINGERPRINT)
    assert fingerprint is not None
    assert check_fingerprint(loaded, fingerprint)


def golden_is_right(model_folder: Path, loaded: Loaded) -> bool:
    from target_service.replica.integrity import check_answers

    golden = read_golden(model_folder / GOLDEN)
    assert golden is not None
    try:
        check_answers(loaded, golden.prompts)
    except BadModelError:
        return False
    return True


@pytest.mark.model
def test_a_healthy_model_loaded_again_has_the_published_fingerprint(model_folder: Path, loaded: Loaded) -> None:
    check(model_folder, loaded)
    assert golden_is_right(model_folder, loaded)


def _bits(network: Any, n: int, seed: int) -> None:
    """Flip mantissa bits only, so that the damage is small."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    weight = network.model.layers[0].mlp.up_proj.weight.data.view(-1)
    for at in torch.randint(weight.numel(), (n,), generator=draw).tolist():
        (bits,) = struct.unpack("<I", struct.pack("<f", float(weight[at])))
        weight[at] = struct.unpack("<f", struct.pack("<I", bits ^ (1 << 22)))[0]


def _noise(network: Any) -> None:
    import torch

    draw = torch.Generator().manual_seed(1)
    for value in network.parameters():
        value.data += 0.01 * float(value.data.std()) * torch.randn(value.shape, generator=draw)


def _gate_and_up_swapped(network: Any) -> None:
    mlp = network.model.layers[1].mlp
    mlp.gate_proj.weight.data, mlp.up_proj.weight.data = mlp.up_proj.weight.data, mlp.gate_proj.weight.data


SMALL: dict[str, Callable[[Any], None]] = {
    "10 bits": lambda network: _bits(network, 10, 1),
    "100 bits": lambda network: _bits(network, 100, 2),
    "noise of 1 % of the spread": _noise,
    "gate and up swapped": _gate_and_up_swapped,
}


@pytest.mark.model
@pytest.mark.parametrize("damage", SMALL)
def test_damage_that_may_change_no_greedy_answer_changes_the_fingerprint(
    model_folder: Path, intact: Loaded, damage: str
) -> None:
    SMALL[damage](intact.decoder.network)
    with pytest.raises(BadModelError, match=r"fingerprint: log-probabilities of .* are off by .*, more than 0\.0001"):
        check(model_folder, intact)


@pytest.mark.model
def test_there_is_damage_that_every_golden_answer_misses_and_the_fingerprint_sees(
    model_folder: Path, intact: Loaded
) -> None:
    _bits(intact.decoder.network, 10, 1)
    assert golden_is_right(model_folder, intact)
    with pytest.raises(BadModelError, match="fingerprint"):
        check(model_folder, intact)


@pytest.mark.model
def test_a_nan_is_never_within_the_tolerance(model_folder: Path, intact: Loaded) -> None:
    intact.decoder.network.model.norm.weight.data[0] = math.nan
    with pytest.raises(BadModelError, match="off by inf"):
        check(model_folder, intact)


@pytest.mark.model
def test_a_fingerprint_of_another_dtype_is_not_compared(model_folder: Path) -> None:
    from target_service.replica.integrity import check_fingerprint

    half = load(LoadOptions(model_folder, dtype="bfloat16"))
    fingerprint = read_fingerprint(model_folder / FINGERPRINT)
    assert fingerprint is not None
    assert not check_fingerprint(half, fingerprint)


@pytest.mark.model
def test_the_noise_of_another_batch_is_far_below_the_tolerance(model_folder: Path, loaded: Loaded) -> None:
    import torch

    fingerprint = read_fingerprint(model_folder / FINGERPRINT)
    assert fingerprint is not None
    text = fingerprint.texts[0]
    assert deviation(text.logprobs, token_logprobs(loaded.decoder, text.messages, text.answer)) < 1e-6
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        off = deviation(text.logprobs, token_logprobs(loaded.decoder, text.messages, text.answer))
    finally:
        torch.set_num_threads(threads)
    assert off < TOLERANCE / 5


@pytest.mark.model
def test_the_manifest_covers_tokenizer_configuration_and_template(model_folder: Path) -> None:
    files = json.loads((model_folder / "manifest.json").read_text())["files"]
    assert set(files) == {path.name for path in model_folder.iterdir()} - {"manifest.json"}
    assert {"tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json", "chat_template.jinja",
            "model.safetensors", GOLDEN, FINGERPRINT} <= set(files)  # fmt: skip
