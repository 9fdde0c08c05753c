"""The override for somebody's compose project: labels, and a Toxiproxy on what can be found to be a hop."""

from __future__ import annotations

import pytest

from harness.stack.external.compose_hops import API_PORT, PROXY, find_hops, override_of, proxies_of

PROJECT = {
    "name": "shop",
    "services": {
        "web": {
            "environment": {"LLM": "http://llm:8000/v1", "CACHE": "redis:6379", "KEY": "${KEY}", "N": None},
            "command": ["serve", "--fallback=http://llm:8000"],
            "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}],
            "networks": {"front": None, "back": None},
        },
        "llm": {"expose": ["8000"], "networks": {"back": None}},
        "llm-small": {"networks": {"back": None}},
        "redis": {"networks": {"back": None}},
    },
}


def test_hops_are_found_in_ports_in_expose_and_in_what_others_are_told() -> None:
    assert find_hops(PROJECT).of == {"web": ("web", 80), "llm": ("llm", 8000), "redis": ("redis", 6379)}


def test_every_service_gets_the_label_and_who_is_told_of_a_hop_is_told_of_the_proxy() -> None:
    hops = find_hops(PROJECT)
    services = override_of(PROJECT, hops)["services"]
    assert {name: one["labels"] for name, one in services.items() if name != PROXY} == {
        name: {"reliability-harness.target": name} for name in ("web", "llm", "llm-small", "redis")
    }
    through = f"{PROXY}:{hops.through('llm')}"
    assert services["web"]["environment"] == {
        "LLM": f"http://{through}/v1",
        "CACHE": f"{PROXY}:{hops.through('redis')}",
    }
    assert services["web"]["command"] == ["serve", f"--fallback=http://{through}"]
    assert "environment" not in services["llm"]


def test_the_proxy_is_on_every_network_and_everything_is_published_on_loopback_alone() -> None:
    hops = find_hops(PROJECT)
    services = override_of(PROJECT, hops)["services"]
    assert services[PROXY]["networks"] == ["back", "front"]
    published = [port for one in services.values() for port in one.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert f"127.0.0.1:{API_PORT}:{API_PORT}" in published
    assert f"127.0.0.1:{hops.past('llm')}:8000" in services["llm"]["ports"]
    assert [one["upstream"] for one in proxies_of(hops)] == ["web:80", "llm:8000", "redis:6379"]


def test_two_ports_of_a_service_are_two_links() -> None:
    config = {"services": {"a": {"expose": ["1", "2"]}}}
    assert find_hops(config).of == {"a-1": ("a", 1), "a-2": ("a", 2)}


@pytest.mark.parametrize("text", ["http://xllm:8000", "llm:80000", "http://llm.example:8000", "my-llm:8000"])
def test_another_name_or_port_is_no_hop(text: str) -> None:
    assert find_hops({"services": {"llm": {}, "web": {"environment": {"X": text}}}}).of == {}


def test_both_ways_to_write_ports_and_environment_are_read() -> None:
    config = {
        "services": {
            "a": {"ports": ["127.0.0.1:${PORT:-1}:80", {"target": 81}, "82/udp", "90-91"]},
            "b": {"environment": ["A=http://a:80", "PASSED_ON"], "networks": ["n"]},
        }
    }
    hops = find_hops(config)
    assert hops.of == {"a-80": ("a", 80), "a-81": ("a", 81)}
    services = override_of(config, hops)["services"]
    assert services["b"]["environment"] == {"A": f"http://{PROXY}:{hops.through('a-80')}"}
    assert services[PROXY]["networks"] == ["default", "n"]
