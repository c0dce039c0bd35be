"""What users type, and the input files that they write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.errors import (
    DurableIngestError,
    InvalidInput,
    SourceMissing,
    SourceRefused,
    SourceUnreadable,
)
from durable_ingest.ids import file_uri
from durable_ingest.models import SourceSpec
from durable_ingest.settings import WorkerSettings
from durable_ingest.sources.files import FileSource
from durable_ingest.sources.targets import parse_target, read_targets

PAGE = "https://site.example/page"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder to start from."""
    for name in ("docs/a.md", "docs/b/c.html", "[x].md", "star*.md", "per%25.md", "note"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    return tmp_path


@dataclass(frozen=True)
class Typed:
    text: str
    expected: str
    kind: str = "files"


TYPED = [
    Typed("docs", "{home}/docs"),
    Typed("docs/", "{home}/docs"),
    Typed("./docs/../docs/a.md", "{home}/docs/a.md"),
    Typed(".", "{home}"),
    Typed("note", "{home}/note"),
    Typed("{tmp}/docs/a.md", "{home}/docs/a.md"),
    Typed("docs/*.md", "{home}/docs/*.md"),
    Typed("docs/**/[a-c].html", "{home}/docs/**/[a-c].html"),
    Typed("docs/?.md", "{home}/docs/?.md"),
    Typed("*.md", "{home}/*.md"),
    Typed("[x].md", "{home}/%5Bx%5D.md"),
    Typed("star*.md", "{home}/star%2A.md"),
    Typed("per%25.md", "{home}/per%2525.md"),
    Typed("file://{tmp}/docs", "{home}/docs"),
    Typed("file:{tmp}/docs#part", "{home}/docs"),
    Typed("FILE://localhost{tmp}/docs/a.md", "{home}/docs/a.md"),
    Typed("file://{tmp}/docs/**/*.md", "{home}/docs/**/*.md"),
    Typed("file://{tmp}/star*.md", "{home}/star%2A.md"),
    Typed("https://Site.Example:443/a/../page#part", PAGE, "web"),
    Typed("HTTP://site.example", "http://site.example/", "web"),
    Typed(" http://site.example/x ", "http://site.example/x", "web"),
    Typed("http://127.0.0.1:8000/", "http://127.0.0.1:8000/", "web"),
]


@pytest.mark.parametrize("case", TYPED, ids=lambda case: case.text)
def test_a_target_becomes_a_source(home: Path, case: Typed) -> None:
    spec = parse_target(case.text.replace("{tmp}", str(home)), base=home)
    assert spec == SourceSpec(uri=case.expected.replace("{home}", file_uri(home)), kind=case.kind)


def test_a_literal_name_finds_itself_and_no_other(home: Path) -> None:
    (home / "starry.md").write_text("not meant")
    source = FileSource(WorkerSettings(allowed_roots=(home,)))
    for name in ("[x].md", "star*.md", "per%25.md", "note"):
        spec = parse_target(name, base=home)
        [item] = source.discover(spec)
        assert item.uri == file_uri(home / name)
        assert source.covers(spec, item.uri)
        assert not source.covers(spec, file_uri(home / "starry.md"))


def test_the_tilde_is_the_users_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home / "docs"))
    assert parse_target("~/a.md", base=home / "b").uri == file_uri(home / "docs/a.md")
    (home / "~nobody-has-this-name").write_text("text")
    assert parse_target("~nobody-has-this-name", base=home).uri.endswith("/~nobody-has-this-name")


@dataclass(frozen=True)
class Wrong:
    text: str
    error: type[DurableIngestError]
    message: str


WRONG = [
    Wrong("missing", SourceMissing, "/missing'"),
    Wrong("docs/missing.md", SourceMissing, "/docs/missing.md'"),
    Wrong("missing/*.md", SourceMissing, "/missing'"),
    Wrong("file:///no/such/folder", SourceMissing, "'/no/such/folder'"),
    Wrong("note/a.md", SourceMissing, "note/a.md"),
    Wrong("", InvalidInput, "empty target"),
    Wrong("  ", InvalidInput, "empty target"),
    Wrong("ftp://site.example/", InvalidInput, "scheme 'ftp'"),
    Wrong("s3://bucket/key", InvalidInput, "scheme 's3'"),
    Wrong("file:docs", InvalidInput, "not an absolute file: URI"),
    Wrong("file://server/docs", InvalidInput, "host 'server'"),
    Wrong("docs/*/../../x", InvalidInput, "'..'"),
    Wrong("a\0b", InvalidInput, "NUL"),
    Wrong("a\ud800b", InvalidInput, "not valid Unicode"),
    Wrong("file:///a\ud800b", InvalidInput, "not valid Unicode"),
    Wrong("http://", InvalidInput, "names no host"),
    Wrong("http://[::1", InvalidInput, "not a web address"),
    Wrong("http://site.example:x/", InvalidInput, "not a web address"),
    Wrong("https://me:hunter2@site.example/", SourceRefused, "remove them"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: ascii(case.text) or "empty")
def test_a_target_that_cannot_be_meant_is_named(home: Path, case: Wrong) -> None:
    with pytest.raises(case.error) as caught:
        parse_target(case.text, base=home)
    assert case.message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_target_without_permission_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "docs")
    assert parse_target("note", base=home).uri == file_uri(home / "note")
    for text in ("docs", "docs/*.md"):
        with pytest.raises(SourceUnreadable, match=r"no permission to read '.*/docs'"):
            parse_target(text, base=home)


@given(st.text(max_size=30))
def test_any_text_is_a_source_or_an_error_with_words(text: str) -> None:
    try:
        said = parse_target(text, base=Path("/no/such/folder")).uri
    except DurableIngestError as error:
        said = str(error)
    assert said


Write = Callable[[str, Any], Path]


@pytest.fixture
def write(home: Path) -> Write:
    def to_file(name: str, content: Any) -> Path:
        path = home / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    return to_file


LIST_YAML = """\
- docs
- https://site.example/page#x
- uri: docs/*.html
  mime_type: Text/HTML
  metadata: {day: 2026-01-02, tags: [a, 1, true], weight: 0.5, title: Notes}
  options: {hidden: true}
- uri: note        # a file without a suffix
  media_type: text/markdown
- missing.md
"""
LIST_JSON = [
    "docs",
    "https://site.example/page#x",
    {
        "uri": "docs/*.html",
        "mime_type": "Text/HTML",
        "metadata": {
            "day": "2026-01-02",
            "tags": ["a", 1, True],
            "weight": 0.5,
            "title": "Notes",
        },
        "options": {"hidden": True},
    },
    {"uri": "note", "media_type": "text/markdown"},
    "missing.md",
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.yaml", LIST_YAML),
        ("list.YML", b"\xef\xbb\xbf" + LIST_YAML.replace("\n", "\r\n").encode()),
        ("list.json", LIST_JSON),
        ("tabs.json", json.dumps(LIST_JSON, indent="\t").encode("utf-8-sig")),
    ],
)
def test_a_list_of_targets_is_read_in_order_from_its_own_folder(
    home: Path, write: Write, name: str, content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(name, content)
    monkeypatch.chdir(home.parent)
    targets = read_targets(Path(home.name) / name)
    here = file_uri(home)
    assert targets.specs == [
        SourceSpec(uri=f"{here}/docs"),
        SourceSpec(uri=PAGE, kind="web"),
        SourceSpec(
            uri=f"{here}/docs/*.html",
            media_type="text/html",
            metadata={
                "day": "2026-01-02",
                "tags": ["a", 1, True],
                "weight": 0.5,
                "title": "Notes",
            },
            options={"hidden": True},
        ),
        SourceSpec(uri=f"{here}/note", media_type="text/markdown"),
        SourceSpec(uri=f"{here}/missing.md"),
    ]
    assert (targets.workshop, targets.warnings) == (None, [])


def test_json_needs_no_yaml(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    assert len(read_targets(write("list.json", ["docs"])).specs) == 1
    with pytest.raises(DurableIngestError, match=r"pyyaml is not installed.*durable-ingest\[cli\]"):
        read_targets(write("list.yaml", "- docs"))
