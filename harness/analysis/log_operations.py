"""What one line of a log says was done: the kind of operation, and a response code where it is about a request."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["operation_of"]

GOOD = (None, "ok", "answered")  # replica, gateway: nothing more than the status says
KIND_MAX = 80  # characters; what differs only later is one kind
_WEB_SERVER = re.compile(r'"([A-Z]{3,7}) (\S{1,300}) HTTP/[\d.]{1,3}" (\d{3})\b')  # Apache, nginx, uvicorn
_CHANGING = re.compile(r"0x[0-9a-fA-F]+|[0-9a-f]{8,}|\d+")
_STAMPS = re.compile(r"^(?:\S+Z )?(?:\d{1,9}\.\d{3} |\d{4}-\d\d-\d\d[T ]\S+ ?)")


def operation_of(text: str) -> tuple[str, str | None]:
    """(kind, code). The code is None unless the line is about one request that has ended.

    Access lines are those of the reference target (JSON with `log`: access) and the common format of web servers. Of
    other lines the kind is the text without its stamp and with every number as 0.
    """
    begin = text.find("{", 0, 40)
    if begin >= 0 and (row := _json(text[begin:])) is not None and row.get("log") == "access":
        status, outcome = row.get("status"), row.get("outcome")
        code = "left" if status is None else str(status)[:3]
        code = code if outcome in GOOD or code == outcome else f"{code} {str(outcome)[:20]}"
        return f"{row.get('method')} {_path(str(row.get('path')))} {code}", code
    if found := _WEB_SERVER.search(text):
        return f"{found.group(1)} {_path(found.group(2))} {found.group(3)}", found.group(3)
    return _CHANGING.sub("0", _STAMPS.sub("", text, count=1)[: KIND_MAX * 2])[:KIND_MAX], None


def _path(path: str) -> str:
    return _CHANGING.sub("0", path.partition("?")[0])[:KIND_MAX]


def _json(text: str) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
