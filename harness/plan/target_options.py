"""What is wrong with the options of a scenario's target, as far as the stack knows which there are. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from harness.model.scenario import Scenario
from harness.model.target import SWITCH, Option, TargetOptions, switched
from harness.plan.validation import suggest

__all__ = ["option_problems", "target_path"]

Problem = tuple[str, str]  # the key, and a sentence
WEIGHED = ("weighted", "least-connections")  # strategies that look at weights
WEIGHT_MAX = 1000
OF_THE_BALANCER = ("weight", "backup", "register")


def option_problems(
    scenario: Scenario,
    replicas: Sequence[str],
    known: Mapping[str, Collection[str]],
    environment: Mapping[str, str],
) -> Iterator[Problem]:
    """(path of the key, problem) of each. `known`: options of `gateway` and `replica`; none: whatever they take."""
    target, top = scenario.target, target_path(scenario)
    yield from _of_gateway(target, f"{top}.gateway", known.get("gateway", ()))
    blocks = {f"{top}.replica": target.replica} if target.replica else {}
    for name, single in target.each.items():
        if name in replicas:
            blocks[f"{top}.each.{name}"] = single
        else:
            yield f"{top}.each.{name}", f"there is no such replica{suggest(name, replicas)}"
    for path, single in blocks.items():
        yield from _unknown(single, path, known.get("replica", ()))
        yield from _wrong(single, path)
    for name in replicas:
        yield from _of_one(target, name, replicas, (top, environment))


def target_path(scenario: Scenario) -> str:
    """Where the file says what the target is: of a half with a target of its own, there."""
    own = f"expect.{scenario.half}.target"
    return own if scenario.half and own in scenario.lines else "target"


def _of_gateway(target: TargetOptions, path: str, known: Collection[str]) -> Iterator[Problem]:
    yield from _unknown(target.gateway, path, known)
    if not _is_switch(target.gateway.get("api_keys", False)):
        yield f"{path}.api_keys", "must be on or off; the stack makes a key of the run's own"


def _unknown(single: Mapping[str, Option], path: str, known: Collection[str]) -> Iterator[Problem]:
    for name in single:
        if known and name not in known:
            near = suggest(name, known)
            yield f"{path}.{name}", f"there is no such option{near if 'did you mean' in near else ''}"


def _wrong(single: Mapping[str, Option], path: str) -> Iterator[Problem]:
    weight = single.get("weight", 1)
    if not isinstance(weight, int) or isinstance(weight, bool) or not 1 <= weight <= WEIGHT_MAX:
        yield f"{path}.weight", f"must be a whole number from 1 to {WEIGHT_MAX}"
    for name in ("backup", "register"):
        if not _is_switch(single.get(name, False)):
            yield f"{path}.{name}", "must be on or off"


def _is_switch(value: Option) -> bool:
    return isinstance(value, bool | str) and value in SWITCH  # 1 is True, too


def _of_one(
    target: TargetOptions, name: str, replicas: Sequence[str], where: tuple[str, Mapping[str, str]]
) -> Iterator[Problem]:
    """What is wrong only for that replica, or only together with something else."""
    top, environment = where
    single = target.of_replica(name)

    def at(option: str) -> str:
        return f"{top}.each.{name}.{option}" if option in target.each.get(name, {}) else f"{top}.replica.{option}"

    follow = single.get("follow", "off")
    others = [one for one in replicas if one != name]
    if follow not in (False, "off", *others) and not str(follow).startswith(("http://", "https://")):
        yield at("follow"), f"{name} can follow {' or '.join(others)}, or be off, not {follow!r}"
    if target.balancer == "haproxy":
        for option in OF_THE_BALANCER:
            if option in single and single[option] not in (False, "off"):
                yield at(option), "HAProxy's own configuration says whom it serves from"
    elif switched(single.get("register")) and ("weight" in single or switched(single.get("backup"))):
        marked = "weight" if "weight" in single else "backup"
        yield at(marked), f"{name} registers itself with the gateway, and does so without a {marked}"
    elif "weight" in single:
        strategy = target.gateway.get("strategy", environment.get("TARGET_GATEWAY_STRATEGY", "active-standby"))
        if strategy not in WEIGHED:
            yield (
                at("weight"),
                f"nobody looks at it: say strategy: {' or '.join(WEIGHED)} of the gateway, not {strategy}",
            )
