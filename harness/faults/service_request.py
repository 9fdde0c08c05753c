"""Faults of a replica that one certain request shows: a poisoned one, and one that was answered before."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from harness.faults.base import CannotInject
from harness.faults.on_demand import NO_TOKEN_S, OnDemand
from harness.faults.service import engine_gone
from harness.model.errors import StackError
from harness.model.service_faults import ServicePoison
from harness.record.journal import Inverse
from harness.stack.links import Ask, Seen

__all__ = ["Poison", "StaleCache"]

TRIPWIRE = "poison"  # the replica's fault that has a question fail when somebody computes its answer
FAILED = 500  # and no 503, which may be said of any request
TTL = "http.cache_ttl_s"  # in the replica's /config
TEXT = re.compile(rb'"content": ?("(?:[^"\\]|\\.)*")')
Course = Generator[str | None, None, None]


class Poison(OnDemand):
    """The replica's fault `poison`. The look is the poisoned request."""

    _harmed: Seen | None = None  # the first poisoned request that was not answered

    def ask(self) -> Ask:
        return Ask(stream=True, says=self.parameters(ServicePoison).marker, limit_s=NO_TOKEN_S)

    def evidence(self) -> str | None:
        if self._harmed is None:
            looked = self.looked()
            self._harmed = looked.chat if looked and looked.chat.connected and not looked.chat.answered else None
            return None
        words = self._what_followed(self._harmed)
        return f"a chat that holds '{self.parameters(ServicePoison).marker}' {words}" if words else None

    def _what_followed(self, harmed: Seen) -> str | None:
        effect = self.parameters(ServicePoison).effect
        if effect == "crash":
            gone = engine_gone(self.stack, self.victim, self.before)
            return f"was not answered, and {gone}" if gone else None
        if effect == "fail":
            failed = harmed.status == FAILED and self.serves()
            return f"was answered with {harmed.status}, and one without it whole" if failed else None
        looked = self._plain()
        if looked is None or looked.answered or looked.events or not looked.connected or looked.closed_s is not None:
            return None
        now = self.stack.service.usage(self.victim)
        if now is None or self.before.members - now.members:
            return None
        return f"was not answered, and from then on one without it got no token within {NO_TOKEN_S:g} s either"

    def _plain(self) -> Seen | None:
        """A chat without the marker that is over; begins the next one when none is under way."""
        if self._chat is None:
            self._chat = self.stack.service.look(self.fault.on, Ask(stream=True, limit_s=NO_TOKEN_S))
        if (seen := self._chat.seen()) is not None:
            self._chat = None
        return seen

    def after_inverse(self) -> None:
        """An engine whose loop has ended computes nothing more, and nobody else may have seen it."""
        super().after_inverse()
        now = self.stack.service.usage(self.victim)
        whole = now is not None and not self.before.members - now.members
        if self.parameters(ServicePoison).effect == "kill_loop" and whole and self._harmed is not None:
            self.stack.restart(self.fault.on)


class StaleCache(OnDemand):
    """The replica's fault `stale_cache`.

    A question of the harness's own is asked as a user asks, so that its answer is kept, and again when that answer is
    too old or of a model that has gone. Meanwhile whoever computes an answer to it fails (`poison`, by a word that
    nobody else says), as a second question with that word shows: a whole answer was computed by nobody.
    """

    _course: Course
    _word: str

    def prepare(self) -> Inverse:
        inverse = super().prepare()
        self._word = f"stale-{hashlib.sha256(self.where.seed.encode()).hexdigest()[:12]}"
        self._course = self._watch()
        try:
            taken = self.stack.service.has(self.victim, TRIPWIRE)
        except StackError as error:
            raise CannotInject(str(error)) from error
        if taken:
            raise CannotInject(f"{self.fault.on} has {TRIPWIRE} already, which shows this fault")
        return replace(inverse, args={**inverse.args, "also": [TRIPWIRE]})

    def evidence(self) -> str | None:
        return next(self._course, None)

    def after_inverse(self) -> None:
        super().after_inverse()
        with suppress(StackError):  # `healed` asks again
            self.stack.service.end(self.victim, TRIPWIRE)

    def healed(self) -> bool:
        try:
            return not self.stack.service.has(self.victim, TRIPWIRE) and super().healed()
        except StackError:
            return False

    def _watch(self) -> Course:
        """From the first answer to the evidence."""
        question = Ask(stream=True, says=self._word, probe=False, limit_s=NO_TOKEN_S)
        kept = yield from self._seen(question)
        while not kept.answered:
            yield None
            kept = yield from self._seen(question)
        kept_s, text = self._age_s(), _text(kept)
        ttl_s = (yield from self._said("/config")).get("config", {}).get(TTL)
        model = (yield from self._said("/version")).get("weights_sha256")
        while True:
            yield None
            age_s = self._age_s() - kept_s
            now = (yield from self._said("/version")).get("weights_sha256")
            if now is not None and model is not None and now != model:
                past = f"of the model {model[:12]}, though GET /version says {now[:12]}"
            elif isinstance(ttl_s, int | float) and age_s > ttl_s:
                past = f"{age_s:.2f} s old, though GET /config says {TTL} {ttl_s:g}"
            else:
                continue
            if (yield from self._nobody_computes()):
                again = yield from self._seen(question)
                if again.answered and _text(again) == text and (yield from self._nobody_computes()):
                    yield f"a kept answer was given that was {past}; a question beside it fails when it is computed"
                    return

    def _nobody_computes(self) -> Generator[None, None, bool]:
        """Whether a question with the word fails that was never asked before."""
        with suppress(StackError):
            if not self.stack.service.has(self.victim, TRIPWIRE):
                self.stack.service.begin(self.victim, TRIPWIRE, {"marker": self._word, "effect": "fail"})
        seen = yield from self._seen(Ask(stream=True, says=f"Is it {self._word}?", limit_s=NO_TOKEN_S))
        return seen.status == FAILED

    def _seen(self, ask: Ask) -> Generator[None, None, Seen]:
        look = self.stack.service.look(self.fault.on, ask)
        while (seen := look.seen()) is None:
            yield None
        return seen

    def _said(self, page: str) -> Generator[None, None, Mapping[str, Any]]:
        """A page's JSON object; empty: it was not said."""
        seen = yield from self._seen(Ask(page=page))
        try:
            body = json.loads(seen.data.rpartition(b"\r\n\r\n")[2])
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def _age_s(self) -> float:
        """The server's; 0 when it has gone, so that nothing is too old."""
        now = self.stack.service.usage(self.victim)
        return 0.0 if now is None else now.age_s


def _text(seen: Seen) -> str:
    """Of a streamed answer, whatever the pieces that it came in."""
    return "".join(json.loads(piece) for piece in TEXT.findall(seen.data))
