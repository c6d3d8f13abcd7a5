"""Text with gaps: split once, filled for every person.

An author's `{{ contact.first_name | default("reader") }}` travels through Markdown, MJML and CSS inlining as
a marker of letters and digits (nothing else survives them all), and becomes a `Gap` when the finished
text is split. How a value is written into a gap is decided then, by the place where the marker stands.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from itertools import zip_longest
from urllib.parse import quote

MARKER = re.compile("MF[0-9a-f]{8}x[0-9]+x")  # any issue's; for who must only know that there is one


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field: its name, and what is written where a person has none (None: that is an error)."""

    name: str
    fallback: str | None = None


class Place(StrEnum):
    """Where a gap stands, hence how a value is written there."""

    PLAIN = "plain"  # text/plain and header text: as it is; header encoding comes after filling
    TEXT = "text"  # between tags
    ATTRIBUTE = "attribute"  # in a quoted attribute that is no URL
    URL = "url"  # the whole of a URL attribute
    URL_PART = "url part"  # in a URL, after its scheme


@dataclass(frozen=True, slots=True)
class Gap:
    """A place for one field's value."""

    field: Field
    place: Place

    def write(self, values: Mapping[str, str]) -> str:
        """The value as it must be written here. Raises KeyError where it is missing, ValueError for a bad URL."""
        value = values.get(self.field.name) or self.field.fallback
        if value is None:
            raise KeyError(self.field.name)
        match self.place:
            case Place.PLAIN:
                return value
            case Place.TEXT | Place.ATTRIBUTE:
                return html.escape(value)
            case Place.URL:
                return html.escape(safe_url(value))
            case Place.URL_PART:
                return quote(value, safe="")


@dataclass(frozen=True, slots=True)
class Segments:
    """Literal text with a gap between each two pieces."""

    literals: tuple[str, ...]  # always one more than gaps
    gaps: tuple[Gap, ...] = ()

    def fill(self, values: Mapping[str, str]) -> str:
        """The text for one person. Raises as `Gap.write` does."""
        pieces = [self.literals[0]]
        for gap, literal in zip(self.gaps, self.literals[1:], strict=True):
            pieces += (gap.write(values), literal)
        return "".join(pieces)

    def shown(self) -> str:
        """The text with its gaps as an author writes them: the same for everybody."""
        pieces = [self.literals[0]]
        for gap, literal in zip(self.gaps, self.literals[1:], strict=True):
            pieces += (f"{{{{ {gap.field.name} }}}}", literal)
        return "".join(pieces)


class MarkerError(ValueError):
    """A merge field stands where no value can be written safely, or a stage has damaged its marker.

    The message names the marker as it was found; `Markers.shown` makes the author's field of it.
    """

    def __init__(self, mark: str, words: str) -> None:
        super().__init__(f"{mark} {words}")
        self.mark = mark


_IN_URL = re.compile(r"(?:https?://|mailto:)\S*$")  # in plain text, what a gap within a URL follows


class Markers:
    """Gives each field its marker, and cuts finished text at the markers."""

    def __init__(self, nonce: str, fields: Sequence[Field] = ()) -> None:
        """Derive `nonce` from all that the author wrote: it cannot be forged there, and is the same every time.

        `fields` are those that have a marker already.
        """
        self._nonce = nonce = nonce[:8]
        self._fields = list(fields)
        self._pattern = re.compile(f"MF{nonce}x([0-9]+)x")

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that have a marker, in order."""
        return tuple(self._fields)

    def mark(self, field: Field) -> str:
        """The marker of a field; the same field always has the same one."""
        if field not in self._fields:
            self._fields.append(field)
        return f"MF{self._nonce}x{self._fields.index(field)}x"

    def split(self, text: str) -> Segments:
        """Cut plain text. Raises MarkerError where a marker was damaged."""
        pieces = self._pattern.split(text)
        gaps = tuple(
            Gap(self._fields[int(index)], Place.URL_PART if _IN_URL.search(before) else Place.PLAIN)
            for before, index in zip(pieces[::2], pieces[1::2], strict=False)
        )
        return self._whole(Segments(tuple(pieces[::2]), gaps))

    def split_html(self, text: str) -> Segments:
        """Cut HTML. Raises MarkerError where a marker stands in a style, a tag's name or the start of a URL."""
        places = _Places(self._pattern)
        places.feed(text)
        places.close()
        pieces = self._pattern.split(text)
        found = [index for index, _ in places.found]
        if pieces[1::2] != found:
            lost = next(here for here, there in zip_longest(pieces[1::2], found) if here != there)
            raise MarkerError(
                f"MF{self._nonce}x{lost}x", "stands inside a tag or a comment, where no value can be written"
            )
        gaps = tuple(Gap(self._fields[int(index)], place) for index, place in places.found)
        return self._whole(Segments(tuple(pieces[::2]), gaps))

    def gaps_in_url(self, url: str) -> list[Gap]:
        """The gaps of a link. Raises MarkerError where a value could choose the scheme."""
        return [Gap(self._fields[int(mark[1])], _place_in_url(url, mark)) for mark in self._pattern.finditer(url)]

    def _whole(self, segments: Segments) -> Segments:
        # A filter such as `upper` in a template changes the marker; better an error than a wrong mail.
        for literal in segments.literals:
            if changed := re.search(rf"mf{self._nonce}\w*", literal, re.IGNORECASE):
                words = 'is a merge field that was changed on its way; only `| default("…")` may follow a field'
                raise MarkerError(changed[0], words)
        return segments

    def shown(self, text: str) -> str:
        """Text with its markers as an author wrote them, for messages."""
        return self._pattern.sub(lambda mark: f"{{{{ contact.{self._fields[int(mark[1])].name} }}}}", text)


def safe_url(value: str) -> str:
    """A person's URL, percent-encoded where it must be. Raises ValueError unless it is http(s) or mailto."""
    if not re.match(r"(?i)https?://[^/]|mailto:[^/]", value):
        raise ValueError(f"{value!r} is no http(s) or mailto link")
    return quote(value, safe=":/?#[]@!$&'()*+,;=%-._~")


def _place_in_url(url: str, mark: re.Match[str]) -> Place:
    if mark[0] == url.strip():
        return Place.URL
    # The value must not choose the scheme; percent-encoded, it cannot leave the part where it stands.
    if re.match(r"(?i)\s*(https?://|mailto:)", url):
        return Place.URL_PART
    raise MarkerError(mark[0], "must be the whole link, or follow https:// or mailto: in it")


_URL_ATTRIBUTES = {
    "href",
    "src",
    "action",
    "background",
    "poster",
    "cite",
    "longdesc",
    "formaction",
    "data",
    "xlink:href",
}
_UNSAFE_ATTRIBUTES = {"style", "srcdoc", "srcset"}  # CSS, HTML, several URLs
_QUOTED = re.compile(r"""=\s*("[^"]*"|'[^']*')""")


class _Places(HTMLParser):
    """Walks HTML and notes, for each marker in order, the place where it stands."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._pattern = pattern
        self._raw = ""  # the element whose content is no text: script, style
        self.found: list[tuple[str, Place]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if mark := self._pattern.search(_QUOTED.sub("", self.get_starttag_text() or "")):
            raise MarkerError(mark[0], "stands in a tag outside of quotes, where no value can be written safely")
        for name, value in attrs:
            for mark in self._pattern.finditer(value or ""):
                self.found.append((mark[1], self._attribute(name, value or "", mark)))
        self._raw = tag if tag in ("script", "style") else ""

    handle_startendtag = handle_starttag  # in HTML, <style/> opens a style like <style>

    def handle_endtag(self, _tag: str) -> None:
        self._raw = ""

    def _attribute(self, name: str, value: str, mark: re.Match[str]) -> Place:
        if name in _UNSAFE_ATTRIBUTES or name.startswith("on"):
            raise MarkerError(mark[0], f"stands in the attribute {name}, where no value can be written safely")
        return _place_in_url(value, mark) if name in _URL_ATTRIBUTES else Place.ATTRIBUTE

    def handle_data(self, data: str) -> None:
        for mark in self._pattern.finditer(data):
            if self._raw:
                raise MarkerError(mark[0], f"stands in a <{self._raw}>, where no value can be written")
            self.found.append((mark[1], Place.TEXT))

    def handle_comment(self, data: str) -> None:
        if not data.startswith("[if"):
            return
        # Outlook's conditional comments hold HTML of their own.
        inner = _Places(self._pattern)
        inner.feed(data)
        inner.close()
        self.found += inner.found
