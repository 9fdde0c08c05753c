"""Images in a conversation: taken as they are sent, never fetched."""

from __future__ import annotations

from typing import Any

import pytest

from target_service.protocol.chat import Message, parse_chat
from target_service.protocol.errors import RequestRejectedError


def parsed(content: Any) -> Message:
    return parse_chat({"messages": [{"role": "user", "content": content}]}, "m").messages[0]


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_images_and_texts_of_a_message_are_gathered() -> None:
    parts = [image("data:image/png;base64,AAAA"), {"type": "text", "text": "Find "}, {"text": "it."}]
    assert parsed(parts) == Message("user", "Find it.", ("AAAA",))
    assert parsed("plain") == Message("user", "plain")
    assert parsed([]) == Message("user", "")


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/", "file:///etc/passwd", "data:text/html;base64,AAAA", "data:image/png,AAAA", 5, None],
)
def test_no_address_is_ever_fetched(url: Any) -> None:
    with pytest.raises(RequestRejectedError) as refused:
        parsed([image(url)])
    assert (refused.value.status, refused.value.param) == (400, "messages[0].content")


@pytest.mark.parametrize("content", [5, None, [5], [{"type": "text"}], [{"type": "image_url"}], {"text": "x"}])
def test_other_contents_are_refused(content: Any) -> None:
    with pytest.raises(RequestRejectedError) as refused:
        parsed(content)
    assert refused.value.status == 400
