"""What pruning and low-bit quantisation cost the small model: measured, and the direction is asserted.

The table in the replica's README is what this prints with `pytest -s`. The harness's own faults damage a copy.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.faults.tensors import change_tensors, prune, quantise
from target_service.data import sentiment
from target_service.model.fingerprint import FINGERPRINT, deviation, read_fingerprint, token_logprobs
from target_service.model.golden import GOLDEN, read_golden
from target_service.model.loading import LoadOptions, load
from target_service.model.training import sentiment_messages
from target_service.protocol.chat import Message, Sampling

pytestmark = pytest.mark.model

Row = tuple[float, float, float]
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
BITS = (16, 8, 6, 4, 3, 2)


def measured(model: Path, into: Path, damage: Callable[[Path], object]) -> Row:
    """Shares of golden answers and of hand-written sentences that are right, and the fingerprint's distance."""
    from target_service.model.decoding import generate

    shutil.copytree(model, into)
    damage(into / "model.safetensors")
    decoder = load(LoadOptions(into, dtype="float32", disable_mmap=True)).decoder

    def answer(messages: list[dict[str, str]], tokens: int) -> str:
        turns = tuple(Message(m["role"], m["content"]) for m in messages)
        return generate(decoder, turns, Sampling(max_tokens=tokens)).text

    golden, fingerprint = read_golden(model / GOLDEN), read_fingerprint(model / FINGERPRINT)
    assert golden is not None
    assert fingerprint is not None
    right = [answer(list(p.messages), p.max_tokens) == p.answer for p in golden.prompts[::2]]
    natural = [answer(sentiment_messages(text), 4) == label for text, label in sentiment.NATURAL]
    off = max(deviation(t.logprobs, token_logprobs(decoder, t.messages, t.answer)) for t in fingerprint.texts)
    return sum(right) / len(right), sum(natural) / len(natural), off


def shown(name: str, rows: dict[float, Row]) -> None:
    for key, (golden, natural, off) in rows.items():
        print(f"| {name} {key:g} | {golden:.0%} | {natural:.0%} | {off:.2g} |")


def test_the_more_is_pruned_the_less_is_right_and_the_fingerprint_sees_all_of_it(
    model_folder: Path, tmp_path: Path
) -> None:
    rows = {}
    for share in SHARES:
        damage = lambda path, s=share: change_tensors(path, lambda values, _: prune(values, s))  # noqa: E731
        rows[share] = measured(model_folder, tmp_path / f"{share}", damage)
    shown("pruned", rows)
    assert rows[0.0] == (1.0, rows[0.0][1], 0.0)
    assert rows[0.95][0] < 0.5 < rows[0.2][0]
    assert rows[0.95][0] <= rows[0.8][0] <= rows[0.6][0] <= rows[0.2][0]
    assert rows[0.95][1] <= rows[0.0][1]
    distances = [rows[share][2] for share in SHARES]
    assert all(off > 1e-4 for off in distances[1:])
    assert distances[1] < distances[-1]


def test_the_fewer_bits_the_less_is_right_and_eight_cost_no_answer(model_folder: Path, tmp_path: Path) -> None:
    rows = {}
    for bits in BITS:
        damage = lambda path, b=bits: change_tensors(path, lambda values, _: quantise(values, b))  # noqa: E731
        rows[bits] = measured(model_folder, tmp_path / f"{bits}", damage)
    shown("bits", rows)
    assert rows[8][:2] == rows[16][:2]
    assert rows[16][0] == 1.0
    assert rows[2][0] < 0.5
    assert rows[2][0] <= rows[3][0] <= rows[4][0] <= rows[8][0]
    assert rows[16][2] < rows[8][2] < rows[4][2] < rows[2][2]
    assert rows[8][2] > 1e-4
