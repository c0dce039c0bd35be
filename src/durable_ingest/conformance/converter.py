"""What every converter promises, as tests.

```python
class TestMyConverter(ConverterContract):
    samples = (b"...",)

    def create(self) -> Converter:
        return MyConverter()
```
"""

from __future__ import annotations

import html
import re
from abc import abstractmethod
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_ingest.errors import ConversionFailed
from durable_ingest.models import Conversion
from durable_ingest.ports import Converter

__all__ = ["ConverterContract"]

_WORD = re.compile(r"[^\W_]+")
_TAG = re.compile(r"<[^>]*>")
# Converters number lists and mark done tasks with an x.
_GENERATED = re.compile(r"[0-9]+|x")


class ConverterContract:
    """Inherit it in a test class, say how to create the converter, and give it samples.

    Attributes:
        samples: Documents of the converter's type in UTF-8, as real as possible.
        examples: How many random inputs each property is tried on.
    """

    samples: Sequence[bytes] = (b"One line of words.\n",)
    examples: int = 100

    @abstractmethod
    def create(self) -> Converter:
        """A new converter."""

    def wrap(self, text: str) -> bytes:
        """A document of the converter's type, in UTF-8, that shows `text` and nothing else."""
        return text.encode()

    def _convert(self, content: bytes) -> Conversion:
        converter = self.create()
        return converter.convert(content, media_type=min(converter.media_types))

    def test_fulfils_the_port(self) -> None:
        """It has the port's methods and properties."""
        assert isinstance(self.create(), Converter)

    def test_media_types_are_lower_case_and_bare(self) -> None:
        """Media types can be compared as they are."""
        types = self.create().media_types
        assert types
        assert sorted(types) == sorted(one.lower().split(";")[0].strip() for one in types)

    def test_fingerprint_is_the_same_for_each_instance(self) -> None:
        """The fingerprint belongs to the code, not to the object."""
        first, second = self.create().fingerprint, self.create().fingerprint
        assert first
        assert first == second

    def test_same_bytes_give_the_same_conversion(self) -> None:
        """A conversion can be repeated."""
        for sample in self.samples:
            assert self._convert(sample) == self._convert(sample)

    def test_conversion_does_not_depend_on_the_uri(self) -> None:
        """A conversion can be kept under the digest of its bytes."""
        converter = self.create()
        media_type = min(converter.media_types)
        for sample in self.samples:
            here = converter.convert(sample, media_type=media_type, uri="file:///a")
            there = converter.convert(sample, media_type=media_type, uri="https://host/b")
            assert here == there

    def test_samples_give_text(self) -> None:
        """Every sample becomes Markdown or plain text, and says by which method."""
        for sample in self.samples:
            conversion = self._convert(sample)
            assert conversion.text.strip()
            assert conversion.media_type in {"text/markdown", "text/plain"}
            assert conversion.method

    def test_empty_bytes_give_empty_text(self) -> None:
        """An empty document is no failure."""
        assert self._convert(b"").text == ""

    def test_any_bytes_convert_or_fail_as_conversions_do(self) -> None:
        """No bytes and no declared charset raise anything but `ConversionFailed`."""

        @settings(deadline=None, max_examples=self.examples, database=None)
        @given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "latin-1", "no-such"]))
        def check(content: bytes, charset: str | None) -> None:
            converter = self.create()
            try:
                conversion = converter.convert(
                    content, media_type=min(converter.media_types), charset=charset
                )
            except ConversionFailed:
                return
            _assert_valid(conversion)

        check()

    def test_any_text_stays_valid_unicode(self) -> None:
        """Lone surrogates and NUL never come out, in whatever encoding they came in."""

        @settings(deadline=None, max_examples=self.examples, database=None)
        @given(st.text(max_size=200), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
        def check(text: str, charset: str) -> None:
            content = text.encode(charset, "surrogatepass")
            try:
                conversion = self._convert(content)
            except ConversionFailed:
                return
            _assert_valid(conversion)

        check()

    def test_words_shown_are_kept_and_none_is_invented(self) -> None:
        """Paragraphs of words come out as the same words in the same order."""
        letters = st.text(st.characters(categories=("L", "Nd")), min_size=1, max_size=12)

        @settings(deadline=None, max_examples=self.examples, database=None)
        @given(st.lists(st.lists(letters, min_size=1, max_size=8), min_size=1, max_size=5))
        def check(paragraphs: list[list[str]]) -> None:
            text = "\n\n".join(" ".join(words) for words in paragraphs)
            assert _WORD.findall(text) == _WORD.findall(self._convert(self.wrap(text)).text)

        check()

    def test_words_of_samples_come_from_the_sample(self) -> None:
        """No word of the output is missing from the input, list numbers aside."""
        for sample in self.samples:
            conversion = self._convert(sample)
            source = html.unescape(sample.decode("utf-8", "replace"))
            known = {*_WORD.findall(source), *_WORD.findall(_TAG.sub("", source))}
            invented = {
                word
                for word in _WORD.findall(conversion.text)
                if word not in known and not _GENERATED.fullmatch(word)
            }
            assert invented == set()


def _assert_valid(conversion: Conversion) -> None:
    conversion.text.encode()  # raises on a lone surrogate
    assert "\0" not in conversion.text
    assert conversion.model_validate_json(conversion.model_dump_json()) == conversion
