"""From a request's body to a toxic, and from a toxic to what clients see."""

from __future__ import annotations

from typing import Any

from harness.toxics import go_json
from harness.toxics.errors import ApiError, bad_body
from harness.toxics.kinds.table import KINDS
from harness.toxics.toxic import STREAMS, Attributes, Kind, Toxic

__all__ = ["change_toxic", "new_toxic", "view"]


def new_toxic(body: Any, taken: set[str]) -> Toxic:
    """Raises ApiError, in the order in which the official server looks."""
    fields = go_json.mapping(body, "value of type toxics.ToxicWrapper")
    kind_name = go_json.string(fields, "type", "")
    kind = KINDS.get(kind_name)
    name = go_json.string(fields, "name", "")
    usual = kind.only_stream if kind is not None and kind.only_stream else "downstream"
    stream = go_json.string(fields, "stream", usual)
    toxicity = go_json.float32(fields, "toxicity", 1.0)
    if stream.lower() not in STREAMS:
        raise ApiError(400, "stream was invalid, can be either upstream or downstream")
    if kind is None:
        raise ApiError(400, "invalid toxic type")
    name = name or f"{kind_name}_{stream}"
    if name in taken:
        raise ApiError(409, "toxic already exists")
    if kind.only_stream not in (None, stream.lower()):
        raise bad_body(f"{kind.name} works on the {kind.only_stream} stream only")
    attributes = _attributes(kind, fields, dict(kind.defaults))
    return Toxic(kind, name, stream, toxicity, _per_request(fields, False), attributes)


def change_toxic(toxic: Toxic, body: Any) -> None:
    """All of it or, when something is wrong, nothing. Raises ApiError."""
    fields = go_json.mapping(body, "value of type struct")
    toxicity = go_json.float32(fields, "toxicity", toxic.toxicity)
    per_request = _per_request(fields, toxic.per_request)
    toxic.attributes = _attributes(toxic.kind, fields, dict(toxic.attributes))
    toxic.toxicity = toxicity
    toxic.per_request = per_request


def view(toxic: Toxic) -> dict[str, Any]:
    """As clients see it; `toxicity_per` only where it says something that the official server cannot."""
    seen: dict[str, Any] = {
        "attributes": toxic.attributes,
        "name": toxic.name,
        "type": toxic.kind.name,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
    }
    return seen | ({"toxicity_per": "request"} if toxic.per_request else {})


def _attributes(kind: Kind, fields: dict[str, Any], attributes: Attributes) -> Attributes:
    given = go_json.mapping(fields.get("attributes"), "struct field .attributes")
    for name, before in attributes.items():
        if isinstance(before, str):
            attributes[name] = go_json.string(given, name, before)
        else:
            attributes[name] = go_json.integer(given, name, before)
    wrong = kind.check(attributes)
    if wrong is not None:
        raise bad_body(f"{kind.name}: {wrong}")
    return attributes


def _per_request(fields: dict[str, Any], default: bool) -> bool:
    per = go_json.string(fields, "toxicity_per", "request" if default else "connection")
    if per not in ("connection", "request"):
        raise bad_body("toxicity_per is either connection or request")
    return per == "request"
