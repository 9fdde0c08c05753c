"""The health score of somebody else's service: false alarms under a load that was really served."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.campaign.health_url import UrlTest, _silence
from harness.cli.main import call
from harness.model.health import Health
from harness.stack.links import Seen
from harness.stack.owned import RUN_LABEL, owned_processes
from tests.openai_server import Switches, serving


class Service:
    """Somebody else's: /health and chats, and a /health that is red while more than so many chats are under way."""

    def __init__(self, busy_max: int) -> None:
        self.chat_s = 0.3
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
                threading.Event().wait(self.chat_s)
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
    assert probes["GET /health"]["detected_s"] == {} and probes["GET /health"]["partial_score"] is None
    said = capsys.readouterr().out
    assert "cannot break what it did not start" in said and " %, specificity alone\n" in said and "; score" not in said
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


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://[::1]:1"])
def test_a_url_without_a_service_is_one_sentence(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.campaign.health_url.QUIET_S", 0.3)
    assert call(["health", url, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"harness: {url}: ") and said.count("\n") == 1


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.campaign.health_url.QUIET_S", 0.6)


def health_of(url: str, out: Path, *more: str) -> tuple[int, dict[str, object]]:
    """The exit code, and what was written."""
    code = call(["health", url, "--rate", "20", "--busy", "2", "--out", str(out), *more])
    return code, json.loads((out / "health.json").read_text())


@pytest.mark.process
@pytest.mark.parametrize(("more", "model"), [((), "tiny"), (("--model-name", "other"), "other")])
def test_looks_and_load_name_the_same_model_and_how_much_was_served_is_said(
    tmp_path: Path, quickly: None, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], model: str
) -> None:
    switches = Switches()
    with serving(switches) as url:
        code, found = health_of(url, tmp_path, *more)
    assert code == 0
    assert {body.get("model") for body in switches.bodies} == {model}
    load = found["load"]
    assert isinstance(load, dict) and load["served"] > 10 and load["first_refusal"] == ""
    assert "load        100 % of " in capsys.readouterr().out
    assert "Load: 100 % of " in (tmp_path / "health.md").read_text()


@pytest.mark.process
def test_a_load_of_which_nothing_is_served_tests_nothing(
    tmp_path: Path, quickly: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Switches(chat=422)) as url:
        code, found = health_of(url, tmp_path)
    assert code == 3
    (said,) = {line.partition("while busy: ")[2] for line in capsys.readouterr().out.splitlines() if "busy" in line}
    assert said.startswith("not tested (0 of ") and said.endswith(
        " requests answered; the first said: status 422); score –"
    )
    probes = found["probes"]
    assert isinstance(probes, list) and all(one["false_red"] is None and one["looks_busy"] == 0 for one in probes)
    assert "not tested (0 of " in (tmp_path / "health.md").read_text()


@pytest.mark.process
def test_the_usual_base_url_and_a_key_serve_looks_and_load_alike(
    tmp_path: Path, quickly: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THEIR_KEY", "sesame")
    switches = Switches(key="sesame")
    with serving(switches) as url:
        code, found = health_of(f"{url}/v1/", tmp_path, "--api-key-env", "THEIR_KEY")
    assert code == 0
    assert found["target"] == url
    load = found["load"]
    assert isinstance(load, dict) and load["served"] > 10 and load["first_refusal"] == ""
    probes = found["probes"]
    assert isinstance(probes, list)
    assert {one["probe"] for one in probes} == {"GET /health", "GET /v1/models", "a chat"}
    shown = capsys.readouterr()
    assert "sesame" not in shown.out + shown.err
    assert not [path for path in tmp_path.iterdir() if "sesame" in path.read_text()]


def test_a_key_that_is_not_in_the_environment_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["health", "http://127.0.0.1:1", "--api-key-env", "NO_SUCH_KEY", "--out", str(tmp_path)]
    assert call(asked) == 2
    assert "the environment variable NO_SUCH_KEY is not set" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--model-name", "--api-key-env", "--ca-file", "--look-limit"])
def test_options_for_a_url_are_refused_without_one(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["health", "--stack", "fake", option, "3"]) == 2
    assert "are for a URL" in capsys.readouterr().err


@pytest.mark.process
def test_ctrl_c_before_the_load_says_so_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    switches = Switches()
    with serving(switches) as url:
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert call(["health", url, "--out", str(tmp_path)]) == 3
    shown = capsys.readouterr()
    assert "interrupted before the load began: nothing was measured" in shown.out
    assert "is an OpenAI-compatible server there" not in shown.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_ctrl_c_under_load_marks_what_was_measured_as_cut_off(
    tmp_path: Path, quickly: None, capsys: pytest.CaptureFixture[str]
) -> None:
    switches = Switches()
    with serving(switches) as url:
        threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert call(["health", url, "--busy", "200", "--rate", "20", "--out", str(tmp_path)]) == 3
    assert "  cut off     interrupted after " in capsys.readouterr().out
    found = json.loads((tmp_path / "health.json").read_text())
    assert found["cut_off"].endswith(" s of load, of 200 s") and found["load"]["served"] > 0
    assert "**Cut off**: interrupted after " in (tmp_path / "health.md").read_text()


@pytest.mark.process
def test_a_server_behind_tls_a_path_and_a_key_is_looked_at_and_loaded_alike(
    tmp_path: Path, quickly: None, own_authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = own_authority
    monkeypatch.setenv("THEIR_KEY", "sesame")
    switches = Switches(key="sesame", paths=frozenset({"/tenant/health", "/tenant/v1/models"}))
    more = ("--api-key-env", "THEIR_KEY", "--ca-file", str(certificate))
    with serving(switches, context) as url:
        code, found = health_of(f"{url.replace('127.0.0.1', 'localhost')}/tenant/v1", tmp_path, *more)
    assert code == 0
    load, probes = found["load"], found["probes"]
    assert isinstance(load, dict) and load["served"] > 10 and load["first_refusal"] == ""
    assert isinstance(probes, list)
    assert {one["probe"]: one["false_red"] for one in probes}.keys() == {"GET /health", "GET /v1/models", "a chat"}
    assert all(path.startswith("/tenant/") for path in switches.asked)
    assert {one["host"].partition(":")[0] for one in switches.headers} == {"localhost"}


@pytest.mark.process
@pytest.mark.parametrize("tls", [True, False])
def test_a_server_on_ipv6_is_looked_at_and_loaded_without_a_question(
    tmp_path: Path, quickly: None, own_authority: tuple[Path, ssl.SSLContext], tls: bool
) -> None:
    certificate, context = own_authority
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6")
    with serving(Switches(), context if tls else None, "::1") as url:
        code, found = health_of(url, tmp_path, *(("--ca-file", str(certificate)) if tls else ()))
    assert code == 0 and found["target"] == url
    assert isinstance(found["load"], dict) and found["load"]["served"] > 10


def test_a_certificate_that_is_not_trusted_is_said_with_its_remedy(
    tmp_path: Path, quickly: None, own_authority: tuple[Path, ssl.SSLContext], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Switches(), own_authority[1]) as url:
        assert call(["health", url, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "its certificate is not trusted (" in said and "--ca-file" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "holds", "says"),
    [("https://127.0.0.1:1", "none", "holds no certificates"), ("http://127.0.0.1:1", "none", "is not encrypted")],
)
def test_a_file_of_certificates_that_is_of_no_use_is_one_sentence(
    tmp_path: Path, url: str, holds: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text(holds)
    assert call(["health", url, "--ca-file", str(tmp_path / "ca.pem"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


@pytest.fixture
def nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("something was sent, or a name was looked up")

    for name in ("socket.create_connection", "socket.getaddrinfo", "subprocess.Popen"):
        monkeypatch.setattr(name, fail)


@pytest.mark.parametrize("url", ["http://192.0.2.1:8000", "https://llm.example/v1", "http://[2001:db8::1]:8000"])
def test_a_server_that_is_not_on_this_host_is_asked_about_before_anything_is_sent(
    tmp_path: Path, url: str, nothing_is_sent: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HARNESS_YES", raising=False)
    assert call(["health", url, "--rate", "7", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    there = url.removesuffix("/v1")
    assert f"  load: 7 requests/s for 30 s, and probes, are sent to {there}\n" in said
    assert "nobody is there to agree to this list: read it, then say --yes or set HARNESS_YES=1" in said
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert call(["health", url, "--rate", "7", "--out", str(tmp_path)]) == 2
    assert "not agreed, so nothing was touched" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("more", "environ"), [(["--yes"], {}), ([], {"HARNESS_YES": "1"})])
def test_who_agrees_beforehand_is_not_asked(
    tmp_path: Path, nothing_is_sent: None, monkeypatch: pytest.MonkeyPatch, more: list[str], environ: dict[str, str]
) -> None:
    monkeypatch.delenv("HARNESS_YES", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    asked: list[UrlTest] = []

    def instead(test: UrlTest, *_: object) -> Health:
        asked.append(test)
        return Health(test.url, (), ())

    monkeypatch.setattr("harness.cli.health.health_of_url", instead)
    assert call(["health", "https://llm.example", "--out", str(tmp_path), *more]) == 3
    assert [one.url for one in asked] == ["https://llm.example"]


@pytest.mark.process
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "a chat: no good answer within 1 s while it was quiet; --look-limit 5 gives it longer"),
        (["--look-limit", "2"], None),
    ],
)
def test_a_look_takes_as_long_as_it_may_and_what_came_too_late_is_told_of_the_option(
    tmp_path: Path, quickly: None, service: Service, more: list[str], said: str | None
) -> None:
    service.chat_s, service.busy_max = 1.3, 1000
    assert call(["health", service.url, "--rate", "2", "--busy", "4", "--out", str(tmp_path), *more]) == 0
    found = json.loads((tmp_path / "health.json").read_text())
    probes = {one["probe"]: one for one in found["probes"]}
    assert ("a chat" in probes) == (said is None)
    assert [one for one in found["not_tested"] if one.startswith("a chat")] == ([] if said is None else [said])
    assert "GET /ready: no good answer while it was quiet (status 404)" in found["not_tested"]
    if said is None:
        assert probes["a chat"]["false_red"] == 0 and probes["a chat"]["looks_busy"] >= 2


@pytest.mark.parametrize(
    ("seen", "limit_s", "said"),
    [
        (Seen(connected=True, status=200), 20, " within 20 s while it was quiet; --look-limit 60 gives it longer"),
        (Seen(connected=True), 60, " within 60 s while it was quiet"),
        (None, 0.5, " within 0.5 s while it was quiet; --look-limit 2.5 gives it longer"),
        (Seen(connected=False), 1, " while it was quiet (no connection)"),
        (Seen(connected=True, status=200, closed_s=0.1), 1, " while it was quiet (no whole answer)"),
        (Seen(connected=True, status=422, closed_s=0.1), 1, " while it was quiet (status 422)"),
    ],
)
def test_only_what_came_too_late_is_said_to_want_longer(seen: Seen | None, limit_s: float, said: str) -> None:
    assert _silence("p", seen, UrlTest("http://h", look_limit_s=limit_s)) == f"p: no good answer{said}"


def test_a_load_that_is_too_short_for_two_looks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["health", "http://127.0.0.1:1", "--busy", "4", "--look-limit", "5", "--out", str(tmp_path)]
    assert call(asked) == 2
    assert "--busy 4 is too short for looks of up to 5 s: make it at least 10" in capsys.readouterr().err
