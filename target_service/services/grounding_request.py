"""What /api/predict takes, checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from target_service.protocol.errors import RequestRejectedError

__all__ = ["BATCH_MAX", "NEW_TOKENS_DEFAULT", "PROMPTS_MAX", "Wanted", "batch_in", "wanted_in"]

NEW_TOKENS_DEFAULT = 512
NEW_TOKENS_MAX = 4096
PROMPTS_MAX = 8
BATCH_MAX = 32
PROMPT_CHARACTERS_MAX = 4000


@dataclass(frozen=True)
class Wanted:
    """One image as base64 text and what is asked about it."""

    image: str
    prompts: tuple[str, ...]
    max_new_tokens: int


def wanted_in(body: object, *, single: bool = False) -> Wanted:
    """Check a request; raises RequestRejectedError: 422 for what is missing or wrong, 413 for too much.

    `prompt` is a text or, unless `single`, a list of texts.
    """
    if not isinstance(body, Mapping):
        raise RequestRejectedError(422, "A request must be a JSON object with image and prompt.")
    image, prompt, tokens = body.get("image"), body.get("prompt"), body.get("max_new_tokens", NEW_TOKENS_DEFAULT)
    if not isinstance(image, str):
        raise _bad("image", "must be the base64 text of a PNG or JPEG image")
    listed = prompt if isinstance(prompt, list) and not single else [prompt]
    prompts = tuple(each for each in listed if isinstance(each, str) and each.strip())
    if not prompts or len(prompts) < len(listed):
        raise _bad("prompt", f"must be a text{'' if single else ' or a list of texts'}, not empty")
    if len(prompts) > PROMPTS_MAX or max(map(len, prompts)) > PROMPT_CHARACTERS_MAX:
        limit = f"prompt has more than {PROMPTS_MAX} texts or one of more than {PROMPT_CHARACTERS_MAX} characters."
        raise RequestRejectedError(413, limit, param="prompt")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 1 <= tokens <= NEW_TOKENS_MAX:
        raise _bad("max_new_tokens", f"must be an integer from 1 to {NEW_TOKENS_MAX}")
    return Wanted(image, prompts, tokens)


def batch_in(body: object) -> list[object]:
    """The entries of a batch, unchecked, so that a bad one spoils no other; raises RequestRejectedError."""
    entries = body.get("requests") if isinstance(body, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise _bad("requests", "must be a list of objects with image and prompt")
    if len(entries) > BATCH_MAX:
        raise RequestRejectedError(413, f"requests has more than {BATCH_MAX} entries.", param="requests")
    return entries


def _bad(param: str, problem: str) -> RequestRejectedError:
    return RequestRejectedError(422, f"{param} {problem}.", param=param)
