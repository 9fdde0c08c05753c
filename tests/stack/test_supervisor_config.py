from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.supervisor_config import Program, configuration

LISTENER = Program("restart_budget", ("python", "-m", "listener"))


def parsed(program: Program) -> configparser.ConfigParser:
    text = configuration([program], LISTENER, folder=Path("/logs"), socket=Path("/run/s"), stop_wait_s=5)
    config = configparser.ConfigParser(inline_comment_prefixes=(";", "#"))
    config.read_string(text)
    return config


def test_arguments_with_spaces_and_percent_signs_reach_the_program_unchanged() -> None:
    config = parsed(Program("primary", ("server", "--model", "/a b/100%")))
    assert config["program:primary"]["command"] == "server --model '/a b/100%'"


def test_every_exit_is_unexpected_and_restarted() -> None:
    section = parsed(Program("primary", ("server",)))["program:primary"]
    assert (section["autorestart"], section["exitcodes"]) == ("true", "")


def test_programs_stop_together_and_with_their_children() -> None:
    config = parsed(Program("primary", ("server",)))
    assert config["group:target"]["programs"] == "primary"
    assert config["program:primary"]["stopasgroup"] == config["program:primary"]["killasgroup"] == "true"


def test_a_path_that_would_begin_a_comment_is_refused() -> None:
    with pytest.raises(StackError, match="avoid line breaks"):
        parsed(Program("primary", ("server", "/a #b")))
