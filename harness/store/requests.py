"""Requests on the disk: an append-only log while the run lasts, Parquet afterwards.

The log's lines are described in `harness/load/log.py`, whose child process writes them. Times are integers in
microseconds and delta-encoded, which is what keeps a request under 30 bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.model.history import REQUEST_COLUMNS
from harness.model.request import Outcome
from harness.record.append import read_lines

__all__ = ["SCHEMA", "RequestFiles", "compact", "read_requests", "write_requests"]

_WORDS = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema(
    [
        ("lane", _WORDS),
        ("index", pa.int32()),
        ("task", _WORDS),
        ("scheduled_us", pa.int64()),
        ("sent_us", pa.int64()),
        ("first_byte_us", pa.int64()),
        ("done_us", pa.int64()),
        ("outcome", _WORDS),
        ("status", pa.int16()),
        ("served_by", _WORDS),
        ("ttft_us", pa.int32()),
        ("gap_max_us", pa.int32()),
        ("tokens", pa.int32()),
        ("checked", pa.bool_()),
        ("detail", _WORDS),
    ]
)
_DELTA_COLUMNS = ("index", "scheduled_us", "sent_us", "first_byte_us", "done_us", "ttft_us", "gap_max_us")
_DELTA = dict.fromkeys(_DELTA_COLUMNS, "DELTA_BINARY_PACKED")
_WORD_COLUMNS = [name for name in SCHEMA.names if pa.types.is_dictionary(SCHEMA.field(name).type)]


@dataclass(frozen=True)
class RequestFiles:
    """Where the parts lie that become one Parquet file."""

    log: Path
    arrivals: Path
    plan: Path
    parquet: Path


@dataclass
class _Lane:
    """What the log says of one lane."""

    begin_us: int | None = None
    sent: dict[int, int] = field(default_factory=dict)
    done: dict[int, list[Any]] = field(default_factory=dict)
    not_sent: dict[int, str] = field(default_factory=dict)


def compact(files: RequestFiles) -> list[str]:
    """Turn the log into Parquet and remove it; nothing to do when that has been done. Returns sentences on damage."""
    if not files.log.exists():
        if not files.parquet.exists():
            write_requests(files.parquet, {name: [] for name in SCHEMA.names})
        return []
    arrivals = json.loads(files.arrivals.read_text())
    tasks = json.loads(files.plan.read_text())["tasks"]
    lanes, damage = _read_log(files.log)
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for name, lane in lanes.items():
        drawn = arrivals.get(name)
        if drawn is not None and lane.begin_us is not None:
            _append_lane(columns, name, lane, (drawn, tasks))
    write_requests(files.parquet, columns)
    files.log.unlink()
    files.arrivals.unlink(missing_ok=True)
    return damage


def write_requests(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write REQUEST_COLUMNS as one Parquet file, whole or not at all."""
    assert set(columns) == set(REQUEST_COLUMNS)
    table = pa.table(
        {name: pa.array(columns[name], type=SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA
    )
    part = path.with_name(f".{path.name}.part")
    pq.write_table(table, part, compression="zstd", use_dictionary=_WORD_COLUMNS, column_encoding=_DELTA)
    os.replace(part, path)


def read_requests(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a Parquet file as arrays: words as objects, numbers that can be missing as floats with NaN."""
    table = pq.read_table(path, memory_map=False)
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise ValueError(f"column {missing[0]} is missing")
    return {name: _array(table.column(name)) for name in SCHEMA.names}


def _array(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if not pa.types.is_dictionary(column.type):
        return np.asarray(column.to_numpy())
    if len(column) == 0:
        return np.array([], dtype=object)
    whole = column.unify_dictionaries().combine_chunks()
    words = np.array([*whole.dictionary.to_pylist(), None], dtype=object)
    codes = whole.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(words[codes], dtype=object)


def _read_log(path: Path) -> tuple[dict[str, _Lane], list[str]]:
    lanes: dict[str, _Lane] = {}
    damage = []
    for line, value in read_lines(path):
        try:
            kind, lane_name = value[0], value[1]
            lane = lanes.setdefault(lane_name, _Lane()) if kind != "e" else None
            if kind == "b" and lane:
                lane.begin_us = int(value[2])
            elif kind == "s" and lane:
                lane.sent[int(value[2])] = int(value[3])
            elif kind == "d" and lane:
                if len(value) != 14:
                    raise ValueError
                lane.done[int(value[2])] = value
            elif kind == "n" and lane:
                lane.not_sent[int(value[2])] = str(value[3])
        except (TypeError, ValueError, IndexError, KeyError):
            damage.append(f"{path.name}:{line} is not a whole record and was left out")
    return lanes, damage


def _append_lane(
    columns: dict[str, list[Any]], name: str, lane: _Lane, drawn: tuple[Mapping[str, Any], Sequence[str]]
) -> None:
    arrivals, tasks = drawn
    assert lane.begin_us is not None
    for index, offset_us in enumerate(arrivals["scheduled_us"]):
        done = lane.done.get(index)
        if done is not None:
            sent_us, first_us, done_us, outcome, status, served_by, ttft_us, gap_us, tokens, checked, detail = done[3:]
        else:
            sent_us, first_us, done_us = lane.sent.get(index), None, None
            outcome = Outcome.NOT_SENT if sent_us is None else Outcome.IN_FLIGHT_AT_END
            if sent_us is None and name != "user":
                continue  # warm-up ends early and control beats have no promise to keep
            status = served_by = ttft_us = gap_us = tokens = None
            checked, detail = False, lane.not_sent.get(index)
        task = tasks[arrivals["task"][index]] if name != "control" else "echo"
        row = (name, index, task, lane.begin_us + offset_us, sent_us, first_us, done_us, str(Outcome(outcome)), status)
        for column, value in zip(
            columns.values(), (*row, served_by, ttft_us, gap_us, tokens, bool(checked), detail), strict=True
        ):
            column.append(value)
