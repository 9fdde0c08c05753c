"""What a run changes for HAProxy, and what HAProxy says of its servers."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.model.scenario import TargetOptions
from harness.record.clock import FakeClock
from harness.stack.base import RunContext
from harness.stack.compose import haproxy
from harness.stack.compose.haproxy import HaproxyStates, behind_haproxy, not_served_by_haproxy, parse_states
from harness.stack.compose.prometheus import save_targets, url_of, wanted, watching, with_prometheus
from harness.stack.containers.project import Owner, override
from harness.stack.http_get import Answer
from harness.stack.reference.settings import Ports

PORTS = Ports({"primary": 21, "standby": 22}, 23, {"gateway": 31, "primary": 32, "standby": 33}, 34)
CSV = """# pxname,svname,qcur,status,check_status,
users,FRONTEND,0,OPEN,,
replicas,primary,0,{primary},L7OK,
replicas,standby,0,{standby},L7OK,
replicas,BACKEND,0,UP,,
"""


def parts() -> dict[str, Any]:
    models = {name: Path(f"/runs/r1/stack/model-{name}") for name in ("primary", "standby", "gateway")}
    return override(RunContext("r1", Path("/runs/r1"), 0.0, "7", TargetOptions()), Owner(42, 4711), PORTS, models)


def test_haproxy_takes_the_gateways_place_name_and_port_and_none_of_its_options() -> None:
    services = behind_haproxy(parts())["services"]
    assert set(services) == {"primary", "standby", "toxiproxy", "haproxy"}
    assert services["haproxy"]["ports"] == ["127.0.0.1:23:8000"]
    assert services["haproxy"]["networks"]["app"]["aliases"] == ["gateway"]
    assert services["haproxy"]["labels"]["reliability-harness.run"] == "r1"
    assert services["haproxy"]["environment"]["RELIABILITY_HARNESS_RUN"] == "r1"
    assert "command" not in services["haproxy"]


def test_the_status_of_each_server_is_read_and_nothing_else() -> None:
    assert parse_states(CSV.format(primary="UP", standby="DOWN 1/2")) == {"primary": "UP", "standby": "DOWN 1/2"}
    assert parse_states("") == {}
    assert parse_states("<html>not found</html>") == {}


def test_a_server_is_told_of_when_it_changes_and_a_silent_haproxy_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [
        {"primary": "UP", "standby": "UP"},
        {"primary": "UP", "standby": "UP"},
        None,
        {"primary": "DOWN", "standby": "UP"},
    ]
    monkeypatch.setattr(haproxy, "_states", lambda *_: answers.pop(0))
    states = HaproxyStates(PORTS, FakeClock(), 0.0)
    seen = [[event.fields for event in states.new_events()] for _ in range(4)]
    assert seen[0] == [{"replica": "primary", "status": "UP"}, {"replica": "standby", "status": "UP"}]
    assert seen[1:] == [[], [], [{"replica": "primary", "status": "DOWN"}]]


@pytest.mark.parametrize(
    ("ready", "states", "missing"),
    [
        (200, {"primary": "UP", "standby": "UP"}, None),
        (200, {"primary": "UP", "standby": "DOWN 1/2"}, "standby: ready, and DOWN 1/2 to HAProxy"),
        (200, {"primary": "UP"}, "standby: ready, and unknown to HAProxy"),
        (503, {"primary": "UP", "standby": "UP"}, "primary: loading"),
        (200, None, "haproxy: not answering"),
    ],
)
def test_what_is_missing_until_users_can_be_served_is_named(
    monkeypatch: pytest.MonkeyPatch, ready: int, states: dict[str, str] | None, missing: str | None
) -> None:
    monkeypatch.setattr(haproxy, "_states", lambda *_: states)
    monkeypatch.setattr(haproxy, "get_json", lambda *_, **__: Answer(ready, {"reason": "loading"}))
    assert not_served_by_haproxy(PORTS, FakeClock()) == missing


def test_prometheus_is_one_more_service_with_the_runs_label_on_loopback() -> None:
    services = with_prometheus(parts())["services"]
    assert services["toxiproxy"]["command"][-1] == "-proxy-metrics", "else it answers with 404"
    service = services["prometheus"]
    assert service["labels"]["reliability-harness.run"] == "r1"
    (port,) = service["ports"]
    assert port.startswith("127.0.0.1:") and port.endswith(":9090")


def test_what_is_read_of_prometheus_is_where_it_is_published_and_a_plan_knows_whether_it_will_be() -> None:
    made = with_prometheus(parts())
    (published,) = made["services"]["prometheus"]["ports"]
    assert url_of(made) == f"http://127.0.0.1:{published.split(':')[1]}"
    with pytest.raises(KeyError):
        url_of(parts())
    assert watching(on=True).why_not == ""
    assert "HARNESS_COMPOSE_PROMETHEUS is 0" in watching(on=False).why_not


def test_there_is_a_prometheus_unless_the_user_wants_none() -> None:
    assert wanted({})
    assert not wanted({"HARNESS_COMPOSE_PROMETHEUS": "0"}) and not wanted({"HARNESS_COMPOSE_PROMETHEUS": ""})


def test_where_a_run_has_no_prometheus_no_targets_are_written(tmp_path: Path) -> None:
    save_targets(tmp_path, FakeClock())
    (tmp_path / "compose.override.json").write_text('{"services": {"primary": {}}}')
    save_targets(tmp_path, FakeClock())
    assert [path.name for path in tmp_path.iterdir()] == ["compose.override.json"]


def test_statistics_that_come_in_chunks_are_read_whole() -> None:
    text = CSV.format(primary="UP", standby="no check").encode()
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (text[:30], text[30:], b""))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(head + chunks)

        thread = threading.Thread(target=answer)
        thread.start()
        found = haproxy._states(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert found == {"primary": "UP", "standby": "no check"}


def test_a_haproxy_that_does_not_answer_says_nothing() -> None:
    assert haproxy._states("http://127.0.0.1:1") is None
