"""A message's bytes taken apart again, as a mail program takes them apart: never a second rendering.

What a mail program does is the standard library's `email`, which has not written these bytes and is a foreign judge.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

CLIP = 102 * 1024  # bytes; Gmail shows no more of a message's HTML
WARN = 80 * 1024  # bytes; whether Gmail counts them encoded or decoded is not documented, so the larger counts


@dataclass(frozen=True, slots=True)
class Part:
    """A picture that travels inside the message."""

    content_type: str
    data: bytes
    encoded: int  # bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it arrives."""

    raw: bytes
    headers: tuple[tuple[str, str], ...]  # decoded, in order
    html: str
    text: str
    pictures: Mapping[str, Part] = field(default_factory=dict)  # by Content-ID, without its angle brackets
    html_bytes: int = 0  # encoded, as it travels
    text_bytes: int = 0

    def header(self, name: str) -> str:
        """The decoded value of a header field; nothing where there is none."""
        return next((value for field_name, value in self.headers if field_name.lower() == name.lower()), "")


def take_apart(raw: bytes) -> Mail:
    """The parts of a message."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    found: dict[str, EmailMessage] = {}
    pictures = {}
    for part in message.walk():
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html"):
            found.setdefault(kind, part)
        elif not part.is_multipart():
            encoded = len(str(part.get_payload()))
            name = str(part["Content-ID"] or "").strip("<>")
            pictures[name] = Part(kind, part.get_content(), encoded)
    html, text = found["text/html"], found["text/plain"]
    return Mail(
        raw=raw,
        headers=tuple((name, str(value)) for name, value in message.items()),
        # A mail program shows line ends as they are; between CRLF and LF an HTML page makes no difference.
        html=html.get_content().replace("\r\n", "\n"),
        text=text.get_content().replace("\r\n", "\n"),
        pictures=pictures,
        html_bytes=len(str(html.get_payload())),
        text_bytes=len(str(text.get_payload())),
    )


# What a mail program shows before it is opened ------------------------------------------------------------------------

_FILLER = re.compile("[\u034f\u00ad\u200b-\u200f\u2060\ufeff]")  # what keeps the letter's first words out of that line


class _Words(HTMLParser):
    """The text of a page, in its order, hidden or not: that is what an inbox shows beside the subject."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.words, self._most, self._silent = "", most, ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("head", "style", "script", "title"):
            self._silent = self._silent or tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = ""

    def handle_data(self, data: str) -> None:
        if not self._silent and len(self.words) < self._most:
            self.words += f"{data} " if data.strip() else ""


def snippet(html: str, most: int = 220) -> str:
    """What an inbox shows beside the subject: the first words of the HTML, the filler left out."""
    reader = _Words(most * 4)
    reader.feed(html)
    return re.sub(r"\s+", " ", _FILLER.sub("", reader.words.replace("\xa0", " "))).strip()[:most]


# How large it is ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Story:
    """A story's part of the HTML: from its jump target to the next one."""

    name: str
    label: str
    bytes: int  # encoded, about


_TARGET = re.compile(r'<a name="([\w.-]+)" id="\1"></a>')


def stories(mail: Mail) -> list[Story]:
    """What each story adds to the HTML. The template marks them by its jump targets; without those there are none."""
    marks = [mark for mark in _TARGET.finditer(mail.html) if mark[1] != "headlines"]
    factor = mail.html_bytes / max(len(mail.html.encode()), 1)
    found = []
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        end = following.start() if following else mail.html.find("</table></td>", mark.end())
        part = mail.html[mark.start() : end if end > 0 else len(mail.html)]
        heading = re.search(r"<h[1-6][^>]*>(.*?)</h[1-6]>", part, re.DOTALL)
        label = snippet(heading[1] if heading else part, 90)
        found.append(Story(mark[1], label, round(len(part.encode()) * factor)))
    return found
