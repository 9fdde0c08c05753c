"""A run's project on an engine of another host."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from harness.model.scenario import TargetOptions
from harness.stack.base import RunContext
from harness.stack.compose.stack import COMPOSE_FOLDER
from harness.stack.containers.project import ACCESS, Owner, override
from harness.stack.reference.settings import laid_out
from harness.stack.remote.project import (
    LOAD,
    SIGNALS,
    WRITTEN,
    code_files,
    model_files,
    on_another_host,
    packed,
    servers,
    volumes,
)

RUN = RunContext("r1", Path("/runs/r1"), 0.0, "7", TargetOptions())


def made() -> dict[str, Any]:
    models = dict.fromkeys(("primary", "standby", "gateway"), Path("/model"))
    parts = override(RUN, Owner(42, 4711), laid_out(range(7)), models, opened=False)
    return on_another_host(parts, RUN, "target:1")


def test_nothing_of_this_host_is_in_it_and_no_port_is_published() -> None:
    parts = made()
    assert "/runs/r1" not in json.dumps(parts) and '"bind"' not in json.dumps(parts)
    assert all(not service.get("ports") for service in parts["services"].values())
    assert {mount["type"] for service in parts["services"].values() for mount in service["volumes"]} == {"volume"}


def test_every_mount_of_a_file_of_this_host_in_compose_yaml_is_replaced() -> None:
    """Compose replaces a mount by one with the same place in the container, and keeps the others."""
    parts = made()["services"]
    for name in ("primary", "gateway"):
        assert {mount["target"] for mount in parts[name]["volumes"]} == {"/model", ACCESS}
        assert f"{ACCESS}/{WRITTEN}" in parts[name]["command"] and ACCESS not in parts[name]["command"]
    assert {mount["target"] for mount in parts["toxiproxy"]["volumes"]} == {"/proxies.json"}
    assert "/proxies.json/proxies.json" in parts["toxiproxy"]["command"]


def test_whoever_signals_sees_the_hosts_processes_and_may_do_nothing_else() -> None:
    signals = made()["services"][SIGNALS]
    assert signals["pid"] == "host" and signals["network_mode"] == "none"
    assert signals["cap_drop"] == ["ALL"] and "cap_add" not in signals and signals["read_only"]
    assert signals["user"] == "10001:10001", "the target's own user: it may signal no other"


def test_the_load_stands_where_users_and_looks_do_and_sees_no_processes() -> None:
    load = made()["services"][LOAD]
    assert load["networks"] == ["edge", "front"] and "pid" not in load


def test_what_is_new_carries_the_runs_label_as_containers_and_as_processes() -> None:
    for name in (LOAD, SIGNALS):
        service = made()["services"][name]
        assert service["labels"] == {"reliability-harness.run": "r1"}
        assert service["environment"] == {"RELIABILITY_HARNESS_RUN": "r1"}


def test_volumes_are_the_runs_own_by_name_and_are_not_compose_s_to_make() -> None:
    assert volumes("R1") == {
        "/code": "harness-r1-code",
        "/model": "harness-r1-model",
        ACCESS: f"harness-r1-{ACCESS.strip('/')}",
    }
    assert {one["name"] for one in made()["volumes"].values()} == set(volumes("r1").values())
    assert all(one["external"] for one in made()["volumes"].values())


def test_the_tunnel_leads_to_each_server_in_the_order_of_its_port() -> None:
    ports = laid_out(servers())  # type: ignore[arg-type]
    assert ports.replicas == {"primary": "primary:8000", "standby": "standby:8000"}
    assert (ports.gateway, ports.proxy_api) == ("gateway:8000", "toxiproxy:8474")
    assert ports.links == {"gateway": "toxiproxy:9000", "primary": "toxiproxy:9001", "standby": "toxiproxy:9002"}


def test_the_code_that_is_sent_is_the_harness_as_it_is_here_and_a_model_is_sent_whole(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "config.json").chmod(0o600)
    for files, wanted in (
        (code_files(COMPOSE_FOLDER), {"proxies.json", "harness/__init__.py", "harness/stack/remote/agent.py"}),
        (model_files(tmp_path), {"config.json"}),
    ):
        archive = io.BytesIO()
        packed(files, archive)
        with tarfile.open(fileobj=archive) as found:
            assert wanted <= set(found.getnames())
            assert {(one.mode, one.uid) for one in found.getmembers()} == {(0o644, 0)}
