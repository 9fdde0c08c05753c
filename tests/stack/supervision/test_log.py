from __future__ import annotations

from harness.stack.supervision.log import exit_reports, newest_end

LOG = """\
2026-01-01 00:00:00,001 INFO spawned: 'primary' with pid 11
2026-01-01 00:00:00,002 INFO spawned: 'standby' with pid 12
2026-01-01 00:00:05,003 WARN exited: primary (terminated by SIGKILL; not expected)
2026-01-01 00:00:05,004 INFO spawned: 'primary' with pid 13
2026-01-01 00:00:06,004 INFO success: primary entered RUNNING state, process has stayed up (startsecs)
2026-01-01 00:00:07,004 INFO waiting for primary to stop
2026-01-01 00:00:07,005 WARN stopped: primary (exit status 0)
"""


def test_each_end_belongs_to_the_process_that_was_spawned_last() -> None:
    assert exit_reports(LOG) == {11: ("primary", "terminated by SIGKILL"), 13: ("primary", "exit status 0")}


def test_a_pid_that_is_used_again_has_not_ended() -> None:
    assert 11 not in exit_reports(LOG + "x INFO spawned: 'standby' with pid 11\n")


def test_a_torn_last_line_says_nothing() -> None:
    assert exit_reports("x spawned: 'primary' with pid 11\nx exited: primary (terminated by SIGK") == {}


def test_the_newest_end_is_unknown_while_the_newest_process_may_still_run() -> None:
    """Its last words may be in its own log before its end is in supervisord's: they belong to no older end."""
    assert newest_end(LOG, "primary") == "exit status 0"
    again = LOG + "x INFO spawned: 'primary' with pid 14\n"
    assert newest_end(again, "primary") is None
    assert newest_end(again + "x WARN exited: primary (exit status 1; not expected)\n", "primary") == "exit status 1"
    assert newest_end(LOG, "gateway") is None
