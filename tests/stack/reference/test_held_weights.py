"""What a replica holds, and whether it turned damage away, by what it answers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.record.clock import SystemClock
from harness.stack.base import TargetProcess, Weights
from harness.stack.reference.held_weights import Replica, held_parts, held_weights
from tests.answering import answering

SAID: dict[str, tuple[int, dict[str, Any]]] = {}
BAD = (503, {"ready": False, "detector": "manifest", "reason": "manifest: config.json sha256 differs"})
LOADING = (503, {"ready": False, "reason": "the model is loading"})
GOOD = (200, {"ready": True, "detector": None})


@pytest.fixture
def replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replica]:
    # The process asked about is this one, which may have a model mapped that another test loaded.
    monkeypatch.setattr("harness.stack.reference.held_weights.mapped_weights", lambda pid: [])
    (tmp_path / "golden.json").write_text(json.dumps({"params_sha256": "good"}))
    with answering(lambda _, path, __: SAID.get(path, (404, {}))) as port:
        yield Replica("primary", f"http://127.0.0.1:{port}", tmp_path)


def held(replica: Replica, weights: tuple[int, dict[str, Any]], ready: tuple[int, dict[str, Any]]) -> Weights:
    SAID.update({"/weights": weights, "/ready": ready})
    return held_weights(replica, TargetProcess("primary", os.getpid(), 0), None, SystemClock())


def test_a_replica_that_stays_up_and_serves_nobody_has_refused_the_damage(replica: Replica) -> None:
    found = held(replica, (503, {"reason": "no model"}), BAD)
    assert (found.altered, found.refused) == (None, "manifest: config.json sha256 differs")


def test_a_detector_may_fire_though_the_memory_is_still_right(replica: Replica) -> None:
    found = held(replica, (200, {"params_sha256": "good"}), BAD)
    assert (found.altered, found.refused) == (False, "manifest: config.json sha256 differs")


def test_altered_bytes_in_memory_are_the_stronger_evidence(replica: Replica) -> None:
    assert held(replica, (200, {"params_sha256": "other"}), BAD) == Weights(True, "GET /weights")


def test_how_the_last_process_ended_is_told_though_another_one_runs(replica: Replica) -> None:
    SAID.update({"/weights": (503, {"reason": "the model is loading"}), "/ready": LOADING})
    now = TargetProcess("primary", os.getpid(), 0)
    assert held_weights(replica, now, "exit status 78", SystemClock()).last_exit == "exit status 78"
    ended = held_weights(replica, None, "exit status 78", SystemClock())
    assert (ended.source, ended.last_exit) == ("no process: exit status 78", "exit status 78")


@pytest.mark.parametrize("ready", [LOADING, GOOD, (404, {})])
def test_who_is_loading_or_fine_or_says_nothing_has_refused_nothing(
    replica: Replica, ready: tuple[int, dict[str, Any]]
) -> None:
    assert held(replica, (200, {"params_sha256": "good"}), ready).refused is None


def test_digests_of_the_other_files_are_what_it_says_or_nothing(replica: Replica) -> None:
    clock = SystemClock()
    SAID["/weights"] = (200, {"params_sha256": "x", "config_sha256": "c", "tokenizer_sha256": "t"})
    assert held_parts(replica, clock) == {"config": "c", "tokenizer": "t"}
    SAID["/weights"] = (200, {"params_sha256": "x", "config_sha256": None})
    assert held_parts(replica, clock) == {}
    SAID["/weights"] = (503, {"config_sha256": "c"})
    assert held_parts(replica, clock) == {}
