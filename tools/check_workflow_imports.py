"""Checks that workflow modules import and call only what replays the same way everywhere.

    python tools/check_workflow_imports.py src/durable_ingest/temporal/workflows

Every Python file of the given files and folders is taken as workflow code. It is parsed, never
imported. Findings are printed as `path:line:col: rule: message`; the exit code is 0 without
findings, 1 with some, 2 when the command itself is wrong or finds no file.

Rules:
    import-outside      own and third-party code is imported inside
                        `with workflow.unsafe.imports_passed_through():`
    import-module       ... and by name: `from a.b import Name`, not `import a.b`
    import-submodule    ... and `Name` is no module: the sandbox would load a passed-through
                        package's submodule again, with other class objects
    import-star         ... and not `*`, which hides what is imported
    import-relative     ... and by its full name
    import-late         imports stand at the top of the module, not inside functions
    import-standard     of the standard library only modules whose results are the same on replay
    nondeterministic    no clock, randomness, environment, files or console
    asyncio-order       no `asyncio.wait` and `asyncio.as_completed`: they go through sets
    set-order           nothing is done in the order of a set, which differs between processes
    workflow-name       `@workflow.defn` states `name=`, so that renaming a class is harmless
    workflow-versioning `@workflow.defn` leaves `versioning_behavior=` to the deployment
    syntax              the file can be parsed

Names are followed within one module: imports, and names assigned or annotated as sets. What a
function of another module does is not seen; the replay tests are for that.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_names import SETS, bound, is_submodule, origins, sets_of

STANDARD = (
    *("__future__", "abc", "asyncio", "base64", "bisect", "collections", "contextlib", "copy"),
    *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq"),
    *("hmac", "itertools", "json", "math", "numbers", "operator", "re", "statistics", "string"),
    *("struct", "textwrap", "types", "typing", "unicodedata", "urllib.parse", "uuid", "zlib"),
)
"""Standard modules (with their submodules) that workflow code may import."""

SDK = {
    "temporalio": frozenset({"workflow"}),
    "temporalio.common": frozenset(),
    "temporalio.exceptions": frozenset(),
}
"""SDK modules that workflow code imports at its top, and which names of them; empty for any."""

PASSED_THROUGH = "temporalio.workflow.unsafe.imports_passed_through"
DEFINITION = "temporalio.workflow.defn"

FORBIDDEN = {
    "time": "use workflow.now(), workflow.time() or workflow.sleep()",
    "random": "use workflow.random()",
    "secrets": "use an activity, or workflow.random() where nothing is secret",
    "uuid.uuid1": "use workflow.uuid4()",
    "uuid.uuid4": "use workflow.uuid4()",
    "uuid.uuid6": "use workflow.uuid4()",
    "uuid.uuid7": "use workflow.uuid4()",
    "uuid.getnode": "use workflow.uuid4()",
    "datetime.datetime.now": "use workflow.now()",
    "datetime.datetime.utcnow": "use workflow.now()",
    "datetime.datetime.today": "use workflow.now()",
    "datetime.date.today": "use workflow.now().date()",
    "os": "use an activity, or a field of the workflow's input",
    "asyncio.to_thread": "use an activity",
    "asyncio.run": "await the coroutine",
    "asyncio.create_subprocess_exec": "use an activity",
    "asyncio.create_subprocess_shell": "use an activity",
    "asyncio.open_connection": "use an activity",
    "asyncio.start_server": "use an activity",
}
"""What workflow code may not refer to (a module stands for all in it), and what to do instead."""

FORBIDDEN_BUILTINS = {
    "open": "read and write files in an activity",
    "print": "use workflow.logger, which is silent on replay",
    "input": "wait for a signal or an update",
    "breakpoint": "remove it",
    "hash": "use hashlib: hash() of text differs between processes",
    "id": "compare with `is`: addresses differ between processes",
}

ASYNCIO_ORDER = {
    "asyncio.wait": "use workflow.wait(), which keeps the order",
    "asyncio.as_completed": "use workflow.as_completed(), which keeps the order",
}

SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)
ORDERED_BY = frozenset({"list", "tuple", "enumerate", "iter", "map", "filter", "zip", "dict"})
"""Builtins whose result has the order of what they are given."""
UNORDERED = frozenset({"sorted", "set", "frozenset", "any", "all", "len"})
"""Builtins whose result is the same in whatever order they get their items."""


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule at one place; `line` and `column` count from 1."""

    path: str
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        """As printed: `path:line:col: rule: message`."""
        return f"{self.path}:{self.line}:{self.column}: {self.rule}: {self.message}"


def check_source(source: str | bytes, path: Path) -> list[Finding]:
    """All findings in the text of one workflow module, in order of place.

    Args:
        source: Its text.
        path: Where it stands; own packages are looked up from there.
    """
    try:
        tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
        return [Finding(str(path), line, column, "syntax", f"cannot parse it: {error}; correct it")]
    checker = _Checker(path, tree)
    checker.visit(tree)
    return sorted(checker.findings)


class _Checker(ast.NodeVisitor):
    """Walks one module, knowing what its names stand for and where it is."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self.origins = origins(tree)
        self.bound = bound(tree)
        self.passed_through = False
        self.depth = 0
        self.sets = [sets_of(tree)]

    def report(self, node: ast.expr | ast.stmt, rule: str, message: str) -> None:
        place = str(self.path), node.lineno, node.col_offset + 1
        self.findings.append(Finding(*place, rule, message))

    def origin(self, node: ast.expr) -> str | None:
        """The full dotted name that an expression refers to, if it begins with an import."""
        if isinstance(node, ast.Name):
            return self.origins.get(node.id)
        if isinstance(node, ast.Attribute) and (base := self.origin(node.value)):
            return f"{base}.{node.attr}"
        return None

    def builtin(self, node: ast.expr) -> str | None:
        """The name of the builtin that an expression refers to, unless the module takes it over."""
        return node.id if isinstance(node, ast.Name) and node.id not in self.bound else None

    def visit_If(self, node: ast.If) -> None:
        """Leave out the imports that only type checkers see."""
        if self.origin(node.test) != "typing.TYPE_CHECKING":
            self.visit(node.test)
            for child in node.body:
                self.visit(child)
        for child in node.orelse:
            self.visit(child)

    def visit_With(self, node: ast.With) -> None:
        """Know when inside a passed-through block."""
        before = self.passed_through
        for item in node.items:
            self.visit(item)
            call = item.context_expr
            if isinstance(call, ast.Call) and self.origin(call.func) == PASSED_THROUGH:
                self.passed_through = True
        for child in node.body:
            self.visit(child)
        self.passed_through = before

    def visit_Import(self, node: ast.Import) -> None:
        """Check `import a.b`."""
        self.check_late(node)
        for alias in node.names:
            if not self.is_standard(node, alias.name):
                name = alias.name
                self.check_passed_through(node, name)
                fix = f"write `from {name} import ...` with the names that are used"
                self.report(node, "import-module", f"{name!r} is imported whole: {fix}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Check `from a.b import name`."""
        self.check_late(node)
        if node.level:
            relative = "." * node.level + (node.module or "")
            message = f"{relative!r} is relative: write the full name of the module"
            self.report(node, "import-relative", message)
            return
        module = node.module or ""
        names = [alias.name for alias in node.names]
        sdk = SDK.get(module)
        if sdk is not None and (not sdk or sdk.issuperset(names)):
            return
        if self.is_standard(node, module):
            return
        self.check_passed_through(node, module)
        for name in names:
            if name == "*":
                message = f"all of {module!r} is imported: write the names that are used"
                self.report(node, "import-star", message)
            elif is_submodule(module, name, self.path):
                fix = f"write `from {module}.{name} import ...` with the names that are used"
                message = f"{name!r} is a submodule of {module!r}: {fix}"
                self.report(node, "import-submodule", message)

    def check_late(self, node: ast.stmt) -> None:
        if self.depth:
            message = "an import runs while the workflow runs: move it to the top of the module"
            self.report(node, "import-late", message)

    def check_passed_through(self, node: ast.stmt, module: str) -> None:
        if not self.passed_through:
            fix = "move it into `with workflow.unsafe.imports_passed_through():`"
            self.report(node, "import-outside", f"{module!r} is loaded again for each run: {fix}")

    def is_standard(self, node: ast.stmt, module: str) -> bool:
        """Whether a module is of the standard library; reported when it is not allowed."""
        parts = module.split(".")
        if parts[0] not in sys.stdlib_module_names:
            return False
        if not any(".".join(parts[: n + 1]) in STANDARD for n in range(len(parts))):
            hint = FORBIDDEN.get(parts[0], "do this in an activity")
            message = f"{module!r} is not known to replay the same way: {hint}"
            self.report(node, "import-standard", message)
        return True

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Check a dotted reference as a whole."""
        if self.origin(node) is None:
            self.visit(node.value)
        else:
            self.check_reference(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Check a plain reference."""
        if isinstance(node.ctx, ast.Load):
            self.check_reference(node)

    def check_reference(self, node: ast.Attribute | ast.Name) -> None:
        name = self.origin(node)
        if name is None:
            return
        if hint := ASYNCIO_ORDER.get(name):
            self.report(node, "asyncio-order", f"{name} has the order of a set: {hint}")
        hint = FORBIDDEN.get(name) or FORBIDDEN.get(name.split(".")[0], "")
        if hint:
            self.report(node, "nondeterministic", f"{name} differs on replay: {hint}")

    def visit_Call(self, node: ast.Call) -> None:
        """Check builtins that reach outside or keep the order of what they are given."""
        name = self.builtin(node.func)
        if name in FORBIDDEN_BUILTINS:
            message = f"{name}() is not for workflow code: {FORBIDDEN_BUILTINS[name]}"
            self.report(node, "nondeterministic", message)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if name in ORDERED_BY or method in {"join", "fromkeys"}:
            for argument in node.args:
                self.check_order(argument)
        if isinstance(node.func, ast.Attribute) and method == "pop" and not node.args:
            self.check_order(node.func.value)
        if name in UNORDERED:
            # sorted(x for x in {...}): the order of the items has no effect
            for argument in node.args:
                if isinstance(argument, ast.GeneratorExp):
                    self.visit_unordered(argument)
                else:
                    self.visit(argument)
            for keyword in node.keywords:
                self.visit(keyword)
        else:
            self.generic_visit(node)

    def check_order(self, node: ast.expr) -> None:
        if self.is_set(node):
            message = (
                f"`{ast.unparse(node)}` has no order: write sorted(...), or keep a list or dict"
            )
            self.report(node, "set-order", message)

    def is_set(self, node: ast.expr) -> bool:
        """Whether an expression is a set as far as this module shows."""
        if isinstance(node, ast.Set | ast.SetComp):
            return True
        if isinstance(node, ast.Name | ast.Attribute):
            name = ast.unparse(node)
            return next((scope[name] for scope in reversed(self.sets) if name in scope), False)
        if isinstance(node, ast.BinOp) and isinstance(node.op, SET_OPERATORS):
            return self.is_set(node.left) or self.is_set(node.right)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in SET_METHODS:
                return self.is_set(node.func.value)
            return self.builtin(node.func) in SETS
        return False

    def visit_For(self, node: ast.For) -> None:
        """Check what a loop runs over."""
        self.check_order(node.iter)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        """Check what is spread, as in `asyncio.gather(*tasks)`."""
        if isinstance(node.ctx, ast.Load):
            self.check_order(node.value)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Check what a comprehension runs over."""
        self.check_order(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        """Leave out a set made of a set: no order comes in."""
        self.visit_unordered(node)

    def visit_unordered(self, node: ast.SetComp | ast.GeneratorExp) -> None:
        self.visit(node.elt)
        for generator in node.generators:
            self.generic_visit(generator)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Check `@workflow.defn`."""
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if self.origin(call.func if call else decorator) == DEFINITION:
                self.check_definition(decorator, {k.arg for k in call.keywords} if call else set())
        self.enter(node)

    def check_definition(self, node: ast.expr, stated: set[str | None]) -> None:
        if not stated & {"name", "dynamic"}:
            message = "the type's name is the class's: state name= from temporal/names.py"
            self.report(node, "workflow-name", message)
        if "versioning_behavior" in stated:
            message = "the server refuses it from unversioned workers: state it per deployment"
            self.report(node, "workflow-versioning", message)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Know when inside a function."""
        self.enter(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Know when inside a function."""
        self.enter(node)

    def enter(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.depth += 1
        self.sets.append(sets_of(node))
        self.generic_visit(node)
        self.sets.pop()
        self.depth -= 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the files below the given paths, print findings, return the exit code."""
    parser = argparse.ArgumentParser(description="Check that workflow modules replay everywhere.")
    parser.add_argument("paths", nargs="+", type=Path, help="folders or files of workflow code")
    files: list[Path] = []
    for path in parser.parse_args(arguments).paths:
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        if not found or not all(file.is_file() and file.suffix == ".py" for file in found):
            parser.error(f"no Python file at {str(path)!r}: name a folder or file of workflow code")
        files += found
    findings = [finding for file in files for finding in check_source(file.read_bytes(), file)]
    for finding in findings:
        print(finding)
    if not findings:
        print(f"nothing found; files of workflow code: {len(files)}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
