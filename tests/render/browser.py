"""A headless Chromium that a test can ask: what it measured, and a picture. Speaks the DevTools protocol."""

# ruff: noqa: ASYNC110, ASYNC220, ASYNC240  one page at a time: nothing else waits in this loop

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["Browser", "browser", "chromium"]

START_S, ANSWER_S = 30.0, 60.0


def chromium() -> str | None:
    """The program, if this machine has one."""
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
                None)  # fmt: skip


@dataclass
class Browser:
    """One page."""

    socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)  # what the page wrote to the console as an error
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; events in between are looked at and passed over."""
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            said = await self.socket.receive_json(timeout=ANSWER_S)
            if said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
                self.errors.append(said["params"]["entry"]["text"])
            if said.get("id") == number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                result: dict[str, Any] = said["result"]
                return result

    async def look(self, width: int, *, dark: bool = False, print_: bool = False, height: int = 900) -> None:
        """What the page is shown on."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", media="print" if print_ else "screen", features=[scheme])

    async def open(self, path: Path) -> None:
        """Load a file and wait until it is there, painted once."""
        await self.call("Page.navigate", url=path.resolve().as_uri())
        while await self.ask("document.readyState + location.protocol") != "completefile:":
            await asyncio.sleep(0.01)
        await self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the whole page, or of what is seen without scrolling."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def browser(program: str) -> AsyncIterator[Browser]:
    """A browser of its own, with a profile of its own; both are gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
             "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port = await _port(Path(profile), process)
            async with aiohttp.ClientSession() as http:
                async with http.get(f"http://127.0.0.1:{port}/json") as answer:
                    pages: list[Mapping[str, Any]] = await answer.json()
                page = next(page for page in pages if page["type"] == "page")
                async with http.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    made = Browser(socket)
                    for domain in ("Page", "Log"):
                        await made.call(f"{domain}.enable")
                    yield made
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


async def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that it wrote into its profile."""
    file = profile / "DevToolsActivePort"
    for _ in range(round(START_S / 0.05)):
        with suppress(OSError, ValueError, IndexError):
            return int(file.read_text().splitlines()[0])
        if process.poll() is not None:
            raise RuntimeError(f"the browser ended with status {process.returncode}")
        await asyncio.sleep(0.05)
    raise RuntimeError("the browser did not start")
