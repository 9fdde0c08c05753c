from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.supervision.config import Program, configuration, stop_wait_s_of

LISTENER = Program("restart_budget", ("python", "-m", "listener"))


def parsed(program: Program) -> configparser.ConfigParser:
    text = configuration([program], LISTENER, folder=Path("/logs"), socket=Path("/run/s"), stop_wait_s=5)
    config = configparser.ConfigParser(inline_comment_prefixes=(";", "#"))
    config.read_string(text)
    return config


def test_arguments_with_spaces_and_percent_signs_reach_the_program_unchanged() -> None:
    config = parsed(Program("primary", ("server", "--model", "/a b/100%")))
    assert config["program:primary"]["command"] == "server --model '/a b/100%'"


def told(restarts: str, normal: tuple[int, ...] | None = None) -> configparser.SectionProxy:
    return parsed(Program("primary", ("server",), restarts, normal))["program:primary"]


def test_with_the_budget_supervisord_itself_restarts_nothing_and_the_listener_hears_of_every_exit() -> None:
    section = told("budget")
    assert (section["autorestart"], section["exitcodes"], section["startsecs"]) == ("false", "", "0")


def test_always_is_as_the_manual_has_it() -> None:
    section = told("always")
    assert (section["autorestart"], section["startretries"], section["stopwaitsecs"]) == ("true", "10", "30")
    assert section["stdout_logfile"] != section["stderr_logfile"]
    assert (stop_wait_s_of("always", 5), stop_wait_s_of("budget", 5)) == (30, 5)


def test_unexpected_takes_status_zero_for_a_success_unless_others_are_named() -> None:
    assert (told("unexpected")["autorestart"], told("unexpected")["exitcodes"]) == ("unexpected", "0")
    assert told("unexpected", (0, 3))["exitcodes"] == "0,3"


@pytest.mark.parametrize("restarts", ["never", "cron-script", "retry-script"])
def test_where_nobody_or_a_script_restarts_supervisord_does_not(restarts: str) -> None:
    assert told(restarts)["autorestart"] == "false"


def test_programs_stop_together_and_with_their_children() -> None:
    config = parsed(Program("primary", ("server",)))
    assert config["group:target"]["programs"] == "primary"
    assert config["program:primary"]["stopasgroup"] == config["program:primary"]["killasgroup"] == "true"


def test_a_path_that_would_begin_a_comment_is_refused() -> None:
    with pytest.raises(StackError, match="avoid line breaks"):
        parsed(Program("primary", ("server", "/a #b")))
