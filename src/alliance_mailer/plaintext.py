"""An issue as text/plain: 72 columns, from the Markdown tree and not scraped from the HTML.

Each story carries its own list of references, `[7] https://…`, each URL alone on its line and never broken. Lines are
fixed, not format=flowed: RFC 3676 discourages that with quoted-printable, and Gmail and Outlook do not reflow it.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from markdown_it.token import Token
from wcwidth import width

from .body import Section, plain
from .issue import Issue
from .publication import Publication
from .slots import Field, Markers

COLUMNS = 72  # by display width: a Japanese character takes two

_GLUE = "\ue000"  # keeps a reference on the line of the words that it belongs to
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")  # U+200C and U+200D spell words and emoji
_BLANK = re.compile("[ \t\u00a0\u202f]+")

# What a line never breaks inside: a word between blanks; or, where the script writes none, one character with the marks
# that may not begin a line after it and those that may not end one before it.
_WIDE = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
_OPENING = "“‘(（「『【〔〈《"
_CLOSING = r"""’”,.;:!?)\]、。，．：；！？）」』】〕〉》…ーぁぃぅぇぉっゃゅょァィゥェォッャュョ・々"""
_UNIT = re.compile(rf" ?[{_OPENING}]*(?:[{_WIDE}]|[^ {_WIDE}]+)[{_CLOSING}]*(?:{_GLUE}\[[0-9]+\][{_CLOSING}]*)*")


def plain_text(issue: Issue, publication: Publication, markers: Markers) -> str:
    """The text part, with markers where fields are. It ends with a line feed."""
    references = _References()
    head = [_capitals(issue.title, markers), f"Vol. {issue.number} | {issue.dateline}", _wrap(publication.organisation)]
    if publication.archive_url:
        head += ["", "Read this issue in your browser:", publication.archive_url]
    parts = ["\n".join(head)]
    if issue.lead:
        parts.append(_with_references(issue.lead, references))
    headlines = next((s.entries for s in issue.sections if s.kind == "headlines"), ())
    titles = [(_inline(entry.blocks[1], references), references.take()) for entry in headlines]
    for section in issue.sections:
        body = _section(section, titles, references)
        parts.append(f"{_capitals(section.title, markers)}\n{'=' * COLUMNS}\n\n{body}")
    foot = ["-" * COLUMNS, ""]
    if issue.colophon:
        foot += [_with_references(issue.colophon, references), "", "-" * COLUMNS, ""]
    foot += [_wrap(publication.organisation), _wrap(publication.postal_address), ""]
    foot += [f"You are receiving this at {markers.mark(Field('email'))}."]
    foot.append(f"Unsubscribe: {markers.mark(Field('unsubscribe_url'))}")
    if publication.help_url:
        foot.append(f"Help: {publication.help_url}")
    return "\n\n\n".join([*parts, "\n".join(foot)]) + "\n"


def _capitals(title: str, markers: Markers) -> str:
    """A title in capitals; a person's value in it stays as it is."""
    segments = markers.split(title)
    marks = [*(markers.mark(gap.field) for gap in segments.gaps), ""]
    return _wrap("".join(f"{text.upper()}{mark}" for text, mark in zip(segments.literals, marks, strict=True)))


def _section(section: Section, titles: Sequence[tuple[str, str]], references: "_References") -> str:
    """`titles`: the headlines, each with its references, which are listed below its story."""
    if section.kind == "headlines":
        return "\n".join(_hang(title, f"{n:2}. ") for n, (title, _) in enumerate(titles, 1))
    if section.kind == "details":
        stories = []
        for n, ((title, owed), entry) in enumerate(zip(titles, section.entries, strict=True), 1):
            text = _blocks(entry.blocks, references, COLUMNS)
            listed = "\n".join(filter(None, [owed, references.take()]))
            stories.append("\n\n".join(filter(None, [_hang(title, f"{n}. "), text, listed])))
        return "\n\n\n".join(stories)
    if section.kind == "list":
        items = _items((("- ", entry.blocks) for entry in section.entries), references, COLUMNS)
        return "\n\n".join(filter(None, [items, references.take()]))
    return _with_references(section.blocks, references)


class _References:
    """The links met so far: numbered through the issue, listed story by story."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[str] = []

    def add(self, url: str) -> str:
        self._count += 1
        self._waiting.append(f"[{self._count}] {url}")
        return f"[{self._count}]"

    def take(self) -> str:
        """The list of those not listed yet."""
        listed, self._waiting = "\n".join(self._waiting), []
        return listed


def _with_references(tokens: Sequence[Token], references: _References) -> str:
    text = _blocks(tokens, references, COLUMNS)
    return "\n\n".join(filter(None, [text, references.take()]))


def _blocks(tokens: Sequence[Token], references: _References, room: int) -> str:
    """Block tokens as text in `room` columns: paragraphs, nested lists, quotes, code."""
    done = gap = ""
    index = 0
    while index < len(tokens):
        token = tokens[index]
        end = index if token.nesting == 0 else _end(tokens, index)
        inner = tokens[index + 1 : end]
        block = ""
        match token.type:
            case "paragraph_open" | "heading_open":
                block = _wrap(_inline(inner[0], references), room)
            case "bullet_list_open":
                block = _items((("- ", item) for item in _list(inner)), references, room)
            case "ordered_list_open":
                start = int(token.attrs.get("start", 1))
                numbered = ((f"{n}. ", item) for n, item in enumerate(_list(inner), start))
                block = _items(numbered, references, room)
            case "blockquote_open":
                block = _indent(_blocks(inner, references, room - 2), "> ", "> ")
            case "fence" | "code_block":
                block = _indent(token.content.rstrip("\n"), "    ", "    ")
            case "hr":
                block = "-" * room
        if block:
            done, gap = done + gap + block, "\n" if token.hidden else "\n\n"  # hidden: in a tight list
        index = end + 1
    return done


def _items(items: Iterable[tuple[str, Sequence[Token]]], references: _References, room: int) -> str:
    """Bullets and their blocks as a list; a blank line between those that the author set apart."""
    texts, gap = [], "\n"
    for bullet, blocks in items:
        text = _blocks(blocks, references, room - len(bullet))
        texts.append(_indent(text, bullet, " " * len(bullet)))
        gap = "\n\n" if any(block.type == "paragraph_open" and not block.hidden for block in blocks) else gap
    return gap.join(texts)


def _list(inner: Sequence[Token]) -> Iterable[Sequence[Token]]:
    """The blocks of each item."""
    index = 0
    while index < len(inner):
        end = _end(inner, index)
        yield inner[index + 1 : end]
        index = end + 1


def _end(tokens: Sequence[Token], start: int) -> int:
    depth = 0
    for index in range(start, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index
    raise AssertionError("markdown-it closes what it opens")


def _inline(inline: Token, references: _References) -> str:
    """A paragraph in one line, with `_GLUE` before each reference."""
    pieces: list[str] = []
    children = inline.children or []
    pending = ""  # the reference of the link that has just ended
    link: tuple[str, int] | None = None
    for index, token in enumerate(children):
        text = ""
        match token.type:
            case "text" | "code_inline" | "text_special":
                text = token.content
            case "softbreak":
                text = " "
            case "hardbreak":
                text = "\n"
            case "em_open" | "em_close":
                text = "_"
            case "strong_open" | "strong_close":
                text = "*"
            case "image" if alt := plain(token.children or []):
                text = f"[{alt}]"
            case "link_open":
                link = (str(token.attrs["href"]), index)
            case "link_close" if link:
                href, start = link
                if href and not href.startswith("#") and not _says(plain(children[start:index]), href):
                    address = re.fullmatch(r"mailto:([^?]+).*", href)
                    pending += f" ({unquote(address[1])})" if address else _GLUE + references.add(href)
        if pending and text:
            # After the word's end and a possessive, not inside: "drills [20]", "the institute’s [21]".
            tail = re.match(r"[’']?[a-z]*", text)
            cut = tail.end() if tail else 0
            text, pending = text[:cut] + pending + text[cut:], ""
        pieces.append(text)
    return "".join(pieces) + pending


def _says(words: str, href: str) -> bool:
    """Whether a link's words already tell where it goes."""
    return words.strip().rstrip("/") in (
        href.rstrip("/"),
        re.sub(r"^(https?://(www\.)?|mailto:)", "", href).rstrip("/"),
    )


def _wrap(text: str, room: int = COLUMNS) -> str:
    lines: list[str] = []
    for line in _BLANK.sub(" ", _INVISIBLE.sub("", text)).split("\n"):
        lines.append("")
        for unit in _UNIT.findall(line):
            if lines[-1] and width(lines[-1] + unit) > room:
                lines.append("")
            lines[-1] = (lines[-1] + unit).lstrip(" ")
    return "\n".join(lines).replace(_GLUE, " ")


def _hang(text: str, first: str) -> str:
    return _indent(_wrap(text, COLUMNS - len(first)), first, " " * len(first))


def _indent(text: str, first: str, rest: str) -> str:
    lines = text.split("\n")
    return "\n".join(f"{first if n == 0 else rest}{line}".rstrip() for n, line in enumerate(lines))
