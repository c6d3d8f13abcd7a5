"""The Markdown below the front matter, taken apart: lead, sections, colophon; links and pictures with their lines."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from .errors import Problem
from .frontmatter import Image

MARKDOWN = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True})


@dataclass(frozen=True, slots=True)
class Entry:
    """One bullet of a section's list."""

    line: int
    blocks: Sequence[Token]


@dataclass(frozen=True, slots=True)
class Section:
    """A `## ` section: either one list (entries) or prose (blocks)."""

    title: str
    line: int
    entries: Sequence[Entry] = ()
    blocks: Sequence[Token] = ()

    @property
    def kind(self) -> str:
        """headlines, details, list or prose."""
        name = self.title.lower()
        return name if name in ("headlines", "details") else "list" if self.entries else "prose"


@dataclass(frozen=True, slots=True)
class Link:
    """A link in the text: where it goes, what it says, where it stands."""

    href: str
    text: str
    line: int


class Body:
    """The Markdown below the front matter, taken apart into lead, sections and colophon."""

    def __init__(self, text: str, first_line: int, file: str, problems: list[Problem]) -> None:
        self._file, self._first_line, self._problems = file, first_line, problems
        self.lead: list[Token] = []
        self.sections: list[Section] = []
        self.colophon: list[Token] = []
        self.links: list[Link] = []
        self.images: list[Image] = []
        tokens = MARKDOWN.parse(text)
        for token in tokens:
            if token.map:  # the file's lines, not the body's
                token.map = [line + first_line for line in token.map]
            if token.type == "inline":
                self._collect(token)
        self._take_apart(list(_blocks(tokens)))
        self._check_pairs()

    def _line(self, token: Token) -> int:
        return token.map[0] if token.map else self._first_line

    def _problem(self, line: int, message: str, hint: str = "") -> None:
        self._problems.append(Problem(self._file, line, message, hint))

    def _collect(self, inline: Token) -> None:
        """Note the links and pictures of a paragraph; each line break in it is one line further."""
        line = self._line(inline)
        children = inline.children or []
        for index, token in enumerate(children):
            if token.type in ("softbreak", "hardbreak"):
                line += 1
            elif token.type == "link_open":
                token.meta["line"] = line
                end = next(i for i in range(index, len(children)) if children[i].type == "link_close")
                self.links.append(Link(str(token.attrs["href"]), plain(children[index:end]), line))
            elif token.type == "image":
                token.meta["line"] = line
                self.images.append(Image(str(token.attrs["src"]), plain(token.children or []), line))

    def _take_apart(self, blocks: list[list[Token]]) -> None:
        rules = [index for index, block in enumerate(blocks) if block[0].type == "hr"]
        if rules:
            self.colophon = [token for block in blocks[rules[-1] + 1 :] for token in block]
            for token in self.colophon:
                if token.type == "heading_open" and token.tag == "h2" and token.level == 0:
                    message = "a section below the last rule, where the colophon stands"
                    self._problem(self._line(token), message, "move it above the --- line, or make it a ### heading")
            blocks = blocks[: rules[-1]]
        heading: list[Token] | None = None
        content: list[list[Token]] = []
        for block in [*blocks, None]:
            if block and block[0].type == "heading_open" and block[0].tag == "h1":
                self._problem(
                    self._line(block[0]), "a heading of the first level; the title stands in the front matter"
                )
            if block is None or (block[0].type == "heading_open" and block[0].tag == "h2"):
                if heading is None:
                    self.lead = [token for each in content for token in each]
                else:
                    self.sections.append(self._section(heading, content))
                heading, content = block, []
            else:
                content.append(block)

    def _section(self, heading: list[Token], content: list[list[Token]]) -> Section:
        title = plain(heading[1].children or []).strip().rstrip(":").strip()
        line = self._line(heading[0])
        lists = [block for block in content if block[0].type in ("bullet_list_open", "ordered_list_open")]
        if title.lower() in ("headlines", "details"):
            for block in content:
                if block is not (lists[0] if lists else None):
                    self._problem(
                        self._line(block[0]),
                        f"“{title}” is one list; found {_kind(block)} beside it"
                        if lists
                        else f"found {_kind(block)} under “{title}”, expected a list",
                        "begin each item with “- ”; indent its further paragraphs by two blanks",
                    )
            if not content:
                self._problem(line, f"“{title}” is empty; expected a list", "begin each item with “- ”")
        if lists and (len(content) == 1 or title.lower() in ("headlines", "details")):
            entries = [Entry(self._line(item[0]), item[1:-1]) for item in _blocks(lists[0][1:-1])]
            for entry in entries:
                if not entry.blocks:
                    self._problem(entry.line, "an empty item")
            return Section(title, line, entries)
        return Section(title, line, blocks=[token for block in content for token in block])

    def _check_pairs(self) -> None:
        """Headlines and details pair item by item, in order."""
        named: dict[str, Section] = {}
        for section in self.sections:
            if section.kind in named:
                first = named[section.kind].line
                self._problem(section.line, f"a second section “{section.title}”; the first is in line {first}")
            elif section.kind in ("headlines", "details"):
                named[section.kind] = section
        headlines, details = named.get("headlines"), named.get("details")
        if headlines and details:
            for entry in filter(lambda entry: entry.blocks, headlines.entries):
                if [token.type for token in entry.blocks] != ["paragraph_open", "inline", "paragraph_close"]:
                    self._problem(entry.line, "a headline is one line of text")
            if len(headlines.entries) != len(details.entries):
                message = (
                    f"{len(details.entries)} details, but {len(headlines.entries)} headlines "
                    f"(line {headlines.line}); they pair item by item"
                )
                self._problem(details.line, message)
        elif headlines or details:
            self._missing("Details" if headlines else "Headlines", headlines or details)
        elif not self.sections and not self.lead:
            self._problem(
                self._first_line, "no text; expected “## Headlines” and “## Details”, or sections of your own"
            )

    def _missing(self, title: str, partner: Section | None) -> None:
        others = {section.title: section.line for section in self.sections}
        near = difflib.get_close_matches(title, others, n=1, cutoff=0.6)
        found = f"; found “## {near[0]}” in line {others[near[0]]}" if near else ""
        line = partner.line if partner else self._first_line
        self._problem(line, f"the section “## {title}” is missing{found}", f"add “## {title}” with as many items")


def _blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The outermost blocks of a run of tokens."""
    block: list[Token] = []
    depth = 0
    for token in tokens:
        block.append(token)
        depth += token.nesting
        if depth == 0:
            yield block
            block = []


def _kind(block: Sequence[Token]) -> str:
    name = block[0].type.removesuffix("_open").replace("_", " ")
    name = {"hr": "rule", "fence": "code block"}.get(name, name)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plain(children: Sequence[Token]) -> str:
    """The words of inline tokens, without their dress."""
    words = []
    for token in children:
        if token.type in ("text", "code_inline", "text_special"):
            words.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            words.append(" ")
        elif token.type == "image":
            words.append(plain(token.children or []))
    return "".join(words)
