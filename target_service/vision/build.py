"""Train, save, load again, measure: one folder with the grounding model. `report` is what the builder prints."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from target_service.data.shapes import Question, Scene, ask, draw
from target_service.model.build import NotGoodEnoughError, begin_building
from target_service.model.decoding import TorchDecoder, generate
from target_service.model.golden import GOLDEN
from target_service.model.loading import LoadOptions, load, params_sha256
from target_service.model.publish import write_json
from target_service.model.recipe import hash_of
from target_service.protocol.chat import Message, Sampling
from target_service.services.choice import CHORD
from target_service.vision.boxes import boxes_in, iou
from target_service.vision.images import as_png
from target_service.vision.pixels import PREPROCESSOR, Preprocessing
from target_service.vision.recipe import MODEL_ID, ChordRecipe, preprocessing_of
from target_service.vision.tokenizer import train_tokenizer
from target_service.vision.training import train

__all__ = ["Asked", "Report", "Shares", "build", "chord_sha256", "held_out", "shares_of"]

TOKENS_MAX = 16
GOLDEN_EACH = 8
IOU_RIGHT = 0.5


@dataclass(frozen=True)
class Asked:
    """A held-out scene with its question; `png` is base64 text."""

    question: Question
    png: str


@dataclass(frozen=True)
class Shares:
    """Of `present_n` questions the share with IoU ≥ 0.5, of `absent_n` the share that got no box."""

    iou_share: float
    present_n: int
    absent_share: float
    absent_n: int


@dataclass(frozen=True)
class Report:
    """What was built."""

    steps: int
    training_s: float
    shares: Shares


def chord_sha256(recipe: ChordRecipe) -> str:
    """Hash of the recipe and of the package's own sources that shape the model, as hex."""
    package = Path(__file__).parent
    own = [package / f"{name}.py" for name in ("network", "pixels", "tokenizer", "training")]
    return hash_of(recipe, [*own, package.parent / "data" / "shapes.py", package.parent / "model" / "tokenizer.py"])


def build(recipe: ChordRecipe, folder: Path, tell: Callable[[str], None]) -> Report:
    """Fill an existing empty folder with everything but the manifest; raises NotGoodEnoughError."""
    begin_building()
    begin_s = time.monotonic()
    tokenizer = train_tokenizer(recipe.vocabulary)
    network = train(recipe, tokenizer, tell)
    training_s = time.monotonic() - begin_s
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / PREPROCESSOR, _config(preprocessing_of(recipe)))
    # Measured on what serving will load, through what serving will run.
    decoder = load(LoadOptions(folder, dtype="float32")).decoder
    asked = held_out(recipe.seed + 1, recipe.heldout_images)
    answers = [_ask(decoder, each) for each in asked]
    report = Report(recipe.steps, round(training_s, 1), shares_of(asked, [boxes_in(answer) for answer in answers]))
    shares = report.shares
    if shares.iou_share < recipe.iou_share_min or shares.absent_share < recipe.absent_share_min:
        raise NotGoodEnoughError(
            f"IoU ≥ {IOU_RIGHT} on {shares.iou_share:.3f} (needed {recipe.iou_share_min}) and no box on "
            f"{shares.absent_share:.3f} (needed {recipe.absent_share_min}) of held-out images; try another --seed."
        )
    # Times differ between runs, so they stay out of every file that the manifest hashes.
    write_json(folder / GOLDEN, _golden(asked, answers, report, params_sha256(decoder.network)))
    return report


def held_out(seed: int, count: int) -> list[Asked]:
    """Scenes that training never sees, each with a question; 40 % of these name a colour that is not there."""
    random = np.random.default_rng(seed)
    found: list[Asked] = []
    while len(found) < count:
        scene: Scene = draw(random)
        if scene.held_out:
            png = base64.b64encode(as_png(scene.pixels)).decode()
            found.append(Asked(ask(random, scene), png))
    return found


def shares_of(asked: Sequence[Asked], answers: Sequence[Sequence[Sequence[float]]]) -> Shares:
    """How many of the answers, each a list of boxes, are right."""
    there = [_right(each, boxes) for each, boxes in zip(asked, answers, strict=True) if each.question.box is not None]
    gone = [_right(each, boxes) for each, boxes in zip(asked, answers, strict=True) if each.question.box is None]
    return Shares(sum(there) / max(len(there), 1), len(there), sum(gone) / max(len(gone), 1), len(gone))


def _right(asked: Asked, boxes: Sequence[Sequence[float]]) -> bool:
    if asked.question.box is None:
        return not boxes
    return len(boxes) == 1 and iou(boxes[0], asked.question.box) >= IOU_RIGHT


def _ask(decoder: TorchDecoder, asked: Asked) -> str:
    turn = Message("user", asked.question.text, (asked.png,))
    return generate(decoder, (turn,), Sampling(max_tokens=TOKENS_MAX)).text


def _config(how: Preprocessing) -> dict[str, Any]:
    """As Qwen2.5-VL's own folders say it."""
    return {
        "image_processor_type": "Qwen2VLImageProcessor",
        "min_pixels": how.min_pixels,
        "max_pixels": how.max_pixels,
        "patch_size": how.patch_px,
        "temporal_patch_size": how.temporal,
        "merge_size": how.merge,
        "image_mean": list(how.mean),
        "image_std": list(how.std),
    }


def _golden(asked: Sequence[Asked], answers: Sequence[str], report: Report, sha256: str) -> dict[str, Any]:
    tasks: dict[str, list[dict[str, Any]]] = {"present": [], "absent": []}
    for each, answer in zip(asked, answers, strict=True):
        entries = tasks["present" if each.question.box is not None else "absent"]
        if len(entries) < GOLDEN_EACH and _right(each, boxes_in(answer)):
            image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{each.png}"}}
            content = [image, {"type": "text", "text": each.question.text}]
            messages = [{"role": "user", "content": content}]
            entries.append({"messages": messages, "max_tokens": TOKENS_MAX, "answer": answer})
    return {
        "model": MODEL_ID,
        "service": CHORD,
        "tasks": tasks,
        **{key: round(value, 4) for key, value in asdict(report.shares).items()},
        "training_steps": report.steps,
        "params_sha256": sha256,
    }
