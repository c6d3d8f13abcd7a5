"""A proof: an issue as it would be sent, all that the rules look at, and where in the author's files things stand."""

import email
import email.policy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path

import lxml.html

from ..body import Link
from ..contact import Contact, read_lists
from ..disk import read_text
from ..edition import Edition
from ..errors import InputError
from ..frontmatter import Image
from ..issue import Issue, issue_numbers, load_issue, number_order
from ..message import Message
from ..outside import Outside
from ..preferences import NONE, Preferences
from ..publication import Publication
from ..render import Traced, trace
from ..slots import Field
from ..unsubscribe import unsubscribe_token
from ._rule import Place

# Nobody's: the tokens in a proof are real ones, but no reader's.
KEY = b"checks"
READERS = ("reader@example.org", "other@example.org")

_ROWS = 20_000  # of the lists; `send` looks at every person anyway


@dataclass(frozen=True, eq=False)
class Proof:
    """What the rules look at. Plain values; what follows from them is computed once, when a rule asks."""

    project: Path
    issue: Issue
    publication: Publication
    raw: bytes  # the message for one reader, as it goes over the wire
    other: bytes  # the same for another reader
    traced: Traced
    page: str  # the HTML for the first reader, each element with data-at="file:line"
    preferences: Preferences = NONE
    merge_fields: tuple[Field, ...] = ()
    key_lines: Mapping[str, int] = field(default_factory=dict)  # the line of each key of mailer.toml
    people: bool = True  # look at the persons on the lists, too
    previous: Issue | None = None
    bounce_addresses: Mapping[str, str] = field(default_factory=dict)  # of the transports, by their keys in mailer.toml
    outside: Outside | None = None  # what was found on the network, when that was asked for

    # The message -----------------------------------------------------------------------------------------------------

    @cached_property
    def fields(self) -> list[tuple[str, str]]:
        """The header fields, unfolded, as they are on the wire; bytes above 127 as Latin-1."""
        head = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
        fields = re.split(r"\r?\n(?![ \t])", head)
        pairs = [each.partition(":") for each in fields if each]
        return [(name, re.sub(r"\r?\n(?=[ \t])", "", value).strip()) for name, _, value in pairs]

    def header(self, name: str) -> str:
        """The first field of that name, or nothing."""
        return next((value for known, value in self.fields if known.lower() == name.lower()), "")

    @cached_property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    def _part(self, kind: str) -> str:
        part = next((part for part in self.message.walk() if part.get_content_type() == kind), None)
        return str(part.get_content()).replace("\r\n", "\n") if part else ""

    @cached_property
    def html(self) -> str:
        """The HTML part, decoded."""
        return self._part("text/html")

    @cached_property
    def text(self) -> str:
        """The text part, decoded."""
        return self._part("text/plain")

    # The page --------------------------------------------------------------------------------------------------------

    @cached_property
    def tree(self) -> lxml.html.HtmlElement:
        """The HTML as elements."""
        return lxml.html.document_fromstring(self.page)

    @cached_property
    def elements(self) -> list[lxml.html.HtmlElement]:
        """All elements, in order; no comments."""
        return [element for element in self.tree.iter() if isinstance(element.tag, str)]

    def of(self, element: lxml.html.HtmlElement, needle: str = "") -> Place:
        """Where an element was written; `needle` is what to point at in that line, else its tag."""
        inside = [str(comment.text)[3:] for comment in element.xpath("comment()[starts-with(., 'at ')]")]
        lines = (
            inside
            or element.xpath("(ancestor-or-self::*[@data-at])[last()]/@data-at")
            or element.xpath("(descendant::*[@data-at]|preceding::*[@data-at])[1]/@data-at")
        )
        if not lines:
            return self.template
        file, _, line = str(lines[0]).rpartition(":")
        return self.at(file, int(line), needle or f"<{element.tag}")

    # Where things stand ----------------------------------------------------------------------------------------------

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        return {self.issue.file: self.issue.source.split("\n")}

    def lines(self, file: str) -> list[str]:
        """The lines of a file of the publication; none where it cannot be read."""
        if file not in self._texts:
            try:
                self._texts[file] = read_text(self.project / file, file).split("\n")
            except InputError:
                self._texts[file] = []
        return self._texts[file]

    def at(self, file: str, line: int | None, needle: str = "", start: int = 0) -> Place:
        """A place in a file; `needle` is looked for in the line, from character `start` on.

        A needle that ends with = stands for the whole attribute, with its value.
        """
        lines = self.lines(file)
        if not line or line > len(lines):
            return Place(file, line)
        text = lines[line - 1]
        index = text.find(needle, start) if needle else -1
        if needle.endswith("=") and (value := re.compile(r"\s*(\"[^\"]*\"|'[^']*')").match(text, index + len(needle))):
            needle += value[0]  # the whole attribute
        return Place(file, line, index + 1 or None, len(needle) if index >= 0 else None, text)

    def key(self, name: str) -> Place:
        """A key of the issue's front matter; its value is what is pointed at."""
        line = self.issue.lines.get(name)
        text = self.lines(self.issue.file)[line - 1] if line else ""
        value = re.match(r"[\s{]*[\w]+\s*:\s*(.+?)\s*$", text)
        return self.at(self.issue.file, line or 1, value[1] if value else "")

    def setting(self, path: str) -> Place:
        """A key of mailer.toml, or where its table begins; a key's value is what is pointed at."""
        while path and path not in self.key_lines:
            path = path.rpartition(".")[0]
        line = self.key_lines.get(path)
        lines = self.lines("mailer.toml")
        value = re.match(r"""\s*[\w.-]+\s*=\s*("[^"]*"|'[^']*'|[^#\s]+)""", lines[line - 1] if line else "")
        return self.at("mailer.toml", line, value[1] if value else path.rpartition(".")[2])

    @property
    def subject(self) -> Place:
        """What the subject line is made of: its key, or the title."""
        return self.key("subject" if "subject" in self.issue.lines else "title")

    @property
    def template(self) -> Place:
        """The template, where no line of it is to blame."""
        return Place(f"templates/{self.issue.template}/message.mjml.j2")

    @property
    def text_template(self) -> Place:
        """What the text part comes from: the template's own, or the issue."""
        file = f"templates/{self.issue.template}/message.txt.j2"
        return Place(file) if any(self.lines(file)) else self.whole

    @property
    def whole(self) -> Place:
        """The issue, where no line of it is to blame."""
        return Place(self.issue.file)

    @cached_property
    def _link_places(self) -> dict[int, Place]:
        cursors: dict[int, int] = {}
        places = {}
        for index, each in enumerate(self.issue.links):
            words = self.issue.markers().shown(each.text)
            place = self.at(self.issue.file, each.line, f"[{words}]", cursors.get(each.line, 0))
            if not place.column:  # a picture's link, in the front matter
                lines = range(each.line, each.line + 4) if each.href else ()
                near = (self.at(self.issue.file, line, each.href) for line in lines)
                place = next((at for at in near if at.column), place)
            elif place.column:
                text, start = place.excerpt, place.column - 1
                target = re.compile(r"\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)").match(text, start + len(words) + 2)
                end = target.end() if target else start + len(words) + 2
                cursors[each.line] = end
                place = Place(place.file, place.line, place.column, end - start, text)
            places[index] = place
        return places

    def links(self) -> Iterator[tuple[Link, Place]]:
        """The issue's links, each with its place."""
        for index, each in enumerate(self.issue.links):
            yield each, self._link_places[index]

    def picture(self, image: Image) -> Place:
        """Where the issue names a picture."""
        return self.at(self.issue.file, image.line, image.src)

    @cached_property
    def prose(self) -> list[tuple[int, str]]:
        """The lines of the issue that a reader reads; all else in them is blanked, so that columns hold.

        Blanked are comments, merge fields, code, the targets of links, the keys of the front matter.
        """
        text = _UNREAD.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), self.issue.source)
        lines, front = [], 0
        for number, line in enumerate(text.split("\n"), 1):
            if line.rstrip() == "---" and front < 2:
                front += 1
                continue
            if front == 1:
                key = re.match(r"(\s*(?:title|subject|preheader|alt|credit)\s*:)", line)
                lines += [(number, " " * len(key[1]) + line[len(key[1]) :])] if key else []
            elif line.strip():
                lines.append((number, line))
        return lines

    def found(self, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], Place]]:
        """Where a pattern occurs in what a reader reads."""
        for number, line in self.prose:
            for match in pattern.finditer(line):
                text = self.lines(self.issue.file)[number - 1]
                yield match, Place(self.issue.file, number, match.start() + 1, len(match[0]), text)

    # The lists -------------------------------------------------------------------------------------------------------

    @cached_property
    def contacts(self) -> list[Contact]:
        """Who stands on the lists; as far as they can be read, and the first 20,000."""
        people: list[Contact] = []
        lists = self.issue.audience if self.people else ()
        try:
            for person in read_lists(self.project / "contacts", lists):
                people.append(person)
                if len(people) == _ROWS:
                    break
        except InputError:  # told where the list is used: M010, `send`
            pass
        return people


_UNREAD = re.compile(
    r"<!--.*?(?:-->|\Z)|`[^`\n]+`|\{\{.*?\}\}|(?<=\]\()[^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?=\))|<?\bhttps?://[^\s)>]*",
    re.DOTALL,
)


def pull(
    project: Path,
    issue: Issue,
    edition: Edition,
    *,
    preferences: Preferences = NONE,
    key_lines: Mapping[str, int] | None = None,
    bounce_addresses: Mapping[str, str] | None = None,
    people: bool = True,
) -> Proof:
    """Make the proof of an issue. Reads the previous issue, and looks at nothing on the network.

    Without `people` the persons on the lists are not looked at: a sending looks at each of them anyway.
    """
    publication = edition.publication
    wall = issue.send_at or datetime.combine(issue.date, time())
    first, second = (_message(edition, address, wall.replace(tzinfo=publication.timezone)) for address in READERS)
    traced = trace(issue, publication, project / "templates")
    return Proof(
        project=project,
        issue=issue,
        publication=publication,
        raw=first.as_bytes(),
        other=second.as_bytes(),
        traced=traced,
        page=traced.markers.split_html(traced.html).fill(first.values),
        preferences=preferences,
        merge_fields=edition.merge_fields,
        key_lines=key_lines or {},
        bounce_addresses=bounce_addresses or {},
        people=people,
        previous=_previous(project, issue, publication),
    )


def _message(edition: Edition, address: str, when: datetime) -> Message:
    reader = edition.neutral_reader
    token = unsubscribe_token(KEY, edition.publication.list_id, address)
    contact = Contact(address, {**reader.fields, "email": address})
    return Message(edition, contact, when, key=token[::-1], token=token)


def _previous(project: Path, issue: Issue, publication: Publication) -> Issue | None:
    """The issue before this one, if there is one that can be read."""
    earlier = [number for number in issue_numbers(project) if number_order(number) < number_order(issue.number)]
    try:
        return load_issue(project, earlier[-1], publication.timezone) if earlier else None
    except InputError:
        return None
