"""`python -m target_service.build_model DIR [--seed 7]`: make the tiny model folder, or say it is there.

Exit codes: 0 built or up to date, 1 the model missed its figures or DIR is not ours, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from target_service.model.build import NotGoodEnoughError, Report, build
from target_service.model.loading import stay_offline
from target_service.model.publish import NotAModelFolderError, is_up_to_date, publish
from target_service.model.recipe import Recipe, recipe_sha256

__all__ = ["main"]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m target_service.build_model")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the model folder goes")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="default %(default)s")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Build unless the folder holds this recipe's model already; return the exit code."""
    args = _arguments().parse_args(argv)
    recipe = Recipe(seed=args.seed)
    begin_s, reports = time.monotonic(), list[Report]()
    stay_offline()
    try:
        recipe_hash = recipe_sha256(recipe)
        if is_up_to_date(args.folder, recipe_hash):
            sys.stdout.write(f"up to date: {args.folder}\n")
            return 0
        publish(args.folder, recipe_hash, lambda made: reports.append(build(recipe, made)))
    except (NotAModelFolderError, NotGoodEnoughError) as error:
        sys.stderr.write(f"build_model: {error}\n")
        return 1
    report = reports[0]
    sys.stdout.write(
        f"built {args.folder} in {time.monotonic() - begin_s:.1f} s "
        f"({report.steps} steps, training {report.training_s} s); held-out accuracy "
        f"{report.heldout_accuracy:.3f} of {report.heldout_n} sentences, "
        f"{report.natural_accuracy:.3f} of {report.natural_n} written by hand\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
