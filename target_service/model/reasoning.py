"""The reasoning model: the same small network, taught to count in a thought before it answers a sum."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_service.data import chat, sums
from target_service.model.build import NotGoodEnoughError, ask_model, begin_building
from target_service.model.golden import GOLDEN
from target_service.model.loading import LoadOptions, load, params_sha256
from target_service.model.publish import write_json
from target_service.model.recipe import Recipe, hash_of
from target_service.model.tokenizer import CHAT_TEMPLATE, END, PAD, START, byte_pairs
from target_service.model.training import Exam, Example, encode_prompt, train
from target_service.protocol.reasoning import CLOSE, OPEN, ThoughtSplitter, whole
from target_service.services.choice import AUTOGLM

__all__ = ["MODEL_ID", "REASONING", "Report", "build", "reasoning_sha256"]

MODEL_ID = "tiny-qwen2-reasoning"
REASONING = Recipe(
    vocabulary=640, learning_rate=3e-3, decay_steps=250, steps_min=300, steps_max=600, heldout_accuracy_min=0.95
)
TOKENS_MAX = 96
GOLDEN_EACH = 12
SUMS_ACCURACY = 0.999


@dataclass(frozen=True)
class Report:
    """What was built: held-out sums, and the shares whose answer, and whose whole thought, are right."""

    steps: int
    heldout_n: int
    heldout_accuracy: float
    thought_accuracy: float


def reasoning_sha256(recipe: Recipe) -> str:
    """Hash of the recipe and of the package's own sources that shape the model, as hex."""
    package = Path(__file__).parent
    sources = [package / name for name in ("reasoning.py", "tokenizer.py", "training.py")]
    return hash_of(recipe, [*sources, package.parent / "data" / "sums.py"])


def build(recipe: Recipe, folder: Path, tell: Callable[[str], None]) -> Report:
    """Fill an existing empty folder with everything but the manifest; raises NotGoodEnoughError."""
    begin_building()
    tokenizer = _tokenizer(recipe.vocabulary)
    tell(f"training for {recipe.steps_max} steps at most")
    trained = train(recipe, tokenizer, Sums)
    trained.network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Measured on what serving will load, through what serving will run.
    decoder = load(LoadOptions(folder, dtype="float32")).decoder
    heldout = [each for each in sums.all_sums() if each.held_out]
    said = [whole(ThoughtSplitter(), ask_model(decoder, _messages(e.question), TOKENS_MAX)) for e in heldout]
    right = [each for each, got in zip(heldout, said, strict=True) if got["content"] == each.answer]
    thought = [1 for each, got in zip(heldout, said, strict=True) if got.get("reasoning_content") == each.thought]
    report = Report(trained.steps, len(heldout), len(right) / len(heldout), len(thought) / len(heldout))
    if report.heldout_accuracy < recipe.heldout_accuracy_min:
        raise NotGoodEnoughError(
            f"held-out accuracy {report.heldout_accuracy:.3f} is below {recipe.heldout_accuracy_min}; "
            f"try another --seed."
        )
    write_json(folder / GOLDEN, _golden(right, report, params_sha256(decoder.network)))
    return report


def _messages(question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": sums.SYSTEM}, {"role": "user", "content": question}]


def _golden(right: list[sums.Sum], report: Report, sha256: str) -> dict[str, Any]:
    tasks = {
        sign: [
            {"messages": _messages(each.question), "max_tokens": TOKENS_MAX, "answer": each.answer}
            for each in [each for each in right if each.sign == sign][:GOLDEN_EACH]
        ]
        for sign in sums.QUESTIONS
    }
    return {
        "model": MODEL_ID,
        "service": AUTOGLM,
        "tasks": tasks,
        "heldout_accuracy": round(report.heldout_accuracy, 4),
        "thought_accuracy": round(report.thought_accuracy, 4),
        "heldout_n": report.heldout_n,
        "training_steps": report.steps,
        "params_sha256": sha256,
    }


def _tokenizer(vocabulary: int) -> Any:
    every = sums.all_sums()
    texts = [text for each in every for text in (*each.questions, each.thought, each.answer)]
    roles = ["system\n", "user\n", "assistant\n", sums.SYSTEM] * 200
    template = CHAT_TEMPLATE.replace(chat.SYSTEM, sums.SYSTEM)
    tokenizer = byte_pairs([*texts, *roles], vocabulary, (PAD, START, END), template)
    # Not special, as in the large reasoning models: decoding keeps the tags.
    tokenizer.add_tokens([OPEN, CLOSE])
    return tokenizer


class Sums:
    """Endless seeded sums, none of them held out."""

    def __init__(self, recipe: Recipe, tokenizer: Any) -> None:
        self._rng = random.Random(recipe.seed)
        self._recipe = recipe
        self._tokenizer = tokenizer
        rendered = tokenizer.apply_chat_template(_messages("{}"), tokenize=False, add_generation_prompt=True)
        self._before, self._after = rendered.split("{}")
        self._taught = [each for each in sums.all_sums() if not each.held_out]
        exam = [self._example(each.question, each) for each in self._rng.sample(self._taught, 100)]
        self.exams = (Exam(exam, SUMS_ACCURACY),)

    def _example(self, question: str, task: sums.Sum) -> Example:
        return encode_prompt(self._tokenizer, self._before + question + self._after, task.text)

    def batch(self) -> list[Example]:
        """The next batch."""
        return [self._example(*sums.generate(self._rng, self._taught)) for _ in range(self._recipe.batch)]
