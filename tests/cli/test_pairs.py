"""`harness run --pairs`: whatever one run raises, the others are run, and the table of what is known is on the disk."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import pairs
from harness.cli.main import call
from harness.cli.scenarios import Where
from harness.cli.unattended import run_unattended
from harness.model.errors import StackError
from harness.plan.parse import parse_scenario

HANG = """# If the engine hangs, users are served again within 5 s.
name: {name}
load: {{rate_per_s: 20}}
phases: {{baseline_s: 5, recovery_s: 5}}
faults: [{{kind: service.hang, for_s: 8}}]
observe: {{recovery_s: {{max: 5}}}}
expect: {{fragile: {{outcome: fail, because: recovery_s}}, hardened: pass}}
"""
FULL = OSError(errno.ENOSPC, "No space left on device")
Between = Callable[[int], None]  # called with the number of each run before it


class Keeper:
    """Counts how often what it keeps may serve nobody else."""

    new_because = ""

    def __init__(self) -> None:
        self.discarded: list[str] = []
        self.ended = 0

    def for_plan(self, plan: Any) -> Any:
        return type("Stack", (), {"name": "fake"})()

    def discard(self, because: str) -> None:
        self.discarded.append(because)

    def end(self) -> None:
        self.ended += 1


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(HANG.format(name=name))
    return tmp_path / "out"


@pytest.fixture
def night(out: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Between], int]:
    """Both halves of two scenarios, with something before each run."""
    real = pairs.run_one

    def night(between: Between) -> int:
        number = 0

        def run_one(*given: Any) -> Any:
            nonlocal number
            number += 1
            between(number)
            return real(*given)

        monkeypatch.setattr(pairs, "run_one", run_one)
        files = [str(out.parent / f"{name}.yaml") for name in ("first", "second")]
        return call(["run", *files, "--pairs", "--stack", "fake", "--seed", "7", "--out", str(out)])

    return night


def at(wanted: int, error: BaseException) -> Between:
    def between(number: int) -> None:
        if number == wanted:
            raise error

    return between


def table(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "pairs.json").read_text())
    return found


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("cannot convert\nNaN"), "a defect of the harness itself: ValueError: cannot convert NaN"),
        (FULL, "OSError: [Errno 28] No space left on device"),
        (StackError("its port is taken"), "its port is taken"),
    ],
    ids=["defect", "full disk", "known"],
)
def test_whatever_a_run_raises_is_its_result_and_the_others_are_run(
    night: Callable[[Between], int], out: Path, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    assert night(at(1, error)) == 3
    first, second = table(out)["pairs"]
    assert (first["fragile"]["outcome"], first["fragile"]["reason"]) == (None, said)
    assert first["hardened"]["outcome"] == "pass"
    assert second["discriminates"] is True
    shown = capsys.readouterr()
    assert f"first: fragile: there is no verdict: {said}\n" in shown.out
    assert "1 of 2 pairs tell fragile from hardened (50%)" in shown.out and "NOT COMPLETE" not in shown.out
    assert f"no verdict: {said}" in shown.err, "it is said when it happens, too"
    assert ("; see " in shown.err) is not isinstance(error, StackError), "a traceback for who mends it"


def test_before_each_run_the_table_of_all_before_it_is_on_the_disk_and_says_that_it_is_not_complete(
    night: Callable[[Between], int], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int, bool, str]] = []

    def look(_: int) -> None:
        found = table(out)
        assert "NOT COMPLETE" in (out / "pairs.html").read_text()
        headline = next(line for line in (out / "pairs.md").read_text().splitlines() if line.startswith("**"))
        seen.append((found["runs"], found["cut_off"], headline.partition(", NOT")[2]))

    out.mkdir()
    (out / "pairs.json").write_text('{"of": "another night"}')
    assert night(look) == 0
    assert seen == [(n, True, f" COMPLETE: {n} of 4 runs**") for n in range(4)]
    assert (table(out)["runs"], table(out)["cut_off"]) == (4, False)
    assert "NOT COMPLETE" not in "".join(path.read_text() for path in out.glob("pairs.*"))
    assert not list(out.glob(".*.part"))
    assert "NOT COMPLETE" not in capsys.readouterr().out


@pytest.mark.parametrize("ends", [KeyboardInterrupt(), SystemExit(9)])
def test_what_is_to_end_the_session_ends_it_and_what_was_done_is_kept(
    night: Callable[[Between], int], out: Path, ends: BaseException
) -> None:
    if isinstance(ends, SystemExit):
        with pytest.raises(SystemExit):
            night(at(3, ends))
    else:
        assert night(at(3, ends)) == 3
    assert (table(out)["runs"], table(out)["outcome"]) == (2, "inconclusive")


def test_a_disk_that_is_full_for_the_table_alone_costs_no_run_and_is_no_success(
    night: Callable[[Between], int], out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(number: int) -> None:
        if number == 4:
            monkeypatch.setattr("harness.store.projection.os.replace", full)

    def full(part: Path, to: Path) -> None:
        if to.name == "pairs.json":
            raise FULL
        part.rename(to)

    assert night(fill) == 3
    shown = capsys.readouterr()
    assert "2 of 2 pairs tell fragile from hardened (100%)" in shown.out
    said = f"{out} cannot be written (No space left on device): make room, or choose another --out"
    assert f"the table is not on the disk: {said}\n" in shown.err
    assert table(out)["runs"] == 3, "the last one that could be written is whole"
    assert not list(out.glob(".*.part"))


@pytest.mark.parametrize(("error", "times"), [(ValueError("x"), 1), (StackError("x"), 0)])
def test_no_run_has_the_stack_of_one_that_ended_by_a_defect(
    night: Callable[[Between], int], monkeypatch: pytest.MonkeyPatch, error: Exception, times: int
) -> None:
    keeper = Keeper()
    monkeypatch.setattr(pairs, "keeper_of", lambda *_: keeper)
    monkeypatch.setattr(pairs, "kept_session", lambda *_: pairs.make_session(("fake", Path()), *_[2]))
    night(at(2, error))
    assert keeper.discarded == ["a run on it ended by a ValueError"] * times
    assert keeper.ended == 1


def test_nor_has_a_test_that_follows_it(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper()
    monkeypatch.setattr("harness.cli.unattended.kept_session", lambda *_: None)
    monkeypatch.setattr("harness.cli.unattended.run_session", lambda *_: 1 / 0)
    scenario = parse_scenario(HANG.format(name="first"), "first.yaml")
    with pytest.raises(ZeroDivisionError):
        run_unattended(scenario, Where("fake", Path()), "7", out, keeper)  # type: ignore[arg-type]  # a stand-in
    assert keeper.discarded == ["a run on it ended by a ZeroDivisionError"]
