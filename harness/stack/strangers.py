"""The strangers themselves: `python -m harness.stack.strangers ORDER`, with the standard library alone.

They measure nothing but what they were answered, which `Tally` counts. All requests of one order carry one id, so that
the target's own count of distinct requests still tells the measured users.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from harness.stack.keyed import USER_KEY, authorization

__all__ = ["main"]

GIVE_UP_S = 10.0
BETWEEN_S = 1.0  # after an answer, for clients that come again
OPEN_MAX = 2000  # requests under way; more would be this host's limit, not the target's
GROUP = 50  # idle connections opened at a time
ANSWERED = "status 200"

Act = Callable[[dict[str, Any]], Awaitable[None]]


class Tally:
    """What became of the requests, kept up to date at the start of the file `out`: it outlives a kill at any time."""

    SIZE = 512  # bytes; more than the longest

    def __init__(self, out: int) -> None:
        self._out = out
        self._asked = self._under_way = self._served = 0
        self._first_refusal = ""

    def begun(self) -> None:
        """One more is sent."""
        self._asked += 1
        self._under_way += 1
        self._write()

    def ended(self, said: str) -> None:
        """One is over; what is not ANSWERED is a refusal."""
        self._under_way -= 1
        if said == ANSWERED:
            self._served += 1
        elif not self._first_refusal:
            self._first_refusal = said
        self._write()

    def _write(self) -> None:
        counts = {"asked": self._asked, "under_way": self._under_way, "served": self._served}
        said = json.dumps({**counts, "first_refusal": self._first_refusal}).encode()
        with suppress(OSError):  # a terminal, when it is called by hand
            os.pwrite(self._out, said.ljust(self.SIZE), 0)


def address(order: dict[str, Any]) -> tuple[str | None, int]:
    """Host and port."""
    place = urlsplit(order["url"])
    return place.hostname, place.port or {"http": 80, "https": 443}[place.scheme]


async def connect(order: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Encrypted where the URL says so."""
    return await asyncio.open_connection(*address(order), ssl=order.get("tls"))


async def ask(order: dict[str, Any], give_up_s: float) -> str:
    """One request on a connection of its own: ANSWERED, or in words why it is not, without any of the body."""
    tally: Tally = order["tally"]
    tally.begun()
    said = await _said(order, give_up_s)
    tally.ended(said)
    return said


async def _said(order: dict[str, Any], give_up_s: float) -> str:
    try:
        async with asyncio.timeout(give_up_s):
            reader, writer = await connect(order)
            try:
                writer.write(order["bytes"])
                await writer.drain()
                words = (await reader.readline()).split()
                while await reader.read(65536):
                    pass
                return f"status {int(words[1])}" if words[1:] and words[1].isdigit() else "no HTTP answer"
            finally:
                writer.close()
    except TimeoutError:
        return f"no whole answer within {give_up_s:g} s"
    except ConnectionRefusedError:
        return "the connection was refused"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted ({error.verify_message})"
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        return f"no answer ({type(error).__name__})"


async def open_loop(order: dict[str, Any], give_up_s: float) -> None:
    """At an even rate, whatever becomes of them."""
    gap_s = 1 / order["arguments"]["rate_per_s"]
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[str]] = set()
    due_s = loop.time()
    while True:
        if len(under_way) < OPEN_MAX:
            task = asyncio.create_task(ask(order, give_up_s))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        due_s += gap_s
        await asyncio.sleep(max(0.0, due_s - loop.time()))


async def retry_storm(order: dict[str, Any]) -> None:
    """Each asks again at once until it is served."""

    async def client() -> None:
        while True:
            if await ask(order, order["arguments"]["patience_s"]) == ANSWERED:
                await asyncio.sleep(BETWEEN_S)
            else:
                await asyncio.sleep(0)

    await asyncio.gather(*(client() for _ in range(order["arguments"]["clients"])))


async def idle(order: dict[str, Any]) -> None:
    """Connections that are kept and say nothing; one that is closed by the other side is opened again."""

    async def one() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await connect(order)
                await reader.read(1)
                writer.close()
            await asyncio.sleep(BETWEEN_S)

    tasks = []
    for number in range(order["arguments"]["connections"]):
        tasks.append(asyncio.create_task(one()))
        if number % GROUP == GROUP - 1:
            await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)


ACTS: dict[str, Act] = {
    "burst": lambda order: open_loop(order, GIVE_UP_S),
    "long_prompt": lambda order: open_loop(order, GIVE_UP_S),
    "abandon": lambda order: open_loop(order, order["arguments"]["after_s"]),
    "retry_storm": retry_storm,
    "idle_connections": idle,
}


def request_of(order: dict[str, Any]) -> bytes:
    """What each sends: a chat, streamed when it is to be left."""
    place = urlsplit(order["url"])
    messages, arguments = [dict(one) for one in order["messages"]], order["arguments"]
    if "words" in arguments:
        said = messages[-1]["content"].split()
        words = [*said, *(["more"] * (int(arguments["words"]) - len(said)))]
        messages[-1]["content"] = " ".join(words)
    body = json.dumps(
        {
            **({} if order.get("model") is None else {"model": order["model"]}),
            "messages": messages,
            "max_tokens": int(arguments.get("output_tokens", order["max_tokens"])),
            "temperature": 0,
            "stream": order["kind"] == "abandon",
            **({"ignore_eos": True} if "output_tokens" in arguments else {}),
        }
    ).encode()
    head = (
        f"POST {place.path.rstrip('/')}/v1/chat/completions HTTP/1.1\r\nHost: {place.netloc}\r\n"
        f"X-Request-Id: {order['request_id']}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    shown = "".join(f"{name}: {value}\r\n" for name, value in authorization(order.get("key")).items())
    return f"{head}{shown}Content-Length: {len(body)}\r\n\r\n".encode() + body


def main(arguments: list[str]) -> None:
    """Until somebody kills it, or whoever started it has died: then its end of standard input is closed."""
    order = json.loads(arguments[0])
    order["key"] = os.environ.get(USER_KEY)  # everybody can read a command line
    order["bytes"] = request_of(order)
    if urlsplit(order["url"]).scheme == "https":
        order["tls"] = ssl.create_default_context(cafile=order.get("ca_file"))
    order["tally"] = Tally(sys.stdout.fileno())
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    with suppress(KeyboardInterrupt):
        asyncio.run(_forever(order))


def _end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


async def _forever(order: dict[str, Any]) -> None:
    await ACTS[order["kind"]](order)


if __name__ == "__main__":
    main(sys.argv[1:])
