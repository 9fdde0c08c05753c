"""Keys of users over real sockets, on and off."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.target_service.gateway.stub_replicas import Stack, gateway_before, pair

pytestmark = pytest.mark.process

KEY, WRONG = "right-key-of-sixteen", "wrong-key-of-sixteen"


def keys(folder: Path) -> Path:
    file = folder / "keys"
    file.write_text(f"{KEY}\nanother-key-of-sixteen\n")
    return file


async def asked(stack: Stack, key: str | None) -> tuple[int, Any, dict[str, str]]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with stack.chat(**headers) as response:
        return response.status, await response.json(), dict(response.headers)


async def test_without_a_file_of_keys_everybody_is_served_and_the_header_passes(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path) as stack:
        assert (await asked(stack, None))[0] == (await asked(stack, WRONG))[0] == 200
        assert stack.stubs["primary"].seen["Authorization"] == f"Bearer {WRONG}"


async def test_with_a_file_only_a_known_key_is_served_and_the_replica_never_sees_it(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, api_keys_file=keys(tmp_path)) as stack:
        for key in (None, WRONG):
            status, body, headers = await asked(stack, key)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert body["error"]["type"] == "authentication_error"
            assert body["error"]["code"] == "unauthorized"
        assert stack.stubs["primary"].users_asked == 0
        assert (await asked(stack, KEY))[0] == (await asked(stack, "another-key-of-sixteen"))[0] == 200
        assert "Authorization" not in stack.stubs["primary"].seen
        outcomes = (await stack.get("/gateway/state"))["outcomes"]
        assert outcomes == {"unauthorized": 2, "answered": 2}


async def test_a_probe_needs_a_key_as_well(tmp_path: Path) -> None:
    with_keys = gateway_before(pair(), tmp_path, api_keys_file=keys(tmp_path))
    async with with_keys as stack, stack.chat(X_Probe="harness") as response:
        assert response.status == 401


@pytest.mark.parametrize(("failures", "expected"), [(0, [401] * 6 + [200]), (5, [401] * 5 + [429] * 2)])
async def test_an_address_that_guesses_is_locked_out_even_with_a_right_key(
    failures: int, expected: list[int], tmp_path: Path
) -> None:
    settings = {"api_keys_file": keys(tmp_path), "login_failures": failures}
    async with gateway_before(pair(), tmp_path, **settings) as stack:
        answers = [await asked(stack, key) for key in [WRONG] * 6 + [KEY]]
        assert [status for status, _, _ in answers] == expected
        events = [e for e in (await stack.get("/gateway/events"))["events"] if e["kind"] == "locked_out"]
        assert [(e["address"], e["failures"]) for e in events] == ([("127.0.0.1", 5)] if failures else [])
        if failures:
            assert 55 <= int(answers[-1][2]["Retry-After"]) <= 60
            assert answers[-1][1]["error"]["code"] == "locked_out"


@pytest.mark.parametrize("failures_max", [0, 2])
async def test_wrong_keys_and_tokens_are_counted_by_who_sends_them_and_missing_ones_are_not(
    failures_max: int, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("token-of-sixteen-at-least\n")
    settings = {"api_keys_file": keys(tmp_path), "admin_token_file": token, "login_failures": failures_max}
    async with gateway_before(pair(), tmp_path, **settings) as stack:
        for key in (None, KEY, WRONG):
            await asked(stack, key)
        for headers in ({}, {"Authorization": f"Bearer {WRONG}"}):
            url = stack.gateway.make_url("/gateway/replicas/primary/isolate")
            async with stack.client.post(url, json={}, headers=headers) as response:
                assert response.status == 401
        async with stack.client.get(stack.gateway.make_url("/metrics")) as response:
            lines = (await response.text()).splitlines()
    told = [line for line in lines if line.startswith(("gateway_login_failures_total", "gateway_lockouts_total"))]
    counted = [f'gateway_login_failures_total{{caller="{who}"}} {n}' for who, n in
               (("user", 1.0), ("registrar", 0.0), ("admin", 1.0))]  # fmt: skip
    assert told == [*counted, f"gateway_lockouts_total {1.0 if failures_max else 0.0}"]


async def test_a_lock_ends_and_a_missing_key_is_no_guess(tmp_path: Path) -> None:
    settings = {"api_keys_file": keys(tmp_path), "login_failures": 2, "login_lock_s": 0.2}
    async with gateway_before(pair(), tmp_path, **settings) as stack:
        assert [(await asked(stack, None))[0] for _ in range(4)] == [401] * 4
        assert [(await asked(stack, WRONG))[0] for _ in range(3)] == [401, 401, 429]
        over_s = (await stack.get("/gateway/state"))["monotonic_s"] + 0.2
        await stack.until(lambda state: state["monotonic_s"] > over_s)
        assert (await asked(stack, KEY))[0] == 200


async def test_no_log_line_event_or_answer_carries_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with gateway_before(pair(), tmp_path, api_keys_file=keys(tmp_path), login_failures=2) as stack:
        answers = [str(await asked(stack, key)) for key in (WRONG, KEY, WRONG, KEY)]
        told = [str(await stack.get(path)) for path in ("/gateway/events", "/gateway/state")]
    assert not [text for text in [*answers, *told, caplog.text] if KEY in text or WRONG in text]
    assert "locked out" in caplog.text
