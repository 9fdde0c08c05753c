"""Many generations in one forward pass: a KV cache with a row for each, every row at its own length.

Sums are added in another order than for one alone, so logits differ in their last bits; a token can differ only where
two are equally likely to within those. Imports torch at once: import it only where a model is loaded already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from target_service.model.decoding import TorchGeneration

__all__ = ["SharedPasses", "can_share"]

ROWS_MIN, POSITIONS_MIN = 8, 128
IGNORED = 0  # the token that fills short prompts up; nothing ever looks at its position


def can_share(config: Any) -> bool:
    """Whether rows of different lengths can share this network's pass: plain attention over all that came before."""
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None) if not getattr(config, "layer_types", None) else None
    return layers == {"full_attention"} and window is None and config._attn_implementation in ("sdpa", "eager")


class SharedPasses:
    """Steps generations together. The row of a generation that a step does not name is free again."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._dtype = network.dtype
        self._table = _Table()
        self._rows: list[TorchGeneration] = []
        self._lengths: list[int] = []

    def step(self, generations: Sequence[TorchGeneration]) -> list[int | Exception]:
        """Each one's next token, or what it failed with; one prompt pass for all new ones, one pass for the others."""
        wanted = set(map(id, generations))
        outcomes: dict[int, int | Exception] = {}
        with torch.inference_mode():
            for row in reversed(range(len(self._rows))):
                # A row is also of no use to one that was stepped without it.
                if id(self._rows[row]) not in wanted or self._lengths[row] != len(self._rows[row].context) - 1:
                    self._free(row)
            if not self._rows:
                # What a few long contexts once needed is not kept for ever.
                self._table = _Table()
            known = set(map(id, self._rows))
            new = [generation for generation in generations if id(generation) not in known]
            for run, those in ((self._decode, list(self._rows)), (self._prefill, new)):
                outcomes |= zip(map(id, those), _each_alone_if_all_fail(run, those), strict=True)
        return [outcomes[id(generation)] for generation in generations]

    def _decode(self, generations: Sequence[TorchGeneration]) -> list[int | Exception]:
        if len(generations) == len(self._rows):
            rows = list(range(len(self._rows)))
        else:
            rows = [next(row for row, at in enumerate(self._rows) if at is one) for one in generations]
        lengths = [self._lengths[row] for row in rows]
        positions = torch.tensor(lengths)
        self._table.aim(rows, lengths, positions, every=len(rows) == len(self._rows))
        out = self._network(
            input_ids=torch.tensor([one.context[-1:] for one in generations]),
            attention_mask=_mask(lengths, positions, self._dtype),
            position_ids=positions[:, None],
            past_key_values=self._table.cache,
            use_cache=True,
        )
        # Only now: a pass that raised may be repeated, and then writes the same places again.
        for row in rows:
            self._lengths[row] += 1
        return _choose(generations, out.logits[:, -1])

    def _prefill(self, generations: Sequence[TorchGeneration]) -> list[int | Exception]:
        # The whole context: one whose row was given up goes on where it was. Filled up on the right, as no position
        # of a prompt ever looks at one after it.
        lengths = [len(one.context) for one in generations]
        longest = max(lengths)
        ids = torch.tensor([one.context + [IGNORED] * (longest - len(one.context)) for one in generations])
        ends = sorted(set(lengths))
        keep = torch.tensor(ends) - 1
        cache = DynamicCache(config=self._network.config)
        out = self._network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=keep)
        self._table.add(cache, len(self._rows), torch.tensor(lengths))
        self._rows += generations
        self._lengths += lengths
        at = torch.tensor([ends.index(length) for length in lengths])
        return _choose(generations, out.logits[torch.arange(len(lengths)), at])

    def _free(self, row: int) -> None:
        last = len(self._rows) - 1
        self._rows[row], self._lengths[row] = self._rows[last], self._lengths[last]
        self._table.move(last, row)
        del self._rows[last], self._lengths[last]


def _each_alone_if_all_fail(
    run: Callable[[Sequence[TorchGeneration]], list[int | Exception]], generations: Sequence[TorchGeneration]
) -> list[int | Exception]:
    """One pass for all; if that raises, one for each, so that only who is to blame fails."""
    if not generations:
        return []
    try:
        return run(generations)
    except Exception as error:  # noqa: BLE001  whatever it is, it is some request's
        if len(generations) == 1:
            return [error]
    return [outcome for one in generations for outcome in _each_alone_if_all_fail(run, [one])]


def _choose(generations: Sequence[TorchGeneration], logits: torch.Tensor) -> list[int | Exception]:
    """Each row's token; `logits` is rows × vocabulary."""
    # Looked at for all rows at once: row by row it costs as much as a layer.
    likeliest, finite = logits.argmax(-1).tolist(), logits.isfinite().all(-1).tolist()
    outcomes: list[int | Exception] = []
    for row, one in enumerate(generations):
        try:
            outcomes.append(one.take(logits[row], likeliest[row], finite=finite[row]))
        except Exception as error:  # noqa: BLE001  sampling from NaN raises, and only this row's
            outcomes.append(error)
    return outcomes


def _mask(lengths: list[int], positions: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention scores, rows × 1 × 1 × longest: each row sees itself and what came before."""
    longest = max(lengths)
    mask = torch.zeros(len(lengths), 1, 1, longest + 1, dtype=dtype)
    if longest > min(lengths):
        mask.masked_fill_(torch.arange(longest + 1) > positions[:, None, None, None], float("-inf"))
    return mask


class _Table:
    """The keys and values of all rows. What is beyond a row's length is 0, never what another row left there:
    the weight of a masked position is 0, and 0 times NaN is NaN."""

    def __init__(self) -> None:
        self.cache = Cache(layers=[])
        self.rows: slice | torch.Tensor = slice(0)
        self.at: Any = ()
        self.longest = 0

    def aim(self, rows: list[int], lengths: list[int], positions: torch.Tensor, *, every: bool) -> None:
        """The next pass is for these rows, and writes at `positions`, their lengths; `every`: they are the first."""
        self.longest = max(lengths) + 1
        # A slice where it does: for one row, choosing by lists costs as much as half a layer.
        self.rows = slice(len(rows)) if every else torch.tensor(rows)
        if every and min(lengths) == max(lengths):
            self.at = (self.rows, slice(None), slice(lengths[0], self.longest))
        else:
            self.at = (torch.tensor(rows)[:, None], slice(None), positions[:, None])
        for layer in self.cache.layers:
            layer.make_room(0, self.longest)

    def add(self, prompts: Any, first: int, lengths: torch.Tensor) -> None:
        """Copy the keys and values of right-padded prompts into the rows from `first` on."""
        if not self.cache.layers:
            self.cache = Cache(layers=[_Layer(self, layer) for layer in prompts.layers])
        padding = (torch.arange(int(lengths.max())) >= lengths[:, None])[:, None, :, None]
        for layer, prompt in zip(self.cache.layers, prompts.layers, strict=True):
            layer.add(prompt, first, padding)

    def move(self, source: int, to: int) -> None:
        """Put a row into another one's place."""
        if source != to:
            for layer in self.cache.layers:
                layer.keys[to], layer.values[to] = layer.keys[source], layer.values[source]


class _Layer(DynamicLayer):  # type: ignore[misc]  # transformers has no types
    """One layer's keys and values, each rows × heads × positions × width."""

    def __init__(self, table: _Table, like: Any) -> None:
        super().__init__()
        self._table = table
        _, heads, _, width = like.keys.shape
        self.keys = like.keys.new_zeros(ROWS_MIN, heads, POSITIONS_MIN, width)
        self.values = like.values.new_zeros(ROWS_MIN, heads, POSITIONS_MIN, like.values.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one position per row; return all positions of the pass's rows."""
        rows, at, longest = self._table.rows, self._table.at, self._table.longest
        for mine, given in ((self.keys, key_states), (self.values, value_states)):
            # Rows × heads × 1 × width, or, where each row has its own position, rows × 1 × heads × width.
            mine[at] = given if isinstance(at[0], slice) else given.transpose(1, 2)
        return self.keys[rows, :, :longest], self.values[rows, :, :longest]

    def add(self, prompt: Any, first: int, padding: torch.Tensor) -> None:
        rows, _, positions, _ = prompt.keys.shape
        self.make_room(first + rows, positions)
        for mine, given in ((self.keys, prompt.keys), (self.values, prompt.values)):
            mine[first : first + rows, :, :positions] = given.masked_fill(padding, 0)
            mine[first : first + rows, :, positions:] = 0

    def make_room(self, rows: int, positions: int) -> None:
        have_rows, _, have, _ = self.keys.shape
        if rows <= have_rows and positions <= have:
            return
        # By doubling: a long answer copies the table a few times, not once a token.
        rows_new = max(have_rows, 1 << (rows - 1).bit_length() if rows else 0)
        positions_new = max(have, 1 << (positions - 1).bit_length())
        self.keys, self.values = (_grown(one, rows_new, positions_new) for one in (self.keys, self.values))


def _grown(table: torch.Tensor, rows: int, positions: int) -> torch.Tensor:
    have_rows, heads, have, width = table.shape
    grown = table.new_zeros(rows, heads, positions, width)
    grown[:have_rows, :, :have] = table
    return grown
