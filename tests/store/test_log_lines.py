"""All logs of a run as one stream: in order, placed in time, and bounded whatever their size."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

from harness.model.history import Header
from harness.store.log_lines import StackLogs

HEADER = Header("r", "1", None, "h", "2026-11-21T01:20:30+00:00", 28468.0)


def access(at_s: float) -> str:
    return (
        json.dumps({"at": "2026-11-21T01:21:00.000+00:00", "monotonic_s": at_s, "log": "access", "status": 200}) + "\n"
    )


def test_words_and_access_logs_are_on_one_clock_and_rotated_pieces_come_first(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "gateway.err.log").write_text("28469.500 gateway info up\n  and its second line\n")
    (tmp_path / "logs" / "gateway.access.log").write_text(access(28480.25))
    (tmp_path / "logs" / "gateway.access.log.1").write_text(access(28470))
    (tmp_path / "logs" / "gateway.access.log.10").write_text(access(28469.125))
    (tmp_path / "logs" / "gateway.performance.log").write_text(access(28470))
    (tmp_path / "primary.log").write_text("2026-11-21T01:20:31.5Z " + access(28472.5))
    found = [(line.at_s, line.source) for line in StackLogs(tmp_path, HEADER).lines()]
    words = [(1.5, "gateway.err.log"), (1.5, "gateway.err.log"), (4.5, "primary.log")]
    assert sorted(found) == sorted([*words, *((at, "gateway.access.log") for at in (1.125, 2.0, 12.25))])
    pieces = [at for at, source in found if source == "gateway.access.log"]
    assert pieces == [1.125, 2.0, 12.25]


def test_what_has_no_times_is_named_and_what_is_no_text_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("hello\n")
    (tmp_path / "b.log").write_bytes(b"28469.500 \xff\x00\x1b[2Jx\n" + b"\x00" * 3_000_000 + b"\n28470.000 y\n")
    (tmp_path / "c.log").symlink_to("/etc/passwd")
    logs = StackLogs(tmp_path, HEADER)
    assert [line.text for line in logs.lines()] == ["28469.500 \ufffdx", "28470.000 y"]
    assert logs.notes == ["no times in a.log"]
    assert not StackLogs(tmp_path / "nothing", HEADER).any


def test_of_large_logs_every_nth_piece_is_read_and_counts_for_all_of_them(tmp_path: Path) -> None:
    text = "".join(f"{28_468 + n / 100:.3f} line\n" for n in range(100_000))
    (tmp_path / "a.log").write_text(text)
    logs = StackLogs(tmp_path, HEADER, bytes_max=len(text) // 5)
    weights, seconds = 0.0, set()
    for line in logs.lines():
        weights += line.weight
        seconds.add(int(line.at_s) // 25)
    assert abs(weights / 100_000 - 1) < 0.1
    assert len(seconds) == 40
    assert logs.notes == ["of 2 MB of logs every 5th piece of 8 KiB was read"]


def test_a_log_of_a_gigabyte_is_read_in_bounded_memory_and_time(tmp_path: Path) -> None:
    """Sparse but for a begin and an end: what lies between has no stamp and no line."""
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.write(b"28469.000 begin\n" * 100_000)
        file.truncate(1_000_000_000)
        file.seek(1_000_000_000)
        file.write(b"\n" + b"28500.000 end\n" * 100_000)
    before_kb, begin_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    logs = StackLogs(tmp_path, HEADER)
    times = {line.at_s for line in logs.lines()}
    assert times == {1.0, 32.0}
    assert time.process_time() - begin_s < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 50_000
    assert "every 30th piece" in logs.notes[0]
