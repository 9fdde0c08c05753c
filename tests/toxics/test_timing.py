from __future__ import annotations

import asyncio

import pytest

from harness.toxics import timing
from harness.toxics.timing import Alarms, now

pytestmark = pytest.mark.process  # real sockets and real seconds: not for `make check`


@pytest.mark.parametrize("timerfd", [True, False])
async def test_alarms_ring_in_order_and_not_when_cancelled(timerfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not timerfd:
        monkeypatch.setattr(timing, "_timerfd", lambda: -1)
    alarms = Alarms(asyncio.get_running_loop())
    rung: list[str] = []
    over = asyncio.Event()
    begin_s = now()
    alarms.at(begin_s + 0.04, lambda: (rung.append("late"), over.set())[0])
    alarms.at(begin_s + 0.02, lambda: rung.append("soon"))
    alarms.at(begin_s + 0.01, lambda: rung.append("never")).cancel()
    alarms.at(begin_s + 1e300, lambda: rung.append("in a thousand years"))
    await asyncio.wait_for(over.wait(), 5)
    assert rung == ["soon", "late"]
    assert now() - begin_s >= 0.04
    alarms.close()


async def test_a_call_that_fails_does_not_take_the_others_along() -> None:
    loop = asyncio.get_running_loop()
    alarms, over, failed = Alarms(loop), asyncio.Event(), []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    alarms.at(now(), lambda: 1 // 0)
    alarms.at(now(), over.set)
    await asyncio.wait_for(over.wait(), 5)
    assert isinstance(failed[0], ZeroDivisionError)
    alarms.close()
