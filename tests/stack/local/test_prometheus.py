"""The Prometheus beside the local stack: what it saw is kept, what it did not see is said, and it never stops a run."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.monitor.alerts import alert_record
from harness.monitor.kept import METRICS, read_metrics, write_metrics
from harness.monitor.reader import PrometheusReader
from harness.monitor.scrape import SCRAPE_EVERY_S, scrape_config
from harness.monitor.series import Series
from harness.record.clock import SystemClock
from harness.scenario_files import known_rules
from harness.stack.base import RunContext
from harness.stack.local.prometheus import LocalPrometheus
from harness.stack.owned import owned_processes
from tests.exposed import served

PROGRAM = shutil.which("prometheus") or ""
RUN = "prometheus-test"


EXPOSED = b"""target_running 3
target_finished_total 7
process_open_fds 11
target_generated_tokens_total 5
system_memory_usage 95
"""


@pytest.fixture
def exposed() -> Iterator[int]:
    with served(lambda: EXPOSED) as port:
        yield port


def kept(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return lines[0], lines[1:]


def witness_of(program: str, run_folder: Path) -> LocalPrometheus:
    (run_folder / "stack").mkdir()
    return LocalPrometheus(program, RunContext(RUN, run_folder, SystemClock().now()), SystemClock())


def test_every_source_is_named_after_its_server() -> None:
    config = json.loads(scrape_config({"primary": "127.0.0.1:1", "gateway": "127.0.0.1:2"}))
    (job,) = config["scrape_configs"]
    assert [one["labels"]["instance"] for one in job["static_configs"]] == ["primary", "gateway"]


def test_what_is_no_number_is_written_as_null(tmp_path: Path) -> None:
    series = Series("ttft_s_mean", {"instance": "primary"}, (1.0, 2.0), (float("nan"), 0.5))
    write_metrics(tmp_path / METRICS, {"missing": {}}, [series])
    head, (row,) = kept(tmp_path)
    assert (head, row["at_s"], row["value"]) == ({"missing": {}}, [1.0, 2.0], [None, 0.5])


def test_a_program_that_does_not_start_leaves_a_run_without_metrics_and_says_so(
    tmp_path: Path, eventually: Callable[..., object]
) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    program.chmod(0o755)
    witness = witness_of(str(program), tmp_path)
    witness.start({"primary": 1})
    eventually((tmp_path / "stack/prometheus.log").read_text)  # its last words, before it would be ended
    witness.keep()
    witness.end()
    head, series = kept(tmp_path / "stack")
    assert series == []
    assert "does not answer: no connection" in head["missing"]["up"]
    assert "does not answer: no connection" in head["missing"]["alert"]
    assert (tmp_path / "stack/prometheus.log").read_text() == "no\n"


@pytest.mark.parametrize("program", ["", "/no/such/prometheus"])
def test_where_none_is_installed_or_wanted_there_is_none(tmp_path: Path, program: str) -> None:
    witness = witness_of(program, tmp_path)
    witness.start({"primary": 1})
    witness.keep()
    witness.end()
    assert list((tmp_path / "stack").iterdir()) == []


@pytest.mark.process
@pytest.mark.skipif(not PROGRAM, reason="needs prometheus")
def test_a_real_prometheus_sees_the_target_and_leaves_nothing_but_what_it_saw(tmp_path: Path, exposed: int) -> None:
    clock = SystemClock()
    witness = witness_of(PROGRAM, tmp_path)
    witness.start({"primary": exposed, "standby": 1})
    reader, until_s, begin_s = PrometheusReader(witness.url), clock.now() + 30, clock.wall_s()

    def seen() -> bool:
        if reader.ready() is not None:
            return False
        a_step_ago_s = (
            clock.wall_s() - 2 * SCRAPE_EVERY_S
        )  # what is read is read in steps: the newest may not be among them
        wanted = [*reader.samples('ALERTS{alertname=~"HighMachineMemory|Watchdog"}', begin_s, a_step_ago_s)]
        wanted += reader.samples('target_running{instance="primary"}', begin_s, a_step_ago_s)
        return sum(bool(row.at_s) for row in wanted) == 3

    while clock.now() < until_s and not seen():
        time.sleep(0.1)
    reader.close()
    assert list(owned_processes(RUN))
    witness.keep()
    witness.end()
    assert not list(owned_processes(RUN))
    assert not (tmp_path / "stack/prometheus").exists()
    head, rows = kept(tmp_path / "stack")
    last = {(row["name"], row["labels"].get("instance")): row["value"][-1] for row in rows}
    assert last["running", "primary"] == 3
    assert last["open_fds", "primary"] == 11
    assert (last["up", "primary"], last["up", "standby"]) == (1, 0)
    assert head["missing"]["cgroup_bytes"] == "no sample"
    assert abs(head["wall_clock_moved_s"]) < 1
    record = alert_record(read_metrics(tmp_path / "stack" / METRICS))
    assert record is not None and record.problem == ""
    assert {rule.name for rule in record.rules} == {rule.name for rule in known_rules()}
    assert record.evaluated[-1][1] - record.evaluated[0][0] >= 0
    assert ("HighMachineMemory", "primary", "firing") in {(one.alert, one.source, one.state) for one in record.spans}
    assert record.absent["HighGpuMemory"] == ("DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_USED")
    assert "Stalled" not in record.absent, "its metrics are scraped"


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_the_configuration_is_one_that_prometheus_accepts(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(scrape_config({"primary": "127.0.0.1:1"}))
    command = ["promtool", "check", "config", str(tmp_path / "config")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
