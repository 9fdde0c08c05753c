"""The target's command lines, as data."""

from __future__ import annotations

from pathlib import Path

from harness.model.scenario import TargetOptions
from harness.stack.base import RunContext
from harness.stack.local_settings import LINKS, REPLICAS, LocalSettings, Ports, target_programs

PORTS = Ports({name: 1 + n for n, name in enumerate(REPLICAS)}, 3, {name: 11 + n for n, name in enumerate(LINKS)}, 20)
MODELS = {name: Path("model") / name for name in REPLICAS}


def command_lines(target: TargetOptions, settings: LocalSettings | None = None) -> dict[str, str]:
    run = RunContext("run", Path("run"), 0.0, "seed", target)
    programs = target_programs(settings or LocalSettings(), PORTS, MODELS, Path("golden.json"), run)
    return {program.name: " ".join(program.argv) for program in programs}


def test_every_server_is_reached_through_the_proxy_of_its_link() -> None:
    lines = command_lines(TargetOptions())
    assert "--replica primary=http://127.0.0.1:12 --replica standby=http://127.0.0.1:13" in lines["gateway"]
    assert "--proxy gateway 127.0.0.1:11 127.0.0.1:3" in lines["proxy"]
    assert "--proxy primary 127.0.0.1:12 127.0.0.1:1" in lines["proxy"]
    assert "-instance run" in lines["proxy"]


def test_a_target_is_started_as_it_comes_unless_the_scenario_says_otherwise() -> None:
    assert all("--protection" not in line for line in command_lines(TargetOptions()).values())


def test_a_scenario_chooses_a_protection_and_single_options_which_come_last() -> None:
    target = TargetOptions(
        protection="fragile", gateway={"missed_beats": 5}, replica={"nan_guard": True, "health_mode": "deep"}
    )
    lines = command_lines(target)
    assert lines["gateway"].endswith("--protection fragile --missed-beats 5")
    assert lines["primary"].endswith("--protection fragile --nan-guard on --health-mode deep")
    assert lines["standby"].endswith("--protection fragile --nan-guard on --health-mode deep")
    assert "fragile" not in lines["proxy"]


def test_the_same_seed_gives_the_proxy_the_same_draws() -> None:
    assert command_lines(TargetOptions())["proxy"] == command_lines(TargetOptions())["proxy"]
