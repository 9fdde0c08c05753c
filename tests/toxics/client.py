"""A client of the API that hides nothing: status, headers and body as they came."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from yarl import URL


@dataclass(frozen=True)
class Answer:
    status: int
    type: str
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        """Status and message of an error; its body must name the status too."""
        assert self.json["status"] == self.status
        return self.status, self.json["error"]


class Client:
    """Paths are sent as they are written."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """`body` is sent as JSON, or as it is when it is bytes."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        url = URL(self.url + path, encoded=True)
        async with self._session.request(
            method, url, data=io.BytesIO(data) if data else None, headers=headers
        ) as response:
            return Answer(
                response.status, response.headers.get("Content-Type", ""), await response.text(), dict(response.headers)
            )

    async def proxy(self, upstream: str, name: str = "p", **more: object) -> tuple[str, int]:
        """Make a proxy; where it listens."""
        made = await self.call(
            "POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream, **more}
        )
        assert made.status == 201, made
        host, _, port = made.json["listen"].rpartition(":")
        return host, int(port)

    async def toxic(self, kind: str, stream: str = "downstream", proxy: str = "p", **attributes: object) -> Any:
        """Add a toxic; `toxicity`, `toxicity_per` and `name` are its own, all others are attributes."""
        top = {key: attributes.pop(key) for key in ("toxicity", "toxicity_per", "name") if key in attributes}
        body = {"type": kind, "stream": stream, "attributes": attributes, **top}
        made = await self.call("POST", f"/proxies/{proxy}/toxics", body)
        assert made.status == 200, made
        return made.json

    async def remove(self, toxic: str, proxy: str = "p") -> None:
        gone = await self.call("DELETE", f"/proxies/{proxy}/toxics/{toxic}")
        assert (gone.status, gone.text) == (204, "")

    async def clean(self) -> None:
        for name in (await self.call("GET", "/proxies")).json:
            await self.call("DELETE", f"/proxies/{name}")


class Peer:
    """One connection through a proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes, size: int | None = None) -> bytes:
        """Send, and wait for so many bytes."""
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(len(data) if size is None else size), 10)

    async def rest(self) -> bytes:
        """What comes until the end. Raises ConnectionResetError."""
        return await asyncio.wait_for(self.reader.read(), 10)

    async def silent(self, for_s: float = 0.15) -> bool:
        """Whether neither a byte nor the end comes."""
        try:
            await asyncio.wait_for(self.reader.read(1), for_s)
        except TimeoutError:
            return True
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


async def connected(address: tuple[str, int]) -> Peer:
    return Peer(*await asyncio.open_connection(*address))
