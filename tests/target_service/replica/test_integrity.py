"""Verification while serving: what fired, since when the model is not known to be good."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from target_service.model.loading import BadModelError, Loaded
from target_service.model.publish import publish
from target_service.replica.integrity import CheckedFiles, PeriodicCheck, Verification, check_files, recheck
from target_service.replica.settings import parse_arguments
from target_service.replica.state import ReplicaState, Serving


class Parameter:
    def __init__(self, *, finite: bool) -> None:
        self._finite = finite

    def isfinite(self) -> Any:
        return SimpleNamespace(all=lambda: self._finite)


def loaded(*, finite: bool = True) -> Loaded:
    network = SimpleNamespace(named_parameters=lambda: [("norm.weight", Parameter(finite=finite))])
    return Loaded(cast(Any, SimpleNamespace(network=network)), (), {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def fill(inside: Path) -> None:
        (inside / "model.safetensors").write_bytes(b"weights")
        (inside / "tokenizer.json").write_text("{}")

    publish(tmp_path / "model", "recipe", fill)
    return tmp_path / "model"


def test_a_model_that_did_not_change_is_good_again(folder: Path) -> None:
    recheck(folder, check_files(folder), loaded())


def test_one_changed_byte_of_any_file_is_found(folder: Path) -> None:
    at_start = check_files(folder)
    (folder / "tokenizer.json").write_text("[]")
    with pytest.raises(BadModelError, match=r"manifest: tokenizer\.json sha256 differs"):
        recheck(folder, at_start, loaded())


def test_another_model_in_good_order_is_not_the_one_that_is_served(folder: Path) -> None:
    at_start = check_files(folder)
    publish(folder, "another recipe", lambda inside: (inside / "config.json").write_text("{}") and None)
    with pytest.raises(BadModelError, match=r"manifest\.json is not the one of the start"):
        recheck(folder, at_start, loaded())


def test_nan_in_memory_is_found_though_the_files_are_right(folder: Path) -> None:
    with pytest.raises(BadModelError, match=r"finite check: norm\.weight"):
        recheck(folder, check_files(folder), loaded(finite=False))


def test_a_folder_without_a_manifest_is_checked_in_memory_only(tmp_path: Path) -> None:
    recheck(tmp_path, CheckedFiles(None, None), loaded())
    with pytest.raises(BadModelError, match="finite check"):
        recheck(tmp_path, CheckedFiles(None, None), loaded(finite=False))


async def test_a_check_vouches_for_its_begin_and_a_failed_one_for_nothing() -> None:
    verification, problems, heard = Verification(), ["", "manifest: x", "manifest: x", ""], []

    def check() -> None:
        problem = problems.pop(0)
        if problem:
            raise BadModelError(problem)

    periodic = PeriodicCheck(check, verification, heard.append)
    await periodic.once(100.0)
    assert (verification.age_s(130.0), verification.problem) == (30.0, None)
    await periodic.once(130.0)
    await periodic.once(140.0)
    assert (verification.age_s(150.0), verification.problem, heard) == (50.0, "manifest: x", ["manifest: x"])
    await periodic.once(150.0)
    assert (verification.age_s(151.0), verification.problem) == (1.0, None)


async def test_a_check_that_cannot_look_does_not_vouch() -> None:
    def check() -> None:
        raise MemoryError("no room")

    verification = Verification()
    verification.good(100.0)
    await PeriodicCheck(check, verification, lambda _: None).once(110.0)
    assert (verification.age_s(120.0), verification.problem) == (20.0, "check: MemoryError('no room')")


def test_a_replica_whose_model_went_bad_is_not_ready_and_says_which_detector_fired() -> None:
    state = ReplicaState("primary", "m", serving=Serving(cast(Any, None), loaded(), True, "all is right", 0.1))
    state.verification.good(time.monotonic() - 60)
    body = state.ready_body()
    assert (body["ready"], body["verified"], 60 <= body["verified_age_s"] < 70) == (True, True, True)
    state.verification.bad("manifest: model.safetensors sha256 differs")
    body = state.ready_body()
    assert (body["ready"], body["verified"]) == (False, False)
    assert body["reason"] == state.refusal == "manifest: model.safetensors sha256 differs"
    assert body["verified_age_s"] >= 60


def test_a_model_is_verified_at_the_start_by_default() -> None:
    assert parse_arguments(["--model", "m", "--port", "1"]).verify_weights == "start"
