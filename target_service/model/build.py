"""Train, save, load again, measure: one model folder. `report` is what the builder prints."""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_service.data import chat, sentiment
from target_service.model.decoding import TorchDecoder, generate
from target_service.model.fingerprint import FINGERPRINT, Fingerprint, take_fingerprint
from target_service.model.golden import GOLDEN, read_golden
from target_service.model.imports import lean_imports
from target_service.model.loading import LoadOptions, load, params_sha256
from target_service.model.publish import write_json
from target_service.model.recipe import MODEL_ID, Recipe
from target_service.model.tokenizer import train_tokenizer
from target_service.model.training import chat_messages, sentiment_messages, train
from target_service.protocol.chat import Message, Sampling

__all__ = ["NotGoodEnoughError", "Report", "ask_model", "begin_building", "build"]

GOLDEN_SENTENCES = 32
SENTIMENT_TOKENS = 4
CHAT_TOKENS = 32
FINGERPRINT_TEXTS = 8


class NotGoodEnoughError(Exception):
    """The trained model misses its figures; nothing is published."""


@dataclass(frozen=True)
class Report:
    """What was built: accuracies are shares of right answers, times are seconds."""

    steps: int
    training_s: float
    heldout_accuracy: float
    heldout_n: int
    natural_accuracy: float
    natural_n: int


def begin_building() -> None:
    """Import what training needs, and make it repeatable."""
    with lean_imports():
        import torch
        import transformers

        # Named here so that its many imports happen while they are lean.
        _ = transformers.Qwen2ForCausalLM
    transformers.utils.logging.disable_progress_bar()
    # One thread: the order of float additions, so the weights, must not depend on the machine's load.
    torch.set_num_threads(1)


def build(recipe: Recipe, folder: Path) -> Report:
    """Fill an existing empty folder with everything but the manifest; raises NotGoodEnoughError."""
    begin_building()
    begin_s = time.monotonic()
    tokenizer = train_tokenizer(recipe.vocabulary, recipe.seed)
    trained = train(recipe, tokenizer)
    training_s = time.monotonic() - begin_s
    trained.network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Measured on what serving will load, through what serving will run.
    decoder = load(LoadOptions(folder, dtype="float32")).decoder
    heldout = held_out_sentences(recipe)
    right = [text for text, label in heldout if _answers(decoder, text) == label]
    natural = [text for text, label in sentiment.NATURAL if _answers(decoder, text) == label]
    accuracy = (len(right) + len(natural)) / (len(heldout) + len(sentiment.NATURAL))
    report = Report(
        steps=trained.steps,
        training_s=round(training_s, 1),
        heldout_accuracy=round(accuracy, 4),
        heldout_n=len(heldout) + len(sentiment.NATURAL),
        natural_accuracy=round(len(natural) / len(sentiment.NATURAL), 4),
        natural_n=len(sentiment.NATURAL),
    )
    if accuracy < recipe.heldout_accuracy_min:
        raise NotGoodEnoughError(
            f"held-out accuracy {accuracy:.3f} is below {recipe.heldout_accuracy_min}; try another --seed."
        )
    write_json(folder / GOLDEN, _golden(decoder, [(t, s) for t, s in heldout if t in right], report))
    write_json(folder / FINGERPRINT, _fingerprint(decoder, folder).body())
    # Times differ between runs, so they stay out of every file that the manifest hashes.
    return report


def held_out_sentences(recipe: Recipe) -> list[tuple[str, str]]:
    """Distinct generated sentences whose combinations training never sees."""
    rng = random.Random(recipe.seed + 1)
    found: dict[str, str] = {}
    while len(found) < recipe.heldout_sentences:
        drawn = sentiment.generate(rng)
        if drawn.held_out:
            found[drawn.text] = drawn.label
    return list(found.items())


def ask_model(decoder: TorchDecoder, messages: list[dict[str, str]], max_tokens: int) -> str:
    """What the model says, greedily."""
    turns = tuple(Message(m["role"], m["content"]) for m in messages)
    return generate(decoder, turns, Sampling(max_tokens=max_tokens)).text


def _answers(decoder: TorchDecoder, sentence: str) -> str:
    return ask_model(decoder, sentiment_messages(sentence), SENTIMENT_TOKENS)


def _fingerprint(decoder: TorchDecoder, folder: Path) -> Fingerprint:
    """Of as many golden texts as a periodic check can afford, the tasks in turn."""
    golden = read_golden(folder / GOLDEN)
    assert golden is not None
    return take_fingerprint(decoder, list(itertools.islice(golden.rotation(), FINGERPRINT_TEXTS)))


def _golden(decoder: TorchDecoder, sentences: list[tuple[str, str]], report: Report) -> dict[str, Any]:
    asked = [
        ("sentiment", sentiment_messages(text), SENTIMENT_TOKENS, label) for text, label in sentences[:GOLDEN_SENTENCES]
    ]
    asked += [("chat", chat_messages(q), CHAT_TOKENS, answer) for q, answer in chat.FACTS]
    tasks: dict[str, list[dict[str, Any]]] = {"sentiment": [], "chat": []}
    for task, messages, max_tokens, answer in asked:
        got = ask_model(decoder, messages, max_tokens)
        if got != answer:
            raise NotGoodEnoughError(f"{messages[-1]['content']!r} is answered {got!r}, not {answer!r}.")
        tasks[task].append({"messages": messages, "max_tokens": max_tokens, "answer": answer})
    return {
        "model": MODEL_ID,
        "tasks": tasks,
        "heldout_accuracy": report.heldout_accuracy,
        "heldout_n": report.heldout_n,
        "natural_accuracy": report.natural_accuracy,
        "natural_n": report.natural_n,
        "training_steps": report.steps,
        "params_sha256": params_sha256(decoder.network),
    }
