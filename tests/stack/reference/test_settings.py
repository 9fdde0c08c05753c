"""The target's command lines, as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.scenario import TargetOptions
from harness.stack.base import RunContext
from harness.stack.reference.settings import LINKS, REPLICAS, LocalSettings, Ports, private_files, target_programs
from target_service.replica.settings import ReplicaSettings, parse_arguments

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
    at_start = "@run/stack/private/start-{}.args"
    for name in REPLICAS:
        options = "--protection fragile --nan-guard on --health-mode deep"
        assert lines[name].endswith(f"{options} {at_start.format(name)}")
    assert "fragile" not in lines["proxy"]


def parsed(target: TargetOptions, tmp_path: Path, at_start: str = "") -> ReplicaSettings:
    """What the reference replica makes of the command line that the stack gives it."""
    private = private_files(tmp_path / "stack")
    private.folder.mkdir(parents=True, exist_ok=True)
    private.token.write_text("sesame")
    private.start_options("primary").write_text(at_start)
    run = RunContext("run", tmp_path, 0.0, "seed", target)
    line = target_programs(LocalSettings(), PORTS, MODELS, Path("golden.json"), run)[0].argv
    return parse_arguments(list(line[line.index("--model") :]))


@pytest.mark.parametrize("option", ["disable_mmap", "early_ready"])
def test_both_ends_agree_on_what_a_scenarios_true_and_false_mean(option: str, tmp_path: Path) -> None:
    for value in (True, False):
        for protection in ("fragile", "hardened"):
            target = TargetOptions(protection=protection, replica={option: value})  # type: ignore[arg-type]
            assert getattr(parsed(target, tmp_path), option) is value


def test_options_for_the_next_start_come_from_a_file_and_outrank_the_scenario(tmp_path: Path) -> None:
    target = TargetOptions(replica={"slow_load_s": 1})
    as_it_was, slow = parsed(target, tmp_path), parsed(target, tmp_path, "--early-ready\n--slow-load-s\n7.5\n")
    assert (as_it_was.early_ready, as_it_was.slow_load_s) == (False, 1.0)
    assert (slow.early_ready, slow.slow_load_s) == (True, 7.5)


def test_the_token_of_the_fault_endpoints_is_on_no_command_line(tmp_path: Path) -> None:
    assert parsed(TargetOptions(), tmp_path).http.faults_token == "sesame"
    assert all("sesame" not in line for line in command_lines(TargetOptions()).values())
    assert "faults-token" not in command_lines(TargetOptions())["gateway"]


def test_a_target_without_fault_endpoints_is_told_nothing_of_them() -> None:
    lines = command_lines(TargetOptions(), LocalSettings(service_faults=False))
    assert all("faults-token" not in line and "@" not in line for line in lines.values())


def test_the_same_seed_gives_the_proxy_the_same_draws() -> None:
    assert command_lines(TargetOptions())["proxy"] == command_lines(TargetOptions())["proxy"]
