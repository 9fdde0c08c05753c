"""Who may use what: keys of users, tokens of replicas and supervisors, addresses that guess, and the rate limit."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from target_service.gateway.events import EventLog
from target_service.gateway.lockout import Lockout, LockoutRules
from target_service.gateway.settings import GatewaySettings
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.rate_limit import TokenBucket
from target_service.protocol.secret import Secrets, bearer, read_secrets

__all__ = ["Access", "Keys", "Logins", "make_access"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keys:
    """What each kind of caller must show; None for `users`: nothing, for the others: their paths are closed."""

    users: Secrets | None = None
    registrars: Secrets | None = None
    admins: Secrets | None = None


@dataclass
class Logins:
    """Wrong keys and tokens by who sent them (a missing one is no guess), and how often an address was locked out."""

    failures: Counter[str] = field(default_factory=lambda: Counter(user=0, registrar=0, admin=0))
    lockouts: int = 0


class Access:
    """Lets requests pass that carry a right key or token, and users only as many as the limit allows."""

    def __init__(self, events: EventLog, keys: Keys, lockout: Lockout, limit: TokenBucket | None) -> None:
        self.keys = keys
        self.logins = Logins()
        self._events = events
        self._lockout = lockout
        self._limit = limit

    def user(self, request: web.Request, *, probe: bool) -> RequestRejectedError | None:
        """Why a user is turned away; None when the request may pass."""
        if self.keys.users is not None:
            rejected = self._rejected(request, self.keys.users)
            if rejected is not None:
                return rejected
        # Whoever checks from outside must be able to look while users are turned away.
        wait_s = 0.0 if self._limit is None or probe else self._limit.take(time.monotonic())
        if not wait_s:
            return None
        return RequestRejectedError(429, "Too many requests.", code="rate_limited", retry_after_s=math.ceil(wait_s))

    def demand(self, request: web.Request, secrets: Secrets) -> None:
        """Raise RequestRejectedError unless the request carries one of the secrets."""
        rejected = self._rejected(request, secrets)
        if rejected is not None:
            raise rejected

    def _rejected(self, request: web.Request, secrets: Secrets) -> RequestRejectedError | None:
        address, now_s = request.remote or "unknown", time.monotonic()
        # Before the key is looked at: a right guess must not be told from a wrong one.
        wait_s = self._lockout.wait_s(address, now_s)
        if wait_s:
            return RequestRejectedError(
                429, "Too many wrong keys from this address.", code="locked_out", retry_after_s=math.ceil(wait_s)
            )
        given = bearer(request)
        if given is not None and secrets.knows(given):
            return None
        if given is None:
            return RequestRejectedError(401, "Authorization: Bearer KEY is missing.", code="unauthorized")
        self._failed(address, now_s, self._caller(secrets))
        return RequestRejectedError(401, "The key is not known.", code="unauthorized")

    def _caller(self, secrets: Secrets) -> str:
        if secrets is self.keys.users:
            return "user"
        return "registrar" if secrets is self.keys.registrars else "admin"

    def _failed(self, address: str, now_s: float, caller: str) -> None:
        self.logins.failures[caller] += 1
        failures = self._lockout.failed(address, now_s)
        if failures is not None:
            self.logins.lockouts += 1
            self._events.add("locked_out", None, address=address, failures=failures)
            log.warning("%s is locked out after %s wrong keys", address, failures)


def make_access(settings: GatewaySettings, events: EventLog) -> Access:
    """Read the files that the settings name; raises ValueError when one cannot be used."""
    keys = Keys(
        users=_secrets(settings.api_keys_file, "--api-keys-file"),
        registrars=_secrets(settings.register_token_file, "--register-token-file"),
        admins=_secrets(settings.admin_token_file, "--admin-token-file"),
    )
    rules = LockoutRules(settings.login_failures, settings.login_window_s, settings.login_lock_s)
    rate_per_s = settings.rate_limit_per_s
    limit = TokenBucket(rate_per_s, settings.rate_limit_burst) if rate_per_s else None
    return Access(events, keys, Lockout(rules), limit)


def _secrets(path: Path | None, option: str) -> Secrets | None:
    return None if path is None else Secrets(read_secrets(path, option))
