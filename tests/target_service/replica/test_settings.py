"""Options and the named sets of them."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from target_service.replica import settings
from target_service.replica.options import make_parser
from target_service.replica.process_settings import MemorySettings, ProcessSettings
from target_service.replica.protection import PROTECTIONS
from target_service.replica.settings import EngineSettings, HealthSettings, HttpSettings, WatchdogSettings

NEEDED = ["--model", "m", "--port", "1"]
MECHANISMS = Path(settings.__file__).with_name("README.md")


def options() -> dict[str, argparse.Action]:
    return {action.dest: action for action in make_parser()._actions}


def test_without_options_every_part_has_its_own_defaults() -> None:
    parsed = settings.parse_arguments(NEEDED)
    assert parsed.engine == EngineSettings()
    assert parsed.watchdog == WatchdogSettings()
    assert parsed.health == HealthSettings()
    assert parsed.http == HttpSettings()
    assert parsed.process == ProcessSettings()
    assert parsed.memory == MemorySettings()
    assert (parsed.verify_weights, parsed.on_bad_model, parsed.drain_s) == ("start", "exit", 5.0)


@pytest.mark.parametrize("name", PROTECTIONS)
def test_a_set_names_options_that_exist_and_values_that_they_take(name: str) -> None:
    known = options()
    for key, value in PROTECTIONS[name].items():
        action = known[key]
        assert action.choices is None or value in action.choices
        assert type(value) is type(action.default)


def test_default_is_no_set_at_all() -> None:
    assert settings.parse_arguments([*NEEDED, "--protection", "default"]) == settings.parse_arguments(NEEDED)


def test_fragile_and_hardened_differ_wherever_a_mechanism_can_be_switched() -> None:
    fragile, hardened = PROTECTIONS["fragile"], PROTECTIONS["hardened"]
    differing = {key for key in fragile if fragile[key] != hardened.get(key)}
    assert set(fragile) - differing == set()


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_single_option_wins_over_the_set_wherever_it_stands(at: str) -> None:
    single, named = ["--watchdog-s", "1.5"], ["--protection", "hardened"]
    parsed = settings.parse_arguments([*NEEDED, *(single + named if at == "before" else named + single)])
    hardened = settings.parse_arguments([*NEEDED, *named])
    assert parsed == replace(hardened, watchdog=replace(hardened.watchdog, limit_s=1.5))


def test_hardened_needs_nothing_but_its_name_to_switch_on_every_guard() -> None:
    hardened = settings.parse_arguments([*NEEDED, "--protection", "hardened"])
    assert hardened.health.deep
    assert hardened.disable_mmap
    assert (hardened.engine.nan_guard, hardened.verify_weights) == ("abort", "periodic")


def test_the_table_of_mechanisms_names_every_option_with_its_default_and_no_other() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)` \| `?([^`|]*?)`? \|", MECHANISMS.read_text(), re.MULTILINE)
    known = {action.option_strings[0]: action for action in options().values() if action.option_strings}
    about_the_place = {"-h", "--model", "--port", "--host", "--name", "--dtype", "--threads", "--token-cost-ms",
                       "--max-active", "--protection"}  # fmt: skip
    assert {name for name, _ in rows} == set(known) - about_the_place
    for name, default in rows:
        stated = known[name].default
        assert default == {"None": "none", "False": "off"}.get(str(stated), str(stated).removesuffix(".0")), name


@pytest.mark.parametrize("name", ["disable_mmap", "early_ready"])
def test_a_switch_is_off_and_takes_its_name_alone_or_on_or_off(name: str) -> None:
    option = f"--{name.replace('_', '-')}"
    given = {(): False, (option,): True, (option, "on"): True, (option, "off"): False}
    for words, meant in given.items():
        assert getattr(settings.parse_arguments([*NEEDED, *words]), name) is meant
    with pytest.raises(SystemExit):
        settings.parse_arguments([*NEEDED, option, "yes"])


def test_a_token_may_come_from_a_file_and_one_that_cannot_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text("sesame\n")
    assert settings.parse_arguments([*NEEDED, "--faults-token-file", str(file)]).http.faults_token == "sesame"
    both = ["--faults-token", "open", "--faults-token-file", str(file)]
    assert settings.parse_arguments([*NEEDED, *both]).http.faults_token == "open"
    file.write_text("\n")
    for bad, word in ((file, "is empty"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(SystemExit):
            settings.parse_arguments([*NEEDED, "--faults-token-file", str(bad)])
        assert f"{bad}: {word}" in capsys.readouterr().err


def test_every_field_of_a_part_can_be_set_from_the_command_line() -> None:
    changed = settings.parse_arguments([*NEEDED, "--protection", "fragile", "--cache-size", "1", "--cache-ttl-s", "1"])
    same = {field.name for field in fields(HttpSettings) if getattr(changed.http, field.name) == field.default}
    assert same == {"faults_token", "qps_limit", "sse_heartbeat_s"}
