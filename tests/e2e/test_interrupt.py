"""Ctrl-C, once and twice."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.conftest import Start
from tests.e2e.test_sigkill import PAUSE, seconds_until

pytestmark = [pytest.mark.e2e, pytest.mark.model]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("when", ["plan ", "baseline ", "fault "])
def test_ctrl_c_heals_cleans_up_and_judges_what_there_is(start: Start, when: str, times: int) -> None:
    one = start(PAUSE)
    seconds_until(lambda: when in one.said(), 60.0)
    for _ in range(times):
        os.kill(one.process.pid, signal.SIGINT)
    assert one.process.wait(timeout=30) == 3, one.said()
    assert "Traceback" not in one.said()
    assert "INCONCLUSIVE" in one.said()
    assert not one.owned()
    assert (one.folder / "verdict.json").exists()
