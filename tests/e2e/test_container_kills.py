"""Whenever the harness dies, and its guard with it, nothing of a container run is left broken or running."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.container_kills import (
    Point,
    clean_after_s,
    hashes,
    in_flight,
    kill_at,
    left,
    next_command,
    points,
    start,
    things_of,
)
from tests.e2e.test_compose import MISSING

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.model,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]
POINTS = points("containers", 10)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_ten_seconds_after_a_kill_nothing_of_a_container_run_is_left(
    tmp_path: Path, model_folder: Path, point: Point
) -> None:
    before = hashes(model_folder)
    victim = start(point, tmp_path, model_folder)
    try:
        kill_at(victim, point)
        if point.event == "fault_begin":
            assert in_flight(victim) == len(point.faults)
        if point.with_guard:
            run_id = victim.run_id()
            assert run_id and things_of(run_id), "nobody is there to clean up, so the stack is still up"
            said = next_command(victim).stderr
            assert f"cleaned up after run {run_id}" in said, said
        clean_after_s(victim, model_folder, before)
    finally:
        if victim.process.poll() is None:
            victim.process.kill()  # its guard does the rest
            victim.process.wait()
    assert left(victim, model_folder, before) == []
