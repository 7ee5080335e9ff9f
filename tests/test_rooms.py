"""The rooms of design.md: imports go one way, and only edge modules touch the outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "preprocess": {"preprocess"},
    "jaxmask": {"jaxmask", "preprocess"},
    "launch": {"launch", "jaxmask", "preprocess"},
}
OUTSIDE = {
    "distributed", "grain", "h5py", "logging", "multiprocessing", "netCDF4", "orbax", "os", "pandas", "shutil",
    "signal", "socket", "subprocess", "sys", "tables", "tempfile", "threading", "time", "tqdm", "tyro", "zipfile",
}  # fmt: skip
LINES_A_FILE = 250
LINES_A_FUNCTION = 60


def modules() -> list[Path]:
    return sorted(path for room in ALLOWED for path in (ROOT / room).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_edge(tree: ast.Module) -> bool:
    return (ast.get_docstring(tree) or "").startswith("Edge:")


def edge_names() -> set[str]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules()
        if is_edge(ast.parse(path.read_text()))
    }


@pytest.mark.quick
@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_keeps_to_its_room(path: Path) -> None:
    tree = ast.parse(path.read_text())
    room = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imports(tree)} & set(ALLOWED)
    assert ours <= ALLOWED[room], f"{path} imports {ours - ALLOWED[room]}"
    tops = {name.split(".")[0] for name in imports(tree)}
    if room == "preprocess":
        assert not tops & {"jax", "flax", "optax", "orbax", "grain"}
    if is_edge(tree):
        return
    assert not tops & OUTSIDE, f"{path} is not an edge module but imports {sorted(tops & OUTSIDE)}"
    outside = set(imports(tree)) & edge_names()
    assert not outside, f"{path} is not an edge module but imports {outside}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_documented_and_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(tree), f"{path} has no docstring"
    assert len(text.splitlines()) <= LINES_A_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
            assert length <= LINES_A_FUNCTION, f"{path}: {node.name} has {length} lines"


def test_no_module_asserts_on_input() -> None:
    guilty = [
        str(path)
        for path in modules()
        if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text())))
    ]
    assert not guilty
