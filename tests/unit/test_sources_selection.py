"""Which names a file source selects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_ingest.errors import InvalidInput
from durable_ingest.ids import file_uri
from durable_ingest.sources.selection import literal_uri, parse_selection


@dataclass(frozen=True)
class Case:
    uri: str
    path: str
    expected: str
    options: dict[str, Any] = field(default_factory=dict)


HIDDEN = {"hidden": True}
CASES = [
    Case("file:///d/a.md", "/d/a.md", "in"),
    Case("file:///d/a.bin", "/d/a.bin", "in"),
    Case("file:///d/a.md", "/d/b.md", "out"),
    # a folder
    Case("file:///d", "/d/a.md", "in"),
    Case("file:///d/", "/d/a.md", "in"),
    Case("file:///d", "/d/x/y/a.HTML", "in"),
    Case("file:///d", "/d/a.bin", "out"),
    Case("file:///d", "/d/README", "out"),
    Case("file:///d", "/dd/a.md", "out"),
    Case("file:///d", "/a.md", "out"),
    Case("file:///", "/d/a.md", "in"),
    Case("file:///d", "/d/.a.md", "out"),
    Case("file:///d", "/d/.x/a.md", "out"),
    Case("file:///d", "/d/.x/a.md", "in", HIDDEN),
    Case("file:///d", "/d/.git/a.md", "out", HIDDEN),
    Case("file:///d", "/d/CVS/a.md", "out"),
    Case("file:///d/.x", "/d/.x/a.md", "in"),
    Case("file:///d/.git", "/d/.git/a.md", "in"),
    Case("file:///d", "/d/a.log", "in", {"suffixes": [".log"]}),
    Case("file:///d", "/d/a.LOG", "in", {"suffixes": [".Log"]}),
    Case("file:///d", "/d/a.md", "out", {"suffixes": [".log"]}),
    Case("file:///d", "/d/Makefile", "in", {"suffixes": ["*"]}),
    Case("file:///d", "/d/a.tar.gz", "in", {"suffixes": [".tar.gz"]}),
    # patterns
    Case("file:///d/*.md", "/d/a.md", "in"),
    Case("file:///d/*.md", "/d/x/a.md", "out"),
    Case("file:///d/*.md", "/d/a.MD", "out"),
    Case("file:///d/*.log", "/d/a.log", "in"),
    Case("file:///d/*", "/d/a.bin", "in"),
    Case("file:///d/*.md", "/d/.a.md", "out"),
    Case("file:///d/.*.md", "/d/.a.md", "in"),
    Case("file:///d/*.md", "/d/.a.md", "in", HIDDEN),
    Case("file:///d/**/*.md", "/d/a.md", "in"),
    Case("file:///d/**/*.md", "/d/x/y/a.md", "in"),
    Case("file:///d/**/*.md", "/d/.x/a.md", "out"),
    Case("file:///d/**/*.md", "/d/.git/a.md", "out"),
    Case("file:///d/**/.git/*", "/d/.git/config", "in"),
    Case("file:///d/**", "/d/x/a.md", "in"),
    Case("file:///d/**", "/d/x/a.bin", "out"),
    Case("file:///d/**/x/**/*.md", "/d/1/x/2/3/a.md", "in"),
    Case("file:///d/**/x/**/*.md", "/d/1/2/3/a.md", "out"),
    Case("file:///d/*/a.md", "/d/x/a.md", "in"),
    Case("file:///d/*/a.md", "/d/a.md", "out"),
    Case("file:///d/?.md", "/d/a.md", "in"),
    Case("file:///d/?.md", "/d/ab.md", "out"),
    Case("file:///d/[ab].md", "/d/a.md", "in"),
    Case("file:///d/[!ab].md", "/d/a.md", "out"),
    # a name that looks like a pattern, escaped and not
    Case("file:///d/%5Bab%5D.md", "/d/a.md", "out"),
    Case("file:///d/%5Bab%5D.md", "/d/[ab].md", "in"),
    Case("file:///d/[ab].md", "/d/[ab].md", "in"),
    Case("file:///d/%2A/*.md", "/d/*/a.md", "in"),
    Case("file:///d/%2A/*.md", "/d/x/a.md", "out"),
    Case("file:///d/*/%2A.md", "/d/x/*.md", "in"),
    Case("file:///d/*/%2A.md", "/d/x/a.md", "out"),
    # spellings
    Case("FILE:///d/a.md", "/d/a.md", "in"),
    Case("file:/d/a.md", "/d/a.md", "in"),
    Case("file://localhost/d/a.md", "/d/a.md", "in"),
    Case("file:///d/./x/../a.md", "/d/a.md", "in"),
    Case("file:///d/a.md#part", "/d/a.md", "in"),
    Case("file:///d/caf%C3%A9.md", "/d/café.md", "in"),
    Case("file:///d/café.md", "/d/café.md", "in"),
    Case("file:///d/%FF.md", "/d/\udcff.md", "in"),
    Case("file:///d/a%0Ab.md", "/d/a\nb.md", "in"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.uri} {case.path!a} {case.options}")
def test_a_name_is_selected_by_path_pattern_and_options(case: Case) -> None:
    covered = parse_selection(case.uri, case.options).covers(Path(case.path))
    assert case.expected == ("in" if covered else "out")


names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: name not in {".", ".."})


@given(st.lists(names, min_size=1, max_size=4))
def test_any_name_can_be_written_as_a_uri_that_means_only_itself(parts: list[str]) -> None:
    path = Path("/", *parts)
    selection = parse_selection(literal_uri(path))
    assert (path, ()) == (selection.path, selection.parts)
    assert parse_selection(file_uri(path)).path == path


@given(st.binary(min_size=1, max_size=12).filter(lambda name: not set(name) & set(b"/\0")))
def test_any_bytes_of_a_name_survive_the_way_through_a_uri(name: bytes) -> None:
    path = Path("/d") / ("x" + name.decode("utf-8", "surrogateescape"))
    assert parse_selection(literal_uri(path)).path == path


@dataclass(frozen=True)
class Wrong:
    name: str
    uri: str
    options: dict[str, Any]
    message: str


WRONG = [
    Wrong("scheme", "https://site.example/", {}, "not an absolute file: URI"),
    Wrong("relative", "file:docs/a.md", {}, "not an absolute file: URI"),
    Wrong("host", "file://docs/a.md", {}, "host 'docs'"),
    Wrong("nul", "file:///d/a%00.md", {}, "NUL"),
    Wrong("surrogate", "file:///d/\ud800.md", {}, "not valid Unicode"),
    Wrong("upwards", "file:///d/*/../../etc/passwd", {}, "cannot hold '..'"),
    Wrong("upwards, escaped", "file:///d/*/%2e%2e/x", {}, "cannot hold '..'"),
    Wrong("option", "file:///d", {"hiden": True}, "unknown option 'hiden'"),
    Wrong("truth", "file:///d", {"hidden": "yes"}, "'hidden' must be true or false"),
    Wrong("text", "file:///d", {"suffixes": ".md"}, "'suffixes' must be a list"),
    Wrong("empty", "file:///d", {"suffixes": []}, "'suffixes' must be a list"),
    Wrong("no dot", "file:///d", {"suffixes": ["md"]}, "'suffixes' must be a list"),
    Wrong("only dot", "file:///d", {"suffixes": ["."]}, "'suffixes' must be a list"),
    Wrong("path", "file:///d", {"path": "/etc/passwd"}, "'path' must be a file: URI"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_what_selects_nothing_sensible_is_refused(case: Wrong) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_selection(case.uri, case.options)
    assert case.message in str(caught.value)


def test_a_pattern_of_many_stars_is_matched_in_time() -> None:
    selection = parse_selection("file:///d/" + "**/" * 60 + "x.md")
    deep = Path("/d", *["y"] * 200, "z.md")
    assert selection.covers(deep) is False
