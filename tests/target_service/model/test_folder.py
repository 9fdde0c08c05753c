"""Manifest and publishing: a model folder is whole and as described, or it is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from target_service.data import sentiment
from target_service.model.manifest import MANIFEST, differences, manifest_of, read_manifest
from target_service.model.publish import NotAModelFolderError, is_up_to_date, publish


def fill(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")


def test_a_published_folder_is_readable_by_all_and_up_to_date(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    publish(folder, "recipe", fill)
    assert is_up_to_date(folder, "recipe")
    assert not is_up_to_date(folder, "another recipe")
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def break_off(folder: Path) -> None:
        fill(folder)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        publish(tmp_path / "model", "recipe", break_off)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NotAModelFolderError, match="remove it or name another"):
        is_up_to_date(tmp_path, "recipe")


def test_an_old_model_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    publish(folder, "old", fill)
    publish(folder, "new", fill)
    assert is_up_to_date(folder, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_every_kind_of_difference_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    manifest = manifest_of(tmp_path, "recipe")
    assert differences(tmp_path, manifest) == []
    (tmp_path / "model.safetensors").write_bytes(b"weighty")
    (tmp_path / "config.json").write_text("{} ")
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "stale.safetensors").touch()
    assert differences(tmp_path, manifest) == [
        "config.json has 3 bytes, not 2",
        "model.safetensors sha256 differs",
        "tokenizer.json cannot be read (No such file or directory)",
        "stale.safetensors is not in the manifest",
    ]


def test_a_broken_manifest_is_an_error_and_a_missing_one_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"files": 3}))
    with pytest.raises(ValueError, match="no files"):
        read_manifest(tmp_path)


def test_sentences_are_a_function_of_the_seed_and_hold_some_out() -> None:
    drawn = [[sentiment.generate(rng) for _ in range(300)] for rng in (random.Random(1), random.Random(1))]
    assert drawn[0] == drawn[1]
    held_out = sum(sentence.held_out for sentence in drawn[0])
    assert 10 < held_out < 60
