"""Two runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.archive import compare_runs
from harness.model.archive import Comparison
from harness.model.errors import HarnessError
from harness.session import judge_folder
from harness.stack.fake.stack import FakeStack
from tests.fake_run import run_fake

pytestmark = pytest.mark.whole

TEN = "episodes: 6\nfaults: [{kind: process.kill, on: primary, at_s: 1}]\nobserve: {recovery_s: {max: 20}}\n"


def compared(tmp_path: Path, a: str, b: str) -> Comparison:
    folders = []
    for name, text in (("a", a), ("b", b)):
        folder = run_fake(tmp_path / name, text)
        judge_folder(folder)
        folders.append(folder.path)
    return compare_runs(folders[0], folders[1])


def test_the_same_run_twice_differs_in_nothing(tmp_path: Path) -> None:
    both = compared(tmp_path, TEN, TEN)
    assert both.plan == ()
    assert {one.says for one in both.differences} == {"cannot tell"}
    assert "no quantity differs" in both.headline


def test_a_slower_detection_is_found_as_a_longer_recovery_with_the_setting_that_changed(tmp_path: Path) -> None:
    slow = "faults: [{kind: process.pause, on: primary, for_s: 8, at_s: 1}]\n"
    both = compared(tmp_path, TEN, TEN.replace(TEN.splitlines()[1] + "\n", slow))
    says = {one.quantity: one.says for one in both.differences}
    assert says["recovery_s"] == "higher"
    assert ("faults.0.kind", "process.kill", "process.pause") in both.plan
    assert "B's recovery_s is higher" in both.headline


def test_one_episode_each_cannot_tell_and_says_how_many_could(tmp_path: Path) -> None:
    one = TEN.replace("episodes: 6", "episodes: 1")
    both = compared(tmp_path, one, one)
    first = both.differences[0]
    assert first.by.value is None
    assert "4 and 4" in first.by.method


def test_several_settings_at_once_and_unproven_episodes_are_said(tmp_path: Path) -> None:
    other = TEN.replace("at_s: 1", "at_s: 2").replace("episodes: 6", "episodes: 7")
    both = compared(tmp_path, TEN, other)
    assert any("settings differ" in limit for limit in both.limits)
    assert any("between runs" in limit for limit in both.limits)


class Switched(FakeStack):
    """A scripted target that says that the environment switches it."""

    def switches(self) -> Mapping[str, str]:
        return {"TARGET_REPLICA_MAX_QUEUE": "8"}


def test_a_target_that_the_environment_switched_is_another_setting(tmp_path: Path) -> None:
    plain, switched = run_fake(tmp_path / "a", TEN), run_fake(tmp_path / "b", TEN, stack=Switched)
    for folder in (plain, switched):
        judge_folder(folder)
    assert compare_runs(plain.path, switched.path).plan == (("environment.TARGET_REPLICA_MAX_QUEUE", "–", "8"),)
    assert switched.read_plan().environment == {"TARGET_REPLICA_MAX_QUEUE": "8"}
    assert switched.read_plan().replay.startswith("TARGET_REPLICA_MAX_QUEUE=8 harness run ")


def test_a_folder_that_was_not_judged_is_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, TEN).path
    with pytest.raises(HarnessError, match="harness judge"):
        compare_runs(folder, folder)
