"""Verification while serving: what fired, since when the model is not known to be good."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from target_service.model.fingerprint import Fingerprint, KnownText
from target_service.model.golden import Golden, GoldenPrompt
from target_service.model.loading import BadModelError, Loaded
from target_service.model.publish import publish
from target_service.releases.store import Store
from target_service.replica import integrity
from target_service.replica.cache import AnswerCache
from target_service.replica.integrity import (
    CheckedFiles,
    PeriodicCheck,
    Verification,
    check_files,
    check_fingerprint,
    detector_of,
    recheck,
)
from target_service.replica.metrics import ReplicaMetrics
from target_service.replica.settings import parse_arguments
from target_service.replica.startup import identify
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


@pytest.mark.parametrize(
    ("problem", "detector"),
    [
        ("manifest: config.json sha256 differs", "manifest"),
        ("loading report: missing keys: a", "loading_report"),
        ("finite check: norm.weight has NaN", "finite_check"),
        ("fingerprint: log-probabilities of 'x: y' are off", "fingerprint"),
    ],
)
def test_a_problem_names_its_detector(problem: str, detector: str) -> None:
    assert detector_of(problem) == detector


def test_a_detector_counts_once_for_each_finding_and_keeps_when_it_first_fired() -> None:
    verification = Verification()
    assert verification.failure() == {}
    before_s = time.monotonic()
    verification.bad("manifest: x")
    first = verification.failure()
    verification.bad("manifest: x")
    verification.bad("fingerprint: y")
    assert verification.failures == {"manifest": 1, "fingerprint": 1}
    assert (first["detector"], verification.failure()["detector"]) == ("manifest", "fingerprint")
    assert before_s <= first["detected_monotonic_s"] == verification.failure()["detected_monotonic_s"]
    verification.good(1.0)
    verification.bad("manifest: x")
    assert verification.failures["manifest"] == 2
    assert verification.failure()["detected_monotonic_s"] > first["detected_monotonic_s"]


def test_a_model_that_never_loaded_says_which_detector_refused_it() -> None:
    state = ReplicaState("primary", "m", reason="folder: m is empty")
    assert "detector" not in state.ready_body()
    state.verification.bad(state.reason)
    body = state.ready_body()
    assert (body["ready"], body["detector"], body["reason"]) == (False, "folder", "folder: m is empty")


def test_the_metric_counts_by_detector() -> None:
    state = ReplicaState("primary", "m")
    metrics = ReplicaMetrics(state, AnswerCache(0, 1.0))
    assert b"target_integrity_failures_total{" not in metrics.text()
    state.verification.bad("loading report: missing keys")
    assert b'target_integrity_failures_total{detector="loading_report"} 1.0' in metrics.text()


def fingerprint(dtype: str = "float32") -> Fingerprint:
    text = KnownText(({"role": "user", "content": "hi"},), "ho", (-1.0, -2.0))
    return Fingerprint(dtype, 1e-4, (text,))


@pytest.mark.parametrize(("off", "found"), [(0.0, False), (9e-5, False), (1.1e-4, True), (float("nan"), True)])
def test_a_fingerprint_is_off_above_its_tolerance_and_never_below(
    monkeypatch: pytest.MonkeyPatch, off: float, found: bool
) -> None:
    monkeypatch.setattr(integrity, "token_logprobs", lambda *_: [-1.0, -2.0 + off])
    model = loaded()
    model.decoder.network.dtype = "torch.float32"
    assert not check_fingerprint(model, fingerprint("bfloat16"))
    if found:
        with pytest.raises(BadModelError, match=r"fingerprint: log-probabilities of 'hi' are off by"):
            check_fingerprint(model, fingerprint())
    else:
        assert check_fingerprint(model, fingerprint())


def test_the_periodic_check_looks_at_fingerprint_and_answers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded()
    model.decoder.network.dtype = "torch.float32"
    logprobs, answer = [-1.0, -2.0], "ho"
    monkeypatch.setattr(integrity, "token_logprobs", lambda *_: logprobs)
    monkeypatch.setattr(integrity, "generate", lambda *_: SimpleNamespace(text=answer))
    golden = Golden("m", (GoldenPrompt("t", ({"role": "user", "content": "hi"},), 4, "ho"),), None)
    at_start = CheckedFiles(None, golden, fingerprint())
    monkeypatch.setattr(integrity, "check_files", lambda _: at_start)
    recheck(tmp_path, at_start, model)
    answer = "no"
    with pytest.raises(BadModelError, match="golden: 'hi' is answered 'no', not 'ho'"):
        recheck(tmp_path, at_start, model)
    logprobs = [-1.0, -2.5]
    with pytest.raises(BadModelError, match=r"fingerprint: .* off by 0\.5"):
        recheck(tmp_path, at_start, model)


def test_a_link_is_followed_once_so_that_a_switch_never_mixes_files(tmp_path: Path) -> None:
    for tag in ("v1", "v2"):
        (tmp_path / tag).mkdir()
    (tmp_path / "current").symlink_to("v1")
    settings = parse_arguments(["--model", str(tmp_path / "current"), "--port", "1"])
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("v2")
    assert settings.model == tmp_path / "v1"


def test_the_version_is_what_the_manifest_says(folder: Path) -> None:
    assert identify(folder).version is None
    store = Store(folder.parent / "store")
    assert identify(store.publish(folder, "v1.0.0")).version == "v1.0.0"
