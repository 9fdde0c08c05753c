"""Requests on the disk: an append-only log while the run lasts, Parquet afterwards.

The log's lines are described in `harness/record/request_log.py`; the load child writes them. Times are integers in
microseconds and delta-encoded, which is what keeps a request under 30 bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from harness.model.history import REQUEST_COLUMNS
from harness.model.request import Lane, Outcome
from harness.record.request_log import Began, Damaged, Done, NotSent, Record, Sent, Stopped
from harness.record.request_log import read as read_log

__all__ = ["SCHEMA", "Begun", "RequestFiles", "compact", "export_requests", "read_requests", "write_requests"]

_WORD = pa.string()
_WORDS = pa.dictionary(pa.int16(), _WORD)
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
DONE_COLUMNS = tuple(
    name for name in SCHEMA.names if name not in ("lane", "index", "task", "scheduled_us", "outcome")
)  # what a request's end says, under the same names as in the log's record
_DELTA = dict.fromkeys(_DELTA_COLUMNS, "DELTA_BINARY_PACKED")
_WORD_COLUMNS = [name for name in SCHEMA.names if pa.types.is_dictionary(SCHEMA.field(name).type)]


@dataclass(frozen=True)
class RequestFiles:
    """Where the parts lie that become one Parquet file."""

    log: Path
    arrivals: Path
    parquet: Path


@dataclass(frozen=True)
class Begun:
    """What is known beside the log: names of the tasks, and when the user lane began, should the log not say so."""

    tasks: Sequence[str]
    user_begin_us: int | None = None


def compact(files: RequestFiles, begun: Begun) -> list[str]:
    """Turn the log into Parquet and remove it; nothing to do when that has been done. Returns sentences on damage."""
    if not files.log.exists():
        if not files.parquet.exists():
            write_requests(files.parquet, {name: [] for name in SCHEMA.names})
        return []
    arrivals = json.loads(files.arrivals.read_text(encoding="utf-8"))
    lanes = {name: _Lane(name, drawn, begun.tasks) for name, drawn in arrivals.items()}
    if Lane.USER in lanes:
        lanes[Lane.USER].begin_us = begun.user_begin_us
    damage = _fill(lanes, read_log(files.log))
    parts = [lane.columns() for lane in lanes.values() if lane.begin_us is not None]
    write_requests(files.parquet, {name: list(chain(*(part[name] for part in parts))) for name in SCHEMA.names})
    files.log.unlink()
    files.arrivals.unlink(missing_ok=True)
    return damage


class _Lane:
    """One row for each arrival of a lane, not sent until the log says otherwise."""

    def __init__(self, name: str, drawn: Mapping[str, Sequence[int]], tasks: Sequence[str]) -> None:
        self.name = name
        self.begin_us: int | None = None
        self._offsets_us = drawn["scheduled_us"]
        n = len(self._offsets_us)
        self._known = n * [False]  # its end is on record
        self._columns: dict[str, list[Any]] = {column: n * [None] for column in SCHEMA.names}
        self._columns["lane"] = n * [name]
        self._columns["index"] = list(range(n))
        self._columns["task"] = ["echo" if name == Lane.CONTROL else tasks[task] for task in drawn["task"]]
        self._columns["outcome"] = n * [Outcome.NOT_SENT.value]
        self._columns["checked"] = n * [False]

    def add(self, record: Sent | Done | NotSent) -> None:
        """Take a record in. An end outranks an intent, whichever came first. Raises IndexError beyond the schedule."""
        if not 0 <= record.index < len(self._known):
            raise IndexError(record.index)
        if isinstance(record, Done):
            self._known[record.index] = True
            for column in DONE_COLUMNS:
                self._columns[column][record.index] = getattr(record, column)
            self._columns["outcome"][record.index] = record.outcome.value
        elif isinstance(record, NotSent):
            self._known[record.index] = True
            self._columns["sent_us"][record.index] = None
            self._columns["outcome"][record.index] = Outcome.NOT_SENT.value
            self._columns["detail"][record.index] = record.reason
        elif not self._known[record.index]:
            self._columns["sent_us"][record.index] = record.sent_us
            self._columns["outcome"][record.index] = Outcome.IN_FLIGHT_AT_END.value

    def columns(self) -> Mapping[str, Sequence[Any]]:
        """Every row of the user lane; of the others those that were sent, since nobody waits for the rest."""
        assert self.begin_us is not None
        self._columns["scheduled_us"] = [self.begin_us + offset_us for offset_us in self._offsets_us]
        if self.name == Lane.USER:
            return self._columns
        sent = [sent_us is not None for sent_us in self._columns["sent_us"]]
        return {name: list(compress(values, sent)) for name, values in self._columns.items()}


def _fill(lanes: Mapping[str, _Lane], records: Iterable[Record]) -> list[str]:
    damage = []
    for record in records:
        if isinstance(record, Damaged):
            damage.append(record.sentence)
        elif not isinstance(record, Stopped):
            try:
                lane = lanes[record.lane]
                if isinstance(record, Began):
                    lane.begin_us = record.begin_us
                else:
                    lane.add(record)
            except LookupError:
                damage.append(f"The load log speaks of a request that was never planned: {record}.")
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


def export_requests(path: Path, out: Path, *, csv: bool) -> None:
    """The same rows for other tools: plain columns, as CSV with a header line (a missing value is an empty field), or
    as Parquet whose columns carry their meaning as metadata.
    """
    plain = [(name, _WORD if name in _WORD_COLUMNS else SCHEMA.field(name).type) for name in SCHEMA.names]
    fields = [pa.field(name, kind, metadata={"description": REQUEST_COLUMNS[name]}) for name, kind in plain]
    table = pq.read_table(path, memory_map=False).select(SCHEMA.names).cast(pa.schema(fields))
    part = out.with_name(f".{out.name}.part")
    if csv:
        pa_csv.write_csv(table, part)
    else:
        pq.write_table(table, part, compression="zstd")
    os.replace(part, out)


def read_requests(path: Path) -> dict[str, Any]:
    """The columns of a Parquet file: words as a pandas Categorical, numbers as arrays, as floats with NaN where one can
    be missing."""
    try:
        table = pq.read_table(path, memory_map=False)
        missing = [name for name in SCHEMA.names if name not in table.column_names]
        if missing:
            raise ValueError(f"column {missing[0]} is missing")
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    columns = {name: _array(table.column(name)) for name in SCHEMA.names}
    strange = set(pd.Categorical(columns["outcome"]).categories) - set(Outcome)
    if strange:
        raise ValueError(f"{strange.pop()!r} is not an outcome")
    return columns


def _array(column: pa.ChunkedArray) -> np.ndarray[Any, Any] | pd.Categorical:
    if not pa.types.is_dictionary(column.type):
        return np.asarray(column.to_numpy())
    whole = column.unify_dictionaries().combine_chunks()
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, pd.Index(whole.dictionary.to_pylist(), dtype=object))
