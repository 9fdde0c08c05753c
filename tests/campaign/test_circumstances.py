"""Trials are put together only with those that were measured on the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.campaign.circumstances import circumstances
from harness.record.clock import FakeClock
from harness.soak.parse import parse_soak
from harness.stack.fake.stack import FakeStack
from tests.campaign.test_soak_night import TEXT


class Switched(FakeStack):
    """A scripted target that says that the environment switches it."""

    environment: Mapping[str, str] = {}

    def switches(self) -> Mapping[str, str]:
        return self.environment


def configuration(environment: Mapping[str, str], text: str = TEXT) -> str:
    stack = Switched(FakeClock())
    stack.environment = environment
    return circumstances(parse_soak(text, "x.yaml"), stack, Path("model"), None, real_time=False).configuration


def test_a_target_that_the_environment_switched_is_another_one() -> None:
    one, other = {"TARGET_REPLICA_MAX_QUEUE": "8"}, {"TARGET_REPLICA_MAX_QUEUE": "9"}
    assert len({configuration(environment) for environment in ({}, one, other)}) == 3
    assert configuration(one) == configuration(dict(one))


def test_without_any_it_is_what_it_always_was() -> None:
    plain = circumstances(parse_soak(TEXT, "x.yaml"), FakeStack(FakeClock()), Path("model"), None, real_time=False)
    assert configuration({}) == plain.configuration


def test_what_the_file_itself_says_outranks_the_environment() -> None:
    text = TEXT.replace("target: {", "target: {replica: {max_queue: 4}, ")
    assert configuration({"TARGET_REPLICA_MAX_QUEUE": "8"}, text) == configuration({}, text)
