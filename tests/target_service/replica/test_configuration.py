"""How a replica is set up, and how another follows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from target_service.replica.app import CHAT
from target_service.replica.configuration import LIVE, configuration_of, differences, followed
from target_service.replica.following import Follower
from target_service.replica.settings import HttpSettings, ReplicaSettings, parse_arguments
from tests.target_service.replica.replica import Replica

LINE = ["--model", "m", "--port", "1"]


def settings(*options: str) -> ReplicaSettings:
    return parse_arguments([*LINE, *options], {})


def test_two_replicas_of_one_service_have_the_same_version_and_another_limit_is_another_one() -> None:
    primary = configuration_of(settings())
    standby = configuration_of(
        settings("--name", "standby", "--port", "2", "--model", "copy", "--follow", "http://h:1")
    )
    assert primary.version == standby.version
    other = configuration_of(settings("--max-queue", "3"))
    assert other.version != primary.version
    assert differences(primary.values, other.values) == ["engine.queue_max"]


def test_no_secret_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("register-token-of-many\n")
    line = ["--faults-token", "open-sesame", "--register-with", "http://h:1"]
    made = settings(*line, "--register-token-file", str(tmp_path / "token"))
    told = json.dumps(configuration_of(made).body())
    assert "open-sesame" not in told
    assert "register-token-of-many" not in told
    assert "register-token-of-many" not in repr(made)
    assert made.neighbours.register_token == "register-token-of-many"


def test_registering_needs_a_token_and_an_address_that_others_can_reach(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("register-token-of-many\n")
    token = ["--register-token-file", str(tmp_path / "token")]
    for options in (
        ["--register-with", "http://h:1"],
        ["--register-with", "h:1", *token],
        ["--register-with", "http://h:1", *token, "--host", "0.0.0.0"],
        ["--register-with", "http://h:1", "--register-token-file", "nowhere"],
        ["--lease-s", "0.1"],
    ):
        with pytest.raises(SystemExit):
            settings(*options)
    made = settings("--register-with", "http://h:1/", *token).neighbours
    assert (made.register_with, made.advertise_url) == ("http://h:1", "http://127.0.0.1:1")


class Following:
    """A follower and what it made effective."""

    def __init__(self, *options: str) -> None:
        own = settings(*options)
        self.configuration = configuration_of(own)
        self.adopted: list[HttpSettings] = []
        self.follower = Follower("http://h:1", own.http, self.configuration, self.adopted.append)

    def hears(self, *options: str) -> None:
        self.follower.heard(json.loads(json.dumps(configuration_of(settings(*options)).values)))


def test_what_may_change_live_is_taken_over_and_then_nothing_differs() -> None:
    made = Following()
    changed = ("--qps-limit", "7", "--cache-key", "prompt-only")
    made.hears(*changed)
    (http,) = made.adopted
    assert (http.qps_limit, http.cache_key) == (7.0, "prompt-only")
    assert made.configuration.differs == []
    assert made.configuration.version == configuration_of(settings(*changed)).version
    made.hears(*changed)
    assert len(made.adopted) == 1


def test_what_needs_a_restart_is_left_alone_and_named() -> None:
    made = Following()
    made.hears("--max-queue", "3", "--health-mode", "deep")
    assert made.adopted == []
    assert made.configuration.ready_keys()["config_differs"] == ["engine.queue_max", "health.deep"]


@pytest.mark.parametrize(
    "theirs",
    [
        {},
        {"http.qps_limit": "7"},
        {"http.qps_limit": -1.0},
        {"http.qps_limit": float("nan")},
        {"http.qps_limit": float("inf")},
        {"http.qps_limit": True},
        {"http.cache_key": "none"},
        {"http.stream_error_event": 1},
        {"http.sse_heartbeat_s": None},
        {"http.validate": False, "http.faults_token": "x", "http.cache_size": 9},
    ],
    ids=str,
)
def test_nonsense_from_the_other_is_not_taken_over(theirs: dict[str, Any]) -> None:
    http = HttpSettings()
    assert followed(http, theirs) == http


def test_every_live_setting_is_one_of_the_http_side() -> None:
    assert all(hasattr(HttpSettings(), name.removeprefix("http.")) for name in LIVE)


async def test_an_adopted_limit_bites_from_the_next_request_on_and_is_told() -> None:
    made = Replica()
    made.state.configuration = configuration_of(settings())
    await made.start()
    try:
        assert (await made.ask("1"))[0] == 200
        made.client.app[CHAT].adopt(replace(made.settings, qps_limit=1.0))
        assert [(await made.ask("1"))[0] for _ in range(2)] == [200, 429]
        status, body = await made.get("/config")
        assert (status, body["config_version"]) == (200, made.state.configuration.version)
        assert (await made.get("/ready"))[1]["config_version"] == body["config_version"]
    finally:
        await made.close()
