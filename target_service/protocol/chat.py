"""POST /v1/chat/completions: the checked request, and every object of its replies. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.reasoning import Plain, Splitter, whole

__all__ = ["ChatRequest", "Message", "Reply", "Sampling", "Usage", "parse_chat"]

MAX_TOKENS_DEFAULT = 128
# Before the tokenizer sees it: the engine has one thread, and all wait while it reads a prompt of megabytes.
PROMPT_CHARS_MAX = 200_000
# What a template puts around each message, roughly.
MESSAGE_CHARS = 16
STOPS_MAX = 16
STOP_CHARS_MAX = 1000
ANY = (-math.inf, math.inf)
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


@dataclass(frozen=True)
class Message:
    """One turn of the conversation; `images` are base64 texts of image files, seen before the text."""

    role: str
    content: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. `ignore_eos` (as in vLLM) always runs to `max_tokens`."""

    max_tokens: int = MAX_TOKENS_DEFAULT
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False


@dataclass(frozen=True)
class ChatRequest:
    """A valid request; unknown keys of the body were ignored, as in other servers."""

    messages: tuple[Message, ...]
    sampling: Sampling
    stream: bool
    include_usage: bool


@dataclass(frozen=True)
class Usage:
    """Tokens of a finished request."""

    prompt_tokens: int
    completion_tokens: int

    def body(self) -> dict[str, int]:
        """The `usage` object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(frozen=True)
class Reply:
    """Builds the reply's objects; `created_s` is wall time, as the API wants; `splitter` tells thought from answer."""

    id: str
    model: str
    created_s: int
    splitter: Splitter = field(default_factory=Plain)

    def whole(self, text: str, finish_reason: str, usage: Usage) -> dict[str, Any]:
        """The one object of a reply that is not streamed."""
        message = {"role": "assistant", **whole(self.splitter, text)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return self._object("chat.completion", [choice]) | {"usage": usage.body()}

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        """One event of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._object("chat.completion.chunk", [choice])

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        """The event after the last choice, when the client asked for usage."""
        return self._object("chat.completion.chunk", []) | {"usage": usage.body()}

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self.id, "object": kind, "created": self.created_s, "model": self.model}
        return {**head, "choices": choices}


def parse_chat(body: object, model: str, *, bounded: bool = True) -> ChatRequest:
    """Check a decoded JSON body; raise RequestRejectedError with 400 or, for the model, 404.

    Without `bounded`, numbers may be as large or as small as they like.
    """
    if not isinstance(body, Mapping):
        raise RequestRejectedError(400, "The body must be a JSON object.")
    wanted = body.get("model")
    if wanted is not None and not isinstance(wanted, str):
        raise _bad("model", "must be a string")
    if wanted is not None and wanted != model:
        raise RequestRejectedError(
            404, f"The model {wanted[:100]!r} does not exist; this server has {model!r}.",
            param="model", code="model_not_found",
        )  # fmt: skip
    if bounded and _number(body, "n", 1, (1, 128), whole=True) != 1:
        raise _bad("n", "must be 1")
    options = body.get("stream_options") or {}
    if not isinstance(options, Mapping):
        raise _bad("stream_options", "must be an object")
    return ChatRequest(
        _messages(body.get("messages"), bounded=bounded),
        _sampling(body, bounded=bounded),
        _flag(body, "stream"),
        _flag(options, "include_usage"),
    )


def _sampling(body: Mapping[str, Any], *, bounded: bool) -> Sampling:
    key = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    seed = body.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise _bad("seed", "must be an integer")
    return Sampling(
        max_tokens=int(_number(body, key, MAX_TOKENS_DEFAULT, (1, 1_000_000) if bounded else ANY, whole=True)),
        temperature=_number(body, "temperature", 0.0, (0.0, 2.0) if bounded else ANY),
        top_p=_number(body, "top_p", 1.0, (1e-6, 1.0) if bounded else ANY),
        seed=None if seed is None else seed % 2**63,
        stop=_stops(body.get("stop"), bounded=bounded),
        ignore_eos=_flag(body, "ignore_eos"),
    )


def _messages(value: object, *, bounded: bool) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise _bad("messages", "must be a list with at least one message")
    messages = tuple(_message(item, f"messages[{at}]") for at, item in enumerate(value))
    length = sum(len(message.content) + MESSAGE_CHARS for message in messages)
    if bounded and length > PROMPT_CHARS_MAX:
        raise RequestRejectedError(
            400,
            f"messages have {length} characters, {MESSAGE_CHARS} for each message included; {PROMPT_CHARS_MAX} may be.",
            param="messages",
            code="context_length_exceeded",
        )
    return messages


def _message(item: object, where: str) -> Message:
    if not isinstance(item, Mapping):
        raise _bad(where, "must be an object")
    role, content = item.get("role"), item.get("content")
    if not isinstance(role, str) or role not in ROLES:
        raise _bad(f"{where}.role", f"must be one of {', '.join(sorted(ROLES))}")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts, images = [], []
    for part in parts:
        url, text = _image_url(part), part.get("text") if isinstance(part, Mapping) else None
        if isinstance(url, str) and url.startswith("data:image/") and ";base64," in url[:64]:
            images.append(url.split(";base64,", 1)[1])
        elif url is not None:
            # An address would have to be fetched, from wherever a client says.
            raise _bad(f"{where}.content", "takes images as data:image/...;base64,... only")
        elif isinstance(text, str):
            texts.append(text)
        else:
            raise _bad(f"{where}.content", "must be a string or a list of text and image_url parts")
    content = "".join(texts)
    if not _is_text(content):
        raise _bad(f"{where}.content", "has half a surrogate pair, which is no character")
    return Message(role, content, tuple(images))


def _is_text(value: str) -> bool:
    """JSON can name what Unicode text cannot hold, and a tokenizer would choke on it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _image_url(part: object) -> object:
    """The address in a part with an image; None if the part has none."""
    if not isinstance(part, Mapping) or part.get("type") != "image_url":
        return None
    holder = part.get("image_url")
    return holder.get("url", "") if isinstance(holder, Mapping) else ""


def _number(
    body: Mapping[str, Any],
    key: str,
    default: float,
    bounds: tuple[float, float],
    *,
    whole: bool = False,
) -> float:
    value = body.get(key)
    if value is None:
        return default
    kinds = int if whole else (int, float)
    low, high = bounds
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        noun = "an integer" if whole else "a number"
        raise _bad(key, f"must be {noun} from {low:g} to {high:g}")
    try:
        return float(value)
    except OverflowError:
        raise _bad(key, "is too large for any number here") from None


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _bad(key, "must be true or false")
    return value


def _stops(value: object, *, bounded: bool) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(s, str) and s and _is_text(s) for s in stops):
        raise _bad("stop", "must be a string or a list of strings")
    # Each is looked for after every token, in a thread that others wait for.
    if bounded and (len(stops) > STOPS_MAX or any(len(stop) > STOP_CHARS_MAX for stop in stops)):
        raise _bad("stop", f"must be at most {STOPS_MAX} strings of at most {STOP_CHARS_MAX} characters")
    return tuple(stops)


def _bad(param: str, problem: str) -> RequestRejectedError:
    return RequestRejectedError(400, f"{param} {problem}.", param=param)
