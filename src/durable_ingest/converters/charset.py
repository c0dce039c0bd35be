"""From bytes to text: which encoding, and what had to be replaced.

The order is: byte order mark, the charset that came with the bytes, the one that the page names,
UTF-8, a guess from the first 64 KiB, windows-1252. A charset that is named and wrong is noted and
passed over. The result is valid Unicode with line feeds as newlines and without NUL.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from durable_ingest._optional import require
from durable_ingest.converters.labels import codec_of, name_of, single_byte
from durable_ingest.errors import MissingExtra

__all__ = ["Decoded", "decode", "meta_charset"]

_SAMPLE = 64 * 1024
_META_BYTES = 1024
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32le"),
    (codecs.BOM_UTF32_BE, "utf-32be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
)
_META = re.compile(
    rb"<meta\s[^>]{0,400}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9_.:-]{1,40})", re.IGNORECASE
)
_XML = re.compile(rb"^\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([a-zA-Z0-9_.:-]{1,40})")
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACED = "\ufffd"
_HIGH = re.compile(rb"[\x80-\xff]")
# A handful of high bytes among ASCII is a Western name or a bullet; a guess would be worse.
_FEW = 16
_SPARSE = 0.3
_COMMON = (
    *("windows-1252", "windows-1251", "shift_jis", "gb18030"),
    *("euc-kr", "iso-8859-2", "windows-1250", "big5"),
    *("euc-jp", "windows-1254", "windows-1256", "windows-1253"),
    *("windows-1255", "windows-874", "koi8-r", "windows-1257"),
)
# Bytes that are no UTF-8 are damage, not another encoding, if valid sequences outnumber them so.
_DAMAGE = 4


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and how it was read.

    Attributes:
        text: Valid Unicode, newlines are line feeds, no NUL, no byte order mark at its start.
        charset: WHATWG name of the encoding.
        rule: What decided: `bom`, `declared`, `meta`, `utf-8`, `detected` or `fallback`.
        notes: What was overruled or replaced, in plain words.
    """

    text: str
    charset: str
    rule: str
    notes: tuple[str, ...] = ()


def decode(content: bytes, *, declared: str | None = None, html: bool = False) -> Decoded:
    """Decode any bytes; never raises.

    Args:
        content: The bytes.
        declared: Charset that came with them, such as the HTTP header's; any label or None.
        html: Whether to look for a charset in `<meta>` or an XML declaration.
    """
    notes: list[str] = []
    text, charset, rule = _decide(content, declared, html, notes)
    return Decoded(_clean(text, notes), charset, rule, tuple(notes))


def meta_charset(content: bytes) -> str | None:
    """The label that an HTML page names in its first 1024 bytes, None without one."""
    head = content[:_META_BYTES]
    if (found := _XML.search(head)) is not None:
        return found[1].decode("ascii")
    found = _META.search(_COMMENT.sub(b"", head))
    return None if found is None else found[1].decode("ascii")


def _decide(
    content: bytes, declared: str | None, html: bool, notes: list[str]
) -> tuple[str, str, str]:
    if (marked := _marked(content, notes)) is not None:
        return *marked, "bom"
    utf8 = _utf8(content)
    asserts = [("declared", declared)]
    if html:
        asserts.append(("meta", meta_charset(content)))
    for rule, label in asserts:
        if label and (taken := _asserted(content, rule, label, utf8, notes)) is not None:
            return taken[0], taken[1], rule
    if (wide := _wide(content)) is not None:
        text = _strict(content, wide)
        if text is not None:
            return text, wide, "detected"
    if utf8 is not None:
        return utf8, "utf-8", "utf-8"
    return _guess(content, notes)


def _marked(content: bytes, notes: list[str]) -> tuple[str, str] | None:
    for mark, charset in _BOMS:
        if content.startswith(mark):
            text = _strict(content[len(mark) :], charset)
            if text is not None:
                return text, charset
            if charset != "utf-32le":  # FF FE 00 00 may be UTF-16 that begins with a NUL
                notes.append(f"not all bytes are valid {charset}, which the byte order mark names")
                return _replaced(content[len(mark) :], charset), charset
    return None


def _asserted(
    content: bytes, rule: str, label: str, utf8: str | None, notes: list[str]
) -> tuple[str, str] | None:
    charset = name_of(label)
    if charset is None:
        notes.append(f"{rule} charset {label[:40]!r} is not known")
        return None
    if rule == "meta" and charset.startswith(("utf-16", "utf-32")):
        charset = "utf-8"  # the declaration itself could be read as ASCII, so it cannot be true
    if charset == "utf-8":
        text = utf8
    elif single_byte(charset) and utf8 is not None and not content.isascii():
        # Single-byte text is next to never valid UTF-8 by chance; a wrong header is common.
        notes.append(f"{rule} charset {label[:40]!r} was passed over: the bytes are valid utf-8")
        return None
    else:
        text = _strict(content, charset)
    if text is None:
        notes.append(f"{rule} charset {label[:40]!r} does not fit the bytes")
        return None
    return text, charset


def _utf8(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        # Encoded surrogates alone (CESU-8, WTF-8) are damage inside UTF-8, replaced later on.
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None


def _strict(content: bytes, charset: str) -> str | None:
    if charset == "utf-8":
        return _utf8(content)
    try:
        return content.decode(codec_of(charset))
    except (UnicodeDecodeError, UnicodeError):
        return None


def _replaced(content: bytes, charset: str) -> str:
    return content.decode(codec_of(charset), "replace")


def _wide(content: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: Latin text shows as a regular pattern of NUL bytes."""
    sample = content[: _SAMPLE // 16]
    sample = sample[: len(sample) - len(sample) % 4]
    if b"\x00" not in sample:
        return None
    share = [sample[at::4].count(0) * 4 / len(sample) for at in range(4)]
    much, some, little = 0.9, 0.6, 0.1
    if share[0] < little and min(share[1:]) > much:
        return "utf-32le"
    if share[3] < little and min(share[:3]) > much:
        return "utf-32be"
    even, odd = (share[0] + share[2]) / 2, (share[1] + share[3]) / 2
    if len(content) % 2 == 0:
        if even < little and odd > some:
            return "utf-16le"
        if odd < little and even > some:
            return "utf-16be"
    return None


def _guess(content: bytes, notes: list[str]) -> tuple[str, str, str]:
    sample = _window(content)
    read = sample.decode("utf-8", "replace")
    bad = read.count("\ufffd")
    good = len(read) - len(read.encode("ascii", "ignore")) - bad
    if good > 0 and good >= _DAMAGE * bad:
        text = _replaced(content, "utf-8")
        notes.append(f"{text.count(_REPLACED)} byte sequences are no valid utf-8 and were replaced")
        return text, "utf-8", "utf-8"
    charset, rule = _detect(sample), "detected"
    if charset is None:
        charset, rule = "windows-1252", "fallback"
    text = _strict(content, charset) or _replaced(content, charset)
    if bad := text.count(_REPLACED):
        notes.append(f"{bad} byte sequences are no valid {charset} and were replaced")
    return text, charset, rule


def _window(content: bytes) -> bytes:
    """At most 64 KiB around the first byte that is no UTF-8, so that the guess sees the trouble."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        start = max(0, error.start - _SAMPLE // 2) if error.start > _SAMPLE // 2 else 0
        return content[start : start + _SAMPLE]
    return content[:_SAMPLE]


def _detect(sample: bytes) -> str | None:
    high = len(_HIGH.findall(sample))
    if high < _FEW and high < _SPARSE * len(sample):
        return None
    try:
        detector = require("charset_normalizer", extra="web", distribution="charset-normalizer")
    except MissingExtra:
        return None
    # Cut at a line end, so that no multi-byte sequence is split.
    if len(sample) == _SAMPLE and (cut := sample.rfind(b"\n")) > 0:
        sample = sample[:cut]
    matches = detector.from_bytes(sample)
    best = matches.best()
    if best is None:
        return None
    # Several encodings often read the bytes equally well: take the one the web uses most.
    likely = {
        name_of(encoding)
        for match in matches
        if match.chaos <= best.chaos and match.coherence >= best.coherence
        for encoding in (match.encoding, *match.could_be_from_charset)
    }
    common = (name for name in _COMMON if name in likely)
    return next(common, None) or name_of(best.encoding)


def _clean(text: str, notes: list[str]) -> str:
    if not text.isascii():
        text = text.removeprefix("\ufeff")
        text, surrogates = _SURROGATES.subn("\ufffd", text)
        if surrogates:
            notes.append(f"{surrogates} lone surrogates were replaced by U+FFFD")
    nuls = text.count("\0")
    if nuls:
        notes.append(f"{nuls} NUL characters were replaced by U+FFFD")
        text = text.replace("\0", "\ufffd")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text
