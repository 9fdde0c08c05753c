"""What a run adds to compose.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.scenario import TargetOptions
from harness.stack.base import RunContext
from harness.stack.containers.project import Owner, override, project_name
from harness.stack.reference.settings import Ports

PORTS = Ports({"primary": 21, "standby": 22}, 23, {"gateway": 31, "primary": 32, "standby": 33}, 34)
MODELS = {name: Path("/runs/r1/stack") / f"model-{name}" for name in ("primary", "standby", "gateway")}


def made(target: TargetOptions | None = None) -> dict[str, dict[str, dict[str, object]]]:
    run = RunContext("r1", Path("/runs/r1"), 0.0, "7", target or TargetOptions())
    return override(run, Owner(42, 4711), PORTS, MODELS)


def test_everything_a_run_makes_carries_its_label_and_its_owner() -> None:
    parts = made()
    for thing in (*parts["services"].values(), *parts["networks"].values()):
        assert thing["labels"] == {"reliability-harness.run": "r1", "reliability-harness.owner": "42 4711"}


def test_every_process_in_the_containers_carries_the_label_that_signals_are_checked_by() -> None:
    for service in made()["services"].values():
        assert service["environment"] == {"RELIABILITY_HARNESS_RUN": "r1"}


def test_ports_are_published_on_the_loopback_address_alone() -> None:
    services = made()["services"].values()
    published = [port for service in services for port in service["ports"]]  # type: ignore[attr-defined]
    assert len(published) == 6
    assert all(str(port).startswith("127.0.0.1:") for port in published)


def test_the_users_link_is_left_to_compose_yaml_which_publishes_it() -> None:
    assert not [port for port in made()["services"]["toxiproxy"]["ports"] if str(port).endswith(":9000")]  # type: ignore[attr-defined]


def test_each_replica_has_its_own_copy_of_the_model_read_only() -> None:
    services = made()["services"]
    for name in ("primary", "standby"):
        mount, _, private = services[name]["volumes"]  # type: ignore[misc]
        assert private["target"] == "/private" and private["read_only"]
        assert mount == {
            "type": "bind",
            "source": f"/runs/r1/stack/model-{name}",
            "target": "/model",
            "read_only": True,
        }


def test_a_scenarios_words_become_options_of_the_programs() -> None:
    services = made(TargetOptions(protection="hardened", gateway={"failback": False}, replica={"max_queue": 8}))[
        "services"
    ]
    assert services["primary"]["command"][-4:] == ["hardened", "--max-queue", "8", "@/private/start-primary.args"]  # type: ignore[index]
    assert services["gateway"]["command"][-4:] == ["--protection", "hardened", "--failback", "off"]  # type: ignore[index]


def test_replicas_that_cannot_read_the_runs_token_are_not_told_of_it() -> None:
    run = RunContext("r1", Path("/runs/r1"), 0.0, "7", TargetOptions())
    services = override(run, Owner(42, 4711), PORTS, MODELS, opened=False)["services"]
    assert not [word for word in services["primary"]["command"] if "private" in word or "faults" in word]
    assert [mount["target"] for mount in services["primary"]["volumes"]] == ["/model", "/access"]


def test_access_logs_are_written_into_the_runs_folder_unless_the_scenario_says_where() -> None:
    services = made(TargetOptions(replica={"log_dir": "/logs"}))["services"]
    for name in ("primary", "standby", "gateway"):
        (logs,) = [mount for mount in services[name]["volumes"] if mount["target"] == "/access"]  # type: ignore[attr-defined]
        assert (logs["source"], logs["read_only"]) == ("/runs/r1/stack/logs", False)
    words = [str(word) for word in services["primary"]["command"]]  # type: ignore[attr-defined]
    assert words.index("/access") < words.index("/logs")  # of two the later counts


def test_the_token_that_opens_fault_endpoints_is_mounted_into_replicas_alone() -> None:
    for name, service in made()["services"].items():
        targets = [mount["target"] for mount in service.get("volumes", [])]  # type: ignore[attr-defined]
        assert ("/private" in targets) == (name in ("primary", "standby"))


def test_the_gateway_reaches_its_replicas_through_the_proxy() -> None:
    command = made()["services"]["gateway"]["command"]
    assert "primary=http://toxiproxy:9001" in command and "standby=http://toxiproxy:9002" in command  # type: ignore[operator]


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("20261121-Kill.Primary", "harness-20261121-kill-primary"),
        ("x" * 80, "harness-" + "x" * 55),
        ("a" * 54 + "-b", "harness-" + "a" * 54),
    ],
)
def test_a_projects_name_is_one_that_compose_takes(run_id: str, name: str) -> None:
    assert project_name(run_id) == name
