"""What the target's logs say around an episode: the right lines, in time, of files of any size and any content."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from harness.model.history import Header
from harness.model.verdict import LogExcerpt
from harness.store.logs import LINE_MAX, LINES_MAX, excerpts
from tests.render.conftest import episode

HEADER = Header("r", "1", None, "h", "2026-11-21T01:20:30+00:00", 28468.0)
BEGIN_S = 10.0  # the schedule's; the fault of `episode(1)` is 20 s after it, at 28498 on the host's clock


def around(stack: Path) -> LogExcerpt:
    (found,) = excerpts(stack, HEADER, BEGIN_S, [episode(1)])
    return found


def test_lines_of_all_files_are_put_in_one_order_by_their_own_stamps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    (tmp_path / "gateway.err.log").write_text(
        "28400.000 long before\n28498.500 primary missed a beat\n28600.000 later\n"
    )
    (tmp_path / "primary.log").write_text("2026-11-21T01:21:00.100000000Z killed\n2026-11-21T01:21:01.1+00:00 back\n")
    (tmp_path / "supervisord.log").write_text("2026-11-21 06:51:00,300 INFO spawned\n")
    try:
        found = around(tmp_path)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [(line.at_s, line.source) for line in found.lines] == [
        (0.1, "primary.log"), (0.3, "supervisord.log"), (0.5, "gateway.err.log"), (1.1, "primary.log")
    ]  # fmt: skip


def test_a_line_without_a_stamp_belongs_to_the_one_before_it(tmp_path: Path) -> None:
    text = "28400.000 old\n  its traceback\n28498.100 error\nTraceback\n  File x\n28700.000 new\n  its traceback\n"
    (tmp_path / "a.log").write_text(text)
    assert [line.text for line in around(tmp_path).lines] == ["28498.100 error", "Traceback", "File x"]


def test_control_characters_are_gone_and_long_lines_are_cut(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"28498.100 \x1b[31mred\x1b[0m \x00\xff " + b"x" * 100_000 + b"\n")
    (line,) = around(tmp_path).lines
    assert line.text.startswith("28498.100 red \ufffd xxx")
    assert len(line.text) == LINE_MAX


def test_trouble_goes_before_chatter_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    names = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    chatter = "".join(f"28498.{i:03d} said {names[i]}\n" for i in range(60))
    (tmp_path / "a.log").write_text(
        chatter + "28498.900 error: out of memory\n" + "28498.950 beat 1\n28498.960 beat 2\n"
    )
    found = around(tmp_path)
    assert len(found.lines) == LINES_MAX
    assert "out of memory" in found.lines[-1].text
    assert found.note.startswith(f"{LINES_MAX} of 63 lines")


def test_files_without_times_are_named_and_empty_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.out.log").write_text("hello\nworld\n")
    (tmp_path / "b.log").write_text("")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "token.log").write_text("28498.100 secret\n")
    found = around(tmp_path)
    assert found.lines == ()
    assert found.note == "no times in a.out.log"


def test_a_stack_without_logs_has_no_excerpts(tmp_path: Path) -> None:
    assert excerpts(tmp_path / "nothing", HEADER, BEGIN_S, [episode(1)]) == ()
    assert excerpts(tmp_path, HEADER, BEGIN_S, []) == ()


def test_a_log_of_a_gigabyte_is_looked_into_at_once(tmp_path: Path) -> None:
    """The file is sparse but for its begin, the window and its end; what lies between has no stamp at all."""
    path = tmp_path / "huge.log"
    row = b"28480.000 warm-up noise of a chatty server\n"
    with path.open("wb") as file:
        for index in range(40_000):  # a part with stamps that grow, then the window in the midst of it
            file.write(b"%d.%03d noise\n" % (28_400 + index // 400, index % 1000))
        file.write(b"28500.500 error: here it is\n")
        for index in range(40_000):
            file.write(b"%d.%03d noise\n" % (28_501 + index // 400, index % 1000))
        file.truncate(1_000_000_000)
        file.seek(1_000_000_000 - len(row))
        file.write(row)
    before_kb, begin_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = around(tmp_path)
    assert "error: here it is" in [line.text.removeprefix("28500.500 ") for line in found.lines]
    assert time.process_time() - begin_s < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 50_000
    assert "huge.log was read in part" in found.note or len(found.lines) <= LINES_MAX
