"""Reads a Prometheus through prometheus-api-client, whose defaults do not fit a target that is being broken.

The library (0.7.2) waits for ever, tries four times, rounds times to seconds, does not split what the server refuses
as too long, drops the server's warnings, and asks `/` whether it is up. Here: a time limit, one try, times widened to
whole seconds and cut back, chunks, warnings kept, `/-/ready`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.util.retry import Retry

from harness.model.errors import HarnessError
from harness.monitor.series import Series

__all__ = ["MonitorError", "PrometheusReader"]

Found = TypeVar("Found")
CHUNK_S = 3600.0  # of samples in one answer
POINTS_MAX = 10_000  # of a series in one answer; the server refuses more than 11,000


class MonitorError(HarnessError):
    """The Prometheus cannot be asked, or refuses the question; in a sentence."""


class PrometheusReader:
    """One server. Times are seconds since the epoch (UTC); a call takes `timeout_s` at most, of a range each chunk."""

    def __init__(self, url: str, timeout_s: float = 2.0) -> None:
        self.url = url.rstrip("/")
        self.warnings: list[str] = []  # of the server, about answers that were given
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is none of the target's
        self._session.hooks["response"].append(self._keep_warnings)
        self._prometheus = PrometheusConnect(
            self.url,
            session=self._session,
            retry=Retry(total=0, read=False, raise_on_status=False),
            timeout=timeout_s,  # type: ignore[arg-type]  # it goes on to requests, which takes fractions
        )

    def ready(self) -> str | None:
        """None when it answers questions; otherwise what it says instead."""
        try:
            answer = self._session.get(f"{self.url}/-/ready", timeout=self._timeout_s)
        except requests.RequestException as error:
            return f"{self.url} does not answer: {_words(error)}"
        return None if answer.ok else f"{self.url}/-/ready: status {answer.status_code}"

    def metric_names(self) -> list[str]:
        """Every metric that it has. Raises MonitorError."""
        return self._ask("label values", lambda: [str(name) for name in self._prometheus.all_metrics(params={})])

    def rule_groups(self) -> list[Mapping[str, Any]]:
        """Groups of the rules that it has loaded, as /api/v1/rules says them. Raises MonitorError."""

        def read() -> list[Mapping[str, Any]]:
            answer = self._session.get(f"{self.url}/api/v1/rules", timeout=self._timeout_s)
            answer.raise_for_status()
            return list(answer.json()["data"]["groups"])

        return self._ask("its rules", read)

    def samples(self, selector: str, begin_s: float, end_s: float) -> list[Series]:
        """Every sample as it was taken, from begin to end, at the times at which it was; [] means unknown, never 0.

        Raises MonitorError. A range of values, as `range` reads it, holds each for a step, and so moves their times.
        """
        found: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
        until_s = begin_s
        while until_s < end_s:
            until_s, since_s = min(end_s, until_s + CHUNK_S), until_s
            for part in self._matrix(selector, math.ceil(until_s - since_s) + 1, until_s):
                points = found.setdefault(tuple(sorted(part.labels.items())), {})
                points.update(zip(part.at_s, part.value, strict=True))  # the edges of chunks overlap
        return [
            _series(
                selector, dict(key), [(at, value) for at, value in sorted(points.items()) if begin_s <= at <= end_s]
            )
            for key, points in found.items()
        ]

    def instant(self, query: str, at_s: float) -> list[Series]:
        """The value at one moment; [] means unknown, never 0. Raises MonitorError."""

        def read() -> list[Series]:
            rows = self._prometheus.custom_query(query, params={"time": at_s})
            return [_series(query, row["metric"], [row["value"]]) for row in rows]

        return self._ask(query, read)

    def range(self, query: str, begin_s: float, end_s: float, step_s: float) -> list[Series]:
        """Values from begin to end, both included, every `step_s`; [] means unknown, never 0. Raises MonitorError.

        The first is at begin_s, rounded down to a whole second, or at the next step after begin_s.
        """
        if not (step_s > 0 and end_s >= begin_s):
            raise ValueError(f"a range from {begin_s} to {end_s} by {step_s}")
        found: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
        whole_s, last_s = math.floor(begin_s), math.ceil(end_s)
        chunk_s = max(1, round(POINTS_MAX * step_s))  # a whole number of steps, of which each has four decimals at most
        while whole_s <= last_s:
            until_s = min(last_s, whole_s + chunk_s)
            for part in self._chunk(query, whole_s, until_s, step_s):
                points = found.setdefault(tuple(sorted(part.labels.items())), {})
                for at, value in zip(part.at_s, part.value, strict=True):
                    points.setdefault(at, value)  # the edges of two chunks are the same moment
            if until_s == last_s:
                break
            whole_s = until_s
        return [
            _series(query, dict(key), [(at, value) for at, value in sorted(points.items()) if begin_s <= at <= end_s])
            for key, points in found.items()
        ]

    def close(self) -> None:
        """Give the connections back."""
        self._prometheus.close()

    def _matrix(self, selector: str, back_s: int, at_s: float) -> list[Series]:
        query = f"{selector}[{back_s}s]"

        def read() -> list[Series]:
            rows = self._prometheus.custom_query(query, params={"time": at_s})
            return [_series(selector, row["metric"], row["values"]) for row in rows]

        return self._ask(query, read)

    def _chunk(self, query: str, begin_s: int, end_s: int, step_s: float) -> list[Series]:
        begin, end = datetime.fromtimestamp(begin_s, UTC), datetime.fromtimestamp(end_s, UTC)

        def read() -> list[Series]:
            rows = self._prometheus.custom_query_range(query, begin, end, f"{step_s:g}")
            return [_series(query, row["metric"], row["values"]) for row in rows]

        return self._ask(query, read)

    def _ask(self, query: str, read: Callable[[], list[Found]]) -> list[Found]:
        try:
            return read()
        except requests.JSONDecodeError as error:
            raise MonitorError(f"{self.url} gave an answer to {query!r} that is none of a Prometheus") from error
        except requests.RequestException as error:
            raise MonitorError(f"{self.url} does not answer: {_words(error)}") from error
        except PrometheusApiClientException as error:
            raise MonitorError(f"{self.url} refuses {query!r}: {str(error)[:300]}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise MonitorError(f"{self.url} gave an answer to {query!r} that is none of a Prometheus") from error

    def _keep_warnings(self, answer: requests.Response, **_: Any) -> None:
        try:
            said = answer.json()
        except ValueError:
            return
        if isinstance(said, Mapping):
            for kind in ("warnings", "infos"):
                self.warnings += [str(one) for one in said.get(kind) or () if str(one) not in self.warnings]


def _series(name: str, labels: Mapping[str, Any], points: list[Any]) -> Series:
    kept = {str(key): str(value) for key, value in labels.items()}
    return Series(name, kept, tuple(float(at) for at, _ in points), tuple(float(value) for _, value in points))


def _words(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "it took too long"
    return "no connection" if isinstance(error, requests.ConnectionError) else str(error)[:200]
