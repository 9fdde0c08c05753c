"""`python -m target_service.build_model DIR [--service NAME] [--seed 7]`: make a model folder, or say it is there.

Exit codes: 0 built or up to date, 1 the model missed its figures or DIR is not ours, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from target_service.model import reasoning
from target_service.model.build import NotGoodEnoughError
from target_service.model.build import build as build_all_in_one
from target_service.model.loading import stay_offline
from target_service.model.publish import NotAModelFolderError, is_up_to_date, publish
from target_service.model.recipe import Recipe, recipe_sha256
from target_service.services.choice import ALL_IN_ONE, AUTOGLM, CHORD, SERVICES
from target_service.vision.build import build as build_grounding
from target_service.vision.build import chord_sha256
from target_service.vision.recipe import ChordRecipe

__all__ = ["main"]

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Building:
    """How one service's model is made: what names the result, and what fills a folder and sums it up in words."""

    sha256: str
    fill: Callable[[Path, Tell], str]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m target_service.build_model")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the model folder goes")
    parser.add_argument("--service", choices=SERVICES, default=ALL_IN_ONE, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="default %(default)s")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Build unless the folder holds this recipe's model already; return the exit code."""
    args = _arguments().parse_args(argv)
    building = _BUILDINGS[args.service](args.seed)
    begin_s, told = time.monotonic(), list[str]()
    stay_offline()
    try:
        if is_up_to_date(args.folder, building.sha256):
            _tell(f"up to date: {args.folder}")
            return 0
        publish(args.folder, building.sha256, lambda made: told.append(building.fill(made, _tell)))
    except (NotAModelFolderError, NotGoodEnoughError) as error:
        sys.stderr.write(f"build_model: {error}\n")
        return 1
    _tell(f"built {args.folder} in {time.monotonic() - begin_s:.1f} s {told[0]}")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _all_in_one(seed: int) -> _Building:
    recipe = Recipe(seed=seed)

    def fill(folder: Path, _: Tell) -> str:
        report = build_all_in_one(recipe, folder)
        return (
            f"({report.steps} steps, training {report.training_s} s); held-out accuracy "
            f"{report.heldout_accuracy:.3f} of {report.heldout_n} sentences, "
            f"{report.natural_accuracy:.3f} of {report.natural_n} written by hand"
        )

    return _Building(recipe_sha256(recipe), fill)


def _autoglm(seed: int) -> _Building:
    recipe = replace(reasoning.REASONING, seed=seed)

    def fill(folder: Path, tell: Tell) -> str:
        report = reasoning.build(recipe, folder, tell)
        return (
            f"({report.steps} steps); of {report.heldout_n} held-out sums {report.heldout_accuracy:.3f} are right, "
            f"{report.thought_accuracy:.3f} with every step of the thought"
        )

    return _Building(reasoning.reasoning_sha256(recipe), fill)


def _chord(seed: int) -> _Building:
    recipe = ChordRecipe(seed=seed)

    def fill(folder: Path, tell: Tell) -> str:
        report = build_grounding(recipe, folder, tell)
        shares = report.shares
        return (
            f"({report.steps} steps, training {report.training_s} s); held-out images: IoU ≥ 0.5 on "
            f"{shares.iou_share:.3f} of {shares.present_n}, no box on {shares.absent_share:.3f} of {shares.absent_n}"
        )

    return _Building(chord_sha256(recipe), fill)


_BUILDINGS: dict[str, Callable[[int], _Building]] = {ALL_IN_ONE: _all_in_one, AUTOGLM: _autoglm, CHORD: _chord}

if __name__ == "__main__":
    sys.exit(main())
