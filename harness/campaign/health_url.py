"""The health score of somebody else's service: what can be had without breaking it, which is the false alarms."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from harness.campaign.health_container import DAMAGE, Broken
from harness.campaign.probing import CHAT, EVERY_S, LIMIT_S, PAGES, Prober
from harness.model.errors import HarnessError, StackError
from harness.model.health import Health, Looked, Served, Span, health_of
from harness.model.plan import Prompt
from harness.record.clock import Clock
from harness.session import judge_folder
from harness.stack.external.endpoint import Endpoint, endpoint_of
from harness.stack.external.links import Question
from harness.stack.links import Ask, Seen
from harness.stack.look import BackgroundLook, look_at
from harness.stack.traffic import LocalTraffic, Strangers

__all__ = ["LOOK_LIMIT_MAX_S", "UrlTest", "health_of_url"]

QUIET_S = 3.0
LOOK_LIMIT_MAX_S = 60.0
LONGER = 5  # times the limit, for a probe that was not answered within it
FIRST_CHAT_S = 30.0  # a server that has just been started may load its model for it
MODELS_S = 2.0
PROMPT = Prompt(({"role": "user", "content": "Say hello."},), 8, None)
MODELS = "/v1/models"
MORE_PAGES = (MODELS,)  # what servers that have no /health are asked for
BROKEN = (
    "hangs, is dead, answers wrongly: the harness cannot break what it did not start; --container NAME names a "
    "container that has opted in, which is frozen and killed"
)
NO_CHAT = "hangs, is dead: no chat was answered while it was quiet, so nobody could tell whether it hangs"
NOT_BUSY = "hangs, is dead: none of the load was answered, so nothing was broken"
Breaking = Callable[[Prober, Callable[[], int]], Broken]


OPTIONS = {
    "model": "--model-name",
    "api_key_env": "--api-key-env",
    "ca_file": "--ca-file",
    "rate_per_s": "--rate",
    "busy_s": "--busy",
    "look_limit_s": "--look-limit",
}


@dataclass(frozen=True)
class UrlTest:
    """What to ask, and how hard."""

    url: str  # with or without the /v1 of an OpenAI base URL
    model: str | None = None  # default: the first that it lists
    api_key_env: str | None = None  # the variable of the environment that holds its key; None: it wants none
    ca_file: str | None = None  # certificates to trust; None: the public authorities'
    rate_per_s: float = 10.0
    busy_s: float = 30.0
    look_limit_s: float = LIMIT_S  # an answer that comes later is none

    def words(self) -> list[str]:
        """Those of the command line, without what is as it is by default."""
        usual, found = UrlTest(self.url), [self.endpoint().url]
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            found += (
                [] if value == getattr(usual, name) else [option, f"{value:g}" if isinstance(value, float) else value]
            )
        return found

    def endpoint(self) -> Endpoint:
        """Where it is; nothing is sent. Raises StackError for a URL, a key or certificates that cannot be used."""
        found = endpoint_of(self.url, ca_file=self.ca_file, api_key_env=self.api_key_env)
        if self.ca_file and found.scheme != "https":
            raise StackError(f"--ca-file is given, but {found.url} is not encrypted; write https://")
        found.authorization()
        found.context()
        return found

    def touches(self) -> list[str]:
        """Sentences on what it does to a server that is not on this host; none for one that is."""
        there = self.endpoint()
        if there.on_this_host:
            return []
        return [f"load: {self.rate_per_s:g} requests/s for {self.busy_s:g} s, and probes, are sent to {there.url}"]


@dataclass(frozen=True)
class _Busy:
    """What was seen while it was busy."""

    looks: Mapping[str, list[Looked]]
    begin_s: float
    end_s: float
    load: Served

    def span(self) -> Span:
        """One in which nobody was served was none: the service had nothing to do."""
        if self.load.served:
            return Span("busy", self.begin_s, self.end_s)
        return Span("busy", skipped="none of the load was answered with 200")


def health_of_url(
    test: UrlTest, clock: Clock, interrupted: Callable[[], int], breaking: Breaking | None = None
) -> Health:
    """Probes that answer while it is quiet are watched while it is busy, and while it is broken; nothing is left.

    `breaking` breaks it afterwards, and is told what looks and how often the user asked to stop; None: it stays whole.
    An interrupted one says where it was cut off. Raises HarnessError for a URL or key that cannot be used, and when no
    probe is answered.
    """
    endpoint = test.endpoint()
    question = _question(test, endpoint, clock, interrupted)
    pages = {**PAGES, **{f"GET {page}": Ask(page=page) for page in MORE_PAGES}}
    pages = {name: replace(ask, limit_s=test.look_limit_s) for name, ask in pages.items()}
    begin = partial(_look, question, clock)
    quiet = Prober(pages, begin)
    _watch(quiet, clock, QUIET_S + test.look_limit_s - LIMIT_S, interrupted)
    if interrupted():
        return Health(endpoint.url, (), (BROKEN,), cut_off="interrupted before the load began: nothing was measured")
    there = {name: pages[name] for name, looks in quiet.looks.items() if any(one.green for one in looks)}
    if not there:
        said = endpoint.ask(clock, "GET", MODELS, within_s=test.look_limit_s).words
        raise HarnessError(
            f"{test.url}: no probe is answered ({', '.join(pages)}; {MODELS}: {said}); is an OpenAI-compatible server "
            "there? One that wants a key is asked with --api-key-env, one with certificates of its own with --ca-file, "
            "a slow one with --look-limit"
        )
    busy = _made_busy(test, question, Prober(there, begin), clock, interrupted)
    broken = _broken(breaking, Prober(there, begin), busy, interrupted)
    probes = tuple(
        health_of(name, [*looks, *broken.looks.get(name, ())], [busy.span(), *broken.spans.get(name, ())])
        for name, looks in busy.looks.items()
    )
    silent = tuple(_silence(name, quiet.latest.get(name), test) for name in pages if name not in there)
    lasted_s = busy.end_s - busy.begin_s
    early = interrupted() and lasted_s < test.busy_s
    cut_off = f"interrupted after {lasted_s:.1f} s of load, of {test.busy_s:g} s" if early else broken.cut_off
    found = Health(endpoint.url, probes, (*broken.not_tested, *silent), busy.load, cut_off, broken.still_down)
    if broken.folder is not None:
        broken.folder.write_health(found)
        judge_folder(broken.folder)
    return found


def _broken(breaking: Breaking | None, prober: Prober, busy: _Busy, interrupted: Callable[[], int]) -> Broken:
    """What is seen of it when it is broken; what nobody could tell, or would be stopped at once, is not begun."""
    if breaking is None:
        return Broken(not_tested=(BROKEN,))
    if interrupted():
        early = "interrupted before it was broken"
        return Broken(not_tested=(f"hangs, is dead: {early}", DAMAGE), cut_off=early)
    if CHAT not in prober.looks or not busy.load.served:
        return Broken(not_tested=(NO_CHAT if CHAT not in prober.looks else NOT_BUSY, DAMAGE))
    return breaking(prober, interrupted)


def _made_busy(
    test: UrlTest, question: Question, prober: Prober, clock: Clock, interrupted: Callable[[], int]
) -> _Busy:
    endpoint, arguments = question.endpoint, {"rate_per_s": test.rate_per_s}
    who = Strangers("health", "burst", arguments, PROMPT.messages, PROMPT.max_tokens, question.model)
    key = endpoint.authorization().get("Authorization", "").removeprefix("Bearer ") or None
    traffic = LocalTraffic(f"health-{secrets.token_hex(4)}", endpoint.url, clock, key, endpoint.ca_file)
    begin_s = clock.now()
    traffic.begin(who)
    try:
        _watch(prober, clock, test.busy_s, interrupted)
        end_s = clock.now()
    finally:
        traffic.end(who)
    return _Busy(prober.looks, begin_s, end_s, traffic.served(who))


def _silence(name: str, seen: Seen | None, test: UrlTest) -> str:
    """Why a probe was never green while it was quiet."""
    if seen is None or (seen.connected and seen.closed_s is None and not seen.reset and (seen.status or 0) < 400):
        longer_s = min(LONGER * test.look_limit_s, LOOK_LIMIT_MAX_S)
        more = f"; --look-limit {longer_s:g} gives it longer" if longer_s > test.look_limit_s else ""
        return f"{name}: no good answer within {test.look_limit_s:g} s while it was quiet{more}"
    said = "no connection" if not seen.connected else "no whole answer"
    if seen.status is not None and seen.status >= 400:
        said = f"status {seen.status}"
    return f"{name}: no good answer while it was quiet ({said})"


def _watch(prober: Prober, clock: Clock, seconds: float, interrupted: Callable[[], int]) -> None:
    until_s = clock.now() + seconds
    while clock.now() < until_s and not interrupted():
        prober.poll(clock.now())
        clock.sleep(EVERY_S / 5)
    prober.poll(clock.now())


def _first_model(endpoint: Endpoint, clock: Clock) -> str | None:
    answer = endpoint.ask(clock, "GET", MODELS, within_s=MODELS_S).json()
    listed = answer.get("data") if isinstance(answer, dict) else None
    first = listed[0] if isinstance(listed, list) and listed else None
    return str(first["id"]) if isinstance(first, dict) and "id" in first else None


def _question(test: UrlTest, endpoint: Endpoint, clock: Clock, interrupted: Callable[[], int]) -> Question:
    """How this server is asked, and how its streams end: with [DONE] or, as some do, with a finish_reason alone."""
    asked = Question(endpoint, "", PROMPT, test.model or _first_model(endpoint, clock), ends_with_done=True)
    look = _look(asked, clock, Ask(stream=True, limit_s=max(FIRST_CHAT_S, test.look_limit_s)))
    while (seen := look.seen()) is None and not interrupted():
        clock.sleep(EVERY_S / 5)
    return replace(asked, ends_with_done=seen is None or seen.answered)


def _look(question: Question, clock: Clock, ask: Ask) -> BackgroundLook:
    request = replace(question, page=ask.page).request(ask)
    return BackgroundLook(lambda: question.judged(ask, look_at(question.endpoint.connect, ask, request, clock)))
