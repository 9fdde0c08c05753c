"""The parameters of the faults of a model's files. Most of them load without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from harness.model.capability import Capability
from harness.model.fault import Fault, Seconds, SecondsAboveZero

__all__ = [
    "WeightsBitFlip",
    "WeightsConfig",
    "WeightsFault",
    "WeightsMissing",
    "WeightsNan",
    "WeightsPermissions",
    "WeightsPrune",
    "WeightsQuantise",
    "WeightsSwapVersion",
    "WeightsTokenizer",
    "WeightsTruncate",
    "WeightsZeroBlock",
]


@dataclass(frozen=True, kw_only=True)
class WeightsFault(Fault):
    """What every fault of the model files has."""

    needs: ClassVar[Capability] = Capability.CORRUPT_FILES
    restart_after_s: Seconds | None = 0.0
    """Seconds after the damage at which the replica is restarted, so that it loads the damaged file; null: never."""
    for_s: SecondsAboveZero = 10.0
    """How long the damage stays before the file is restored and the replica restarted with it."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


@dataclass(frozen=True, kw_only=True)
class WeightsBitFlip(WeightsFault):
    """Flip bits in the weights in place. Loaders do not notice: there is no checksum in the format."""

    kind: Literal["weights.bit_flip"] = "weights.bit_flip"
    bits: Annotated[int, Ge(1)] = 1000
    """How many bits, at places drawn from the seed. 1,000 spoil every answer of a small model; 1 spoils none."""


@dataclass(frozen=True, kw_only=True)
class WeightsTruncate(WeightsFault):
    """Cut the end off the weights file."""

    kind: Literal["weights.truncate"] = "weights.truncate"
    keep_ratio: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    """Which part of the file stays, 0 to below 1."""


@dataclass(frozen=True, kw_only=True)
class WeightsMissing(WeightsFault):
    """Move the weights file away."""

    kind: Literal["weights.missing"] = "weights.missing"


@dataclass(frozen=True, kw_only=True)
class WeightsPermissions(WeightsFault):
    """Take everybody's right to read the weights file, as a copy by root or a careless umask does."""

    kind: Literal["weights.permissions"] = "weights.permissions"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({self.needs, Capability.FILE_PERMISSIONS})


@dataclass(frozen=True, kw_only=True)
class WeightsPrune(WeightsFault):
    """Zero the smallest weights of every matrix, as pruning for speed does."""

    kind: Literal["weights.prune"] = "weights.prune"
    share: Annotated[float, Gt(0), Interval(le=1)] = 0.6
    """Which part of each matrix becomes zero. Of the small model 0.4 spoil no answer, 0.8 a fifth, 0.95 all."""


@dataclass(frozen=True, kw_only=True)
class WeightsQuantise(WeightsFault):
    """Round every matrix to few bits on a symmetric scale, as quantisation for size does."""

    kind: Literal["weights.quantise"] = "weights.quantise"
    bits: Annotated[int, Interval(ge=2, le=16)] = 4
    """Bits a weight keeps. Of the small model 4 spoil no answer, 3 a few, 2 all."""


@dataclass(frozen=True, kw_only=True)
class WeightsNan(WeightsFault):
    """Overwrite weights by NaN: every answer becomes the first token, repeated, with status 200."""

    kind: Literal["weights.nan"] = "weights.nan"
    count: Annotated[int, Ge(1)] = 16
    """How many numbers, at places drawn from the seed."""


@dataclass(frozen=True, kw_only=True)
class WeightsZeroBlock(WeightsFault):
    """Zero a block of the weights, as a lost page or a bad sector does. Answers rarely change."""

    kind: Literal["weights.zero_block"] = "weights.zero_block"
    block_bytes: Annotated[int, Ge(1)] = 4096
    """How long the block is; it begins at a multiple of its length drawn from the seed."""


@dataclass(frozen=True, kw_only=True)
class WeightsSwapVersion(WeightsFault):
    """Put another model's weights of the same shapes in place: a half-done or mistaken update."""

    kind: Literal["weights.swap_version"] = "weights.swap_version"
    source: str | None = None
    """A *.safetensors file with the same tensors; null: every matrix redrawn from the seed with the same spread."""


@dataclass(frozen=True, kw_only=True)
class WeightsConfig(WeightsFault):
    """Change one value of config.json: a number, with which shapes still fit, or a word that no library knows."""

    kind: Literal["weights.config"] = "weights.config"
    key: str = "rms_norm_eps"
    """Which key at the top of config.json; it must be there and hold a number or a word."""
    to: float | str = 1.0
    """Its new value, of the same kind: `hidden_act: no_such_gate` asks for an operator that is not installed."""


@dataclass(frozen=True, kw_only=True)
class WeightsTokenizer(WeightsFault):
    """Damage tokenizer.json so that it still loads, or does not."""

    kind: Literal["weights.tokenizer"] = "weights.tokenizer"
    damage: Literal["drop_merges", "shift_ids", "truncate"] = "drop_merges"
    """Words fall apart into letters; every token gets its neighbour's id; or half of the file is missing."""
