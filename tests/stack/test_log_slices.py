from __future__ import annotations

from pathlib import Path

from harness.stack.log_slices import copy_since, so_far


def test_a_run_gets_what_was_added_while_it_lasted(tmp_path: Path) -> None:
    stack, into = tmp_path / "home", tmp_path / "run"
    (stack / "logs").mkdir(parents=True)
    log = stack / "logs" / "primary.access.log"
    log.write_text("one\n")
    (stack / "supervisord.conf").write_text("[supervisord]\n")
    before = so_far(stack)
    with log.open("a") as more:
        more.write("two\n")
    (stack / "new.log").write_text("three\n")
    copy_since(stack, before, into)
    assert (into / "logs" / "primary.access.log").read_text() == "two\n"
    assert (into / "new.log").read_text() == "three\n"
    assert (into / "supervisord.conf").read_text() == "[supervisord]\n"  # it does not grow: every run needs all of it


def test_a_log_that_was_rotated_meanwhile_is_copied_whole(tmp_path: Path) -> None:
    stack, into = tmp_path / "home", tmp_path / "run"
    stack.mkdir()
    (stack / "a.log").write_text("a long first line\n")
    before = so_far(stack)
    (stack / "a.log").write_text("new\n")
    copy_since(stack, before, into)
    assert (into / "a.log").read_text() == "new\n"


def test_a_rotated_piece_is_the_runs_from_where_it_was_and_those_of_earlier_runs_are_nobodys(tmp_path: Path) -> None:
    stack, into = tmp_path / "home", tmp_path / "run"
    stack.mkdir()
    (stack / "a.log.1").write_text("long before\n")
    (stack / "a.log").write_text("before\n")
    before = so_far(stack)
    with (stack / "a.log").open("a") as more:
        more.write("mine\n")
    (stack / "a.log.1").rename(stack / "a.log.2")
    (stack / "a.log").rename(stack / "a.log.1")
    (stack / "a.log").write_text("mine, too, and longer than what was there\n")
    copy_since(stack, before, into)
    assert (into / "a.log.1").read_text() == "mine\n"
    assert (into / "a.log").read_text() == "mine, too, and longer than what was there\n"
    assert not (into / "a.log.2").exists()


def test_an_inode_that_was_another_files_is_not_taken_for_it(tmp_path: Path) -> None:
    stack, into = tmp_path / "home", tmp_path / "run"
    stack.mkdir()
    (stack / "a.log").write_text("of a run before\n")
    before = so_far(stack)
    (stack / "a.log").write_text("of this run, which has rotated it away\n")  # the same inode
    copy_since(stack, before, into)
    assert (into / "a.log").read_text() == "of this run, which has rotated it away\n"


def test_models_and_secrets_stay_where_they_are(tmp_path: Path) -> None:
    stack, into = tmp_path / "home", tmp_path / "run"
    for folder in ("model-primary", "private", "private-gateway", "prometheus"):
        (stack / folder).mkdir(parents=True)
        (stack / folder / "x.log").write_text("x")
    copy_since(stack, {}, into)
    assert not into.exists()


def test_a_file_that_cannot_be_copied_is_left_out_and_the_others_are_there(tmp_path: Path) -> None:
    stack, into = tmp_path / "home", tmp_path / "run"
    (stack / "logs").mkdir(parents=True)
    (stack / "logs" / "a.log").write_text("a")
    (stack / "b.log").write_text("b")
    into.mkdir()
    (into / "logs").write_text("in the way of a folder")
    copy_since(stack, {}, into)
    assert (into / "b.log").read_text() == "b"
