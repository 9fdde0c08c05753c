"""Faults that alter a model rather than destroy its files: what a loader takes without a word."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from harness.faults.base import CannotInject, Proof
from harness.faults.tensors import FLOATS, NotSafetensors, change_tensors, prune, quantise, read_tensors, redraw
from harness.faults.weights import WeightsDamage
from harness.model.weights_faults import (
    WeightsConfig,
    WeightsNan,
    WeightsPrune,
    WeightsQuantise,
    WeightsSwapVersion,
    WeightsTokenizer,
    WeightsZeroBlock,
)
from harness.record.journal import Inverse

__all__ = ["DamageTokenizer", "EditConfig", "Prune", "Quantise", "SwapVersion", "WriteNan", "ZeroBlock"]

NAN = {"F32": b"\x00\x00\xc0\x7f", "F16": b"\x00\x7e", "BF16": b"\xc0\x7f"}
TRIES = 100


class _TensorDamage(WeightsDamage):
    """Damage that needs to know where the tensors lie."""

    def prepare(self) -> Inverse:
        inverse = super().prepare()
        try:
            if not any(tensor.is_matrix for tensor in read_tensors(self.path)):
                raise CannotInject(f"{self.path.name} holds no matrix of {', '.join(FLOATS)}")
        except NotSafetensors as error:
            raise CannotInject(str(error)) from error
        return inverse


class Prune(_TensorDamage):
    """Zero the smallest weights of every matrix."""

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsPrune)
        share = self.fault.share
        _must_differ(self.path, change_tensors(self.path, lambda values, _: prune(values, share)))


class Quantise(_TensorDamage):
    """Round every matrix to few bits."""

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsQuantise)
        bits = self.fault.bits
        _must_differ(self.path, change_tensors(self.path, lambda values, _: quantise(values, bits)))


class SwapVersion(_TensorDamage):
    """Another model's weights in the same file."""

    def prepare(self) -> Inverse:
        inverse = super().prepare()
        assert isinstance(self.fault, WeightsSwapVersion)
        if self.fault.source is not None:
            source = Path(self.fault.source)
            if not source.is_file():
                raise CannotInject(f"{source}: there is no such file; `source` names another version's *.safetensors")
            try:
                same = _shapes(source) == _shapes(self.path)
            except NotSafetensors as error:
                raise CannotInject(str(error)) from error
            if not same:
                raise CannotInject(f"{source} holds other tensors than {self.path.name}")
        return inverse

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsSwapVersion)
        if self.fault.source is not None:
            with Path(self.fault.source).open("rb") as source, self.path.open("r+b") as target:
                shutil.copyfileobj(source, target)  # in place, as a careless `cp` does: who has it mapped sees it
                target.truncate()
            return
        rng = np.random.default_rng(list(self.where.seed.encode()))
        _must_differ(self.path, change_tensors(self.path, lambda values, _: redraw(values, rng)))


class WriteNan(_TensorDamage):
    """NaN in some places."""

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsNan)
        rng = random.Random(self.where.seed)
        tensors = read_tensors(self.path)
        with self.path.open("r+b") as file:
            for tensor in rng.choices(tensors, weights=[one.size for one in tensors], k=self.fault.count):
                file.seek(tensor.begin + rng.randrange(tensor.size) * tensor.item_bytes)
                file.write(NAN[tensor.dtype])


class ZeroBlock(_TensorDamage):
    """A block of zeros."""

    def apply(self) -> None:
        assert isinstance(self.fault, WeightsZeroBlock)
        rng, length = random.Random(self.where.seed), self.fault.block_bytes
        payload, size = read_tensors(self.path)[0].begin, self.path.stat().st_size
        with self.path.open("r+b") as file:
            for _ in range(TRIES):  # a block that is zero already would be no damage
                begin = max(payload, rng.randrange(0, size, length))
                file.seek(begin)
                block = file.read(min(length, size - begin))
                if any(block):
                    file.seek(begin)
                    file.write(bytes(len(block)))
                    return
        raise CannotInject(f"{self.path.name}: {TRIES} blocks of {length} bytes were zero already")


class _ReadAtStart(WeightsDamage):
    """Damage to a file that is read once, at the start; what the process made of it is what it says in GET /weights."""

    part = ""
    name = ""
    held_before = ""

    def file_to_damage(self, folder: Path) -> Path:
        path = folder / self.name
        if not path.is_file():
            raise CannotInject(f"{folder} holds no {self.name}")
        return path

    def prepare(self) -> Inverse:
        inverse = super().prepare()
        self._damaged()  # raises CannotInject before anything is written
        held = self.stack.held_parts(self.fault.on).get(self.part)
        if held is None:
            raise CannotInject(f"{self.fault.on} does not say which {self.part} it holds (GET /weights)")
        self.held_before = held
        return inverse

    def apply(self) -> None:
        self.path.write_bytes(self._damaged())

    def proof(self) -> Proof | None:
        first_end = self.first_end()
        held = self.stack.held_parts(self.fault.on).get(self.part)
        if held not in (None, self.held_before):
            return Proof(True, f"the serving process holds an altered {self.part} (GET /weights)", holds_altered=True)
        return self.refusal(self.stack.held_weights(self.fault.on), first_end)

    def healed(self) -> bool:
        return self.stack.held_parts(self.fault.on).get(self.part) == self.held_before

    def _damaged(self) -> bytes:
        """The file's bytes as they will be. Raises CannotInject."""
        raise NotImplementedError

    def _read(self) -> dict[str, Any]:
        try:
            value = json.loads(self.path.read_bytes())
        except ValueError as error:
            raise CannotInject(f"{self.path.name} is not JSON ({error})") from error
        return value if isinstance(value, dict) else {}


class EditConfig(_ReadAtStart):
    """Another number or word in config.json."""

    part, name = "config", "config.json"

    def _damaged(self) -> bytes:
        assert isinstance(self.fault, WeightsConfig)
        config, key, to = self._read(), self.fault.key, self.fault.to
        before = config.get(key)
        kind = "word" if isinstance(to, str) else "number"
        if isinstance(before, bool) or not isinstance(before, str if isinstance(to, str) else int | float):
            raise CannotInject(f"{self.name} holds no {kind} under {key!r}")
        if before == to:
            raise CannotInject(
                f"{key!r} of {self.name} is {before if isinstance(before, str) else f'{before:g}'} already"
            )
        value = int(to) if isinstance(before, int) and isinstance(to, float) and to.is_integer() else to
        return json.dumps({**config, key: value}, indent=2).encode()


class DamageTokenizer(_ReadAtStart):
    """A tokenizer that says something else, or nothing."""

    part, name = "tokenizer", "tokenizer.json"

    def _damaged(self) -> bytes:
        assert isinstance(self.fault, WeightsTokenizer)
        if self.fault.damage == "truncate":
            return self.path.read_bytes()[: self.path.stat().st_size // 2]
        tokenizer = self._read()
        model = tokenizer.get("model")
        if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict) or "merges" not in model:
            raise CannotInject(f"{self.name} holds no BPE model to damage")
        if self.fault.damage == "drop_merges":
            model["merges"] = []
        else:
            size = len(model["vocab"])
            model["vocab"] = {token: (number + 1) % size for token, number in model["vocab"].items()}
        return json.dumps(tokenizer, ensure_ascii=False).encode()


def _shapes(path: Path) -> list[tuple[str, str, tuple[int, ...]]]:
    return sorted((tensor.name, tensor.dtype, tensor.shape) for tensor in read_tensors(path))


def _must_differ(path: Path, altered_bytes: int) -> None:
    if altered_bytes == 0:
        raise CannotInject(f"{path.name} is the same afterwards: this damage was there already")
