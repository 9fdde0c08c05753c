"""Requests as bytes, made before the run: at its time a request only has its id filled in.

A body that carries `cache_salt` is different for every request, so that no cache of the target answers for the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.load.spec import LoadSpec
from harness.model.plan import Prompt, Task

__all__ = ["Template", "echo_template", "filled", "templates"]

_FILLER = ("and", "then", "the", "same", "once", "more")


@dataclass(frozen=True)
class Template:
    """A request with two holes for its id: in the head (X-Request-Id) and in the body (cache_salt)."""

    before: bytes  # up to the id in the head
    after: bytes  # from there to Content-Length's value
    body_before: bytes  # up to the salt
    body_after: bytes
    stream: bool
    answer: str | None  # the golden one; None: not checked
    salted: bool = True
    completion: bool = True  # False: what comes back is no answer of a model

    def fill(self, request_id: bytes) -> bytes:
        """The bytes to send."""
        if not self.salted:
            return self.before + request_id + self.after
        length = len(self.body_before) + len(request_id) + len(self.body_after)
        return b"".join(
            (self.before, request_id, self.after, b"%d\r\n\r\n" % length, self.body_before, request_id, self.body_after)
        )


def templates(spec: LoadSpec) -> list[list[Template]]:
    """One for each task and prompt, in the spec's order."""
    return [[_template(spec, task, prompt) for prompt in task.prompts] for task in spec.tasks]


def echo_template(spec: LoadSpec) -> Template:
    """What the control lane sends."""
    head = _head("GET", "/echo", spec.echo_url, {"Connection": _connection(spec)})
    return Template(
        head + b"X-Request-Id: ", b"\r\n\r\n", b"", b"", stream=False, answer=None, salted=False, completion=False
    )


def filled(messages: tuple[Mapping[str, str], ...], words: int) -> list[Mapping[str, str]]:
    """The same conversation, its last user message padded with filler to `words` words."""
    padded = list(messages)
    last = max((i for i, message in enumerate(padded) if message["role"] == "user"), default=None)
    if last is None:
        return padded
    said = padded[last]["content"].split()
    filler = [_FILLER[i % len(_FILLER)] for i in range(words - len(said))]
    padded[last] = {**padded[last], "content": " ".join([padded[last]["content"], *filler])}
    return padded


def _template(spec: LoadSpec, task: Task, prompt: Prompt) -> Template:
    padded = spec.prompt_words is not None
    messages = filled(prompt.messages, spec.prompt_words) if spec.prompt_words is not None else list(prompt.messages)
    max_tokens = prompt.max_tokens if spec.output_tokens is None else spec.output_tokens
    body: dict[str, object] = {"model": spec.model} if spec.model is not None else {}
    body |= {"messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": task.stream}
    rest = json.dumps(body, separators=(",", ":")).encode()
    path = urlsplit(spec.base_url).path.rstrip("/") + "/v1/chat/completions"
    head = _head(
        "POST",
        path,
        spec.base_url if spec.host is None else f"//{spec.host}",
        {
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if task.stream else "application/json",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-store",
            "Connection": _connection(spec),
            **spec.headers,
        },
    )
    known = not padded and max_tokens >= prompt.max_tokens
    if not spec.salted:
        whole = b"\r\nContent-Length: %d\r\n\r\n" % len(rest) + rest
        answer = prompt.answer if known else None
        return Template(head + b"X-Request-Id: ", whole, b"", b"", task.stream, answer, salted=False)
    return Template(
        before=head + b"X-Request-Id: ",
        after=b"\r\nContent-Length: ",
        body_before=b'{"cache_salt":"',
        body_after=b'",' + rest[1:],
        stream=task.stream,
        answer=prompt.answer if known else None,
    )


def _head(method: str, path: str, url: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc.rpartition('@')[2]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def _connection(spec: LoadSpec) -> str:
    return "close" if spec.connections == "new" else "keep-alive"
