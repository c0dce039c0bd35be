"""README and docs: commands are those that run, names exist, links lead somewhere."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")})
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def name_of(page: Path) -> str:
    """A page's name in test ids."""
    return page.relative_to(ROOT).as_posix()


def test_the_readme_prints_the_command_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    command = "python3 -m pip install nox && python3 -m nox"
    readme = (ROOT / "README.md").read_text()
    assert command == ci.strip().splitlines()[-1]
    assert f"```\n{command}\n```" in readme
    assert f"```\n{command} -s demo\n```" in readme


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    missing = [target for target in LINK.findall(text) if not (page.parent / target).exists()]
    assert [] == missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_compile_and_import_what_exists(page: Path) -> None:
    for language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language != "python":
            continue
        tree = compile(
            code, name_of(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
        )
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "durable_ingest"
            ):
                module = import_module(node.module or "")
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
