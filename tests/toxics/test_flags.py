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
        parse_arguments(["--listen", "localhost:1", "--upstream", "127.0.0.1:2"])
    assert "is not IP-ADDRESS:PORT" in capsys.readouterr().err


def test_listening_for_other_hosts_has_to_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--listen", "0.0.0.0:1", "--upstream", "127.0.0.1:2"]
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    assert "--any-interface" in capsys.readouterr().err
    assert parse_arguments([*arguments, "--any-interface"]).first == ("target", "0.0.0.0:1", "127.0.0.1:2")


def test_nothing_else_of_the_harness_is_imported() -> None:
    code = "import harness.toxics.__main__, sys; print(*[m for m in sys.modules if m.startswith('harness.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert all(module.startswith("harness.toxics") for module in found)


@pytest.mark.process
def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "harness.toxics", "--listen", listen, "--upstream", "127.0.0.1:1"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert ended.stderr.startswith("harness.toxics: cannot listen")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.process
def test_the_program_forwards_soon_after_its_start_and_ends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream, socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
        chosen.close()
        command = [sys.executable, "-m", "harness.toxics", "--listen", f"127.0.0.1:{port}"]
        command += ["--upstream", f"127.0.0.1:{upstream.getsockname()[1]}"]
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
