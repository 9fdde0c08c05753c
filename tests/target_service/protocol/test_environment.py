"""Options from the environment: one rule for all of them, and who goes before whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_service.gateway import settings as gateway
from target_service.protocol.environment import Repeated, variable
from target_service.replica import settings as replica
from target_service.replica.options import make_parser

GATEWAY = ["--port", "1", "--replica", "a=http://h:2"]
REPLICA = ["--model", "m", "--port", "1"]
PARSERS = {"TARGET_GATEWAY": gateway._parser, "TARGET_REPLICA": make_parser}


def changed(action: object, folder: Path) -> str:
    """A text that an option takes, and that is not its default."""
    known = [f"{folder}/secret", "n=http://h:9", "http://h:9", "on", "off", "7", "0.5", "hardened", "other"]
    choices = getattr(action, "choices", None)
    if choices:
        return str(next(each for each in choices if each != getattr(action, "default", None)))
    convert = getattr(action, "type", None)
    if convert is Path:
        return known[0]
    if convert is None:
        return "on" if getattr(action, "nargs", None) == 0 else "other"
    for text in known:
        try:
            if convert(text) != getattr(action, "default", None):
                return text
        except Exception:  # noqa: BLE001  it takes another text
            continue
    raise AssertionError(action)


@pytest.mark.parametrize("prefix", PARSERS)
def test_every_option_of_both_programs_has_a_variable_with_the_same_effect(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef\n")
    parse = gateway.parse_arguments if prefix == "TARGET_GATEWAY" else replica.parse_arguments
    line = GATEWAY if prefix == "TARGET_GATEWAY" else REPLICA
    actions = [each for each in PARSERS[prefix]()._actions if each.dest != "help"]
    assert len(actions) > 25
    for action in actions:
        text, option = changed(action, tmp_path), action.option_strings[-1]
        if option in ("--register-with", "--model-source", "--hub-url"):
            continue  # needs another one, or means nothing alone: see the test of the replica's settings
        said = [option] if action.nargs == 0 else [option, text]
        if option in line:
            # Required on the line: there it must do without.
            rest = [word for at, word in enumerate(line) if line[max(at - (word != option), 0)] != option]
            assert parse(rest, {variable(prefix, action): text}) == parse([*rest, *said], {}), option
            continue
        given = parse(line, {variable(prefix, action): text})
        assert given == parse([*line, *said], {}), option
        if option != "--advertise-url":
            assert given != parse(line, {}), option


def test_the_command_line_goes_before_the_environment_and_that_before_a_protection() -> None:
    environ = {"TARGET_GATEWAY_PROTECTION": "hardened", "TARGET_GATEWAY_RETRY_SHARE": "0.3"}
    settings = gateway.parse_arguments(GATEWAY, environ)
    assert (settings.retry_share, settings.eject_failures) == (0.3, 5)
    line = [*GATEWAY, "--retry-share", "0.2", "--protection", "fragile"]
    settings = gateway.parse_arguments(line, environ)
    assert (settings.retry_share, settings.eject_failures) == (0.2, 0)


def test_a_list_of_the_environment_is_replaced_by_the_command_line_and_not_added_to() -> None:
    environ = {"TARGET_GATEWAY_REPLICA": "x=http://h:8 y=http://h:9,backup"}
    assert [each.name for each in gateway.parse_arguments(["--port", "1"], environ).replicas] == ["x", "y"]
    assert [each.name for each in gateway.parse_arguments(GATEWAY, environ).replicas] == ["a"]
    assert any(isinstance(action, Repeated) for action in gateway._parser()._actions)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TARGET_GATEWAY_RETRY_SHARE", "7", "at most 1"),
        ("TARGET_GATEWAY_RETRY_MAX", "many", "invalid number"),
        ("TARGET_GATEWAY_STRATEGY", "random", "round-robin"),
        ("TARGET_GATEWAY_REPLICA", "b=h:3", "NAME=http"),
        ("TARGET_GATEWAY_RETRY_SHAER", "0.1", "did you mean TARGET_GATEWAY_RETRY_SHARE?"),
        ("TARGET_GATEWAY_HELP", "on", "no such option"),
    ],
)
def test_a_bad_value_or_name_is_refused_with_the_name_of_the_variable(
    name: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        gateway.parse_arguments(GATEWAY, {name: value})
    assert exit_.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"{name}: " in last
    assert reason in last


def test_a_switch_without_a_value_takes_on_or_off() -> None:
    for text, expected in (("on", True), ("off", False)):
        assert replica.parse_arguments(REPLICA, {"TARGET_REPLICA_EARLY_READY": text}).early_ready is expected
    with pytest.raises(SystemExit):
        replica.parse_arguments(REPLICA, {"TARGET_REPLICA_EARLY_READY": "1"})


def test_variables_of_other_programs_are_nobodys_business() -> None:
    environ = {"TARGET_REPLICA_NAME": "x", "HOME": "/", "TARGET_GATEWAYS": "x"}
    assert gateway.parse_arguments(GATEWAY, environ) == gateway.parse_arguments(GATEWAY, {})


def test_help_tells_the_rule_and_never_the_value_of_a_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        replica.parse_arguments(["--help"], {"TARGET_REPLICA_FAULTS_TOKEN": "open-sesame"})
    said = " ".join(capsys.readouterr().out.split())
    assert "Every option is also an environment variable: --host is TARGET_REPLICA_HOST." in said
    assert "open-sesame" not in said
