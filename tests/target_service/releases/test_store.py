"""Releases: never overwritten, whole at every moment, and always one to go back to."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from target_service.model.manifest import MANIFEST, differences, read_manifest
from target_service.model.publish import publish
from target_service.releases.store import CURRENT, PREVIOUS, ReleaseError, Store


def model(folder: Path, content: str = "weights") -> Path:
    def fill(inside: Path) -> None:
        (inside / "model.safetensors").write_text(content)
        (inside / "config.json").write_text("{}")

    publish(folder, "recipe", fill)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def with_releases(store: Store, tmp_path: Path, *tags: str) -> Store:
    for tag in tags:
        store.publish(model(tmp_path / f"source-{tag}", tag), tag)
        store.switch(tag)
    return store


def served(store: Store) -> str:
    return (store.root / CURRENT / "model.safetensors").read_text()


def test_a_published_release_is_read_only_and_says_its_version(store: Store, tmp_path: Path) -> None:
    folder = store.publish(model(tmp_path / "source"), "v1.0.0-qwen0.5b")
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert folder.stat().st_mode & 0o777 == 0o555
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest["version"], differences(folder, manifest)) == ("v1.0.0-qwen0.5b", [])
    assert store.linked(CURRENT) is None


def test_a_release_is_never_overwritten_not_even_from_the_archive(store: Store, tmp_path: Path) -> None:
    with_releases(store, tmp_path, "v1", "v2", "v3")
    assert store.archive() == ["v1"]
    for tag in ("v1", "v3"):
        with pytest.raises(ReleaseError, match="never overwritten; choose another tag"):
            store.publish(tmp_path / "source-v2", tag)
    assert served(store) == "v3"


@pytest.mark.parametrize("tag", ["", "../v1", "a/b", ".hidden", "v 1", "x" * 101])
def test_a_tag_is_a_name_and_no_path(store: Store, tmp_path: Path, tag: str) -> None:
    with pytest.raises(ReleaseError, match="is no tag"):
        store.publish(model(tmp_path / "source"), tag)


def test_a_source_that_is_not_what_its_manifest_says_is_not_published(store: Store, tmp_path: Path) -> None:
    source = model(tmp_path / "source")
    (source / "config.json").write_text("[]")
    with pytest.raises(ReleaseError, match=r"config\.json sha256 differs"):
        store.publish(source, "v1")
    assert store.tags() == []


def test_a_source_without_a_manifest_gets_one(store: Store, tmp_path: Path) -> None:
    source = model(tmp_path / "source")
    (source / MANIFEST).unlink()
    store.publish(source, "v1")
    store.verify("v1")


@pytest.mark.parametrize("source", ["missing", "empty"])
def test_what_is_no_model_folder_is_not_published(store: Store, tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReleaseError, match="is not a model folder"):
        store.publish(tmp_path / source, "v1")


def test_a_damaged_release_is_not_switched_to(store: Store, tmp_path: Path) -> None:
    with_releases(store, tmp_path, "v1")
    folder = store.publish(model(tmp_path / "source-v2", "v2"), "v2")
    (folder / "model.safetensors").chmod(0o644)
    (folder / "model.safetensors").write_text("vX")
    with pytest.raises(ReleaseError, match=r"v2 is damaged: model\.safetensors sha256 differs; publish it again"):
        store.switch("v2")
    assert served(store) == "v1"


def test_a_switch_keeps_the_release_before_it_and_a_rollback_returns_to_it(store: Store, tmp_path: Path) -> None:
    with_releases(store, tmp_path, "v1", "v2")
    assert (served(store), store.linked(PREVIOUS)) == ("v2", "v1")
    assert store.rollback() == "v1"
    assert (served(store), store.linked(PREVIOUS)) == ("v1", "v2")
    assert store.rollback() == "v2"


def test_without_a_release_before_it_there_is_nothing_to_roll_back_to(store: Store, tmp_path: Path) -> None:
    with_releases(store, tmp_path, "v1")
    with pytest.raises(ReleaseError, match="nothing to roll back to"):
        store.rollback()


def test_the_archive_takes_what_no_link_leads_to(store: Store, tmp_path: Path) -> None:
    with_releases(store, tmp_path, "v1", "v2", "v3", "v4")
    store.point("current.standby", "v1")
    assert store.archive() == ["v2"]
    assert (store.tags(), store.archived()) == (["v1", "v3", "v4"], ["v2"])
    assert store.rollback() == "v3"
    with pytest.raises(ReleaseError, match="there is no release v2; it lies in archive"):
        store.switch("v2")


def test_who_followed_the_link_before_a_switch_keeps_whole_files_of_one_release(store: Store, tmp_path: Path) -> None:
    with_releases(store, tmp_path, "v1")
    resolved = (store.root / CURRENT).resolve()
    with_releases(store, tmp_path, "v2")
    manifest = read_manifest(resolved)
    assert manifest is not None
    assert (manifest["version"], differences(resolved, manifest)) == ("v1", [])


class Stopped(BaseException):
    """As if by SIGKILL: nothing after it runs but what the kernel does."""


def stop_after(steps: int, root: Path) -> Store:
    taken = 0

    def step(_: str) -> None:
        nonlocal taken
        taken += 1
        if taken == steps:
            raise Stopped

    return Store(root, step)


def bring_v3(store: Store, source: Path) -> None:
    if "v3" not in store.tags():
        store.publish(source, "v3")
    store.switch("v3")
    store.archive()


@pytest.mark.parametrize("steps", range(1, 8))
def test_wherever_it_is_stopped_current_leads_to_a_whole_release_and_once_more_finishes(
    tmp_path: Path, steps: int
) -> None:
    store = with_releases(Store(tmp_path / "store"), tmp_path, "v1", "v2")
    source = model(tmp_path / "source-v3", "v3")
    with contextlib.suppress(Stopped):
        bring_v3(stop_after(steps, store.root), source)
    now = store.linked(CURRENT)
    assert now in ("v2", "v3")
    store.verify(now)
    assert served(store) == now
    assert os.listdir(store.root / CURRENT)
    bring_v3(store, source)
    assert (served(store), store.linked(PREVIOUS)) == ("v3", "v2")
    assert store.rollback() == "v2"
    assert not [path.name for path in (store.root / "releases").iterdir() if path.name.startswith(".")]


def test_the_steps_at_which_it_is_stopped_are_all_there_are(tmp_path: Path) -> None:
    store = with_releases(Store(tmp_path / "store"), tmp_path, "v1", "v2")
    said: list[str] = []
    bring_v3(Store(store.root, said.append), model(tmp_path / "source-v3", "v3"))
    assert said == ["copied", "described", "protected", "published", "previous leads to v2", "current leads to v3",
                    "archived v1"]  # fmt: skip
