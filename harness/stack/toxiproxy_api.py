"""The one place that speaks to a Toxiproxy server: ours, or the official one.

toxiproxy-python carries the calls that it covers. It raises nothing for a 500, believes what it asked for, knows no
time-outs and keeps its address in a class: so its requests go through `_Consumer`, and every change is read back from
the server before it counts as done. Update, populate and `toxicity_per` are not in the library and are spoken here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import requests
import toxiproxy
import toxiproxy.proxy
import toxiproxy.server

from harness.model.errors import StackError
from harness.stack.links import DOWN, Toxic

__all__ = ["ToxiproxyApi", "ToxiproxyGone"]

CONNECT_S, ANSWER_S = 1.0, 2.0
_USING_THE_LIBRARY = threading.Lock()  # its address is one for the whole process


class ToxiproxyGone(StackError):
    """Nobody listens there any more, or a server of somebody else: what was in ours has gone with it."""


class ToxiproxyApi:
    """A server's API on `host:port`.

    `instance`: what ours was started with; None for the official server, which is known by where its proxies `listen`
    (name -> address), for no other server can listen there at the same time.
    """

    def __init__(self, host: str, port: int, instance: str | None, listen: Mapping[str, str] | None = None) -> None:
        self._where = f"http://{host}:{port}"
        self._instance = instance
        self._listen = dict(listen or {})
        self._consumer = _Consumer(self._where)

    def check(self) -> None:
        """Raises ToxiproxyGone unless the server that this run started answers there."""
        if self._instance is None:
            mine = self._listen.items() <= {name: one["listen"] for name, one in self.proxies().items()}.items()
        else:
            answer = self._consumer.ask("GET", "/harness")
            mine = answer.status_code == 200 and answer.json().get("instance") == self._instance
        if not mine:
            raise ToxiproxyGone(f"{self._where}: another Toxiproxy answers there, not the one of this run")

    def proxies(self) -> dict[str, dict[str, Any]]:
        """Name -> `listen`, `upstream`, `enabled`, `toxics`, as the server says."""
        found: dict[str, dict[str, Any]] = self._get("/proxies")
        return found

    def populate(self, proxies: Sequence[Mapping[str, Any]]) -> None:
        """Make the proxies, or bring them to what is wanted. Raises StackError naming one that is not so afterwards."""
        self._post("/populate", [dict(one) for one in proxies])
        there = self.proxies()
        for wanted in proxies:
            found = there.get(str(wanted["name"]), {})
            if found.get("upstream") != wanted["upstream"] or found.get("enabled") != wanted.get("enabled", True):
                raise StackError(f"{self._where}: the proxy {wanted['name']} is {found or 'missing'} after populate")

    def add(self, link: str, toxic: Toxic) -> None:
        """Put a toxic on a link, or take the link down. Raises StackError when it is not there afterwards."""
        if toxic.type == DOWN:
            self._enable(link, wanted=False)
            return
        if toxic.per_request:  # the library does not know this key
            self._post(f"/proxies/{quote(link, safe='')}/toxics", toxic.body())
        else:
            with self._library():
                self._proxy(link).add_toxic(**toxic.body())
        self._read_back(link, toxic)

    def update(self, link: str, toxic: Toxic) -> None:
        """Give a toxic that is there other attributes. Raises StackError when it has not got them afterwards."""
        changed = {"toxicity": toxic.toxicity, "attributes": dict(toxic.attributes)}
        self._post(f"/proxies/{quote(link, safe='')}/toxics/{quote(toxic.name, safe='')}", changed)
        self._read_back(link, toxic)

    def remove(self, link: str, toxic: Toxic) -> None:
        """Take it away, or bring the link up again; no error when that was done before."""
        if toxic.type == DOWN:
            self._enable(link, wanted=True)
            return
        if self.has(link, toxic):
            with self._library():
                self._proxy(link).destroy_toxic(quote(toxic.name, safe=""))
        if self.has(link, toxic):
            raise StackError(f"{self._where}: {toxic.name} is still on {link} after it was removed")

    def has(self, link: str, toxic: Toxic) -> bool:
        """Whether the server says so now."""
        proxy = self.proxies().get(link)
        if proxy is None:
            raise StackError(f"{self._where}: there is no proxy {link}")
        if toxic.type == DOWN:
            return not proxy["enabled"]
        return any(one["name"] == toxic.name for one in proxy["toxics"])

    def _read_back(self, link: str, toxic: Toxic) -> None:
        there = next((one for one in self.proxies()[link]["toxics"] if one["name"] == toxic.name), None)
        if there is None or not toxic.attributes.items() <= there["attributes"].items():
            raise StackError(f"{self._where}: {link} has {there} where {toxic.body()} was asked for")
        for key, wanted in toxic.body().items():
            if key != "attributes" and there.get(key) != wanted:
                raise StackError(f"{self._where}: {link}/{toxic.name} has {key} {there.get(key)}, not {wanted}")

    def _enable(self, link: str, *, wanted: bool) -> None:
        with self._library():
            proxy = self._proxy(link)
            (proxy.enable if wanted else proxy.disable)()
        if self.proxies()[link]["enabled"] is not wanted:
            raise StackError(f"{self._where}: {link} is {'not ' if wanted else 'still '}enabled")

    def _proxy(self, link: str) -> Any:
        found = toxiproxy.Toxiproxy().get_proxy(link)
        if found is None:
            raise StackError(f"{self._where}: there is no proxy {link}")
        found.name = quote(link, safe="")  # the library writes it into paths as it is
        return found

    def _library(self) -> _PointedHere:
        return _PointedHere(self._consumer)

    def _get(self, path: str) -> Any:
        return self._consumer.get(path).json()

    def _post(self, path: str, body: object) -> Any:
        return self._consumer.post(path, json=body).json()


class _PointedHere:
    """Within this, the library speaks to one server, with time-outs."""

    def __init__(self, consumer: _Consumer) -> None:
        self._consumer = consumer

    def __enter__(self) -> None:
        _USING_THE_LIBRARY.acquire()
        self._before = toxiproxy.server.APIConsumer
        toxiproxy.proxy.APIConsumer = toxiproxy.server.APIConsumer = self._consumer

    def __exit__(self, *_: object) -> None:
        toxiproxy.proxy.APIConsumer = toxiproxy.server.APIConsumer = self._before
        _USING_THE_LIBRARY.release()


class _Consumer:
    """What the library sends its requests through: time-outs, no proxies of the environment, errors that are raised."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(self, method: str, path: str, **body: Any) -> requests.Response:
        """Whatever the server answers. Raises ToxiproxyGone when nobody listens, StackError when it does not answer."""
        try:
            return self._session.request(method, self._where + path, timeout=(CONNECT_S, ANSWER_S), **body)
        except requests.exceptions.Timeout as error:
            raise StackError(f"{self._where}: no answer to {method} {path} within {ANSWER_S:g} s") from error
        except requests.exceptions.ConnectionError as error:
            raise ToxiproxyGone(f"{self._where}: no Toxiproxy answers ({error.__class__.__name__})") from error

    def get(self, path: str) -> requests.Response:
        return self._good("GET", path)

    def delete(self, path: str) -> requests.Response:
        return self._good("DELETE", path)

    def post(self, path: str, json: object = None) -> requests.Response:
        return self._good("POST", path, json=json)

    def _good(self, method: str, path: str, **body: Any) -> requests.Response:
        answer = self.ask(method, path, **body)
        if not answer.ok:
            raise StackError(
                f"{self._where}: {method} {path}: status {answer.status_code}: {answer.text.strip()[:200]}"
            )
        return answer
