"""Teach the small Qwen2.5-VL to find a coloured shape, deterministically for a seed on one machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from target_service.data.shapes import COLOURS, Box, Scene, ask, draw
from target_service.model.tokenizer import END
from target_service.vision.network import new_network
from target_service.vision.pixels import patches_of
from target_service.vision.recipe import ChordRecipe, preprocessing_of
from target_service.vision.tokenizer import COORDINATES, IMAGE, STEP_PX

__all__ = ["NOTHING", "answer_of", "train"]

NOTHING = "none"
TOLD_EVERY_STEPS = 50


def answer_of(box: Box | None) -> str:
    """What the model is taught to say: the box's corners as Qwen-VL writes them, or that there is none."""
    if box is None:
        return NOTHING
    x1, y1, x2, y2 = (STEP_PX * round(value / STEP_PX) for value in box)
    return f"({x1},{y1}),({x2},{y2})"


@dataclass(frozen=True)
class Batch:
    """`ids` has shape (batch, longest); `wanted` marks the positions whose next token is `labels`, shape (wanted,).

    `scenes` has shape (batch, 5): where x1, y1, x2, y2 are, in steps, and which colour the shape has.
    """

    ids: Any
    scenes: Any
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

        rows, answers_at, cut, scenes = [], [], [], []
        for _ in range(self._recipe.batch):
            scene = self._scene()
            question = ask(self._random, scene)
            patches = patches_of(scene.pixels, self._how)
            cut.append(patches)
            scenes.append([*(round(value / STEP_PX) for value in scene.box), tuple(COLOURS).index(scene.colour)])
            prompt = self._prompt(question.text)
            at = prompt.index(self._image)
            head = [*prompt[:at], *[self._image] * patches.tokens(self._how.merge), *prompt[at + 1 :]]
            rows.append([*head, *self._tokens(answer_of(question.box) + END)])
            answers_at.append(len(head))
        ids, wanted, labels = _tensors(rows, answers_at)
        pixels = torch.from_numpy(np.concatenate([each.values for each in cut]))
        grids = torch.tensor([each.grid_thw for each in cut])
        return Batch(ids, torch.tensor(scenes), wanted, labels, pixels, grids)


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


def _near(recipe: ChordRecipe) -> Any:
    """Row i: what to learn where coordinate i is right, shape (coordinates, coordinates): near ones count too."""
    import torch

    at = torch.arange(len(COORDINATES), dtype=torch.float32) * STEP_PX
    near = torch.exp(-((at[:, None] - at[None, :]) ** 2) / (2 * recipe.smoothing_px**2))
    return near / near.sum(1, keepdim=True)


def _targets(recipe: ChordRecipe, tokenizer: Any) -> Any:
    """Row t: what to learn where token t is right, shape (vocabulary, vocabulary)."""
    import torch

    targets = torch.eye(len(tokenizer))
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(each) for each in COORDINATES])
    targets[ids[:, None], ids[None, :]] = _near(recipe)
    return targets


class Tutor:
    """Asks along the way where the shape is and which colour it has: every token of the image, and the one behind them.

    The answer's tokens alone teach too slowly what an image holds. The tutor is no part of the model that is saved.
    """

    def __init__(self, recipe: ChordRecipe) -> None:
        import torch

        answers = 4 * len(COORDINATES) + len(COLOURS)
        self._of_image = torch.nn.Linear(recipe.hidden, answers)
        self._of_token = torch.nn.Linear(recipe.hidden, answers)
        self.parts = torch.nn.ModuleList([self._of_image, self._of_token])
        self._near = _near(recipe)

    def loss(self, image: Any, token: Any, scenes: Any) -> tuple[Any, Any]:
        """Losses of the image's tokens, shape (batch, tokens, hidden), and of the one behind, shape (batch, hidden)."""
        each = scenes.repeat_interleave(image.shape[1], 0)
        return self._loss(self._of_image(image.flatten(0, 1)), each), self._loss(self._of_token(token), scenes)

    def _loss(self, logits: Any, scenes: Any) -> Any:
        import torch

        places = logits[:, : 4 * len(COORDINATES)].reshape(-1, len(COORDINATES))
        where = torch.nn.functional.cross_entropy(places, self._near[scenes[:, :4].reshape(-1)])
        return where + torch.nn.functional.cross_entropy(logits[:, 4 * len(COORDINATES) :], scenes[:, 4])


def _rate(recipe: ChordRecipe, step: int) -> float:
    """Warm up, then half a cosine down to nothing."""
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    return recipe.learning_rate * warm * (1 + math.cos(math.pi * step / recipe.steps)) / 2


def _forward(network: Any, batch: Batch) -> tuple[Any, Any, Any]:
    """Logits at the wanted positions, the image's tokens, and the token behind them as the last layer takes it.

    Shapes (wanted, vocabulary), (batch, tokens, hidden), (batch, hidden).
    """
    import torch

    is_image = batch.ids[:1] == network.config.image_token_id
    # In every row the image begins at the same token and has the same size: one row's positions are all rows'.
    positions, _ = network.model.get_rope_index(batch.ids[:1], is_image.int(), image_grid_thw=batch.grids[:1])
    seen = network.model.get_image_features(batch.pixels, batch.grids, return_dict=True)
    out = network.model(
        input_ids=batch.ids,
        position_ids=positions.expand(-1, len(batch.ids), -1),
        mm_encoder_outputs={"image": seen},
        use_cache=False,
        output_hidden_states=True,
    )
    behind = int(is_image[0].nonzero().max()) + 1
    logits = network.lm_head(out.last_hidden_state[batch.wanted])
    return logits, torch.stack(seen.pooler_output), out.hidden_states[-2][:, behind]


class Training:
    """A network, its tutor, and what moves them."""

    def __init__(self, recipe: ChordRecipe, tokenizer: Any) -> None:
        import torch

        torch.manual_seed(recipe.seed)
        self._recipe = recipe
        self.network = new_network(recipe, tokenizer)
        self.tutor = Tutor(recipe)
        self.lessons = Lessons(recipe, tokenizer)
        self._targets = _targets(recipe, tokenizer)
        self._parameters = [*self.network.parameters(), *self.tutor.parts.parameters()]
        self.optimizer = torch.optim.AdamW(self._parameters, lr=recipe.learning_rate, weight_decay=0.05)

    def step(self, number: int) -> tuple[float, float, float]:
        """One update; returns the losses of answer, image and the token behind it."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = _rate(self._recipe, number)
        batch = self.lessons.batch()
        logits, image, token = _forward(self.network, batch)
        said = torch.nn.functional.cross_entropy(logits, self._targets[batch.labels])
        of_image, of_token = self.tutor.loss(image, token, batch.scenes)
        self.optimizer.zero_grad(set_to_none=True)
        (said + self._recipe.tutor_share * (of_image + of_token)).backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self.optimizer.step()
        return said.item(), of_image.item(), of_token.item()


def train(recipe: ChordRecipe, tokenizer: Any, tell: Callable[[str], None]) -> Any:
    """Train for the recipe's steps; `tell` hears of the progress. Returns the network."""
    training = Training(recipe, tokenizer)
    for number in range(recipe.steps):
        said, of_image, of_token = training.step(number)
        if (number + 1) % TOLD_EVERY_STEPS == 0:
            done = f"step {number + 1} of {recipe.steps}"
            tell(f"{done}: loss {said:.3f}, of the image {of_image:.3f}, of the token behind it {of_token:.3f}")
    return training.network.eval()
