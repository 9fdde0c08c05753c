"""The run's folder: every request is accounted for, wherever the log was cut off."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from harness.model.errors import RunFolderError
from harness.model.health import Health, ProbeHealth
from harness.model.history import REQUEST_COLUMNS
from harness.model.request import Outcome
from harness.record.append import AppendLog
from harness.store.registry import LiveRun, Registry
from harness.store.requests import SCHEMA, Begun, RequestFiles, compact, read_requests, write_requests
from tests.bench.synthetic_run import write_run

PROBE = ProbeHealth(
    "GET /health", {"hangs": None, "is dead": 0.06}, {"hangs": 10.0, "is dead": 9.5}, 0.0, 38, None, "x"
)
HEALTH = Health("fake, default", (PROBE,), ("answers wrongly: not proven",), cut_off="interrupted")
DONE = [200, "primary", 9000, 2000, 4, 1, None]
LOG = [
    ["b", "control", 0],
    ["b", "user", 1_000_000],
    ["s", "control", 0, 10],
    ["d", "control", 0, 10, 20, 30, "ok", *DONE],
    ["s", "user", 0, 1_100_100],
    ["s", "user", 1, 1_200_100],
    ["d", "user", 0, 1_100_100, 1_110_000, 1_120_000, "ok", *DONE],
    ["s", "user", 2, 1_300_100],
    ["n", "user", 2, "no file descriptor left"],
    ["d", "user", 1, 1_200_100, None, 3_200_000, "timeout", None, None, None, None, None, 0, None],
    ["s", "user", 3, 1_400_100],
]


def compacted(folder: Path, log: bytes, begin_us: int | None = 1_000_000) -> tuple[dict[str, np.ndarray], list[str]]:
    files = RequestFiles(folder / "requests.log", folder / "arrivals.json", folder / "requests.parquet")
    files.log.write_bytes(log)
    user = {"scheduled_us": [100_000, 200_000, 300_000, 400_000, 500_000], "task": [0] * 5, "prompt": [0] * 5}
    control = {"scheduled_us": [0, 9], "task": [0, 0], "prompt": [0, 0]}
    files.arrivals.write_text(json.dumps({"user": user, "control": control}))
    damage = compact(files, Begun(("chat",), begin_us))
    assert not files.log.exists()
    return read_requests(files.parquet), damage


def whole() -> bytes:
    return "".join(f"{json.dumps(line)}\n" for line in LOG).encode()


def test_every_scheduled_request_ends_in_exactly_one_outcome(tmp_path: Path) -> None:
    columns, damage = compacted(tmp_path, whole())
    users = columns["lane"] == "user"
    assert damage == []
    assert list(columns["outcome"][users]) == ["ok", "timeout", "not_sent", "in_flight_at_end", "not_sent"]
    assert list(columns["scheduled_us"][users]) == [1_100_000, 1_200_000, 1_300_000, 1_400_000, 1_500_000]
    assert np.isnan(columns["sent_us"][users][2])  # a line that says not sent outranks the intent before it
    assert columns["detail"][users][2] == "no file descriptor left"
    assert list(columns["task"]).count("echo") == 1


@pytest.mark.whole
def test_a_log_cut_off_at_any_byte_can_be_read_and_loses_no_scheduled_request(tmp_path: Path) -> None:
    log = whole()
    before = -1
    for length in range(len(log) + 1):
        columns, damage = compacted(tmp_path, log[:length])
        users = columns["lane"] == "user"
        assert users.sum() == 5
        assert damage == []
        known = int(np.isin(columns["outcome"][users], ["ok", "timeout"]).sum())
        assert known >= before
        before = known


def test_lines_that_were_damaged_are_reported_and_the_others_are_kept(tmp_path: Path) -> None:
    log = whole().replace(b'["s", "user", 1', b'["s", "user", "1"').replace(b'["b", "user"', b'["b", "us"')
    columns, damage = compacted(tmp_path, log + b'["s","user",99,1]\n["d","user"]\n')
    assert len(damage) == 4
    assert (columns["outcome"] == "timeout").sum() == 1


def test_a_lane_that_never_began_scheduled_nothing(tmp_path: Path) -> None:
    columns, _ = compacted(tmp_path, b"", begin_us=None)
    assert len(columns["lane"]) == 0


def test_columns_survive_parquet_as_documented(tmp_path: Path) -> None:
    assert list(REQUEST_COLUMNS) == SCHEMA.names
    rows: dict[str, list[object]] = {name: [] for name in SCHEMA.names}
    write_requests(tmp_path / "r.parquet", rows)
    assert {name: len(column) for name, column in read_requests(tmp_path / "r.parquet").items()} == dict.fromkeys(
        rows, 0
    )


def test_a_request_takes_less_than_30_bytes_at_50_a_second_with_noise_in_all_its_times(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 20_000, 4, "1")
    assert run.requests.stat().st_size / 20_000 < 30


@pytest.mark.parametrize("name", ["plan.json", "header.json", "events.jsonl", "requests.parquet"])
def test_a_damaged_or_missing_file_is_one_sentence_that_names_it(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", 400, 2, "1")
    file = run.path / name
    data = file.read_bytes()
    if name != "events.jsonl":
        for damaged in (b"", b"{}", b"[[", data[: len(data) // 2], b"\xff\xfe"):
            file.write_bytes(damaged)
            with pytest.raises(RunFolderError, match=name):
                run.read()
    if name != "requests.parquet":
        file.unlink()
        with pytest.raises(RunFolderError, match=name):
            run.read()


def test_a_health_score_read_back_is_the_one_that_was_written_and_other_runs_have_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 400, 2, "1")
    assert run.read().health is None
    run.write_health(HEALTH)
    assert run.read().health == HEALTH
    assert {one.name for one in run.path.iterdir() if "health" in one.name} == {"health.json"}


def test_a_damaged_health_score_is_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 400, 2, "1")
    run.write_health(HEALTH)
    text = run.health.read_text()
    half_told = text.replace('"is dead": 9.5', '"is late": 9.5')
    beyond = text.replace("9.5", "1e999")
    assert len({text, half_told, beyond}) == 3
    for damaged in ("", "{}", "[[", text[: len(text) // 2], "\x00", half_told, beyond):
        run.health.write_text(damaged)
        with pytest.raises(RunFolderError, match=r"health\.json is damaged.*remove it"):
            run.read()


def test_events_that_lack_what_the_judge_needs_are_left_out_and_reported(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 400, 2, "1")
    with run.events.open("a") as file:
        file.write('{"at_s":NaN,"kind":"x"}\n{"at_s":1,"kind":"fault_begin"}\n{"at_s":1,"kind":"stopped"}\n7\n{"at')
    history = run.read()
    assert len(history.damage) == 5
    assert history.complete


def test_a_run_that_is_still_going_on_is_not_judged_and_keeps_its_log(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 400, 2, "1")
    run.request_log.write_text("")
    log = AppendLog(run.events)
    with pytest.raises(RunFolderError, match="still going on"):
        run.read()
    assert run.request_log.exists()
    log.close()


def test_a_plan_read_back_is_the_plan_that_was_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 400, 2, "1")
    plan = run.read_plan()
    assert json.loads(json.dumps(dataclasses.asdict(plan))) == json.loads(run.plan.read_text())
    with pytest.raises(RunFolderError, match="already holds a run"):
        run.create()


def test_the_registry_gives_back_what_it_was_given_and_forgets_what_is_removed(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "live")
    assert registry.runs() == []
    one = LiveRun("a", "/x", 1, 2)
    registry.add(one)
    (tmp_path / "live" / "broken.json").write_text("{")
    assert registry.runs() == [one]
    registry.remove("a")
    registry.remove("a")
    assert registry.runs() == []


def test_the_nine_outcomes_are_the_nine_of_the_design() -> None:
    assert len(Outcome) == 9
