"""What an editor looks for: sources, dates, numbers, names, and what was meant to be filled in later."""

import re
from collections.abc import Iterator

from ..body import Entry
from ._proof import Proof
from ._rule import Flaw, Place, rule
from .links import parts

_PLACEHOLDER = re.compile(
    r"\b(?:TK|TKTK|TODO|FIXME|XXX|TBC|TBD)\b|(?i:\blorem ipsum\b|\bxx+\b)"
    r"|\[(?:insert|add|link|tk|name|date|xx)[^\]\n]{0,40}\](?!\()"
)
_DOUBLED = re.compile(r"\b([A-Za-z]{2,})[ \t]+\1\b")
_MEANT_TWICE = frozenset(
    ("that", "had", "is", "very", "so", "no", "ha", "bye", "long", "many", "bora", "pago", "walla")
)
_ACRONYM = re.compile(r"(?<![\w&.-])([A-Z]{2,6})(?:s|’s|'s)?(?![\w&-])")
_EVERYBODY_KNOWS = """
    AD AI AIDS AM AP APEC ASEAN BBC BC CEO CFO CIA CNN COVID CTO DC DNA DOI DPRK EDT EST EU FAQ FBI FIXME GDP
    GMT HIV HMS HR HTTP ID II III IMF ISBN IT IV IX JS JST LA MP MT MV NASA NATO NHK NO NY OECD OK PC PDF PM PR
    PRC PS PST RMS ROK RSVP SARS SS TBC TBD TK TKTK TODO TV UAE UK UN UNESCO UNICEF URL US USA USS USSR UTC VI
    VII VIII VIP VOL WHO WTO XI XII XIV XV XX XXI XXX
"""
_KNOWN = frozenset(_EVERYBODY_KNOWS.split())


def stories(proof: Proof) -> Iterator[tuple[int, Entry]]:
    """The details, numbered."""
    details = next((section for section in proof.issue.sections if section.kind == "details"), None)
    yield from enumerate(details.entries if details else (), 1)


def _links_of(entry: Entry) -> list[str]:
    return [
        str(child.attrs["href"])
        for token in entry.blocks
        for child in token.children or ()
        if child.type == "link_open"
    ]


def _is_source(href: str) -> bool:
    """Whether an address is that of a page, not of a site's front."""
    split = parts(href)
    return bool(split and (split.path.strip("/") or split.query))


def _same(href: str) -> str:
    return re.sub(r"^https?://(www\.)?", "", href.partition("#")[0].lower()).rstrip("/")


@rule(
    "E001", "warning", fix="link the words that say what happened: [signed](https://…)", source="what a digest is for"
)
def stories_have_a_source(proof: Proof) -> Iterator[Flaw]:
    """Each story links to a source or more.

    A reader who wants to know more has nowhere to go, and nobody can check it.
    """
    for number, entry in stories(proof):
        if not _links_of(entry):
            yield Flaw(f"story {number} has no link", proof.at(proof.issue.file, entry.line))


@rule("E002", "info", fix="link another page, or only one of the two places", source="what a digest is for")
def sources_are_linked_once(proof: Proof) -> Iterator[Flaw]:
    """The same page is not linked twice.

    Often the second address was copied from the first by mistake. Front pages do not count.
    """
    first: dict[str, int] = {}
    for link, place in proof.links():
        if _is_source(link.href):
            if line := first.get(_same(link.href)):
                yield Flaw(f"{link.href} is linked in line {line} already", place)
            first.setdefault(_same(link.href), link.line)


@rule("E003", "warning", fix="link what is new, or say that it is a follow-up", source="what a digest is for")
def sources_are_new(proof: Proof) -> Iterator[Flaw]:
    """No story rests on a page that the last issue has linked.

    It is old news, or the paragraph of a draft that was copied.
    """
    if proof.previous is None:
        return
    before = {_same(link.href) for link in proof.previous.links}
    lines = {line for _, entry in stories(proof) for line in range(entry.line, end_of(entry) + 1)}
    for link, place in proof.links():
        if link.line in lines and _is_source(link.href) and _same(link.href) in before:
            yield Flaw(f"{link.href} was in issue {proof.previous.number} already", place)


def end_of(entry: Entry) -> int:
    """The line behind an item."""
    return max((token.map[1] for token in entry.blocks if token.map), default=entry.line)


@rule(
    "E006",
    "info",
    fix='spell it out first: Missile Defense Agency (MDA); or [check] acronyms = ["MDA"]',
    source="house style",
)
def acronyms_are_spelled_out(proof: Proof) -> Iterator[Flaw]:
    """An acronym is spelled out where it is used first.

    Headlines may go before. [check] acronyms names those that every reader of yours knows.
    """
    known = {*_KNOWN, *proof.preferences.acronyms}
    heads = {entry.line for section in proof.issue.sections if section.kind == "headlines" for entry in section.entries}
    body = min((section.line for section in proof.issue.sections), default=0)
    text = "\n".join(line for _, line in proof.prose)
    defined, seen = set(re.findall(r"\(([A-Z]{2,6})s?\)", text)), set()
    for match, place in proof.found(_ACRONYM):
        word, line = match[1], place.line or 0
        if word in known or word in seen or line in heads or line <= body or _is_shouted(match):
            continue
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:2]
        seen.add(word)
        if before == "(" or re.match(r" \(", after):
            continue
        where = "is spelled out only later" if word in defined else "is not spelled out"
        yield Flaw(f"{word} {where}", place)


def _is_shouted(match: re.Match[str]) -> bool:
    """Whether a word beside it is in capitals, too: a title, no acronym."""
    return bool(
        re.search(r"[A-Z]{2,} $", match.string[: match.start()]) or re.match(r" [A-Z]{2,}", match.string[match.end() :])
    )


@rule("E007", "error", fix="write what is meant there", source="journalism: TK, to come")
def nothing_is_still_to_come(proof: Proof) -> Iterator[Flaw]:
    """No placeholder is left: TK, TODO, lorem ipsum, [insert name].

    It was to be filled in before the sending. This is before the sending.
    """
    for match, place in proof.found(_PLACEHOLDER):
        yield Flaw(f"“{match[0]}” is still to be filled in", place)
    for number, line in enumerate(proof.lines(proof.issue.file), 1):
        if re.match(r"# image: \{src: \"…\"", line):  # as `mailer import` leaves it
            fix = "name the file, say what it shows, delete the #; or delete the line"
            message = "the picture, and the text for who does not see it, are still to be filled in"
            yield Flaw(message, proof.at(proof.issue.file, number, "…"), fix)
    file = f"templates/{proof.issue.template}/message.mjml.j2"
    words = re.sub(
        r"\{#.*?#\}", lambda found: "\n" * found[0].count("\n"), "\n".join(proof.lines(file)), flags=re.DOTALL
    )
    for number, line in enumerate(words.split("\n"), 1):
        for found in re.finditer(r"(?i)\blorem ipsum\b|\bTODO\b|\bFIXME\b", line):
            yield Flaw(f"“{found[0]}” is still to be filled in", proof.at(file, number, found[0]))


@rule("E011", "warning", fix="write it as the house does: [check.terms] of mailer.toml", source="house style")
def house_style_is_kept(proof: Proof) -> Iterator[Flaw]:
    """Names and terms are written as the house writes them.

    [check.terms] lists them: "U.S." = "US", "e-mail" = "email".
    """
    for wrong, right in proof.preferences.terms.items():
        for match, place in proof.found(re.compile(rf"(?<!\w){re.escape(wrong)}(?!\w)")):
            yield Flaw(f"“{match[0]}” is “{right}” here", place, f"write {right}" if right else "")


@rule("E012", "warning", fix="delete one of them", source="every proof-reader")
def no_word_stands_twice(proof: Proof) -> Iterator[Flaw]:
    """No word stands there twice twice.

    The eye passes over it; a reader's does not.
    """
    for match, place in proof.found(_DOUBLED):
        if match[1].lower() not in _MEANT_TWICE:
            yield Flaw(f"“{match[0]}”", place)


@rule("E013", "info", fix="choose one kind: “ ” and ’ are what books use", source="house style")
def quotation_marks_match(proof: Proof) -> Iterator[Flaw]:
    """Quotation marks are all straight, or all curly.

    A mixture shows which sentences were pasted.
    """
    for curly, straight, name in (
        ("[“”]", '"', "quotation marks"),
        (r"(?<=\w)’(?=\w)", r"(?<=\w)'(?=\w)", "apostrophes"),
    ):
        marks = [
            place for _, place in proof.found(re.compile(straight)) if place.line not in proof.issue.lines.values()
        ]
        if marks and any(True for _ in proof.found(re.compile(curly))):
            yield Flaw(f"straight {name} among curly ones", marks[0])


@rule(
    "E014",
    "error",
    fix="[words](https://…), no blank, no lone bracket in the address; javascript:, file: and data: become no links",
    source="CommonMark, 6.3 and 6.2; markdown-it refuses such addresses",
)
def no_markdown_is_left(proof: Proof) -> Iterator[Flaw]:
    """No Markdown is left as it was typed.

    A link that is none, [words](with a blank), stands in the letter with all its brackets.
    """
    found = proof.tree.xpath("//body//text()[not(ancestor::code or ancestor::pre or ancestor::style)]")
    texts = [str(text) for text in found]
    for match in dict.fromkeys(_LEFT_LINK.findall("".join(texts))):
        yield Flaw(f"“{match[:60]}” was meant to be a link", _typed(proof, match.partition("]")[2]))
    for match in dict.fromkeys(match for text in texts for match in _LEFT_STARS.findall(text)):
        fix = "two stars before the first letter, and two after the last"
        yield Flaw(f"“{match}” was meant to be bold", _typed(proof, match), fix, "warning")


_LEFT_LINK = re.compile(r"\[[^\[\]\n]+\] ?\(\s*(?:[a-z]+:|//|www\.)[^()\n]*\)?|\[[^\[\]\n]+\]\[[^\[\]\n]*\]")
_LEFT_STARS = re.compile(r"\*\*[^\s*]+|(?<![^\s*])[^\s*]+\*\*")


def _typed(proof: Proof, words: str) -> Place:
    """Where words of the page stand in the issue; only that it is the issue, where they were typed otherwise."""
    for number in range(1, len(proof.lines(proof.issue.file)) + 1):
        place = proof.at(proof.issue.file, number, words)
        if place.column:
            return place
    return proof.whole
