"""`docs/parity.md` and the tests agree: each row is proven by tests that exist, each id is a row.

Files are read and parsed, never imported, so that this runs without the packages they need.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "parity.md"

# How many rows of each kind there are. Frozen: a promise is never dropped by leaving its row out.
FROZEN = {
    "S0-": 40,
    "S0-D": 8,
    "S1-": 18,
    "S1-D": 6,
    "S2-": 43,
    "S2-D": 11,
    "S3-": 11,
    "S4-": 15,
    "S4-D": 1,
}
FROZEN_IDS = frozenset(f"{kind}{n:02}" for kind, last in FROZEN.items() for n in range(1, last + 1))

OPEN = "open"
CELLS = 4
QUOTED = re.compile(r"`([^`]+)`")
ID = re.compile(r"S\d-D?\d{2}")
ID_IN_FUNCTION = re.compile(r"(?:^|_)s(\d)_?(d?)(\d{2})(?=_|$)")
ID_IN_CLASS = re.compile(r"S(\d)_?(D?)(\d{2})(?!\d)")
MARKER = re.compile(r"\bparity:(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One line of a table; `modules` and `tests` are the cells as written."""

    line: int
    id: str
    promise: str
    modules: str
    tests: str


def read_rows(page: str) -> tuple[list[Row], list[str]]:
    """The rows of all tables, and what is wrong with lines that are no rows."""
    rows, faults = [], []
    for number, line in enumerate(page.splitlines(), start=1):
        if not line.startswith("|") or line.startswith(("| id |", "|---")):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != CELLS:
            faults.append(f"line {number}: {len(cells)} cells, not {CELLS}; write a pipe as \\|")
            continue
        rows.append(Row(number, *cells))
        if not cells[1]:
            faults.append(f"line {number}: {cells[0]} promises nothing")
    return rows, faults


def page_faults(page: str, root: Path, ids: Iterable[str]) -> list[str]:
    """All that is untrue of a parity page, given the repository it speaks of.

    Args:
        page: Its text.
        root: The repository's root, in which modules and tests are looked up.
        ids: The ids that must be there once each.
    """
    rows, faults = read_rows(page)
    wanted, counts = set(ids), Counter(row.id for row in rows)
    faults += [f"{name}: listed {n} times, keep one row" for name, n in counts.items() if n > 1]
    faults += [f"{name}: no row; rows are never dropped" for name in sorted(wanted - set(counts))]
    faults += [f"{name}: no such id in the frozen list" for name in sorted(set(counts) - wanted)]
    for row in rows:
        faults += [f"line {row.line}: {row.id}: {fault}" for fault in row_faults(row, root)]
    return faults


def row_faults(row: Row, root: Path) -> Iterator[str]:
    """What is untrue of one row."""
    if OPEN in (row.modules, row.tests):
        if row.modules != row.tests:
            yield "module and tests are delivered together, or both are `open` without quotes"
        return
    for cell, exists, what in (
        (row.modules, module_exists, "module"),
        (row.tests, is_test, "test"),
    ):
        names = QUOTED.findall(cell)
        if not names or QUOTED.sub("", cell).replace(",", "").strip():
            yield f"cannot read {what} cell {cell!r}: write names in backticks, commas between"
        for name in names:
            if not exists(name, root):
                yield f"{what} {name!r} does not exist: correct the row or set it back to open"


def module_exists(name: str, root: Path) -> bool:
    """Whether a dotted module of `src` or a path from the root is there."""
    if (root / name).exists():
        return True
    place = root / "src" / Path(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def is_test(node_id: str, root: Path) -> bool:
    """Whether pytest would collect a test of this node id (without parameters)."""
    path, *names = node_id.split("::")
    name = Path(path).name
    if not (path.startswith("tests/") and name.startswith("test_") and name.endswith(".py")):
        return False
    if not names or not (root / path).is_file():
        return False
    return _defines(_parse(root / path).body, names, root)


def _defines(body: list[ast.stmt], names: list[str], root: Path) -> bool:
    head, *rest = names
    if not rest:
        return head.startswith("test") and any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == head
            for node in body
        )
    if not head.startswith("Test"):
        return False
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == head:
            return _class_defines(node, rest, body, root)
        # `TestStore = StoreMachine.TestCase`: how Hypothesis hands out a stateful test
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == head:
            return ast.unparse(node.value).endswith(".TestCase") and rest == ["runTest"]
    return False


def _class_defines(
    node: ast.ClassDef, names: list[str], neighbours: list[ast.stmt], root: Path
) -> bool:
    if _defines(node.body, names, root):
        return True
    for base in node.bases:
        name = ast.unparse(base).rpartition(".")[2].partition("[")[0]
        for body in (neighbours, *_conformance(root)):
            for other in body:
                if (
                    isinstance(other, ast.ClassDef)
                    and other.name == name
                    and other is not node
                    and _class_defines(other, names, body, root)
                ):
                    return True
    return False


@cache
def _conformance(root: Path) -> tuple[list[ast.stmt], ...]:
    """The modules whose contract suites test classes inherit."""
    folder = root / "src" / "durable_ingest" / "conformance"
    return tuple(_parse(path).body for path in sorted(folder.rglob("*.py")))


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def ids_named_in(source: str) -> Iterator[tuple[int, str]]:
    """Line and id of each row that a test file names, by test names, comments and docstrings.

    A marker that holds something else than ids yields that as it stands: it is no row either.
    """
    tree = ast.parse(source)
    notes: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = ID_IN_FUNCTION.findall(node.name) if node.name.startswith("test") else []
        elif isinstance(node, ast.ClassDef):
            found = ID_IN_CLASS.findall(node.name) if node.name.startswith("Test") else []
        elif isinstance(node, ast.Module):
            found = []
        else:
            continue
        line = getattr(node, "lineno", 1)
        yield from ((line, f"S{system}-{d.upper()}{number}") for system, d, number in found)
        notes += [(line, text) for text in (ast.get_docstring(node) or "").splitlines()]
    if MARKER.search(source):  # tokenising is slow, and most files hold no marker
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        notes += [
            (token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT
        ]
    for line, text in notes:
        if marker := MARKER.search(text):
            named = marker[1].replace(",", " ").rstrip(" .").split() or ["(nothing)"]
            yield from ((line, name) for name in named)


def test_every_row_is_proven_by_tests_that_exist_or_is_open() -> None:
    faults = page_faults(PAGE.read_text("utf-8"), ROOT, FROZEN_IDS)
    assert not faults, "\n".join(faults)


def test_every_id_that_a_test_names_is_a_row() -> None:
    rows = {row.id for row in read_rows(PAGE.read_text("utf-8"))[0]}
    unknown = [
        f"{path.relative_to(ROOT)}:{line}: {name!r} is no row of docs/parity.md"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, name in ids_named_in(path.read_text("utf-8"))
        if name not in rows
    ]
    assert not unknown, "\n".join(unknown)


def test_frozen_ids_are_well_formed_and_complete() -> None:
    assert sum(FROZEN.values()) == len(FROZEN_IDS) == 153
    assert all(ID.fullmatch(name) for name in FROZEN_IDS)


# --- the checks themselves ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one module, one contract suite and one test file."""
    root = tmp_path_factory.mktemp("repository")
    files = {
        "src/durable_ingest/__init__.py": "",
        "src/durable_ingest/ids.py": "",
        "src/durable_ingest/conformance/store.py": (
            "class Durable:\n    def test_survives(self): ...\n"
            "class StoreContract(Durable):\n    def test_commits_once(self): ...\n"
        ),
        "docs/running.md": "",
        "noxfile.py": "",
        "tests/unit/test_ids.py": (
            "from durable_ingest.conformance.store import StoreContract\n"
            "def test_sync(): ...\nasync def test_async(): ...\ndef helper(): ...\n"
            "class TestStore(StoreContract):\n    def test_own(self): ...\n"
            "TestMachine = Machine.TestCase\n"
        ),
        "tests/unit/cases.py": "def test_uncollected(): ...\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


@dataclass(frozen=True)
class PageCase:
    name: str
    rows: str
    fault: str | None


def good(
    modules: str = "`durable_ingest.ids`", tests: str = "`tests/unit/test_ids.py::test_sync`"
) -> str:
    return f"| S0-01 | a promise | {modules} | {tests} |"


def proven_by(*names: str) -> str:
    return good(tests=", ".join(f"`tests/unit/{name}`" for name in names))


PAGES = [
    PageCase("open", "| S0-01 | a promise | open | open |", None),
    PageCase("delivered", good(), None),
    PageCase("package", good(modules="`durable_ingest`"), None),
    PageCase("paths", good(modules="`docs/running.md`, `noxfile.py`"), None),
    PageCase("async-test", proven_by("test_ids.py::test_async", "test_ids.py::test_sync"), None),
    PageCase("method", proven_by("test_ids.py::TestStore::test_own"), None),
    PageCase("inherited", proven_by("test_ids.py::TestStore::test_commits_once"), None),
    PageCase("inherited-twice", proven_by("test_ids.py::TestStore::test_survives"), None),
    PageCase("stateful", proven_by("test_ids.py::TestMachine::runTest"), None),
    PageCase("escaped-pipe", "| S0-01 | this \\| that | open | open |", None),
    PageCase(
        "no-such-test",
        proven_by("test_ids.py::test_gone"),
        "'tests/unit/test_ids.py::test_gone' does not",
    ),
    PageCase("no-such-method", proven_by("test_ids.py::TestStore::test_gone"), "does not exist"),
    PageCase("no-such-class", proven_by("test_ids.py::TestGone::test_own"), "does not exist"),
    PageCase("no-such-file", proven_by("test_gone.py::test_sync"), "does not exist"),
    PageCase("whole-file", proven_by("test_ids.py"), "does not exist"),
    PageCase("parameters", proven_by("test_ids.py::test_sync[case]"), "does not exist"),
    PageCase("no-test-function", proven_by("test_ids.py::helper"), "does not exist"),
    PageCase("file-not-collected", proven_by("cases.py::test_uncollected"), "does not exist"),
    PageCase(
        "no-such-module",
        good(modules="`durable_ingest.gone`"),
        "module 'durable_ingest.gone' does not",
    ),
    PageCase("no-such-path", good(modules="`docs/gone.md`"), "module 'docs/gone.md' does not"),
    PageCase("test-without-module", good(modules="open"), "delivered together"),
    PageCase("module-without-test", good(tests="open"), "delivered together"),
    PageCase("no-backticks", good(modules="durable_ingest.ids"), "cannot read module cell"),
    PageCase("empty-cell", good(tests=""), "cannot read test cell"),
    PageCase("empty-promise", "| S0-01 |  | open | open |", "promises nothing"),
    PageCase("cells", "| S0-01 | a | b | open | open |", "5 cells"),
    PageCase("twice", f"{good()}\n{good()}", "S0-01: listed 2 times"),
    PageCase("missing", "", "S0-01: no row"),
    PageCase("unknown", f"{good()}\n| S0-99 | a promise | open | open |", "S0-99: no such id"),
]


@pytest.mark.parametrize("case", PAGES, ids=lambda case: case.name)
def test_a_page_is_faulted_for_what_is_untrue_and_nothing_else(
    case: PageCase, small_root: Path
) -> None:
    page = f"# Title\n\n| id | promise | module | tests |\n|---|---|---|---|\n{case.rows}\n"
    faults = page_faults(page, small_root, ["S0-01"])
    assert (case.fault is not None) == bool(faults), faults
    assert case.fault is None or any(case.fault in fault for fault in faults), faults


@dataclass(frozen=True)
class NamedCase:
    name: str
    source: str
    expected: tuple[tuple[int, str], ...]


NAMED = [
    NamedCase("nothing", "def test_sizes_of_512_tokens(): ...", ()),
    NamedCase("function", "def test_s0_d03_a_retry_adds_nothing(): ...", ((1, "S0-D03"),)),
    NamedCase("function-short", "async def test_rows_s2_07(): ...", ((1, "S2-07"),)),
    NamedCase("class", "class TestS1D02Stops:\n    def test_it(self): ...", ((1, "S1-D02"),)),
    NamedCase("helper", "def load_s0_07(): ...", ()),
    NamedCase("comment", "x = 1  # parity: S0-07, S0-08", ((1, "S0-07"), (1, "S0-08"))),
    NamedCase(
        "docstring", 'def test_a():\n    """Why.\n\n    Parity: S3-01.\n    """', ((1, "S3-01"),)
    ),
    NamedCase("module", '"""What. parity: S4-D01"""', ((1, "S4-D01"),)),
    NamedCase("string", 'TEXT = "# parity: S0-07"', ()),
    NamedCase("malformed", "# parity: S07", ((1, "S07"),)),
    NamedCase("empty", "# parity:", ((1, "(nothing)"),)),
]


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.name)
def test_ids_are_found_in_names_comments_and_docstrings(case: NamedCase) -> None:
    assert case.expected == tuple(ids_named_in(case.source))
