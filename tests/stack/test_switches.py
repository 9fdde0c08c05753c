"""Variables of the environment that switch the target: recorded with their values, and secrets without."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.plan import HIDDEN
from harness.record.clock import FakeClock
from harness.stack.base import RunContext
from harness.stack.containers.project import Owner, override, with_switches
from harness.stack.external.stack import ExternalStack
from harness.stack.fake.stack import FakeStack
from harness.stack.local.stack import LocalStack
from harness.stack.reference.settings import PORTS, laid_out
from harness.stack.switches import Switched, switches_in
from target_service.gateway import settings as gateway
from target_service.replica.options import make_parser

SECRETS = ("TARGET_REPLICA_FAULTS_TOKEN", "TARGET_GATEWAY_ADMIN_SECRET", "TARGET_REPLICA_HUB_PASSWORD")


def test_only_what_reaches_the_target_is_recorded() -> None:
    environ = {"HOME": "/", "TARGET_REPLICA_MAX_QUEUE": "8", "TARGET_GATEWAYS": "x", "HARNESS_IMAGE": "mine:1"}
    assert switches_in(environ) == {"TARGET_REPLICA_MAX_QUEUE": "8"}
    assert switches_in(environ, ["HARNESS_IMAGE", "HARNESS_NONE"]) == {
        "HARNESS_IMAGE": "mine:1",
        "TARGET_REPLICA_MAX_QUEUE": "8",
    }


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_named_and_its_value_is_nowhere(name: str) -> None:
    assert switches_in({name: "open-sesame"}) == {name: HIDDEN}


def test_a_password_in_an_address_is_not_recorded() -> None:
    assert switches_in({"TARGET_REPLICA_HUB_URL": "https://me:pw@hub/x"}) == {
        "TARGET_REPLICA_HUB_URL": "https://…@hub/x"
    }


def test_every_option_of_the_target_that_holds_a_secret_is_taken_for_one_and_no_other() -> None:
    found = {
        name
        for prefix, parser in (("TARGET_REPLICA", make_parser()), ("TARGET_GATEWAY", gateway._parser()))
        for action in parser._actions
        for name in [f"{prefix}_{action.option_strings[-1].lstrip('-').replace('-', '_').upper()}"]
        if switches_in({name: "x"})[name] == HIDDEN
    }
    assert found == {"TARGET_REPLICA_FAULTS_TOKEN"}


def test_stacks_whose_target_inherits_the_environment_say_what_of_it_switches_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_REPLICA_CACHE_KEY", "prompt-only")
    assert LocalStack(tmp_path).switches()["TARGET_REPLICA_CACHE_KEY"] == "prompt-only"
    assert not isinstance(FakeStack(FakeClock(0.0)), Switched)
    assert not issubclass(ExternalStack, Switched)


def test_containers_get_them_from_the_environment_of_compose_so_that_no_file_holds_a_value(tmp_path: Path) -> None:
    ports = laid_out(range(9000, 9000 + PORTS))
    parts = override(
        RunContext("r1", tmp_path, 0.0), Owner(1, 1), ports, dict.fromkeys(("primary", "standby", "gateway"), tmp_path)
    )
    services = with_switches(parts, ["TARGET_REPLICA_MAX_QUEUE"])["services"]
    for name, service in services.items():
        passed_on = "TARGET_REPLICA_MAX_QUEUE" in service["environment"]
        assert passed_on is (name != "toxiproxy")
        assert service["environment"].get("TARGET_REPLICA_MAX_QUEUE") is None
        assert "RELIABILITY_HARNESS_RUN" in service["environment"]
