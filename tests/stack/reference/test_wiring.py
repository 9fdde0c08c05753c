"""Options that name another server or a secret become addresses and files, for the one replica that they are of."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.target import Option, TargetOptions
from harness.stack.base import RunContext
from harness.stack.containers.project import WIRES, Owner, override
from harness.stack.reference.option_names import GATEWAY, REPLICA
from harness.stack.reference.service import make_private, remove_private
from harness.stack.reference.settings import LINKS, REPLICAS, Ports, gateway_files, private_files
from harness.stack.reference.wiring import gateway_options, replica_options, routes
from target_service.gateway.settings import GatewaySettings
from target_service.gateway.settings import _parser as gateway_parser
from target_service.gateway.settings import parse_arguments as parse_gateway
from target_service.replica.options import make_parser
from target_service.replica.settings import ReplicaSettings, parse_arguments

PORTS = Ports({name: 1 + n for n, name in enumerate(REPLICAS)}, 3, {name: 11 + n for n, name in enumerate(LINKS)}, 20)
TOKEN = "0123456789abcdef"


def gateway(target: TargetOptions) -> GatewaySettings:
    """What the reference gateway makes of its command line."""
    return parse_gateway(["--port", "1", *routes(target, WIRES), *gateway_options(target, WIRES)], {})


def replica(target: TargetOptions, name: str, token: Path) -> ReplicaSettings:
    """What the reference replica makes of its command line."""
    token.write_text(TOKEN)
    wires = replace(WIRES, register_token=str(token))
    placed = ["--model", "m", "--port", "1", "--name", name, "--host", "0.0.0.0"]
    return parse_arguments([*placed, *replica_options(target, name, wires)], {})


def names(parser: argparse.ArgumentParser) -> set[str]:
    return {one.option_strings[-1].lstrip("-").replace("-", "_") for one in parser._actions if one.dest != "help"}


def test_the_harness_knows_exactly_the_options_that_gateway_and_replica_have() -> None:
    assert names(gateway_parser()) == GATEWAY
    assert names(make_parser()) == REPLICA


def test_a_weight_and_a_backup_are_told_to_the_gateway_and_not_to_the_replica(tmp_path: Path) -> None:
    target = TargetOptions(
        gateway={"strategy": "weighted"}, each={"primary": {"weight": 3}, "standby": {"backup": True}}
    )
    known = {one.name: (one.weight, one.backup) for one in gateway(target).replicas}
    assert known == {"primary": (3, False), "standby": (1, True)}
    assert replica(target, "primary", tmp_path / "token") == replica(TargetOptions(), "primary", tmp_path / "token")


def test_an_option_of_one_replica_is_not_the_others_and_outranks_that_of_every_one(tmp_path: Path) -> None:
    target = TargetOptions(replica={"max_queue": 8, "validate": False}, each={"standby": {"max_queue": 3}})
    primary, standby = (replica(target, name, tmp_path / "token") for name in REPLICAS)
    assert (primary.engine.queue_max, standby.engine.queue_max) == (8, 3)
    assert not primary.http.validate and not standby.http.validate


def test_who_follows_whom_is_a_name_in_the_scenario_and_an_address_on_the_command_line(tmp_path: Path) -> None:
    target = TargetOptions(each={"standby": {"follow": "primary"}})
    primary, standby = (replica(target, name, tmp_path / "token").neighbours.follow for name in REPLICAS)
    assert (primary, standby) == (None, "http://primary:8000")


@pytest.mark.parametrize("off", [False, "off"])
def test_what_is_off_is_nowhere(off: Option) -> None:
    target = TargetOptions(
        gateway={"api_keys": off}, replica={"register": off}, each={"standby": {"follow": off, "backup": off}}
    )
    assert not target.secret_options
    assert routes(target, WIRES) == routes(TargetOptions(), WIRES)
    assert not gateway_options(target, WIRES)
    assert not [word for name in REPLICAS for word in replica_options(target, name, WIRES)]


def test_a_replica_that_registers_is_told_the_gateway_and_its_own_link_and_is_on_no_list(tmp_path: Path) -> None:
    target = TargetOptions(each={"standby": {"register": "on"}})
    listening = gateway(target)
    assert [one.name for one in listening.replicas] == ["primary"]
    assert listening.register_token_file == Path("/private/register-token")
    primary, standby = (replica(target, name, tmp_path / "token").neighbours for name in REPLICAS)
    assert (standby.register_with, standby.register_token) == ("http://gateway:8000", TOKEN)
    assert standby.advertise_url == "http://toxiproxy:9002"  # so that its link can break as every other one
    assert primary.register_with is None


def test_when_all_register_the_gateway_begins_with_nobody() -> None:
    assert gateway(TargetOptions(replica={"register": True})).replicas == ()


def test_keys_come_from_a_file(tmp_path: Path) -> None:
    assert gateway(TargetOptions(gateway={"api_keys": True})).api_keys_file == Path("/private/api-keys")
    assert gateway(TargetOptions()).api_keys_file is None


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        (TargetOptions(), ()),
        (TargetOptions(gateway={"api_keys": "on"}), ("gateway.api_keys",)),
        (TargetOptions(replica={"register": True}), ("replica.register",)),
        (TargetOptions(each={"standby": {"register": True, "follow": "primary"}}), ("each.standby.register",)),
    ],
)
def test_secrets_are_made_only_for_who_shares_one_and_taken_away(
    target: TargetOptions, asked: tuple[str, ...], tmp_path: Path
) -> None:
    assert target.secret_options == asked
    make_private(tmp_path, REPLICAS, target)
    files, doors = private_files(tmp_path), gateway_files(tmp_path)
    assert doors.folder.exists() == bool(asked)
    if asked:
        assert doors.folder.stat().st_mode & 0o777 == 0o700
        assert doors.register_token.read_text() == files.register_token.read_text() != doors.api_keys.read_text()
        assert len(doors.api_keys.read_text()) == 64
        assert not [path for path in doors.folder.iterdir() if path.read_text() == files.token.read_text()]
    remove_private(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_gateways_container_sees_its_own_secrets_and_never_those_of_replicas() -> None:
    models = {name: Path("/runs/r1/stack") / f"model-{name}" for name in (*REPLICAS, "gateway")}

    def private(target: TargetOptions) -> dict[str, list[str]]:
        run = RunContext("r1", Path("/runs/r1"), 0.0, "7", target)
        services = override(run, Owner(42, 4711), PORTS, models)["services"]
        mounts = {name: service.get("volumes", []) for name, service in services.items()}
        return {name: [one["source"] for one in of if one["target"] == "/private"] for name, of in mounts.items()}

    assert private(TargetOptions())["gateway"] == []
    found = private(TargetOptions(gateway={"api_keys": True}))
    assert found["gateway"] == ["/runs/r1/stack/private-gateway"]
    assert found["primary"] == found["standby"] == ["/runs/r1/stack/private"]
