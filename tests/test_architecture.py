"""The shape of the code, held by a test: who imports whom, where the heavy dependencies live, how long things get."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "harness").rglob("*.py"), *(ROOT / "target_service").rglob("*.py")])
THINKING = {"analysis", "render", "soak"}
DOING = {"stack", "load", "faults", "probes", "experiment"}
EVERYTHING = {"archive", "campaign", "watch", "export", "log_evidence", "session", "testing"}
EVERYTHING |= {"scenario_files", "doctor", "interrupts", "cli", "pytest_plugin", "unattended"}

MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "toxics": set(),
    "plan": {"model"},
    "record": {"model"},
    "analysis": {"model"},
    "render": {"model"},
    "soak": {"model", "plan", "record", "analysis"},
    "store": {"model", "record"},
    "monitor": {"model"},
    "stack": {"model", "record", "monitor"},
    "load": {"model", "plan", "record", "stack"},
    "faults": {"model", "record", "stack"},
    "probes": {"model", "record", "stack"},
    "recover": {"model", "record", "store", "stack", "faults"},
    "guard": {"model", "record", "store", "stack", "faults", "recover"},
    "kept_stack": {"model", "record", "stack", "store", "guard"},
    "experiment": {"model", "plan", "record", "stack", "load", "faults", "probes", "guard"},
}

STACKS: dict[str, set[str]] = {
    "supervision": set(),
    "reference": {"supervision"},
    "containers": {"reference"},
    "local": {"reference", "supervision"},
    "compose": {"reference", "containers"},
    "remote": {"reference", "containers", "compose"},
    "external": {"reference", "containers"},
    "fake": {"supervision"},
}

HOMES: dict[str, tuple[str, ...]] = {
    "locust": ("harness/load/",),
    "gevent": ("harness/load/",),
    "geventhttpclient": ("harness/load/",),
    "pandas": ("harness/analysis/", "harness/soak/", "harness/store/requests.py"),
    "scipy": ("harness/analysis/", "harness/soak/"),
    "numba": ("harness/soak/simulator/",),
    "ruptures": ("harness/soak/",),
    "sklearn": ("harness/analysis/",),
    "matplotlib": ("harness/render/",),
    "jinja2": ("harness/render/",),
    "pyarrow": ("harness/store/",),
    "pydantic": ("harness/plan/", "harness/store/", "harness/soak/parse.py"),
    "pydantic_core": ("harness/plan/",),
    "yaml": ("harness/plan/",),
    "click": ("harness/cli/",),
    "rich": ("harness/cli/",),
    "docker": ("harness/stack/",),
    "requests": ("harness/stack/", "harness/monitor/"),
    "prometheus_api_client": ("harness/monitor/",),
    "torch": ("target_service/",),
    "toxiproxy": ("harness/stack/",),
    "huggingface_hub": ("target_service/model/",),
    "transformers": ("target_service/",),
    "tokenizers": ("target_service/",),
    "safetensors": ("target_service/",),
    "supervisor": (),
}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> tuple[str, ...]:
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or later."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


def part_of(module: str) -> str:
    """`harness.plan.parse` -> `plan`."""
    return [*module.split("."), ""][1]


def name_of(path: Path) -> str:
    """The module that a file is."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_a_part_imports_only_what_the_table_allows(path: Path) -> None:
    if path.parts[-2:] == ("harness", "__init__.py") or not shown(path).startswith("harness/"):
        return
    part = part_of(name_of(path))
    if part in EVERYTHING:
        return
    found = {part_of(module) for module in imported(path) if module.startswith("harness.")}
    assert found - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", [path for path in SOURCES if "harness/stack/" in str(path)], ids=shown)
def test_what_is_below_in_the_stacks_knows_nothing_of_what_is_above(path: Path) -> None:
    inner = [module.split(".")[2] for module in imported(path) if module.startswith("harness.stack.")]
    part = path.relative_to(ROOT / "harness" / "stack").parts[0]
    assert {name for name in inner if name in STACKS} - {part} <= STACKS.get(part, set())


def test_harness_and_target_never_import_each_other() -> None:
    for path in SOURCES:
        other = "target_service" if shown(path).startswith("harness/") else "harness"
        assert not [module for module in imported(path) if module.split(".")[0] == other], path


def test_the_doing_half_and_the_thinking_half_never_import_each_other() -> None:
    for path in SOURCES:
        halves = [half for half in (DOING, THINKING) if part_of(name_of(path)) in half]
        for half in halves:
            other = THINKING if half is DOING else DOING
            assert not {part_of(m) for m in imported(path) if m.startswith("harness.")} & other, path


def test_the_model_needs_the_standard_library_only() -> None:
    import sys

    for path in (ROOT / "harness" / "model").glob("*.py"):
        roots = {module.split(".")[0] for module in imported(path)}
        assert roots - set(sys.stdlib_module_names) <= {"harness", "annotated_types"}, path


@pytest.mark.parametrize("dependency", HOMES)
def test_a_heavy_dependency_has_one_home(dependency: str) -> None:
    users = {shown(path) for path in SOURCES if dependency in {module.split(".")[0] for module in imported(path)}}
    strangers = {user for user in users if not user.startswith(HOMES[dependency] or ("nowhere",))}
    assert not strangers


def test_the_load_generators_dependencies_stay_in_its_child() -> None:
    heavy = {"locust", "gevent", "geventhttpclient"}
    users = {path for path in SOURCES if heavy & {module.split(".")[0] for module in imported(path)}}
    names = {name_of(path) for path in users}
    for path in SOURCES:
        if path not in users and not shown(path).startswith("harness/load/"):
            assert not names & set(imported(path)), path


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_files_and_functions_stay_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 50, f"{path}: {node.name}"


def public_names(tree: ast.Module) -> set[str]:
    """What `__all__` lists."""
    lists = [n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
    return set(ast.literal_eval(lists[0])) if lists else set()


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_everything_public_at_the_top_of_a_file_has_a_docstring(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name in public_names(tree):
            assert ast.get_docstring(node), f"{path}: {node.name}"


def test_the_harness_alone_does_not_need_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [need for need in project["dependencies"] if need.startswith(("torch", "transformers"))]
    assert "torch==2.13.0" in project["optional-dependencies"]["target"]
