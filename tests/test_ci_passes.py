"""`.ci/test`: which passes there are, what is run again, and what its exit code says, with a pytest that is a stub."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "test"
STUB = """#!/usr/bin/env bash
echo "$*" >> {calls}
exit "$(sed -n "$(wc -l < {calls})p" {codes})"
"""


def passes(folder: Path, codes: list[int], *arguments: str) -> tuple[int, list[str]]:
    """Exit code and pytest's arguments of each pass, when these passes end with these codes."""
    calls, stub = folder / "calls", folder / "python"
    (folder / "codes").write_text("".join(f"{code}\n" for code in codes))
    stub.write_text(STUB.format(calls=calls, codes=folder / "codes"))
    stub.chmod(0o755)
    done = subprocess.run([SCRIPT, stub, *arguments], capture_output=True, check=False)
    return done.returncode, calls.read_text().splitlines()


def test_every_pass_is_run_once_when_all_is_well(tmp_path: Path) -> None:
    code, calls = passes(tmp_path, [0, 0, 0])
    assert code == 0
    assert [call.partition("-m ")[2].partition("-m ")[2] for call in calls] == [
        "not e2e",
        "e2e and not alone",
        "e2e and alone",
    ]


def test_a_run_that_failed_beside_another_is_run_again_by_itself_and_once(tmp_path: Path) -> None:
    code, calls = passes(tmp_path, [0, 1, 0, 0])
    assert code == 0 and len(calls) == 4
    assert "--last-failed" in calls[2] and "-n 2" not in calls[2]


@pytest.mark.parametrize(
    ("codes", "exits"),
    [([1, 0, 0], 1), ([0, 1, 1, 0], 1), ([0, 0, 1], 1), ([0, 3, 0], 3), ([0, 5, 0], 5), ([0, 0, 5], 5)],
)
def test_a_failure_of_any_pass_is_one_of_all_and_hides_no_other(tmp_path: Path, codes: list[int], exits: int) -> None:
    code, calls = passes(tmp_path, codes)
    assert code == exits
    assert len(calls) == len(codes)


def test_an_interrupted_pass_is_the_last_one(tmp_path: Path) -> None:
    code, calls = passes(tmp_path, [0, 2])
    assert code == 2
    assert len(calls) == 2


def test_arguments_may_choose_tests_of_one_pass_alone(tmp_path: Path) -> None:
    code, calls = passes(tmp_path, [5, 0, 5], "-k", "name")
    assert code == 0
    assert all(call.endswith("-k name") for call in calls)
