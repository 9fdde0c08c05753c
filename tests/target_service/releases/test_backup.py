"""Snapshots elsewhere: whole, few, and never thinned out while something is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_service.releases.__main__ import main
from target_service.releases.backup import BackupPace, back_up, keep_backing_up
from target_service.releases.store import ReleaseError, Store
from tests.target_service.releases.test_store import with_releases


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Store:
    return Store(tmp_path / "elsewhere")


def damage(store: Store, tag: str) -> None:
    path = store.folder(tag) / "model.safetensors"
    path.chmod(0o644)
    path.write_text("other")


def test_what_is_served_is_copied_whole_and_can_be_published_back(
    store: Store, elsewhere: Store, tmp_path: Path
) -> None:
    with_releases(store, tmp_path, "v1")
    assert "backed up" in back_up(store, elsewhere, keep=3)
    elsewhere.verify("v1")
    damage(store, "v1")
    store.publish(elsewhere.folder("v1"), "v1-again")
    store.switch("v1-again")
    assert (store.root / "current" / "model.safetensors").read_text() == "v1"


def test_a_second_round_copies_nothing_and_verifies_what_is_there(
    store: Store, elsewhere: Store, tmp_path: Path
) -> None:
    with_releases(store, tmp_path, "v1")
    back_up(store, elsewhere, keep=3)
    made = elsewhere.folder("v1").stat().st_ino
    assert back_up(store, elsewhere, keep=3) == "v1 was backed up before and is whole"
    assert elsewhere.folder("v1").stat().st_ino == made


def test_only_the_latest_are_kept(store: Store, elsewhere: Store, tmp_path: Path) -> None:
    for tag in ("v1", "v2", "v3"):
        with_releases(store, tmp_path, tag)
        said = back_up(store, elsewhere, keep=2)
    assert elsewhere.tags() == ["v2", "v3"]
    assert "removed v1" in said
    assert not list((elsewhere.root / "releases").glob(".staging.*"))


def test_nothing_is_removed_while_the_release_or_its_snapshot_is_damaged(
    store: Store, elsewhere: Store, tmp_path: Path
) -> None:
    with_releases(store, tmp_path, "v1")
    back_up(store, elsewhere, keep=1)
    with_releases(store, tmp_path, "v2")
    damage(store, "v2")
    with pytest.raises(ReleaseError, match="release v2 is damaged"):
        back_up(store, elsewhere, keep=1)
    assert elsewhere.tags() == ["v1"]
    store.switch("v1")
    damage(elsewhere, "v1")
    with pytest.raises(ReleaseError, match="release v1 is damaged"):
        back_up(store, elsewhere, keep=1)
    assert elsewhere.tags() == ["v1"]


def test_a_round_that_fails_is_said_and_the_next_one_tries_anew(store: Store, elsewhere: Store, tmp_path: Path) -> None:
    said: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        with_releases(store, tmp_path, "v1")

    keep_backing_up(store, elsewhere, 3, BackupPace(60.0, sleep, said.append, rounds=2))
    assert slept == [60.0]
    assert said[0].startswith("NOT backed up: ")
    assert said[1].startswith("backed up ")


def test_the_store_itself_is_no_place_for_its_snapshots(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_releases(store, tmp_path, "v1")
    assert main([str(store.root), "backup", str(store.root)]) == 1
    assert "is the store itself" in capsys.readouterr().err
    assert main([str(store.root), "backup", str(tmp_path / "elsewhere")]) == 0
    assert Store(tmp_path / "elsewhere").tags() == ["v1"]
