"""Keys and tokens: read from files, compared in constant time, never shown."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

__all__ = ["Secrets", "bearer", "read_secrets"]

LENGTH_MIN = 16


class Secrets:
    """Some right answers to who is there; keeps digests only, so that no dump or log can show one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._digests = tuple(_digest(text) for text in texts)

    def knows(self, text: str) -> bool:
        """Whether it is one of them; takes as long for a wrong one as for a right one."""
        given = _digest(text)
        found = False
        # All of them are compared, whichever fits.
        for digest in self._digests:
            found |= hmac.compare_digest(given, digest)
        return found


def read_secrets(path: Path, option: str) -> tuple[str, ...]:
    """A secret a line; blank lines and lines that begin with # are skipped. Raises ValueError without showing any."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise ValueError(f"{option}: {path} cannot be read: {reason}") from None
    secrets = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if len(text) < LENGTH_MIN or not text.isprintable() or " " in text:
            raise ValueError(f"{option}: {path}, line {number}: needs at least {LENGTH_MIN} characters and no blanks")
        secrets.append(text)
    if not secrets:
        raise ValueError(f"{option}: {path} has no line with a secret")
    return tuple(secrets)


def bearer(request: web.Request) -> str | None:
    """What `Authorization: Bearer …` carries; "" for another scheme, None without the header."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, credentials = header.partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
