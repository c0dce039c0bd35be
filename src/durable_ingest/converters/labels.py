"""Names of character encodings, as the web uses them.

The table follows the labels of the WHATWG Encoding Standard: what a page calls `iso-8859-1` or
`ascii` is read as windows-1252, `gb2312` as gb18030, and so on. Encodings outside the table
(UTF-7, transport encodings) are not read at all.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["codec_of", "name_of", "single_byte"]

# Canonical name: (Python codec, labels beside the name itself).
_TABLE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "utf-8": ("utf-8", "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8 x-unicode20utf8"),
        "utf-16le": ("utf-16-le", "utf-16 ucs-2 csunicode iso-10646-ucs-2 unicode unicodefeff"),
        "utf-16be": ("utf-16-be", "unicodefffe"),
        "utf-32le": ("utf-32-le", "utf-32"),
        "utf-32be": ("utf-32-be", ""),
        "ibm866": ("cp866", "866 cp866 csibm866"),
        "iso-8859-2": (
            "iso8859-2",
            "latin2 l2 csisolatin2 iso8859-2 iso88592 iso_8859-2 iso-ir-101",
        ),
        "iso-8859-3": (
            "iso8859-3",
            "latin3 l3 csisolatin3 iso8859-3 iso88593 iso_8859-3 iso-ir-109",
        ),
        "iso-8859-4": (
            "iso8859-4",
            "latin4 l4 csisolatin4 iso8859-4 iso88594 iso_8859-4 iso-ir-110",
        ),
        "iso-8859-5": ("iso8859-5", "cyrillic iso8859-5 iso88595 iso_8859-5 iso-ir-144"),
        "iso-8859-6": ("iso8859-6", "arabic asmo-708 ecma-114 iso8859-6 iso88596 iso_8859-6"),
        "iso-8859-7": ("iso8859-7", "greek greek8 ecma-118 elot_928 iso8859-7 iso88597 iso_8859-7"),
        "iso-8859-8": ("iso8859-8", "hebrew visual iso8859-8 iso88598 iso_8859-8 iso-8859-8-i"),
        "iso-8859-10": ("iso8859-10", "latin6 l6 csisolatin6 iso8859-10 iso885910 iso-ir-157"),
        "iso-8859-13": ("iso8859-13", "iso8859-13 iso885913"),
        "iso-8859-14": ("iso8859-14", "iso8859-14 iso885914"),
        "iso-8859-15": ("iso8859-15", "l9 csisolatin9 iso8859-15 iso885915 iso_8859-15 latin9"),
        "iso-8859-16": ("iso8859-16", "iso8859-16"),
        "koi8-r": ("koi8-r", "koi koi8 koi8_r cskoi8r"),
        "koi8-u": ("koi8-u", "koi8-ru"),
        "macintosh": ("mac-roman", "mac x-mac-roman csmacintosh"),
        "windows-874": ("cp874", "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 cp874"),
        "windows-1250": ("cp1250", "cp1250 x-cp1250"),
        "windows-1251": ("cp1251", "cp1251 x-cp1251"),
        "windows-1252": (
            "cp1252",
            "ascii us-ascii cp1252 x-cp1252 iso-8859-1 iso8859-1 iso88591 iso_8859-1 latin1 l1",
        ),
        "windows-1253": ("cp1253", "cp1253 x-cp1253"),
        "windows-1254": (
            "cp1254",
            "cp1254 x-cp1254 iso-8859-9 iso8859-9 iso88599 iso_8859-9 latin5 l5 csisolatin5",
        ),
        "windows-1255": ("cp1255", "cp1255 x-cp1255"),
        "windows-1256": ("cp1256", "cp1256 x-cp1256"),
        "windows-1257": ("cp1257", "cp1257 x-cp1257"),
        "windows-1258": ("cp1258", "cp1258 x-cp1258"),
        "x-mac-cyrillic": ("mac-cyrillic", "x-mac-ukrainian"),
        "gb18030": ("gb18030", "gbk x-gbk gb2312 gb_2312 gb_2312-80 cp936 chinese csgb2312"),
        "hz-gb-2312": ("hz", ""),
        "big5": ("big5hkscs", "big5-hkscs cn-big5 csbig5 x-x-big5 cp950"),
        "euc-jp": ("euc_jp", "x-euc-jp cseucpkdfmtjapanese"),
        "iso-2022-jp": ("iso2022_jp", "csiso2022jp"),
        "shift_jis": ("cp932", "shift-jis sjis ms932 ms_kanji windows-31j x-sjis csshiftjis cp932"),
        "euc-kr": (
            "cp949",
            "cp949 windows-949 ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean cseuckr",
        ),
        "iso-2022-kr": ("iso2022_kr", "csiso2022kr"),
    }
)

_MULTI_BYTE = frozenset(
    {"utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be", "gb18030", "hz-gb-2312", "big5"}
    | {"euc-jp", "iso-2022-jp", "shift_jis", "euc-kr", "iso-2022-kr"}
)


def _labels() -> dict[str, str]:
    out: dict[str, str] = {}
    for name, (_, labels) in _TABLE.items():
        out[name] = name
        for label in labels.split():
            out[label] = name
    return out


def _codecs() -> dict[str, str]:
    return {codecs.lookup(codec).name: name for name, (codec, _) in _TABLE.items()}


_NAMES = MappingProxyType(_labels())
_BY_CODEC = MappingProxyType(_codecs())


def name_of(label: str) -> str | None:
    """The canonical name behind a label such as `latin1` or `UTF8`; None when it is not read.

    Python's own spellings of the same encodings (`cp1252`, `mac_roman`) are taken too.
    """
    wanted = label.strip("\t\n\f\r \"'").lower()
    if (found := _NAMES.get(wanted)) is not None:
        return found
    try:
        codec = codecs.lookup(wanted).name
    except (LookupError, ValueError):  # unknown, or a NUL in the name
        return None
    return _BY_CODEC.get(codec) or _NAMES.get(codec)


def codec_of(name: str) -> str:
    """The Python codec of a canonical name."""
    return _TABLE[name][0]


def single_byte(name: str) -> bool:
    """Whether next to any bytes decode in this encoding, so that success proves nothing."""
    return name not in _MULTI_BYTE
