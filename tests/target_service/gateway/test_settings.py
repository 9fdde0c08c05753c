"""The gateway's command line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from target_service import gateway
from target_service.gateway.settings import GatewaySettings, ReplicaAddress, _parser, parse_arguments
from target_service.observability.settings import ObservabilitySettings

LINE = ["--port", "1", "--replica", "a=http://h:2/"]
PLAIN = GatewaySettings(1, "127.0.0.1", (ReplicaAddress("a", "http://h:2"),))


def test_without_options_every_setting_has_its_documented_default() -> None:
    assert parse_arguments(LINE) == PLAIN


def test_a_replica_takes_a_weight_and_the_mark_of_a_backup() -> None:
    line = [*LINE, "--replica", "b=http://h:3,weight=3", "--replica", "c=http://h:4/,backup"]
    assert parse_arguments(line).replicas[1:] == (
        ReplicaAddress("b", "http://h:3", weight=3),
        ReplicaAddress("c", "http://h:4", backup=True),
    )


@pytest.mark.parametrize(
    "option",
    [
        ["--replica", "a=http://h:3"],
        ["--replica", "b=http://h:3,weight=0"],
        ["--replica", "b=http://h:3,weight"],
        ["--replica", "b=http://h:3,spare"],
        ["--replica", "b=h:3"],
        ["--strategy", "random"],
        ["--retry-share", "1.1"],
        ["--breaker-failures", "-1"],
        ["--breaker-probes", "0"],
        ["--rate-limit-burst", "0"],
        ["--keepalive-s", "0"],
        ["--drain-s", "soon"],
        ["--slow-request-s", "-1"],
        ["--log-keep-days", "week"],
        ["--metric-names", "tgi"],
        ["--protection", "armoured"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_a_usage_error(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_arguments([*LINE, *option])
    assert exit_.value.code == 2
    assert option[0] in capsys.readouterr().err


def test_a_gateway_without_replicas_is_one_with_which_they_register(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--port", "1"])
    assert "--replica is required" in capsys.readouterr().err
    assert parse_arguments(["--port", "1", "--register-token-file", "t"]).replicas == ()


def test_fragile_turns_every_protection_off() -> None:
    fragile = parse_arguments([*LINE, "--protection", "fragile"])
    unguarded = ObservabilitySettings(log_guard=False, slow_request_s=0.0)
    off = replace(PLAIN, golden_prompts=0, login_failures=0, drain_s=0.0, keepalive_s=5.0, observability=unguarded)
    assert fragile == off


def test_hardened_turns_every_protection_on() -> None:
    hardened = parse_arguments([*LINE, "--protection", "hardened"])
    off = {"golden_prompts", "breaker_failures", "retry_share", "hedge_after_s", "eject_failures", "rate_limit_per_s",
           "try_timeout_s", "stale_address_s", "login_failures"}  # fmt: skip
    assert all(getattr(hardened, name) > 0 for name in off)
    assert hardened.drain_s >= hardened.request_timeout_s
    assert hardened.keepalive_s > 75


@pytest.mark.parametrize("before", [True, False])
def test_a_single_option_goes_before_the_named_protection(before: bool) -> None:
    named, single = ["--protection", "hardened"], ["--breaker-failures", "2", "--hedge-after-s", "0"]
    settings = parse_arguments([*LINE, *(single + named if before else named + single)])
    assert (settings.breaker_failures, settings.hedge_after_s, settings.eject_failures) == (2, 0.0, 5)


def test_the_readme_tells_the_defaults_of_the_table() -> None:
    readme = Path(gateway.__file__).with_name("README.md").read_text()
    told = {
        option.replace("-", "_"): value
        for row in readme.splitlines()
        if row.startswith("|")
        for option, value in re.findall(r"`--([a-z-]+) ([^`]+)`", row.split("|")[2])
    }
    parser = _parser()
    assert {"strategy", "breaker_failures", "drain_s", "keepalive_s", "log_guard"} < set(told)
    assert told == {name: str(parser.get_default(name)).removesuffix(".0") for name in told}
