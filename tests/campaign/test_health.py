"""The two-sided health score: its arithmetic, a target that can be broken, and somebody else's service."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.model.health import Looked, Span, health_of
from harness.stack.owned import RUN_LABEL, owned_processes
from tests.openai_server import Switches, serving

pytestmark = pytest.mark.whole

SPANS = [Span("busy", 0, 10), Span("hangs", 10, 20), Span("is dead", 20, 30), Span("answers wrongly", 30, 40)]


def looks(*red: tuple[float, float]) -> list[Looked]:
    """A look every half second, red within the given times."""
    times = [n / 2 for n in range(80)]
    return [Looked(at_s, not any(low <= at_s < high for low, high in red)) for at_s in times]


def test_a_probe_that_goes_red_at_once_and_only_then_scores_1() -> None:
    found = health_of("p", looks((10, 40)), SPANS)
    assert found.score == pytest.approx(1.0)
    assert found.detected_s == {"hangs": 0, "is dead": 0, "answers wrongly": 0}
    assert found.false_red == 0


def test_a_probe_that_is_always_green_tells_nothing_and_so_does_one_that_is_always_red() -> None:
    assert health_of("green", looks(), SPANS).score == 0
    assert health_of("red", looks((0, 40)), SPANS).score == 0


def test_late_detection_and_false_alarms_cost_what_they_take() -> None:
    # Hang seen at half of its time, death at once, wrong answers never: (0.5 + 1 + 0) / 3; 2 of 20 busy looks red.
    found = health_of("p", looks((0, 1), (15, 30)), SPANS)
    assert found.false_red == pytest.approx(0.1)
    assert found.score == pytest.approx(0.5 - 0.1)
    assert found.detected_s["answers wrongly"] is None


def test_what_was_not_tested_gives_no_score() -> None:
    found = health_of("p", looks((10, 40)), [*SPANS[:3], Span("answers wrongly", skipped="no such file")])
    assert found.score is None
    assert found.why_none == "not tested: answers wrongly"


@pytest.mark.parametrize(("protection", "hang"), [("fragile", None), ("hardened", 6.0)])
def test_a_shallow_check_is_blind_to_a_hang_and_a_chat_is_not(
    tmp_path: Path, protection: str, hang: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["health", "--stack", "fake", "--protection", protection, "--out", str(tmp_path)]) == 0
    probes = {one["probe"]: one for one in json.loads((tmp_path / "health.json").read_text())["probes"]}
    seen = probes["GET /health"]["detected_s"]["hangs"]
    assert seen is None if hang is None else seen < hang
    assert probes["a chat"]["detected_s"]["hangs"] < 1
    assert probes["a chat"]["score"] > probes["GET /health"]["score"]
    assert "while busy: 0 % of" in capsys.readouterr().out
    assert "| probe | red after, when it hangs |" in (tmp_path / "health.md").read_text()


class Service:
    """Somebody else's: /health and chats, and a /health that is red while more than so many chats are under way."""

    def __init__(self, busy_max: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.busy_max, self.chats = busy_max, 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            said = connection.recv(65536)
            page = said.split()[1]
            if page == b"/health":
                status, body = (b"503 Busy" if self.chats > self.busy_max else b"200 OK"), b"{}"
            elif page == b"/v1/chat/completions":
                self.chats += 1
                threading.Event().wait(0.3)
                self.chats -= 1
                status, body = b"200 OK", b'data: {"x"}\n\ndata: [DONE]\n\n'
            else:
                status, body = b"404 Not Found", b""
            connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(busy_max=2)
    yield made
    made.listener.close()


@pytest.mark.process
def test_of_somebody_elses_service_false_alarms_are_measured_and_the_rest_is_not_tested(
    tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["health", service.url, "--rate", "20", "--busy", "4", "--out", str(tmp_path)]
    assert call(asked) == 0
    found = json.loads((tmp_path / "health.json").read_text())
    probes = {one["probe"]: one for one in found["probes"]}
    assert set(probes) == {"GET /health", "a chat"}, "what is not there is not asked when it is busy"
    assert probes["GET /health"]["false_red"] > 0.3
    assert probes["GET /health"]["score"] is None
    assert probes["GET /health"]["detected_s"] == {}
    assert "cannot break what it did not start" in capsys.readouterr().out
    labels = {
        item[len(RUN_LABEL) + 1 :].decode()
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        for item in _environ(entry)
        if item.startswith(f"{RUN_LABEL}=health-".encode())
    }
    assert not [label for label in labels if any(owned_processes(label))]


@pytest.mark.process
def test_a_stream_that_ends_without_done_is_a_good_answer_where_all_of_them_do(tmp_path: Path) -> None:
    with serving(Switches(done=False)) as url:
        assert call(["health", url, "--rate", "5", "--busy", "2", "--out", str(tmp_path)]) == 0
    probes = {one["probe"]: one for one in json.loads((tmp_path / "health.json").read_text())["probes"]}
    assert set(probes) == {"GET /health", "GET /v1/models", "a chat"}
    assert probes["a chat"]["looks_busy"] >= 4


def _environ(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://example.org"])
def test_a_url_without_a_service_is_one_sentence(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.campaign.health_url.QUIET_S", 0.3)
    assert call(["health", url, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"harness: {url}: ") and said.count("\n") == 1
