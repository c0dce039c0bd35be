"""What is wrong with an input file is told with file, line and field."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_ingest.errors import (
    InvalidInput,
    SourceMissing,
    SourceRefused,
    SourceUnreadable,
)
from durable_ingest.sources.targets import read_targets

PAGE = "https://site.example/page"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder to start from."""
    for name in ("docs/a.md", "docs/b/c.html", "[x].md", "star*.md", "per%25.md", "note"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    return tmp_path


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


def source_with(text: str) -> str:
    return f"sources:\n  - uri: {PAGE}\n  - uri: {PAGE}/2\n    {text}\n"


@dataclass(frozen=True)
class Fault:
    name: str
    file: str
    content: Any
    where: str
    expected: str


FAULTS = [
    # broken files
    Fault("yaml indentation", "i.yaml", "- a\n  b: c\n - d", ":2:4:", "broken YAML"),
    Fault("yaml bracket", "i.yaml", "sources: [\n", ":2:1:", "broken YAML"),
    Fault("yaml tab", "i.yaml", "sources:\n\t- uri: x\n", ":2:1:", "broken YAML"),
    Fault("yaml object", "i.yaml", "- !!python/object:os.system x", ":1:3:", "broken YAML"),
    Fault("yaml documents", "i.yaml", "- a\n---\n- b\n", ":2:1:", "broken YAML"),
    Fault("yaml control", "i.yaml", "- a\x01", "", "broken YAML"),
    Fault("yaml alias", "i.yaml", "- *no", ":1:3:", "broken YAML"),
    Fault("json comma", "i.json", '[\n "a"\n "b"]', ":3:2:", "broken JSON"),
    Fault("json end", "i.json", '{"sources": [', ":1:14:", "broken JSON"),
    Fault("json two", "i.json", "[]\n[]", ":2:1:", "broken JSON"),
    Fault("json nan", "i.json", '[{"uri": NaN}]', "", "NaN is no JSON number"),
    Fault("json number", "i.json", f"[{'9' * 5000}]", "", "broken JSON"),
    Fault("empty", "i.yaml", " \n", "", "is empty"),
    Fault("only a comment", "i.yaml", "# nothing\n", "", "is empty"),
    Fault("empty json", "i.json", "", "", "is empty"),
    Fault("no UTF-8", "i.yaml", b"- a\n- caf\xe9\n", ":2:", "not UTF-8: byte 0xe9"),
    Fault("utf-16", "i.json", "[]".encode("utf-16"), ":1:", "not UTF-8"),
    Fault("suffix", "i.toml", "sources = []", "", "must end in .yaml, .yml or .json"),
    # wrong shape
    Fault("scalar", "i.yaml", "\n\ndocs\n", ":3:", "expected a list of sources"),
    Fault("null", "i.json", "null", ":1:", "expected a list of sources"),
    Fault("empty list", "i.yaml", "[]", "", "list of sources is empty"),
    Fault("no sources", "i.yaml", "sources: []\n", ":1: sources:", "the list is empty"),
    Fault("number", "i.yaml", "- docs\n- 7\n", ":2: [1]:", "not 7"),
    Fault("list in list", "i.json", [["a"]], ":2: [0]:", "not ['a']"),
    Fault("empty text", "i.json", ["a", ""], ":3: [1]:", "empty target"),
    Fault("scheme", "i.yaml", "- a\n- s3://b/k\n", ":2: [1]:", "scheme 's3'"),
    Fault("no uri", "i.yaml", "- media_type: text/html\n", ":1: [0]:", "'uri' is missing"),
    Fault(
        "unknown entry field",
        "i.yaml",
        "- uri: a\n  media_tipe: text/html\n",
        ":2: [0].media_tipe:",
        "did you mean 'media_type'?",
    ),
    Fault(
        "metadata",
        "i.yaml",
        "- uri: a\n  metadata:\n    title: {a: b}\n",
        ":3: [0].metadata.title:",
        "expected a valid string",
    ),
    Fault("media type", "i.yaml", "- uri: a\n  media_type: html\n", ":1: [0]:", "type/subtype"),
    Fault("option", "i.yaml", "- uri: a\n  options: {hiden: true}", ":1: [0]:", "'hiden'"),
    Fault("web option", "i.yaml", f"- uri: {PAGE}\n  options: {{a: 1}}", ":1:", "no options"),
    # the workshop's fields
    Fault("top", "i.yaml", "source: []\n", ":1: source:", "did you mean 'sources'?"),
    Fault("nothing like it", "i.yaml", "sources: []\nzzz: 1\n", ":2: zzz:", "expected one of"),
    Fault(
        "unknown field",
        "i.yaml",
        source_with("mime_typ: text/html"),
        ":4: sources[1].mime_typ:",
        "unknown field; did you mean 'mime_type'?",
    ),
    Fault(
        "unknown field in JSON",
        "i.json",
        {"sources": [{"uri": PAGE}, {"uri": PAGE, "max_dept": 1}]},
        ":8: sources[1].max_dept:",
        "did you mean 'max_depth'?",
    ),
    Fault(
        "wrong type",
        "i.yaml",
        source_with("max_depth: deep"),
        ":4: sources[1].max_depth:",
        "expected a valid integer",
    ),
    Fault(
        "wrong type in JSON",
        "i.json",
        '{"sources": [\n{"uri": "https://site.example/",\n"max_depth": [1]}]}',
        ":3: sources[0].max_depth:",
        "expected a valid integer, not a list",
    ),
    Fault(
        "enum",
        "i.yaml",
        source_with("mime_type: text/htm"),
        ":4: sources[1].mime_type:",
        "'text/html'",
    ),
    Fault("short", "i.yaml", "sources: [{uri: a.md}]", ":1: sources[0].uri:", "at least 7"),
    Fault("text source", "i.yaml", f"sources:\n- {PAGE}\n", ":2: sources[0]:", "Source"),
    Fault("missing", "i.yaml", "sources:\n- max_depth: 1\n", ":2: sources[0]:", "'uri' is missing"),
    Fault(
        "nested",
        "i.yaml",
        source_with("options: {crawling_url_startwith: []}"),
        ":4: sources[1].options.crawling_url_startwith:",
        "did you mean 'crawling_url_startswith'?",
    ),
    Fault(
        "overlap",
        "i.yaml",
        f"sources: [{{uri: '{PAGE}'}}]\nrecursive_chunking_config:\n"
        "  chunk_size: 10\n  chunk_overlap: 10\n",
        ":2: recursive_chunking_config:",
        "chunk_overlap 10 must be less than chunk_size 10",
    ),
    Fault(
        "stored copy",
        "i.yaml",
        source_with(f"raw_file_path: {PAGE}"),
        ":4: sources[1].raw_file_path:",
        "expected a path",
    ),
    # what would be taken silently
    Fault("twice in YAML", "i.yaml", "- uri: a\n  uri: b\n", ":2:", "'uri' stands twice"),
    Fault("twice in JSON", "i.json", '[{"uri": "a", "uri": "b"}]', "", "'uri' stands twice"),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_faulty_file_is_named_with_line_field_and_expectation(write: Write, case: Fault) -> None:
    path = write(case.file, case.content)
    with pytest.raises(InvalidInput) as caught:
        read_targets(path)
    message = str(caught.value)
    assert f"{path}{case.where}" in message
    assert case.expected in message


def test_every_problem_is_told_but_no_more_than_five(write: Write) -> None:
    content = {"sources": [{"uri": PAGE, "depth": n} for n in range(9)]}
    with pytest.raises(InvalidInput) as caught:
        read_targets(write("in.json", content))
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert lines[5] == "... and 4 more"


def test_no_password_is_shown_in_an_error(write: Write) -> None:
    for content in (
        {
            "sources": [{"uri": PAGE}],
            "indexing_config": {
                "collection_name": 3,
                "database_uri": ["postgresql://bot:hunter2@db/bot"],
            },
        },
        {"sources": [{"uri": PAGE}], "indexing_config": "postgresql://bot:hunt@er2@db/bot"},
        ["https://bot:hunter2@site.example/"],
        ["https://bot:hunter2/er2@site.example/"],
        ["https://bot:[hunter2@site.example/"],
    ):
        with pytest.raises((InvalidInput, SourceRefused)) as caught:
            read_targets(write("in.json", content))
        assert "hunter2" not in str(caught.value)
        assert "er2" not in str(caught.value)


def test_an_address_with_credentials_names_its_line(write: Write) -> None:
    path = write("in.yaml", "- docs\n- https://bot:hunter2@site.example/\n")
    with pytest.raises(SourceRefused) as caught:
        read_targets(path)
    assert f"{path}:2: [1]:" in str(caught.value)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@dataclass(frozen=True)
class Costly:
    name: str
    file: str
    content: str
    message: str


COSTLY = [
    Costly("aliases of aliases", "i.yaml", BOMB, "more than 500000 values"),
    Costly("itself", "i.yaml", "- &a [*a]\n", "part of itself"),
    Costly("deep YAML", "i.yaml", "[" * 100_000, "100 levels"),
    Costly("deep JSON", "i.json", "[" * 100_000 + "]" * 100_000, "100 levels"),
    Costly("rather deep JSON", "i.json", "[" * 200 + "]" * 200, "100 levels"),
    Costly(
        "deep through aliases",
        "i.yaml",
        "- &a0 [x]\n" + "".join(f"- &a{n} [*a{n - 1}]\n" for n in range(1, 200)),
        "100 levels",
    ),
    Costly("many", "i.json", "[" + "1," * 500_000 + "1]", "more than 500000 values"),
    Costly("many in YAML", "i.yaml", "- 1\n" * 1_100_000, "more than 500000 values"),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", COSTLY, ids=lambda case: case.name)
def test_a_file_that_unfolds_into_too_much_is_refused(write: Write, case: Costly) -> None:
    path = write(case.file, case.content)
    with pytest.raises(InvalidInput) as caught:
        read_targets(path)
    assert case.message in str(caught.value)


def test_aliases_that_save_typing_are_fine(write: Write) -> None:
    text = "- &first\n  uri: docs\n  metadata: &m {team: x}\n- uri: note\n  metadata: *m\n"
    text += "- <<: *first\n  uri: per%25.md\n"
    specs = read_targets(write("in.yaml", text)).specs
    assert [spec.metadata for spec in specs] == [{"team": "x"}] * 3


@pytest.mark.parametrize("name", ["in.json", "in.yaml"])
def test_a_file_of_a_hundred_megabytes_is_refused_unread(home: Path, name: str) -> None:
    with (home / name).open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="over 16 MiB"):
            read_targets(home / name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 1024 * 1024


@pytest.mark.timeout(10)
def test_an_input_that_is_no_file_is_named(home: Path) -> None:
    os.mkfifo(home / "pipe.yaml")
    (home / "folder.yaml").mkdir()
    for name in ("pipe.yaml", "folder.yaml"):
        with pytest.raises(InvalidInput, match=f"{name}' is no file"):
            read_targets(home / name)
    with pytest.raises(SourceMissing, match=r"no file '.*missing\.yaml'"):
        read_targets(home / "missing.yaml")


def test_an_input_without_permission_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("in.yaml", "- docs")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceUnreadable, match="no permission to read"):
        read_targets(path)
