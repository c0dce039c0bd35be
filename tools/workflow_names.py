"""What the names of one module stand for, found by parsing: imports, sets, submodules on disk."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

MODULES = frozenset({".py", ".so", ".pyd"})
"""File name endings of modules."""

SETS = frozenset({"set", "frozenset"})
"""Builtins that make sets."""

SET_TYPES = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
"""Last names of annotations that mean a set."""

Scope: TypeAlias = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
"""What binds names of its own."""


def origins(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, wherever in the module it is imported."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
                else:
                    found[alias.name.split(".")[0]] = alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def bound(tree: ast.Module) -> frozenset[str]:
    """Every name that the module binds itself, in whatever scope."""
    names = set(origins(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


def sets_of(scope: Scope) -> dict[str, bool]:
    """Names that a scope binds, and whether they are sets wherever it binds them.

    A class binds `self.x`, in its body as a field and in its methods by assignment.
    """
    found: dict[str, bool] = {}
    nodes = ast.walk(scope) if isinstance(scope, ast.ClassDef) else _own_nodes(scope)
    fields = scope.body if isinstance(scope, ast.ClassDef) else ()
    for node in nodes:
        for name, is_set in _bindings(node):
            full = f"self.{name}" if node in fields else name
            if full.startswith("self.") == isinstance(scope, ast.ClassDef):
                found[full] = found.get(full, True) and is_set
    return found


def _bindings(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Names that one statement, argument or loop binds, and whether to a set."""
    if isinstance(node, ast.Assign):
        yield from ((ast.unparse(target), _is_set_made(node.value)) for target in node.targets)
    elif isinstance(node, ast.AnnAssign):
        yield ast.unparse(node.target), _is_set_type(node.annotation)
    elif isinstance(node, ast.arg):
        yield node.arg, node.annotation is not None and _is_set_type(node.annotation)
    elif isinstance(node, ast.For | ast.comprehension):
        yield ast.unparse(node.target), False


def _own_nodes(scope: Scope) -> Iterator[ast.AST]:
    """All nodes of a scope that do not belong to a scope inside it."""
    waiting: list[ast.AST] = list(scope.body)
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        waiting.append(scope.args)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))


def _is_set_made(node: ast.expr) -> bool:
    made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SETS
    return made or isinstance(node, ast.Set | ast.SetComp)


def _is_set_type(annotation: ast.expr) -> bool:
    named = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return ast.unparse(named).rpartition(".")[2] in SET_TYPES


def is_submodule(module: str, name: str, path: Path) -> bool:
    """Whether `from module import name` gives a module, going by the files on disk.

    A package that can be found neither around `path` nor in this environment cannot be judged.
    """
    for folder in _package_folders(module, path):
        entries = (entry for entry in folder.iterdir() if entry.is_dir() or entry.suffix in MODULES)
        if name in {entry.name.split(".")[0] for entry in entries}:
            return not _rebinds(folder / "__init__.py", module, name)
    return False


def _package_folders(module: str, path: Path) -> Iterator[Path]:
    top, *rest = module.split(".")
    roots = [parent / top for parent in path.resolve().parents]
    try:
        spec = importlib.util.find_spec(top)  # of a top-level name: imports nothing
    except (ImportError, ValueError):
        spec = None
    roots += [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    for root in roots:
        if (folder := root.joinpath(*rest)).is_dir():
            yield folder


def _rebinds(init: Path, package: str, name: str) -> bool:
    """Whether a package's `__init__` gives the name of a submodule to something else."""
    if not init.is_file():
        return False
    for node in ast.parse(init.read_bytes()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [ast.unparse(target) for target in node.targets]
        elif isinstance(node, ast.ImportFrom) and node.module not in {None, package}:
            names = [alias.asname or alias.name for alias in node.names]
        else:
            continue
        if name in names:
            return True
    return False
