"""The load on another host: the same log and the same answers, its child being told times of another clock."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from harness.load.elsewhere import DriverElsewhere
from harness.load.spec import LoadSpec
from harness.model.errors import StackError
from harness.model.plan import Arrivals
from harness.model.request import Outcome
from harness.record.request_log import Done, Stopped, read
from harness.stack.load_place import LoadPlace

from .conftest import CLOCK, START_S, make_spec, wait_for
from .scripted_server import ScriptedServer

pytestmark = pytest.mark.process
ENVIRON = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def place(folder: Path, url: str) -> LoadPlace:
    there = folder / "there"
    there.mkdir(exist_ok=True)
    return LoadPlace(("env", "ELSEWHERE=1"), url, 0.0, str(there))


def started(spec: LoadSpec, folder: Path, url: str) -> DriverElsewhere:
    driver = DriverElsewhere(spec, folder, CLOCK, ENVIRON, place(folder, url))
    driver.start()
    if not driver.wait_ready(CLOCK.now() + START_S):
        driver.close()
        pytest.fail(f"not ready: {driver.reason}")
    return driver


def test_the_log_is_here_when_the_load_has_ended_and_the_control_lane_had_its_echo(
    server: ScriptedServer, tmp_path: Path
) -> None:
    lanes = {"control": Arrivals([0, 50_000], [0, 0], [0, 0])}
    spec = make_spec("http://not-reached-from-here:1", tmp_path, ["ok", "wrong"])
    spec = LoadSpec(**{**vars(spec), "lanes": {**spec.lanes, **lanes}})
    driver = started(spec, tmp_path, server.url)
    try:
        for lane in spec.lanes:
            driver.begin(lane, CLOCK.now() + 0.05)
        assert wait_for(lambda: all(driver.lane_done(lane) for lane in spec.lanes))
        progress = driver.stop(1.0)
    finally:
        driver.close()
    assert progress.stopped and driver.reason == ""
    records = list(read(Path(spec.log_path)))
    ended = {(r.lane, r.index): r.outcome for r in records if isinstance(r, Done)}
    assert ended[("user", 0)] is Outcome.OK and ended[("user", 1)] is Outcome.WRONG_ANSWER
    assert ended[("control", 0)] is Outcome.OK and ended[("control", 1)] is Outcome.OK
    assert isinstance(records[-1], Stopped)


def test_what_the_child_is_told_is_on_its_own_hosts_clock(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    handed: list[str] = []
    spec = make_spec("http://127.0.0.1:1", tmp_path, ["ok"], origin_monotonic_s=1000.0)
    driver = DriverElsewhere(spec, tmp_path, CLOCK, ENVIRON, LoadPlace(("env",), server.url, 500.0, str(tmp_path)))
    monkeypatch.setattr(driver, "_tell", lambda message: told.append(message) or True)
    monkeypatch.setattr(driver, "_hand_over", handed.append)
    try:
        driver.start()
        driver.begin("user", 1002.0)
    finally:
        driver.close()
    assert told == [{"begin": "user", "at_monotonic_s": 1502.0}]
    there = LoadSpec.from_json(handed[0])
    assert (there.origin_monotonic_s, there.base_url) == (1500.0, server.url)


def test_a_child_that_dies_there_is_told_from_one_that_ended_well(server: ScriptedServer, tmp_path: Path) -> None:
    driver = started(make_spec(server.url, tmp_path, ["ok"]), tmp_path, server.url)
    try:
        assert driver.pid is not None
        os.kill(driver.pid, signal.SIGKILL)
        assert wait_for(lambda: not driver.alive())
        assert "ended by signal 9" in driver.reason
        assert not driver.stop(0.1).stopped
    finally:
        driver.close()


def test_a_container_that_does_not_take_the_orders_is_one_sentence(tmp_path: Path) -> None:
    spec = make_spec("http://127.0.0.1:1", tmp_path, ["ok"])
    driver = DriverElsewhere(spec, tmp_path, CLOCK, ENVIRON, LoadPlace(("env", "false"), "http://x:1", 0.0))
    with pytest.raises(StackError, match="did not take its orders: it wrote nothing"):
        driver.start()
    driver.close()
