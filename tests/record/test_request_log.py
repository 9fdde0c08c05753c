"""Reading and writing the child's log."""

from __future__ import annotations

from pathlib import Path

from harness.load.log_writer import Ended, LogWriter
from harness.model.request import Outcome
from harness.record.request_log import Began, Damaged, Done, NotSent, Sent, Stopped, Tail, parse, read

LINES = [
    '["b","user",1000]\n',
    '["s","user",0,2000]\n',
    '["d","user",0,2000,3000,4000,"ok",200,"replica-0",null,null,3,1,null]\n',
    '["n","user",1,"EMFILE"]\n',
    '["e","stopped"]\n',
]
DONE = Done("user", 0, 2000, 3000, 4000, Outcome.OK, 200, "replica-0", None, None, 3, True, None)
RECORDS = [Began("user", 1000), Sent("user", 0, 2000), DONE, NotSent("user", 1, "EMFILE"), Stopped()]


def test_each_kind_of_line_becomes_its_record() -> None:
    assert list(parse(LINES)) == RECORDS


def test_a_torn_last_line_is_passed_over_in_silence() -> None:
    assert list(parse([*LINES, '["d","us'])) == RECORDS


def test_a_damaged_line_is_a_sentence_and_the_rest_is_read() -> None:
    for bad in ("[\n", '["x"]\n', '["s","user"]\n', '["s","user","0",1]\n', "\n", "{}\n", "7\n"):
        before, damaged, after = parse([LINES[0], bad, LINES[1]])
        assert (before, after) == (RECORDS[0], RECORDS[1])
        assert isinstance(damaged, Damaged)
        assert damaged.sentence.startswith("Line 2 of the load log cannot be read")


def test_an_unknown_outcome_is_damage_not_a_guess() -> None:
    [record] = parse([LINES[2].replace('"ok"', '"fine"')])
    assert isinstance(record, Damaged)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "requests.log"
    writer = LogWriter(path, origin_monotonic_s=100.0)
    writer.began("user", 100.001)
    writer.sent("user", 0, 100.002)
    ended = Ended(100.004, Outcome.OK, 100.003, 200, "replica-0", tokens=3, checked=True)
    writer.done("user", 0, 100.002, ended)
    writer.not_sent("user", 1, "EMFILE")
    writer.stopped()
    assert path.read_text() == ""  # kept until the next flush
    writer.close()
    assert path.read_text() == "".join(LINES)
    assert list(read(path)) == RECORDS


def test_time_to_first_token_counts_from_sending(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log", origin_monotonic_s=0.0)
    ended = Ended(3.0, Outcome.TRUNCATED, 1.5, 200, None, 2.0, 0.25, 4, False, 'a "detail"\n')
    writer.done("user", 7, 1.0, ended)
    writer.close()
    [record] = read(tmp_path / "log")
    assert isinstance(record, Done)
    assert (record.ttft_us, record.gap_max_us, record.tokens) == (1_000_000, 250_000, 4)
    assert record.detail == 'a "detail"\n'


def test_a_tail_returns_only_new_complete_lines_and_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "requests.log"
    tail = Tail(path)
    assert tail.read() == []
    with path.open("a") as file:
        file.write(LINES[0] + LINES[1][:5])
        file.flush()
        assert tail.read() == RECORDS[:1]
        assert tail.read() == []
        file.write(LINES[1][5:] + "broken\n" + LINES[3])
        file.flush()
    sent, damaged, not_sent = tail.read()
    assert (sent, not_sent) == (RECORDS[1], RECORDS[3])
    assert isinstance(damaged, Damaged)
    assert damaged.sentence.startswith("Line 3 ")
