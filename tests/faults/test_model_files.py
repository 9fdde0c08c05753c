"""What each damage of a model does to its files, by hand-made files whose every number is known."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.faults.base import CannotInject, Where
from harness.faults.inverse import carry_out
from harness.faults.model_files import DamageTokenizer, EditConfig, Prune, Quantise, SwapVersion, WriteNan, ZeroBlock
from harness.faults.table import activate
from harness.faults.tensors import NotSafetensors, prune, quantise, read_tensors, redraw
from harness.model.weights_faults import (
    WeightsConfig,
    WeightsNan,
    WeightsPrune,
    WeightsQuantise,
    WeightsSwapVersion,
    WeightsTokenizer,
    WeightsZeroBlock,
)
from harness.record.clock import FakeClock
from harness.stack.base import RunContext, Weights
from harness.stack.fake.stack import FakeStack


@pytest.fixture
def where(tmp_path: Path) -> Where:
    stack = FakeStack(FakeClock(0.0))
    stack.up(RunContext("run", tmp_path, 0.0))
    return Where(stack, "run", tmp_path, "seed/1/0")


def file_of(where: Where, name: str = "model.safetensors") -> Path:
    return where.stack.model_folder("primary") / name


def write(path: Path, *tensors: tuple[str, str, list[int], bytes]) -> Path:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data for *_, data in tensors))
    return path


def numbers(path: Path, at: int = 0) -> np.ndarray[Any, Any]:
    tensor = read_tensors(path)[at]
    return np.frombuffer(path.read_bytes()[tensor.begin : tensor.end], "<f4")


def test_pruning_zeroes_the_smallest_share_and_leaves_the_rest_to_the_bit() -> None:
    values = np.array([0.5, -0.1, 3.0, -2.0, 0.2], dtype=np.float32)
    assert prune(values, 0.4).tolist() == [0.5, 0.0, 3.0, -2.0, 0.0]
    assert np.count_nonzero(prune(values, 0.4)) == 3
    assert np.count_nonzero(prune(values, 1.0)) == 0


def test_quantising_is_symmetric_and_keeps_the_largest() -> None:
    values = np.array([-1.0, -0.4, 0.0, 0.1, 1.0], dtype=np.float32)
    assert quantise(values, 2).tolist() == [-1.0, 0.0, 0.0, 0.0, 1.0]
    assert len(set(quantise(np.linspace(-1, 1, 999, dtype=np.float32), 4).tolist())) == 15
    assert np.abs(quantise(values, 16) - values).max() < 1 / 2**15
    assert quantise(np.zeros(3, dtype=np.float32), 4).tolist() == [0, 0, 0]


def test_other_numbers_have_the_same_spread() -> None:
    values = np.linspace(-1, 3, 10_000, dtype=np.float32)
    other = redraw(values, np.random.default_rng(1))
    assert (abs(other.mean() - 1) < 0.05, abs(other.std() / values.std() - 1) < 0.05) == (True, True)
    assert (other != values).all()


def test_tensors_are_found_where_they_lie_whatever_their_type(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.safetensors",
        ("ids", "I64", [1], bytes(8)),
        ("half", "BF16", [2, 2], struct.pack("<4H", 0x3F80, 0xBF80, 0x0001, 0)),
        ("norm", "F32", [2], struct.pack("<2f", 1, 2)),
    )
    found = read_tensors(path)
    assert [(t.name, t.is_matrix, t.size, t.end - t.begin) for t in found] == [
        ("half", True, 4, 8), ("norm", False, 2, 8),
    ]  # fmt: skip
    assert numbers(path, 1).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("content", [b"", b"12345678", (2**60).to_bytes(8, "little") + b"{}", bytes(8) + b"x"])
def test_what_is_no_safetensors_file_cannot_be_damaged_by_tensor(where: Where, content: bytes) -> None:
    file_of(where).write_bytes(content)
    with pytest.raises(NotSafetensors):
        read_tensors(file_of(where))
    with pytest.raises(CannotInject, match="header"):
        Prune(WeightsPrune(), where).prepare()


def test_pruning_leaves_norms_alone_and_brings_half_precision_back_to_the_bit(where: Where) -> None:
    path = write(
        file_of(where),
        ("half", "BF16", [2, 2], struct.pack("<4H", 0x3F80, 0xBF81, 0x3C00, 0x3C01)),
        ("norm", "F32", [2], struct.pack("<2f", 0.001, 2)),
    )
    fault = Prune(WeightsPrune(share=0.5), where)
    fault.prepare()
    fault.apply()
    half = read_tensors(path)[0]
    assert struct.unpack("<4H", path.read_bytes()[half.begin : half.end]) == (0x3F80, 0xBF81, 0, 0)
    assert numbers(path, 1).tolist() == pytest.approx([0.001, 2])


def test_quantised_weights_have_as_many_values_as_their_bits_allow(where: Where) -> None:
    fault = Quantise(WeightsQuantise(bits=3), where)
    fault.prepare()
    fault.apply()
    assert len(set(numbers(file_of(where)).tolist())) <= 7


def test_the_same_damage_twice_is_not_injected(where: Where) -> None:
    first, second = (Quantise(WeightsQuantise(bits=3), where) for _ in range(2))
    first.prepare()
    first.apply()
    second.prepare()
    with pytest.raises(CannotInject, match="this damage was there already"):
        second.apply()


@pytest.mark.parametrize("count", [1, 16])
def test_nan_is_written_at_places_of_the_seed(where: Where, count: int) -> None:
    fault = WriteNan(WeightsNan(count=count), where)
    fault.prepare()
    fault.apply()
    assert 1 <= np.isnan(numbers(file_of(where))).sum() <= count


def test_a_block_of_zeros_is_no_longer_than_said_and_never_in_the_header(where: Where) -> None:
    before = file_of(where).read_bytes()
    fault = ZeroBlock(WeightsZeroBlock(block_bytes=256), where)
    fault.prepare()
    fault.apply()
    after = file_of(where).read_bytes()
    begin = read_tensors(file_of(where))[0].begin
    assert (after[:begin], len(after)) == (before[:begin], len(before))
    changed = [at for at in range(len(after)) if after[at] != before[at]]
    assert 0 < changed[-1] - changed[0] < 256
    file_of(where).write_bytes(before[:begin] + bytes(len(before) - begin))
    with pytest.raises(CannotInject, match="were zero already"):
        fault.apply()


def test_another_version_comes_from_the_seed_or_from_a_file_of_the_same_shapes(where: Where, tmp_path: Path) -> None:
    same = write(tmp_path / "same.safetensors", ("a", "F32", [16, 16], bytes(1024)))
    other = write(tmp_path / "other.safetensors", ("a", "F32", [16, 8], bytes(512)))
    with pytest.raises(CannotInject, match="holds other tensors than"):
        SwapVersion(WeightsSwapVersion(source=str(other)), where).prepare()
    with pytest.raises(CannotInject, match="there is no such file"):
        SwapVersion(WeightsSwapVersion(source="/nowhere"), where).prepare()
    fault = SwapVersion(WeightsSwapVersion(source=str(same)), where)
    inverse = fault.prepare()
    fault.apply()
    assert file_of(where).read_bytes() == same.read_bytes()
    carry_out(inverse)
    drawn = SwapVersion(WeightsSwapVersion(), where)
    before = numbers(file_of(where))
    drawn.prepare()
    drawn.apply()
    assert (numbers(file_of(where)) != before).all()


def test_one_word_of_the_configuration_is_changed_and_only_a_word_becomes_one(where: Where) -> None:
    path = file_of(where, "config.json")
    path.write_text('{"heads": 4, "act": "silu"}')
    fault = EditConfig(WeightsConfig(key="act", to="no_such_gate"), where)
    fault.prepare()
    fault.apply()
    assert json.loads(path.read_text()) == {"heads": 4, "act": "no_such_gate"}
    for key, why in (("heads", "holds no word"), ("x", "no word"), ("act", "no_such_gate already")):
        with pytest.raises(CannotInject, match=why):
            EditConfig(WeightsConfig(key=key, to="no_such_gate"), where).prepare()


def test_one_number_of_the_configuration_is_changed_and_nothing_else(where: Where) -> None:
    path = file_of(where, "config.json")
    path.write_text('{"heads": 4, "eps": 1e-06, "act": "silu", "tied": false}')
    fault = EditConfig(WeightsConfig(key="heads", to=8), where)
    fault.prepare()
    fault.apply()
    assert path.read_text() == json.dumps({"heads": 8, "eps": 1e-06, "act": "silu", "tied": False}, indent=2)
    refused = [
        ("act", 1, "holds no number"),
        ("tied", 1, "no number"),
        ("x", 1, "no number"),
        ("heads", 8, "8 already"),
    ]
    for key, to, why in refused:
        with pytest.raises(CannotInject, match=why):
            EditConfig(WeightsConfig(key=key, to=to), where).prepare()


@pytest.mark.parametrize("damage", ["drop_merges", "shift_ids", "truncate"])
def test_a_tokenizer_is_damaged_as_said(where: Where, damage: Any) -> None:
    path = file_of(where, "tokenizer.json")
    before = path.read_bytes()
    fault = DamageTokenizer(WeightsTokenizer(damage=damage), where)
    inverse = fault.prepare()
    assert path.read_bytes() == before
    fault.apply()
    after = path.read_bytes()
    if damage == "truncate":
        assert after == before[: len(before) // 2]
    else:
        expected = {"drop_merges": ({"a": 0, "b": 1, "ab": 2}, []), "shift_ids": ({"a": 1, "b": 2, "ab": 0}, ["a b"])}
        made = json.loads(after)["model"]
        assert (made["vocab"], made["merges"]) == expected[damage]
    carry_out(inverse)
    assert path.read_bytes() == before


def test_a_replica_that_refuses_to_serve_proves_the_damage_by_what_it_says(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = activate(WeightsPrune(), where)
    fault.prepare()
    said = "manifest: model.safetensors sha256 differs"
    monkeypatch.setattr(where.stack, "held_weights", lambda _: Weights(None, "GET /weights: status 503", said))
    proof = fault.proof()
    assert proof is not None
    assert (proof.proven, proof.evidence, proof.holds_altered) == (True, f"the damaged file was refused: {said}", False)
