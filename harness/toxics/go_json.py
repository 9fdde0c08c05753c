"""JSON as Go's encoding/json reads and writes it, for clients were written against that."""

from __future__ import annotations

import json
import math
import re
import struct
from typing import Any

__all__ = ["BadBody", "boolean", "dump", "float32", "integer", "mapping", "parse", "sequence", "string"]

_SPACE = re.compile(r"[ \t\r\n]*")
_LONE = re.compile("[\ud800-\udfff]")
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_INT64 = 2**63
_FLOAT32_MAX = 3.4028235677973366e38  # from here on it is rounded to infinity


class BadBody(ValueError):
    """The body is not what it has to be; the message is what follows `bad request body: `."""


class _Object(dict[str, Any]):
    """Keys in lower case, as Go matches them; the last of several wins, null changes nothing."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__((key.lower(), value) for key, value in pairs if value is not None)


def _refuse(word: str) -> Any:
    raise BadBody(f"invalid character {word[0]!r} looking for beginning of value")


_DECODE = json.JSONDecoder(
    object_pairs_hook=_Object,
    parse_constant=_refuse,
    parse_int=lambda digits: int(digits) if len(digits) <= 20 else math.inf,
)


def parse(body: bytes) -> Any:
    """The first JSON value; what follows it is ignored. Raises BadBody."""
    text = body.decode("utf-8", "replace")
    begin = _SPACE.match(text)
    assert begin is not None
    if begin.end() == len(text):
        raise BadBody("EOF")
    try:
        return _DECODE.raw_decode(text, begin.end())[0]
    except RecursionError:
        raise BadBody("exceeded max depth") from None
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated"):
            raise BadBody("unexpected EOF") from None
        at = text[error.pos]
        raise BadBody(f"invalid character {at!r} looking for beginning of value") from None


def dump(value: Any) -> str:
    """Compact; floats are written as Go writes a float32."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":")).translate(_HTML)


def mapping(value: Any, what: str) -> dict[str, Any]:
    """An object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadBody(f"json: cannot unmarshal {_kind(value)} into Go {what}")
    return value


def sequence(value: Any) -> list[Any]:
    """An array; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadBody(f"json: cannot unmarshal {_kind(value)} into Go value of type []struct")
    return value


def string(fields: dict[str, Any], name: str, default: str) -> str:
    """Half of a surrogate pair, which no encoding can carry, is replaced."""
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise _wrong(value, name, "string")
    return _LONE.sub("\ufffd", value)


def boolean(fields: dict[str, Any], name: str, default: bool) -> bool:
    """true or false, nothing that resembles them."""
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(value, name, "bool")
    return value


def integer(fields: dict[str, Any], name: str, default: int) -> int:
    """Written as an integer, and within 64 bits."""
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise _wrong(value, name, "int64")
    return value


def float32(fields: dict[str, Any], name: str, default: float) -> float:
    """Rounded to the precision that Go keeps."""
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FLOAT32_MAX:
        raise _wrong(value, name, "float32")
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _wrong(value: Any, name: str, wanted: str) -> BadBody:
    return BadBody(f"json: cannot unmarshal {_kind(value)} into Go struct field .{name} of type {wanted}")


def _kind(value: Any) -> str:
    kinds = {str: "string", bool: "bool", list: "array", int: "number", float: "number"}
    return kinds.get(type(value), "object")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return _shortest(value)
    if isinstance(value, dict):
        return {_LONE.sub("\ufffd", key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _shortest(value: float) -> int | float:
    """The shortest number that is the same float32."""
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("f", short) == struct.pack("f", value):
            return short
    return value
