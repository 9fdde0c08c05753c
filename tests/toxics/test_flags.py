from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from harness.record.clock import SystemClock
from harness.toxics.flags import Address, parse_address, parse_arguments

CLOCK = SystemClock()


def test_addresses_are_read() -> None:
    assert parse_address("127.0.0.1:80") == Address("127.0.0.1", 80)
    assert parse_address("[::1]:80") == Address("::1", 80)


def test_a_name_is_not_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--proxy", "a", "localhost:1", "127.0.0.1:2"])
    assert "is not IP-ADDRESS:PORT" in capsys.readouterr().err


def test_listening_for_other_hosts_has_to_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--proxy", "a", "0.0.0.0:1", "127.0.0.1:2"]
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    assert "--any-interface" in capsys.readouterr().err
    assert parse_arguments([*arguments, "--any-interface"]).proxies == (("a", "0.0.0.0:1", "127.0.0.1:2"),)


def test_nothing_else_of_the_harness_is_imported() -> None:
    code = "import harness.toxics.__main__, sys; print(*[m for m in sys.modules if m.startswith('harness.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert all(module.startswith("harness.toxics") for module in found)


def test_flags_are_written_with_one_dash_or_two_as_in_go() -> None:
    settings = parse_arguments(
        ["-host", "127.0.0.1", "--port=0", "-seed=5", "-proxy-metrics", "-runtime-metrics=false"]
    )
    assert (settings.host, settings.port, settings.seed) == ("127.0.0.1", 0, 5)
    assert (settings.options.proxy_metrics, settings.options.runtime_metrics) == (True, False)
    assert (settings.policy.half_close, settings.policy.pass_reset) == (True, False)
    assert parse_arguments(["-no-half-close"]).policy.half_close is False


def test_the_api_listens_on_loopback_unless_told_otherwise() -> None:
    settings = parse_arguments([])
    assert (settings.host, settings.port) == ("localhost", 8474)


def test_a_proxy_alone_has_no_api_and_passes_resets_on() -> None:
    arguments = ["--proxy", "a", "127.0.0.1:1", "127.0.0.1:2", "-proxy", "b", "127.0.0.1:3", "127.0.0.1:4"]
    settings = parse_arguments(arguments)
    assert (settings.port, settings.policy.pass_reset) == (None, True)
    assert [name for name, _, _ in settings.proxies] == ["a", "b"]
    assert parse_arguments([*arguments, "-port", "0"]).port == 0


def test_the_version_is_the_official_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["-version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "toxiproxy-server version 2.12.0\n"


@pytest.mark.process
def test_an_api_port_in_use_ends_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "harness.toxics", "-port", str(taken.getsockname()[1])]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert ended.stderr.startswith("harness.toxics: cannot listen at localhost:")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.process
def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "harness.toxics", "--proxy", "a", listen, "127.0.0.1:1"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert ended.stderr.startswith("harness.toxics: cannot make a proxy: listen tcp")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.process
def test_the_program_forwards_soon_after_its_start_and_ends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream, socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
        chosen.close()
        command = [sys.executable, "-m", "harness.toxics", "--proxy", "a", f"127.0.0.1:{port}"]
        command += [f"127.0.0.1:{upstream.getsockname()[1]}"]
        with subprocess.Popen(command) as proxy:
            try:
                with connected(port) as client:
                    client.sendall(b"hello")
                    upstream.settimeout(5)
                    with upstream.accept()[0] as served:
                        assert served.recv(5) == b"hello"
                proxy.send_signal(signal.SIGTERM)
                assert proxy.wait(10) == 0
            finally:
                proxy.kill()


def connected(port: int) -> socket.socket:
    deadline = CLOCK.now() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1)
        except ConnectionRefusedError:
            assert CLOCK.now() < deadline
            CLOCK.sleep(0.01)
