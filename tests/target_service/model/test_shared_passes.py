"""Generations that share forward passes give what each gives alone, whatever its neighbours do."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from target_service.model.decoding import Decoder, TorchDecoder, TorchGeneration, step_together
from target_service.model.golden import read_golden
from target_service.model.loading import LoadOptions, load
from target_service.protocol.chat import Message, Sampling

pytestmark = pytest.mark.model

GREEDY = Sampling(max_tokens=40, ignore_eos=True)
POISON = 10**6  # no token of this model: embedding it raises


@pytest.fixture(scope="module")
def decoder(model_folder: Path) -> TorchDecoder:
    return load(LoadOptions(model_folder, disable_mmap=True)).decoder


def begin(decoder: TorchDecoder, text: str, sampling: Sampling = GREEDY) -> TorchGeneration:
    return decoder.begin([Message("user", text)], sampling)


def alone(generation: TorchGeneration, tokens: int) -> list[int]:
    return [generation.step() for _ in range(tokens)]


def prompts(count: int) -> list[str]:
    draw = random.Random(3)
    words = ("the", "film", "was", "good", "awful", "brilliant", "plot", "never", "boring", "who", "are", "you", "what")
    return [" ".join(draw.choices(words, k=draw.randint(1, 60))) for _ in range(count)]


def together(
    decoder: Decoder, generations: Sequence[TorchGeneration], joins: Sequence[int], tokens: Sequence[int]
) -> list[list[int]]:
    """Each generation's tokens, when it joins in a round of its own and leaves with `tokens` of them."""
    got: list[list[int]] = [[] for _ in generations]
    for number in range(max(map(sum, zip(joins, tokens, strict=True)))):
        now = [i for i, at in enumerate(joins) if at <= number and len(got[i]) < tokens[i]]
        for i, outcome in zip(now, step_together(decoder, [generations[i] for i in now]), strict=True):
            assert isinstance(outcome, int), outcome
            got[i].append(outcome)
    return got


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sixteen_that_join_and_leave_at_different_times_get_what_the_plain_loop_gives(
    decoder: TorchDecoder, seed: int
) -> None:
    draw = random.Random(seed)
    texts = prompts(16)
    joins = [draw.randint(0, 30) for _ in texts]
    tokens = [draw.randint(1, 40) for _ in texts]
    got = together(decoder, [begin(decoder, text) for text in texts], joins, tokens)
    assert got == [alone(begin(decoder, text), count) for text, count in zip(texts, tokens, strict=True)]


def test_sampling_with_a_seed_gives_what_it_gives_alone(decoder: TorchDecoder) -> None:
    texts = prompts(16)
    how = [replace(GREEDY, temperature=0.5 + i / 10, top_p=1 - i / 40, seed=i) for i in range(len(texts))]
    asked = list(zip(texts, how, strict=True))
    got = together(decoder, [begin(decoder, *one) for one in asked], [i % 5 for i in range(16)], [20] * 16)
    assert got == [alone(begin(decoder, *one), 20) for one in asked]
    assert len(set(map(tuple, got))) > 10


def test_all_golden_prompts_at_once_are_answered_right(decoder: TorchDecoder, model_folder: Path) -> None:
    golden = read_golden(model_folder / "golden.json")
    assert golden is not None
    asked = [([Message(m["role"], m["content"]) for m in one.messages], one) for one in golden.prompts]
    generations = [decoder.begin(messages, Sampling(max_tokens=one.max_tokens)) for messages, one in asked]
    open_ones = list(generations)
    tokens: dict[TorchGeneration, list[int]] = {one: [] for one in generations}
    while open_ones:
        for one, outcome in zip(open_ones, decoder.step_together(open_ones), strict=True):
            assert isinstance(outcome, int)
            tokens[one].append(outcome)
        ended = {one for one in open_ones if one.is_end(tokens[one][-1]) or len(tokens[one]) == one.tokens_max}
        open_ones = [one for one in open_ones if one not in ended]
    assert [one.text_of(tokens[one]) for one in generations] == [one.answer for _, one in asked]


def test_a_table_that_grows_beyond_its_first_size_keeps_what_it_holds(decoder: TorchDecoder) -> None:
    texts = prompts(40)
    got = together(decoder, [begin(decoder, text) for text in texts], [i // 4 for i in range(40)], [200] * 40)
    assert got[::13] == [alone(begin(decoder, text), 200) for text in texts[::13]]


def test_one_whose_row_was_given_up_goes_on_where_it_was(decoder: TorchDecoder) -> None:
    first, second = (begin(decoder, text) for text in prompts(2))
    got: list[int | Exception] = []
    for number in range(20):
        # Every third step without it.
        outcomes = decoder.step_together([second] if number % 3 == 2 else [first, second])
        got += outcomes[:1] if number % 3 != 2 else []
    assert got == alone(begin(decoder, prompts(2)[0]), 14)


@pytest.mark.parametrize("at", ["prompt", "later"])
def test_a_poison_request_fails_alone(decoder: TorchDecoder, at: str) -> None:
    texts = prompts(6)
    generations = [begin(decoder, text) for text in texts]
    poison = begin(decoder, "poison")
    got: list[list[int]] = [[] for _ in texts]
    for number in range(8):
        if (number == 0) == (at == "prompt"):
            poison.context += [POISON] if at == "prompt" else []
            if at == "later" and number == 3:
                poison.context[-1] = POISON
        poisoned = [poison] if number <= (0 if at == "prompt" else 3) else []
        outcomes = decoder.step_together([*generations[:3], *poisoned, *generations[3:]])
        if poisoned:
            outcome = outcomes.pop(3)
            assert isinstance(outcome, IndexError) == (number == (0 if at == "prompt" else 3))
        for row, outcome in enumerate(outcomes):
            assert isinstance(outcome, int)
            got[row].append(outcome)
    assert got == [alone(begin(decoder, text), 8) for text in texts]


@pytest.mark.parametrize("temperature", [0, 1])
def test_nan_in_one_row_harms_neither_its_neighbours_nor_who_gets_its_row_next(
    model_folder: Path, temperature: float
) -> None:
    decoder = load(LoadOptions(model_folder, disable_mmap=True)).decoder
    sick_token = decoder.tokenizer("~", add_special_tokens=False)["input_ids"][0]
    decoder.network.model.embed_tokens.weight.data[sick_token] = math.nan
    texts = prompts(8)
    healthy = [begin(decoder, text) for text in texts]
    sick = [begin(decoder, "~" * 90, replace(GREEDY, temperature=temperature, seed=1)) for _ in range(2)]
    got: list[list[int]] = [[] for _ in texts]
    for number in range(60):
        now = [i for i in range(8) if number >= (0 if i < 4 else 3) and len(got[i]) < 50]
        rows = [healthy[i] for i in now]
        if number < 3:
            # One in the middle, whose row the last one then moves to, and one at the end, whose row a new one gets.
            rows = [*rows[:2], sick[0], *rows[2:], sick[1]]
        outcomes = dict(zip(rows, decoder.step_together(rows), strict=True))
        if number < 3:
            assert not any(one.logits_finite() for one in sick)
            assert all(isinstance(outcomes[one], RuntimeError if temperature else int) for one in sick)
        for i in now:
            outcome = outcomes[healthy[i]]
            assert isinstance(outcome, int)
            assert healthy[i].logits_finite()
            got[i].append(outcome)
    assert got == [alone(begin(decoder, text), 50) for text in texts]


def test_a_network_with_a_sliding_window_is_stepped_row_by_row(model_folder: Path) -> None:
    decoder = load(LoadOptions(model_folder, disable_mmap=True)).decoder
    decoder.network.config.layer_types = ["full_attention", "sliding_attention"]
    generations = [begin(decoder, text) for text in prompts(2)]
    decoder.network.config.sliding_window = 512
    decoder.network.model.has_sliding_layers = True
    outcomes = decoder.step_together(generations)
    assert all(isinstance(outcome, int) for outcome in outcomes)
    assert decoder._shared is None


def test_a_generation_with_a_step_of_its_own_takes_it(decoder: TorchDecoder) -> None:
    class Seeing(TorchGeneration):
        def step(self) -> int:
            return 7

    seeing = Seeing(decoder, [5, 6], GREEDY)
    other, same = begin(decoder, "hello"), begin(decoder, "hello")
    assert decoder.step_together([seeing, other]) == [7, same.step()]
