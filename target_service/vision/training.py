"""Teach the small Qwen2.5-VL to find a coloured shape, deterministically for a seed on one machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from target_service.data.shapes import Box, Scene, ask, draw
from target_service.model.tokenizer import END
from target_service.vision.network import new_network
from target_service.vision.pixels import patches_of
from target_service.vision.recipe import ChordRecipe, preprocessing_of
from target_service.vision.tokenizer import COORDINATES, IMAGE, STEP_PX

__all__ = ["NOTHING", "answer_of", "train"]

NOTHING = "none"
TOLD_EVERY_STEPS = 100


def answer_of(box: Box | None) -> str:
    """What the model is taught to say: the box's corners as Qwen-VL writes them, or that there is none."""
    if box is None:
        return NOTHING
    x1, y1, x2, y2 = (STEP_PX * round(value / STEP_PX) for value in box)
    return f"({x1},{y1}),({x2},{y2})"


@dataclass(frozen=True)
class Batch:
    """`ids` has shape (batch, longest); `wanted` marks the positions whose next token is `labels`, shape (wanted,)."""

    ids: Any
    wanted: Any
    labels: Any
    pixels: Any
    grids: Any


class Lessons:
    """Endless seeded examples, none of them held out."""

    def __init__(self, recipe: ChordRecipe, tokenizer: Any) -> None:
        self._random = np.random.default_rng(recipe.seed)
        self._recipe = recipe
        self._how = preprocessing_of(recipe)
        self._image = tokenizer.convert_tokens_to_ids(IMAGE)

        @cache
        def tokens(text: str) -> tuple[int, ...]:
            return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

        @cache
        def prompt(question: str) -> tuple[int, ...]:
            content = [{"type": "image"}, {"type": "text", "text": question}]
            turns = [{"role": "user", "content": content}]
            return tokens(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

        self._tokens = tokens
        self._prompt = prompt

    def _scene(self) -> Scene:
        while True:
            scene = draw(self._random)
            if not scene.held_out:
                return scene

    def batch(self) -> Batch:
        """The next batch."""
        import torch

        rows, answers_at, cut = [], [], []
        for _ in range(self._recipe.batch):
            scene = self._scene()
            question = ask(self._random, scene)
            patches = patches_of(scene.pixels, self._how)
            cut.append(patches)
            prompt = self._prompt(question.text)
            at = prompt.index(self._image)
            head = [*prompt[:at], *[self._image] * patches.tokens(self._how.merge), *prompt[at + 1 :]]
            rows.append([*head, *self._tokens(answer_of(question.box) + END)])
            answers_at.append(len(head))
        ids, wanted, labels = _tensors(rows, answers_at)
        pixels = torch.from_numpy(np.concatenate([each.values for each in cut]))
        return Batch(ids, wanted, labels, pixels, torch.tensor([each.grid_thw for each in cut]))


def _tensors(rows: Sequence[Sequence[int]], answers_at: Sequence[int]) -> tuple[Any, Any, Any]:
    # Padding is on the right: a causal network never looks at it from an answer's position.
    import torch

    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    wanted = torch.zeros(len(rows), longest, dtype=torch.bool)
    for row, (tokens, at) in enumerate(zip(rows, answers_at, strict=True)):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        # Position i predicts token i + 1.
        wanted[row, at - 1 : len(tokens) - 1] = True
    return ids, wanted, ids.roll(-1, 1)[wanted]


def _targets(recipe: ChordRecipe, tokenizer: Any) -> Any:
    """Row t: what to learn where token t is right, shape (vocabulary, vocabulary): near ones are nearly right."""
    import torch

    targets = torch.eye(len(tokenizer))
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(each) for each in COORDINATES])
    at = torch.arange(len(COORDINATES), dtype=torch.float32) * STEP_PX
    near = torch.exp(-((at[:, None] - at[None, :]) ** 2) / (2 * recipe.smoothing_px**2))
    targets[ids[:, None], ids[None, :]] = near / near.sum(1, keepdim=True)
    return targets


def _rate(recipe: ChordRecipe, step: int) -> float:
    """Warm up, then half a cosine down to nothing."""
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    return recipe.learning_rate * warm * (1 + math.cos(math.pi * step / recipe.steps)) / 2


def _logits(network: Any, batch: Batch) -> Any:
    """Logits at the wanted positions only, shape (wanted, vocabulary)."""
    types = (batch.ids[:1] == network.config.image_token_id).int()
    # In every row the image begins at the same token and has the same size: one row's positions are all rows'.
    positions, _ = network.model.get_rope_index(batch.ids[:1], types, image_grid_thw=batch.grids[:1])
    states = network.model(
        input_ids=batch.ids,
        position_ids=positions.expand(-1, len(batch.ids), -1),
        pixel_values=batch.pixels,
        image_grid_thw=batch.grids,
        use_cache=False,
    ).last_hidden_state
    return network.lm_head(states[batch.wanted])


def train(recipe: ChordRecipe, tokenizer: Any, tell: Callable[[str], None]) -> Any:
    """Train for the recipe's steps; `tell` hears of the progress. Returns the network."""
    import torch

    torch.manual_seed(recipe.seed)
    network = new_network(recipe, tokenizer)
    lessons, targets = Lessons(recipe, tokenizer), _targets(recipe, tokenizer)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=0.05)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = _rate(recipe, step)
        batch = lessons.batch()
        loss = torch.nn.functional.cross_entropy(_logits(network, batch), targets[batch.labels])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % TOLD_EVERY_STEPS == 0:
            tell(f"step {step + 1} of {recipe.steps}: loss {loss.item():.3f}")
    return network.eval()
