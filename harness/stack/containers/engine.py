"""The way to a Docker engine: whether it answers, and its refusals in words.

Every question has a time limit, and an engine that does not answer is an error in words, never a hang.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import docker.errors
import requests

from harness.model.errors import StackError
from harness.stack.containers.address import where
from harness.stack.containers.plugin import INSTALL

__all__ = ["ANSWER_S", "ENGINE_ERRORS", "QUIET_S", "ApiError", "EngineAway", "NotFound", "answering", "connected",
           "saying", "short"]  # fmt: skip

ANSWER_S = 10
QUIET_S = 86_400  # an engine may have nothing to tell for that long
NotFound, ApiError = docker.errors.NotFound, docker.errors.APIError
ENGINE_ERRORS = (docker.errors.DockerException, requests.RequestException)


class EngineAway(StackError):
    """No engine answers; when it is back, the same request may well succeed."""


def connected(timeout_s: int) -> docker.DockerClient:
    """A client whose engine has answered. Raises EngineAway, with the remedy."""
    _knock(timeout_s)
    client = None
    try:
        address = where()
        environment = {**os.environ, "DOCKER_HOST": address}
        over_ssh = address.startswith("ssh://")  # by the user's own program, with its keys and settings
        client = docker.from_env(timeout=timeout_s, environment=environment, use_ssh_client=over_ssh)
        client.ping()
    except ENGINE_ERRORS as error:
        if client is not None:
            client.close()
        raise EngineAway(f"no Docker engine answers at {where()} ({short(error)}); start it, or {INSTALL}") from error
    return client


def _knock(timeout_s: int) -> None:
    """Whether somebody listens at the engine's socket, since the client's own words for that are hard to read."""
    scheme, _, path = where().partition("://")
    if scheme != "unix":
        return
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(timeout_s)
        try:
            knock.connect(path)
        except PermissionError as error:
            remedy = (
                "join its group (`usermod -aG docker USER`, then log in again), run as root, or use `--stack local`"
            )
            raise EngineAway(f"no permission to use the Docker engine at {where()}; {remedy}") from error
        except OSError as error:
            why = error.strerror or str(error)
            raise EngineAway(f"no Docker engine answers at {where()} ({why}); start it, or {INSTALL}") from error


@contextmanager
def answering() -> Iterator[None]:
    """An engine that has gone, or does not answer in time, in words. What is not there stays NotFound."""
    try:
        yield
    except NotFound:
        raise
    except ApiError as error:
        raise StackError(f"the Docker engine refuses: {short(error)}") from error
    except ENGINE_ERRORS as error:
        raise EngineAway(f"the Docker engine does not answer ({short(error)}); is it still running?") from error


@contextmanager
def saying(words: str) -> Iterator[None]:
    """The engine's refusal as one sentence."""
    try:
        yield
    except ENGINE_ERRORS as error:
        raise StackError(f"{words}: {short(error)}") from error


def short(error: BaseException) -> str:
    """An error of the engine in one line."""
    return str(getattr(error, "explanation", None) or error).splitlines()[0][:200]
