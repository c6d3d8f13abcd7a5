"""An issue as text/plain: 72 columns, from the Markdown tree and not scraped from the HTML.

Each story carries its own list of references, `[7] https://…`, each URL alone on its line and never broken. Lines are
fixed, not format=flowed: RFC 3676 discourages that with quoted-printable, and Gmail and Outlook do not reflow it.
"""

import re
from collections.abc import Sequence

from markdown_it.token import Token
from wcwidth import width, wrap

from .body import Section, plain
from .issue import Issue
from .publication import Publication
from .slots import Field, Markers

COLUMNS = 72  # by display width: a Japanese character takes two

_GLUE = "\ue000"  # keeps a reference on the line of the words that it belongs to
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_BLANK = re.compile("[ \t\u00a0\u202f]+")


def plain_text(issue: Issue, publication: Publication, markers: Markers) -> str:
    """The text part, with markers where fields are. It ends with a line feed."""
    references = _References()
    head = [issue.title.upper(), f"Vol. {issue.number} | {issue.dateline}", publication.organisation]
    if publication.archive_url:
        head += ["", "Read this issue in your browser:", publication.archive_url]
    parts = ["\n".join(head)]
    if issue.lead:
        parts.append(_with_references(issue.lead, references))
    headlines = next((s.entries for s in issue.sections if s.kind == "headlines"), ())
    titles = [_inline(entry.blocks[1], references) for entry in headlines]
    for section in issue.sections:
        body = _section(section, titles, references)
        parts.append(f"{section.title.upper()}\n{'=' * COLUMNS}\n\n{body}")
    foot = ["-" * COLUMNS, ""]
    if issue.colophon:
        foot += [_with_references(issue.colophon, references), "", "-" * COLUMNS, ""]
    foot += [publication.organisation, *publication.postal_address.splitlines(), ""]
    foot.append(f"You are receiving this at {markers.mark(Field('email'))}.")
    foot.append(f"Unsubscribe: {markers.mark(Field('unsubscribe_url'))}")
    return "\n\n\n".join([*parts, "\n".join(foot)]) + "\n"


def _section(section: Section, titles: Sequence[str], references: "_References") -> str:
    if section.kind == "headlines":
        return "\n".join(_wrap(title, f"{n:2}. ", "    ") for n, title in enumerate(titles, 1))
    if section.kind == "details":
        stories = []
        for n, entry in enumerate(section.entries, 1):
            title = [_wrap(titles[n - 1], f"{n}. ", " " * len(f"{n}. "))] if n <= len(titles) else []
            stories.append("\n\n".join([*title, _with_references(entry.blocks, references)]))
        return "\n\n\n".join(stories)
    if section.kind == "list":
        items = [_indent(_blocks(entry.blocks, references), "- ", "  ") for entry in section.entries]
        return "\n\n".join(filter(None, ["\n".join(items), references.take()]))
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
    text = _blocks(tokens, references)
    return "\n\n".join(filter(None, [text, references.take()]))


def _blocks(tokens: Sequence[Token], references: _References) -> str:
    """Block tokens as text: paragraphs, nested lists, quotes, code."""
    done: list[str] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        end = index if token.nesting == 0 else _end(tokens, index)
        inner = tokens[index + 1 : end]
        match token.type:
            case "paragraph_open" | "heading_open":
                done.append(_wrap(_inline(inner[0], references)))
            case "bullet_list_open" | "ordered_list_open":
                done.append(_list(token, inner, references))
            case "blockquote_open":
                done.append(_indent(_blocks(inner, references), "> ", "> "))
            case "fence" | "code_block":
                done.append(_indent(token.content.rstrip("\n"), "    ", "    "))
            case "hr":
                done.append("-" * COLUMNS)
        index = end + 1
    return "\n\n".join(done)


def _list(opening: Token, inner: Sequence[Token], references: _References) -> str:
    items: list[str] = []
    index, number = 0, int(opening.attrs.get("start", 1))
    while index < len(inner):
        end = _end(inner, index)
        bullet = f"{number + len(items)}. " if opening.type == "ordered_list_open" else "- "
        text = _blocks(inner[index + 1 : end], references)
        items.append(_indent(text, bullet, " " * len(bullet)))
        index = end + 1
    return "\n".join(items)


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
            case "image":
                text = f"[{plain(token.children or [])}]"
            case "link_open":
                link = (str(token.attrs["href"]), index)
            case "link_close" if link:
                href, start = link
                words = plain(children[start:index])
                if href not in ("", "#") and not _says(words, href):
                    address = re.fullmatch(r"mailto:([^?]+).*", href)
                    pending = f" ({address[1]})" if address else _GLUE + references.add(href)
        if pending and text:
            # After a possessive, not inside it: "the institute’s [21]".
            tail = re.match(r"[’']s\b", text)
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


def _wrap(text: str, first: str = "", rest: str = "") -> str:
    text = _BLANK.sub(" ", _INVISIBLE.sub("", text))
    lines: list[str] = []
    for line in text.split("\n"):
        room = COLUMNS - width(rest)
        for piece in wrap(line, room, break_long_words=False, break_on_hyphens=False):
            # A line still too wide is a script without blanks (break it) or a URL (never break it).
            whole = width(piece) <= room or "://" in piece or piece.isascii()
            lines += [piece] if whole else wrap(piece, room, break_on_hyphens=False)
    return _indent("\n".join(lines), first, rest).replace(_GLUE, " ")


def _indent(text: str, first: str, rest: str) -> str:
    lines = text.split("\n")
    return "\n".join(f"{first if n == 0 else rest}{line}".rstrip() for n, line in enumerate(lines))
