"""A word-processor document, as Markdown, turned into an issue definition.

The law is that nothing is lost. A CommonMark parser says where each block begins and ends, and its words are
copied from the source as they stand; only what becomes front matter is taken out. What has no place in an
issue is kept at the nearest one that there is, and a note says so.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from textwrap import indent

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from .errors import InputError, Problem
from .masthead import facts_of, shown

_MARKDOWN = MarkdownIt("commonmark", {"html": False})

# Zero-width space, word joiner, byte order mark, controls. U+200C and U+200D spell words and emoji: kept.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\ufffe\uffff\x00-\x08\x0e-\x1b\x1f\x7f]")
# What a line begins with, where a no-break space or a pasted bullet hides its meaning from Markdown.
_START = re.compile(r"(?P<lead>\s*)(?P<mark>[-*+•●▪‣]|\d{1,9}[.)]|#{1,6}|)(?P<gap>\s*)")
_LABEL = re.compile(r"(?i) {0,3}(#{0,6})\s*([*_]{0,3})(headlines|details)\s*([:：]?)\2\s*([:：]?)[\s#]*")
_BOLD = re.compile(r" ?(\*\*|__)(\S.*?)\1[:：]?\s*")

_Note = tuple[int, str]  # a line of the manuscript, and what a person should look at there


@dataclass(frozen=True, slots=True)
class Definition:
    """An issue definition as `issues/N.md` holds it."""

    number: str  # "2.6"
    text: str  # front matter and Markdown; ends with a newline
    notes: tuple[str, ...]  # what a person should look at, each with its line of the manuscript


@dataclass(frozen=True, slots=True)
class _Block:
    kind: str  # the parser's name; "list" for both sorts; "reference": link definitions, which show nothing
    line: int
    source: str  # Markdown; a heading's without its marks
    level: int = 0  # a heading's
    items: tuple[str, ...] = ()  # a list's, each written with "- "

    @property
    def label(self) -> str:
        """Headlines or Details, where this is the heading of the one or the other."""
        label = _LABEL.fullmatch(self.source) if self.level else None
        return label[3].capitalize() if label else ""

    @property
    def markdown(self) -> str:
        return f"{'#' * self.level} {self.label or self.source}" if self.level else self.source

    def __str__(self) -> str:
        words = " ".join(shown(self.source)[0].split())
        return f"“{words}”" if len(words) <= 40 else f"“{words[:40].rstrip()}…”"


def issue_definition(manuscript: str, *, file: str, number: str | None = None) -> Definition:
    """The issue definition that says what the manuscript says; `number` outranks the one that stands there.

    Raises InputError, naming all that is missing, where the text is empty, has neither Headlines nor Details,
    or says no date, or no number and none is given.
    """
    blocks = _blocks(list(_with_headings(_clean(manuscript))))
    first = next((at for at, block in enumerate(blocks) if block.label), len(blocks))
    facts, lead, notes = _read_head(blocks[:first], number)
    missing = []
    if first == len(blocks):
        missing.append(("neither Headlines nor Details, expected both", "put “## Headlines” above the bullets"))
    if not facts["number"]:
        missing.append(("no number, expected a line like “Vol: 2.6”", f"mailer import {file} --issue 2.6"))
    if "date" not in facts:
        found = facts.get("doubt", "no date above the headlines")
        missing.append((f"{found}, expected a line like “March 31, 2023”", "write it as 2023-03-31"))
    if not blocks:
        missing = [("no text, expected number, date, Headlines and Details", "export the document again")]
    if missing:
        line = blocks[0].line if blocks else None
        raise InputError([Problem(file, line, f"found {what}", hint) for what, hint in missing])
    body, more = _write_body([*lead, *blocks[first:]], blocks[first].level)
    text = "\n".join(["---", *_front_matter(facts), "---", "", _literal("\n\n".join(body)), ""])
    notes = sorted([*notes, *more])
    return Definition(facts["number"], text, tuple(f"line {line}: {about}" for line, about in notes))


def _front_matter(facts: Mapping[str, str]) -> list[str]:
    title = facts.get("title", f"Issue {facts['number']}")
    front = [f"issue: {_quoted(facts['number'])}", f"title: {_quoted(title)}", f"date: {facts['date']}"]
    if "src" in facts or "credit" in facts:
        # An image without a file could not be read: its credit waits in a comment.
        mark, unknown = ("", {}) if "src" in facts else ("# ", {"src": "…", "alt": "…"})
        image = unknown | {key: facts[key] for key in ("src", "alt", "credit", "href") if key in facts}
        values = ", ".join(f"{key}: {_quoted(value)}" for key, value in image.items())
        front.append(f"{mark}image: {{{values}}}")
    return [*front, "audience: [subscribers]", "template: digest"]


def _quoted(text: str) -> str:
    return json.dumps(_literal(text), ensure_ascii=False)


def _literal(text: str) -> str:
    """Braces are text in a manuscript; in an issue, two of them would begin a merge field."""
    return re.sub(r"(?<!\\)\{(?=[{%])", r"\\{", text)


# From text to blocks -------------------------------------------------------------------------------------


def _clean(text: str) -> list[str]:
    """Its lines, begun as Markdown wants it: word processors indent and mark with no-break spaces."""
    # A Windows-1252 quote that was taken for Latin-1 has become a C1 control character.
    text = re.sub("[\x80-\x9f]", lambda c1: c1[0].encode("latin-1").decode("cp1252", "ignore"), text)
    lines = (_START.sub(_plain_start, line, count=1) for line in _INVISIBLE.sub("", text).splitlines())
    # An empty comment is how Pandoc parts two lists.
    return ["" if line.strip() in ("", "<!-- -->") else line for line in lines]


def _plain_start(start: re.Match[str]) -> str:
    lead, mark, gap = re.sub(r"[^ \t]", "", start["lead"]), start["mark"], start["gap"]
    if mark and mark in "•●▪‣":
        mark, gap = "-", " "
    return f"{lead}{mark}{gap if gap.isascii() else ' '}".expandtabs(4)


def _with_headings(lines: Sequence[str]) -> Iterator[str]:
    """The lines, one for one, with real headings for what only looks like it: “**Details:**”, “Details:”."""
    labels = [_LABEL.fullmatch(line) for line in lines]
    bold = any(label[2] and not label[1] for label in labels if label)
    for before, label, line, after in zip(["", *lines], labels, lines, [*lines[1:], ""], strict=False):
        heading = _BOLD.fullmatch(line) if bold and not before else None
        if label and any(label.group(1, 2, 4, 5)) and set(after.strip()) != {"="}:
            yield f"{label[1] or '##'} {label[3]}"
        else:
            yield f"## {heading[2]}" if heading else line


def _blocks(lines: Sequence[str]) -> list[_Block]:
    """The blocks at the top level; between them they hold every line that is not blank."""
    blocks = []
    done = 0
    for node in SyntaxTreeNode(_MARKDOWN.parse("\n".join(lines))).children:
        start, end = node.map or (done, done)
        blocks.append(_Block("reference", done + 1, "\n".join(lines[done:start]).strip("\n")))
        block = _Block(node.type, start + 1, "\n".join(lines[start:end]).rstrip())
        if node.type == "heading":
            block = replace(block, source=node.children[0].content.replace("\n", " "), level=int(node.tag[1]))
        elif node.type in ("bullet_list", "ordered_list"):
            starts = [item.map[0] for item in node.children if item.map]
            items = (_item(lines[a:b]) for a, b in pairwise([*starts, end]))
            block = replace(block, kind="list", items=tuple(item for item in items if item.strip() != "-"))
        blocks.append(block)
        done = end
    blocks.append(_Block("reference", done + 1, "\n".join(lines[done:]).strip("\n")))
    return [block for block in blocks if block.source]


def _item(lines: Sequence[str]) -> str:
    """A list's item with the marker "- ", and what follows its first line indented to match."""
    start = re.match(r" *(?:[-*+]|\d{1,9}[.)]) {0,4}", lines[0])
    width = start.end() if start else 0
    rest = (line[min(width, len(line) - len(line.lstrip(" "))) :] for line in lines[1:])
    return _bullet("\n".join([lines[0][width:], *rest]))


def _bullet(text: str) -> str:
    return "- " + indent(text.strip("\n").rstrip(), "  ")[2:]


# Above the first section ---------------------------------------------------------------------------------


def _read_head(blocks: Sequence[_Block], number: str | None) -> tuple[dict[str, str], list[_Block], list[_Note]]:
    """The facts for the front matter; the blocks that say more, and stay; notes."""
    facts: dict[str, str] = {}
    where: dict[str, int] = {}
    lead: list[_Block] = []
    titled = any(block.level == 1 and not facts_of(block.source) for block in blocks)
    for block in blocks:
        rest: list[tuple[int, str]] = []
        for line, source in _logical_lines(block):
            text = block.kind in ("heading", "paragraph") and not lead and not rest
            found = facts_of(source, may_be_title=block.level == 1 if titled else text)
            fresh = not found.keys() & facts.keys()
            if fresh:
                facts, where = facts | found, where | dict.fromkeys(found, line)
            if not found or not fresh or "doubt" in found:
                rest.append((line, source))
        if rest and block.kind != "hr":
            lead.append(replace(block, line=rest[0][0], source="\n".join(source for _, source in rest)))
    notes = []
    if "title" not in facts:
        notes.append((1, "no title was found; the number stands in for it"))
    if number and facts.get("number", number) != number:
        notes.append((where["number"], f"here it is issue {facts['number']}; it is imported as {number}"))
    if "doubt" in facts:
        notes.append((where["doubt"], f"found {facts['doubt']}; the line is kept"))
    if "credit" in facts and "src" not in facts:
        picture = f"no picture named for “{facts['credit']}”"
        notes.append((where["credit"], f"{picture}: image.src is to be filled in"))
    if facts.get("alt") == "":
        notes.append((where["alt"], f"no words describe {facts['src']}: image.alt is to be filled in"))
    return facts | {"number": number or facts.get("number", "")}, lead, notes


def _logical_lines(block: _Block) -> Iterator[tuple[int, str]]:
    """A paragraph's lines with their numbers, a link over two lines kept whole; any other block as one."""
    line = block.line
    for text in re.split(r"\n(?![^\[]*\])", block.source) if block.kind == "paragraph" else [block.source]:
        yield line, text
        line += text.count("\n") + 1


# From blocks to text -------------------------------------------------------------------------------------


def _write_body(blocks: list[_Block], top: int) -> tuple[list[str], list[_Note]]:
    """Lead, sections and colophon, as Markdown. A rule stands above the colophon and nowhere else."""
    references = [block.source for block in blocks if block.kind == "reference"]
    blocks = [_levelled(block, top) for block in blocks if block.kind != "reference"]
    while blocks[-1].kind == "hr":
        blocks.pop()
    starts = [at for at, block in enumerate(blocks) if block.level == 2]
    rules = [at for at, block in enumerate(blocks) if block.kind == "hr" and at > starts[-1] + 1]
    lists = [at for at, block in enumerate(blocks) if block.kind == "list" and at > starts[-1]]
    end = rules[-1] if rules else lists[-1] + 1 if lists else len(blocks)
    colophon = [block for block in blocks[end:] if block.kind != "hr"]
    lead = blocks[: starts[0]]
    notes = [(block.line, f"{block} stands above the first section, and stays there") for block in lead]
    parts: list[str] = []
    counts = {"Headlines": 0, "Details": 0}
    for a, b in pairwise([*starts, end]):
        heading, content = blocks[a], [block for block in blocks[a + 1 : b] if block.kind != "hr"]
        if heading.label and not counts[heading.label]:
            items, strays, more = _items(heading.label, content)
            counts[heading.label] = len(items)
            parts += [heading.markdown, *filter(None, ["\n".join(items)])]
            lead += strays
            notes += more
        else:
            parts += [heading.markdown, *(block.markdown for block in content)]
            notes.append((heading.line, f"the section {heading} is kept as it is"))
    if counts["Headlines"] != counts["Details"]:
        found = f"{counts['Headlines']} headlines, but {counts['Details']} details"
        notes.append((blocks[starts[0]].line, f"found {found}; they pair item by item"))
    if not colophon:
        notes.append((blocks[-1].line, "nothing stands below the last section: the issue has no colophon"))
    elif not rules:
        notes.append((colophon[0].line, f"no rule stands above {colophon[0]}; it is taken as the colophon"))
    above, below = ([block.markdown for block in part] for part in (lead, colophon))
    return [*references, *above, *parts, *(["---"] if below else []), *below], notes


def _levelled(block: _Block, top: int) -> _Block:
    """The block with its level in an issue, where sections have the second; in the manuscript they have `top`."""
    level = 2 if block.label or block.level <= top else max(3, block.level)
    return replace(block, level=level) if block.level else block


def _items(label: str, content: Sequence[_Block]) -> tuple[list[str], list[_Block], list[_Note]]:
    """The one list that an issue wants Headlines and Details to be; what cannot be a part of it; notes."""
    items: list[str] = []
    strays: list[_Block] = []
    notes: list[_Note] = []
    listed = any(block.items for block in content)
    for block in content:
        if block.kind == "list":
            items += block.items
        elif not listed:
            items.append(_bullet(block.markdown))
            notes.append((block.line, f"{block} is no bullet; it is taken as an item of {label}"))
        elif items and label == "Details":
            items[-1] += "\n\n" + indent(block.markdown, "  ")
            notes.append((block.line, f"{block} is no bullet; it is taken as a part of the one above"))
        else:
            strays.append(block)
            notes.append((block.line, f"{block} is no item of {label}; it now stands above the sections"))
    return items, strays, notes
