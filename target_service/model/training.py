"""Teach the tiny Qwen2 its two tasks in a few seconds, deterministically for a seed on one machine."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from target_service.data import chat, sentiment
from target_service.model.recipe import Recipe
from target_service.model.tokenizer import END

__all__ = [
    "Exam",
    "Example",
    "Lessons",
    "Teaches",
    "Trained",
    "chat_messages",
    "encode_prompt",
    "new_network",
    "sentiment_messages",
    "train",
]  # fmt: skip

IGNORED = -100
DEV_ACCURACY = 0.985


@dataclass(frozen=True)
class Example:
    """Token ids of one whole conversation; the loss counts ids from `answer_at` on."""

    ids: tuple[int, ...]
    answer_at: int


@dataclass(frozen=True)
class Trained:
    """The network and how many optimizer steps it took."""

    network: Any
    steps: int


@dataclass(frozen=True)
class Exam:
    """Examples of which a share of the answers' tokens, `needed`, must be right before training may end."""

    examples: Sequence[Example]
    needed: float


class Teaches(Protocol):
    """What a network learns from."""

    @property
    def exams(self) -> Sequence[Exam]:
        """What must be right before training may end."""

    def batch(self) -> list[Example]:
        """The next examples."""


def sentiment_messages(sentence: str) -> list[dict[str, str]]:
    """The conversation that asks for the sentiment of a sentence."""
    return [
        {"role": "system", "content": sentiment.INSTRUCTION},
        {"role": "user", "content": sentence},
    ]


def chat_messages(question: str) -> list[dict[str, str]]:
    """The conversation that asks an open-domain question."""
    return [{"role": "system", "content": chat.SYSTEM}, {"role": "user", "content": question}]


def encode(tokenizer: Any, messages: list[dict[str, str]], answer: str) -> Example:
    """Render a conversation, then tokenize it."""
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return encode_prompt(tokenizer, prompt, answer)


def encode_prompt(tokenizer: Any, prompt: str, answer: str) -> Example:
    """Tokenize prompt and answer apart, exactly as serving will see them."""
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = tokenizer(answer + END, add_special_tokens=False)["input_ids"]
    return Example((*head, *tail), len(head))


def new_network(recipe: Recipe, tokenizer: Any) -> Any:
    """A randomly initialised Qwen2 of the recipe's sizes."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    end = tokenizer.convert_tokens_to_ids(END)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        max_position_embeddings=recipe.positions_max,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id,
    )
    network = Qwen2ForCausalLM(config)
    network.generation_config.eos_token_id = end
    network.generation_config.do_sample = False
    return network


def _tensors(examples: Sequence[Example]) -> tuple[Any, Any]:
    # Padding is on the right: a causal network never looks at it from an answer's position.
    import torch

    longest = max(len(example.ids) for example in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    labels = torch.full((len(examples), longest), IGNORED, dtype=torch.long)
    for row, example in enumerate(examples):
        whole = torch.tensor(example.ids)
        ids[row, : len(whole)] = whole
        # Position i predicts token i + 1.
        labels[row, example.answer_at - 1 : len(whole) - 1] = whole[example.answer_at :]
    return ids, labels


def _answer_logits(network: Any, examples: Sequence[Example]) -> tuple[Any, Any]:
    """Logits and labels at answer positions only: the vocabulary head costs most of a step."""
    ids, labels = _tensors(examples)
    states = network.model(input_ids=ids, use_cache=False).last_hidden_state
    wanted = labels != IGNORED
    return network.lm_head(states[wanted]), labels[wanted]


def _rates(recipe: Recipe) -> Callable[[int, int | None], float]:
    def rate(step: int, decay_from: int | None) -> float:
        warm = min(1.0, (step + 1) / recipe.warmup_steps)
        if decay_from is None:
            return recipe.learning_rate * warm
        left = 1.0 - (step - decay_from) / recipe.decay_steps
        return recipe.learning_rate * warm * max(left, 0.02)

    return rate


def _good_enough(network: Any, exams: Sequence[Exam]) -> bool:
    import torch

    with torch.inference_mode():
        for exam in exams:
            logits, labels = _answer_logits(network, exam.examples)
            if (logits.argmax(-1) == labels).float().mean().item() < exam.needed:
                return False
    return True


class Lessons:
    """Endless seeded training examples; a slice of unseen combinations is kept as `dev`."""

    def __init__(self, recipe: Recipe, tokenizer: Any) -> None:
        self._rng = random.Random(recipe.seed)
        self._recipe = recipe
        self._tokenizer = tokenizer
        # Rendering the chat template costs more than all else here, so it is done once.
        rendered = tokenizer.apply_chat_template(sentiment_messages("{}"), tokenize=False, add_generation_prompt=True)
        self._before, self._after = rendered.split("{}")
        self.facts = [encode(tokenizer, chat_messages(q), a) for q, a in chat.FACTS]
        dev = [self._sentiment(dev=True) for _ in range(200)]
        self.exams = (Exam(self.facts, 1.0), Exam(dev, DEV_ACCURACY))

    def _sentiment(self, *, dev: bool) -> Example:
        while True:
            drawn = sentiment.generate(self._rng)
            if not drawn.held_out and (zlib.crc32(drawn.text.encode()) % 10 == 0) == dev:
                return encode_prompt(self._tokenizer, self._before + drawn.text + self._after, drawn.label)

    def batch(self) -> list[Example]:
        """The next batch, facts first."""
        facts = int(self._recipe.batch * self._recipe.chat_share)
        chosen = self._rng.sample(self.facts, min(facts, len(self.facts)))
        rest = self._recipe.batch - len(chosen)
        return [*chosen, *(self._sentiment(dev=False) for _ in range(rest))]


def train(recipe: Recipe, tokenizer: Any, teacher: Callable[[Recipe, Any], Teaches] = Lessons) -> Trained:
    """Train until the exams are passed, then decay the rate and stop."""
    import torch

    torch.manual_seed(recipe.seed)
    network = new_network(recipe, tokenizer)
    lessons, rate = teacher(recipe, tokenizer), _rates(recipe)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=0.05)
    decay_from: int | None = None
    step = 0
    for step in range(recipe.steps_max):
        if decay_from is None and step >= recipe.steps_min and step % recipe.check_every_steps == 0:
            late = step >= recipe.steps_max - recipe.decay_steps
            decay_from = step if late or _good_enough(network, lessons.exams) else None
        if decay_from is not None and step - decay_from >= recipe.decay_steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate(step, decay_from)
        logits, labels = _answer_logits(network, lessons.batch())
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return Trained(network.eval(), step)
