"""Every control pair of the catalogue and whether it told fragile from hardened when it was last run: a table to keep.

No session runs all of them, as some need containers and some local processes; so each row says where, when and at which
commit. A pair that never ran is not told apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.model.capability import Capability
from harness.plan.halves import of_half
from harness.plan.make_plan import lacking
from harness.plan.parse import parse_scenario
from tests.bench.figure import Figure, Goal
from tests.bench.whole_run import ROOT

__all__ = ["CONTAINED", "DISCRIMINATION", "TABLE", "catalogue", "discrimination", "keep_pairs", "not_for_containers"]

DISCRIMINATION = Goal("discrimination", ">=", 1)
TABLE = ROOT / "reports" / "catalogue.json"
NO_CATALOGUE = {"examples", "soak"}  # for a target of the user's own; files of another kind
CONTAINED = frozenset(Capability) - {Capability.SUPERVISOR}  # what the container stack has on an engine of this host


def catalogue() -> list[Path]:
    """The scenario files that have a control pair: all of them, which `tests/test_coverage.py` holds true."""
    return sorted(path for path in (ROOT / "scenarios").rglob("*.yaml") if not NO_CATALOGUE & set(path.parts))


def not_for_containers() -> list[Path]:
    """Those of which one half or both need what containers do not have."""
    found = []
    for path in catalogue():
        scenario = parse_scenario(path.read_text(), str(path))
        if any(lacking(of_half(scenario, half), "compose", CONTAINED) for half in ("fragile", "hardened")):
            found.append(path)
    return found


def keep_pairs(path: Path, pairs: Mapping[str, bool], where: Mapping[str, str | None]) -> None:
    """Replace the rows of these pairs; `where`: stack, commit, date. Rows of scenarios that are gone go."""
    before = json.loads(path.read_text()) if path.exists() else {}
    rows = before | {name: {"told_apart": apart, **where} for name, apart in pairs.items()}
    known = {one.stem for one in catalogue()}
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps({name: rows[name] for name in sorted(rows) if name in known}, indent=1) + "\n")
    os.replace(part, path)


def discrimination(path: Path) -> Figure:
    """The share of all control pairs that were told apart when they were last run."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    names = [one.stem for one in catalogue()]
    not_run = [name for name in names if name not in rows]
    bad = [name for name in names if name in rows and not rows[name]["told_apart"]]
    words = [f"{len(names) - len(not_run) - len(bad)} of {len(names)} pairs"]
    words += [f"not told apart: {', '.join(bad)}"] * bool(bad) + [f"never run: {', '.join(not_run)}"] * bool(not_run)
    return DISCRIMINATION.figure(1 - (len(bad) + len(not_run)) / len(names), "; ".join(words))
