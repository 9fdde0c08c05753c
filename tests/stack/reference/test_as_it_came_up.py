from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.record.clock import SystemClock
from harness.stack.base import TargetProcess, Weights
from harness.stack.owned import identify
from harness.stack.reference.as_it_came_up import Fingerprint, fingerprint, renewed, still_busy, what_differs
from tests.answering import answering


def pristine(_: str) -> Weights:
    return Weights(False, "memory of process 7, mapped file")


def never(name: str) -> Any:
    raise AssertionError(f"{name} was asked")


def of(folder: Path, parts: dict[str, str] | None = None) -> Fingerprint:
    """Of this very process, as if it were a replica."""
    me = identify(os.getpid())
    assert me is not None
    process = TargetProcess("primary", me.pid, me.started)
    return fingerprint({"primary": process}, [folder], lambda _: parts or {"config": "c1"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "weights").write_bytes(b"1234")
    return tmp_path


def test_nothing_differs_when_nothing_was_done(model: Path) -> None:
    (model / "weights").read_bytes()
    assert what_differs(of(model), of(model), pristine) is None


def test_a_file_that_was_changed_and_put_back_was_touched(model: Path) -> None:
    before, stamp = of(model), (model / "weights").stat()
    (model / "weights").write_bytes(b"9999")
    (model / "weights").write_bytes(b"1234")
    os.utime(model / "weights", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert what_differs(before, of(model), pristine) == f"{model / 'weights'} was touched"


def test_a_file_more_or_less_is_seen(model: Path) -> None:
    before = of(model)
    (model / "more").touch()
    assert what_differs(before, of(model), pristine) == f"{model / 'more'} was touched"
    (model / "more").unlink()
    (model / "weights").unlink()
    assert what_differs(before, of(model), pristine) == f"{model / 'weights'} was touched"


def test_another_process_or_another_engine_below_it_is_another_replica(model: Path) -> None:
    before = of(model)
    other = replace(before, members={"primary": before.members["primary"] | {(1, 1)}})
    assert renewed(before, before) == ()
    assert renewed(before, other) == ("primary",)
    assert what_differs(before, other, never) is None  # it will be started again
    down = fingerprint({"primary": None}, [model], never, since=before)
    assert renewed(before, down) == ()
    assert what_differs(before, down, pristine) == "primary is down"


def test_altered_weights_are_seen_and_so_are_those_of_which_nothing_is_known(model: Path) -> None:
    now = of(model)
    for altered in (True, None):
        weights = Weights(altered, "GET /weights")
        assert (
            what_differs(now, now, {"primary": weights}.__getitem__)
            == "primary may hold altered weights (GET /weights)"
        )


def test_another_tokenizer_in_memory_is_seen(model: Path) -> None:
    said = what_differs(of(model), of(model, {"config": "c2"}), pristine)
    assert said == "primary holds another configuration or tokenizer"


METRICS = "target_running {running}\ntarget_queue_depth {waiting}\ntarget_cache_hits 0\ntarget_cache_misses {cached}\n"


@pytest.fixture
def served() -> Iterator[dict[str, Any]]:
    """What a replica says; its port."""
    said: dict[str, Any] = {"ready": 200, "running": 0, "waiting": 0, "cached": 0}

    def answer(_method: str, path: str, _body: bytes) -> tuple[int, object]:
        return (said["ready"], {}) if path == "/ready" else (200, METRICS.format(**said).encode())

    with answering(answer) as port:
        said["url"] = f"http://127.0.0.1:{port}"
        yield said


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({}, None),
        ({"ready": 503}, "primary is not ready"),
        ({"running": 1}, "primary is still working"),
        ({"waiting": 2}, "primary is still working"),
        ({"cached": 5}, "primary keeps answers"),
    ],
)
def test_a_replica_is_idle_when_it_is_ready_does_nothing_and_keeps_nothing(
    served: dict[str, Any], change: dict[str, int], because: str | None
) -> None:
    served.update(change)
    assert still_busy("primary", served["url"], (), SystemClock()) == because


def test_a_fault_that_still_acts_is_named(served: dict[str, Any]) -> None:
    assert still_busy("primary", served["url"], ("spin", "hang"), SystemClock()) == "primary still has the fault hang"


def test_a_replica_that_does_not_answer_is_not_taken_for_idle() -> None:
    assert still_busy("primary", "http://127.0.0.1:1", (), SystemClock()) == "primary is not ready"
