"""The check of workflow modules finds what breaks replay, and leaves correct code alone."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "check_workflow_imports.py"


@pytest.fixture(scope="module")
def tool() -> Any:
    """The tool as a module; `tools` is no package, so it is found as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOL.parent))
        return importlib.import_module(TOOL.stem)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a workflow module of the package `shop` would stand."""
    source = tmp_path_factory.mktemp("src")
    files = {
        "shop/__init__.py": "from shop.orders import orders as orders\nfrom shop import prices\n",
        "shop/orders.py": "",
        "shop/prices.py": "",
        "shop/stock/__init__.py": "",
        "shop/stock/rooms.py": "",
        "shop/bare/rooms.py": "",
        "shop/workflows/__init__.py": "",
    }
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, "utf-8")
    return source / "shop" / "workflows" / "order.py"


@dataclass(frozen=True)
class Case:
    """A module and the `line:rule` of each finding in it."""

    name: str
    source: str
    expected: tuple[str, ...] = ()


HEAD = "from temporalio import workflow\n"
BLOCK = HEAD + "with workflow.unsafe.imports_passed_through():\n"

GOOD_MODULE = '''"""A workflow."""
import asyncio
import collections.abc
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel
    from shop import orders, Order
    from shop.stock.rooms import Room

if TYPE_CHECKING:
    import httpx


@workflow.defn(name="Order")
class OrderWorkflow:
    def __init__(self) -> None:
        self._seen: set[str] = set()

    @workflow.run
    async def run(self, names: list[str], until: datetime) -> list[str]:
        started = workflow.now(), workflow.time(), workflow.uuid4(), workflow.random().random()
        await asyncio.sleep(1)
        await asyncio.gather(*(self.pack(name) for name in names))
        await workflow.wait([asyncio.create_task(self.pack(name)) for name in names])
        unique = {name for name in set(names)}
        unique = sorted(unique)
        for name in unique:
            self._seen.add(name)
        for name in sorted(self._seen | {"more"}):
            workflow.logger.info(name)
        if any(name for name in self._seen) and "x" in self._seen and len(self._seen) > 1:
            return sorted(name.upper() for name in self._seen)
        return [self.open(name) for name in dict.fromkeys(names)]
'''

CASES = [
    Case("good", GOOD_MODULE),
    Case("empty", ""),
    Case("syntax", "def broken(:", ("1:syntax",)),
    Case("own-outside", "from shop.orders import Order", ("1:import-outside",)),
    Case("third-party-outside", "from pydantic import BaseModel", ("1:import-outside",)),
    Case("sdk-outside", "from temporalio.client import Client", ("1:import-outside",)),
    Case(
        "sdk-other-name",
        "from temporalio import workflow, activity",
        ("1:import-outside", "1:import-submodule", "1:import-submodule"),
    ),
    Case(
        "other-block",
        HEAD + "with other():\n    from shop.orders import Order",
        ("3:import-outside",),
    ),
    Case(
        "after-block", BLOCK + "    from shop import A\nfrom shop import B", ("4:import-outside",)
    ),
    Case("whole", BLOCK + "    import shop.orders", ("3:import-module",)),
    Case("whole-as", BLOCK + "    import pydantic as p", ("3:import-module",)),
    Case("whole-outside", "import shop", ("1:import-module", "1:import-outside")),
    Case("submodule", BLOCK + "    from shop import prices", ("3:import-submodule",)),
    Case("submodule-package", BLOCK + "    from shop import stock", ("3:import-submodule",)),
    Case("submodule-deep", BLOCK + "    from shop.stock import rooms", ("3:import-submodule",)),
    Case("submodule-bare", BLOCK + "    from shop.bare import rooms", ("3:import-submodule",)),
    Case("submodule-installed", BLOCK + "    from pydantic import types", ("3:import-submodule",)),
    Case("no-submodule-but-rebound", BLOCK + "    from shop import orders"),
    Case("name-that-differs-in-case", BLOCK + "    from shop import Prices"),
    Case("not-installed", BLOCK + "    from nowhere_to_be_found import thing"),
    Case("star", BLOCK + "    from shop.orders import *", ("3:import-star",)),
    Case("relative", BLOCK + "    from .other import Thing", ("3:import-relative",)),
    Case("relative-package", BLOCK + "    from . import other", ("3:import-relative",)),
    Case(
        "late",
        HEAD + "def f():\n    with workflow.unsafe.imports_passed_through():\n"
        "        from shop.orders import Order",
        ("4:import-late",),
    ),
    Case("late-standard", "def f():\n    import json", ("2:import-late",)),
    Case(
        "alias-of-workflow",
        "from temporalio import workflow as w\n"
        "with w.unsafe.imports_passed_through():\n    from shop.orders import Order",
    ),
    Case("standard", "import json, re, hashlib\nfrom collections.abc import Iterator"),
    Case("standard-impure", "import logging", ("1:import-standard",)),
    Case("standard-impure-from", "from pathlib import Path", ("1:import-standard",)),
    Case("standard-impure-part", "import urllib.request", ("1:import-standard",)),
    Case("standard-impure-block", BLOCK + "    import socket", ("3:import-standard",)),
    Case("time", "import time\ntime.time()", ("1:import-standard", "2:nondeterministic")),
    Case(
        "time-from",
        "from time import monotonic as m\nm()",
        ("1:import-standard", "2:nondeterministic"),
    ),
    Case(
        "random", "import random\nrandom.choice([1])", ("1:import-standard", "2:nondeterministic")
    ),
    Case("uuid4", "import uuid\nuuid.uuid4()", ("2:nondeterministic",)),
    Case("uuid4-passed-on", "from uuid import uuid4\nmake(factory=uuid4)", ("2:nondeterministic",)),
    Case("uuid5", "import uuid\nuuid.uuid5(uuid.NAMESPACE_URL, 'a')"),
    Case("now", "from datetime import datetime, UTC\ndatetime.now(UTC)", ("2:nondeterministic",)),
    Case("utcnow", "import datetime as dt\ndt.datetime.utcnow()", ("2:nondeterministic",)),
    Case("today", "from datetime import date\ndate.today()", ("2:nondeterministic",)),
    Case("environ", "import os\nos.environ['A']", ("1:import-standard", "2:nondeterministic")),
    Case(
        "getenv", "from os import getenv\ngetenv('A')", ("1:import-standard", "2:nondeterministic")
    ),
    Case("open", "with open('a') as file: pass", ("1:nondeterministic",)),
    Case("print", "def f():\n    print('a')", ("2:nondeterministic",)),
    Case("open-chained", "a = open('a').read()", ("1:nondeterministic",)),
    Case(
        "under-if",
        "if a:\n    open('a')\nelse:\n    open('b')",
        ("2:nondeterministic", "4:nondeterministic"),
    ),
    Case("under-condition", "if open('a'): pass", ("1:nondeterministic",)),
    Case("under-spread", "f(*open('a'))", ("1:nondeterministic",)),
    Case("under-list", "[x for x in open('a')]", ("1:nondeterministic",)),
    Case("under-set", "{open(x) for x in open('a')}", ("1:nondeterministic", "1:nondeterministic")),
    Case("under-sorted", "sorted(open(x) for x in y)", ("1:nondeterministic",)),
    Case("under-sorted-list", "sorted(open('a'), key=open('b'))", ("1:nondeterministic",) * 2),
    Case("for-union-right", "for x in z | {1}: pass", ("1:set-order",)),
    Case("set-method", "def f(a: set[str]):\n    for x in a.as_list(): pass"),
    Case("hash", "key = hash('a')", ("1:nondeterministic",)),
    Case("own-open", "def open(name): ...\nopen('a')"),
    Case("method-open", "class A:\n    def f(self):\n        self.open(1)"),
    Case("nested-in-default", "def f(a=print('x')): ...", ("1:nondeterministic",)),
    Case(
        "wait", "import asyncio\nasync def f(t):\n    await asyncio.wait(t)", ("3:asyncio-order",)
    ),
    Case(
        "as-completed", "from asyncio import as_completed\nas_completed([])", ("2:asyncio-order",)
    ),
    Case("to-thread", "import asyncio\nasyncio.to_thread(f)", ("2:nondeterministic",)),
    Case("for-display", "for x in {1, 2}: pass", ("1:set-order",)),
    Case("for-call", "for x in set(y): pass", ("1:set-order",)),
    Case("for-frozenset", "for x in frozenset(y): pass", ("1:set-order",)),
    Case("for-union", "for x in set(y) | z: pass", ("1:set-order",)),
    Case("for-difference", "for x in set(y).difference(z): pass", ("1:set-order",)),
    Case("list-comprehension", "a = [x for x in {y for y in z}]", ("1:set-order",)),
    Case("dict-comprehension", "a = {x: 1 for x in set(z)}", ("1:set-order",)),
    Case("generator", "a = f(x for x in set(z))", ("1:set-order",)),
    Case("inner-loop", "a = {x for y in z for x in {y}}"),
    Case("list-call", "a = list(set(z))", ("1:set-order",)),
    Case("enumerate", "for i, x in enumerate({1, 2}): pass", ("1:set-order",)),
    Case("join", "a = ', '.join({'a', 'b'})", ("1:set-order",)),
    Case("fromkeys", "a = dict.fromkeys({'a', 'b'})", ("1:set-order",)),
    Case("pop", "def f(names: set[str]):\n    return names.pop()", ("2:set-order",)),
    Case("pop-of-list", "def f(names: list[str]):\n    return names.pop()"),
    Case("copy-of-set", "def f(names: set[str]):\n    return names.copy()"),
    Case("spread", "import asyncio\nasyncio.gather(*{a, b})", ("2:set-order",)),
    Case("variable", "def f():\n    a = set()\n    for x in a: pass", ("3:set-order",)),
    Case("variable-annotated", "def f(a: frozenset[str]):\n    for x in a: pass", ("2:set-order",)),
    Case("variable-of-outer", "A = {1, 2}\ndef f():\n    for x in A: pass", ("3:set-order",)),
    Case("variable-elsewhere", "def f():\n    a = set()\ndef g():\n    for x in a: pass"),
    Case("variable-shadowed", "a = {1, 2}\ndef f(a: list[int]):\n    for x in a: pass"),
    Case(
        "attribute",
        "class A:\n    def __init__(self):\n        self.a: set[int] = set()\n"
        "    def f(self):\n        return list(self.a)",
        ("5:set-order",),
    ),
    Case(
        "field",
        "class A:\n    a: set[int]\n    def f(self):\n        return [x for x in self.a]",
        ("4:set-order",),
    ),
    Case("other-decorator", "from dataclasses import dataclass\n@dataclass\nclass A: ..."),
    Case("own-set", "from shop_sets import set\nfor x in set(y): pass", ("1:import-outside",)),
    Case(
        "definition-bare",
        HEAD + "@workflow.defn\nclass A: ...",
        ("2:workflow-name",),
    ),
    Case(
        "definition-versioning",
        HEAD + "@workflow.defn(name='A', versioning_behavior=1)\nclass A: ...",
        ("2:workflow-versioning",),
    ),
    Case(
        "definition-dynamic",
        HEAD + "@workflow.defn(dynamic=True)\nclass A: ...",
    ),
    Case(
        "definition-aliased",
        "from temporalio import workflow as w\n"
        "@w.defn(name='A', versioning_behavior=1)\nclass A: ...",
        ("2:workflow-versioning",),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings_are_exactly_those_of_the_module(case: Case, tool: Any, place: Path) -> None:
    findings = tool.check_source(case.source, place)
    assert case.expected == tuple(f"{found.line}:{found.rule}" for found in findings)


def test_a_finding_says_where_what_and_what_to_do(tool: Any) -> None:
    findings = tool.check_source("def f():\n    print(1)\n", Path("folder/order.py"))
    expected = (
        "folder/order.py:2:5: nondeterministic: print() is not for workflow code: "
        "use workflow.logger, which is silent on replay"
    )
    assert [expected] == [str(found) for found in findings]


def test_every_rule_is_documented_and_tried(tool: Any) -> None:
    tried = {expected.partition(":")[2] for case in CASES for expected in case.expected}
    documented = {
        line.split()[0]
        for line in tool.__doc__.partition("Rules:")[2].splitlines()
        if line.startswith("    ") and not line.startswith("     ")
    }
    assert documented == tried


@dataclass(frozen=True)
class CommandCase:
    """Arguments in a folder with a good, a bad and an empty part; what the command answers."""

    name: str
    arguments: tuple[str, ...]
    code: int
    said: str


COMMANDS = [
    CommandCase("good", ("good",), 0, "nothing found; files of workflow code: 1"),
    CommandCase("bad", ("good", "bad"), 1, "order.py:1:1: import-outside: 'pydantic'"),
    CommandCase("file", ("bad/order.py",), 1, "import-outside"),
    CommandCase("nothing", (), 2, "the following arguments are required: paths"),
    CommandCase("missing", ("gone",), 2, "no Python file at 'gone'"),
    CommandCase("empty", ("empty",), 2, "no Python file at 'empty'"),
    CommandCase("no-python", ("bad/notes.txt",), 2, "no Python file at 'bad/notes.txt'"),
    CommandCase("unknown-option", ("--fix", "good"), 2, "--fix"),
]


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case.name)
def test_the_command_exits_by_what_it_found(case: CommandCase, tmp_path: Path) -> None:
    for folder in ("good", "bad", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "good/order.py").write_text(GOOD_MODULE.replace("shop", "json"), "utf-8")
    (tmp_path / "bad/order.py").write_text("from pydantic import BaseModel\n", "utf-8")
    (tmp_path / "bad/notes.txt").write_text("", "utf-8")
    command = [sys.executable, str(TOOL), *case.arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (case.code, True) == (done.returncode, case.said in done.stdout + done.stderr), done
    assert (case.code == 0) == ("nothing found" in done.stdout)
