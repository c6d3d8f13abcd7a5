"""The head of a manuscript, line by line: number, date, title, picture and whom it is credited to.

A line becomes a fact only where it says nothing else.
"""

import re
from contextlib import suppress
from datetime import date
from time import strptime
from urllib.parse import unquote

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False})

_CREDIT = re.compile(r"(?i)(?:image|picture|photo(?:graph)?)(?:\s+(?:source|credits?|by))?\s*[:：]\s*(.+)")
_VOLUME = re.compile(r"(?i)\bvol(?:ume)?\b[\s.:#]*(\d+(?:[.-]\d+)*)\b")
_NUMBER = re.compile(r"(?i)(?:\b(?:issue|number|no|nr)\b|№)(?:\s*\b(?:no|number)\b)?[\s.:#]*(\d+(?:[.-]\d+)*)\b")
# What may stand about a number and a date and says nothing more.
_ASIDE = re.compile(
    r"(?i)\b(?:date|published|on|of|(?:mon|tue|wed|thu|fri|sat|sun)(?:[a-z]*day|rs|s)?)\b"
    r"|(?<=\d)(?:st|nd|rd|th)\b|[./-](?!\d)|[\s|·•,;:()–—]"
)
_NAMES = "january february march april may june july august september october november december"
_MONTHS = {name[:n]: f"m{at}" for at, name in enumerate(_NAMES.split(), 1) for n in (3, 4, len(name))}
# Between dots the day always comes first; between strokes, nobody knows.
_DATES = ["m%m %d %Y", "%d m%m %Y", "%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"]


def shown(markdown: str) -> tuple[str, list[str], list[tuple[str, str]]]:
    """What a reader sees: the words, where the links go, the pictures with the words that describe them."""
    words, links, pictures = "", [], []
    for token in _MARKDOWN.parseInline(markdown)[0].children or []:
        if token.type == "image":
            src, title = str(token.attrs["src"]), str(token.attrs.get("title", ""))
            alt = " – ".join(filter(None, ["".join(part.content for part in token.children or []), title]))
            # The parser percent-encodes, as an address wants it; a file is named without.
            pictures.append((src if ":" in src else unquote(src), alt))
        else:
            words += " " if "break" in token.type else token.content
        if token.type == "link_open":
            links.append(str(token.attrs["href"]))
    return words.strip(" \\"), links, pictures


def facts_of(source: str, *, may_be_title: bool = False) -> dict[str, str]:
    """What a line says for the front matter; nothing, where it says more than that."""
    text, links, pictures = shown(source)
    credit = _CREDIT.fullmatch(text)
    facts = {"credit": credit[1]} if credit else _said(text)
    if text and not facts and not pictures and may_be_title and len(text) <= 100:
        return {"title": text}
    if max(len(links), len(pictures)) > 1 or (text and not credit and (links or not facts)):
        return {}
    for src, alt in pictures:
        facts |= {"src": src, "alt": alt}
    return facts | {"href": links[0]} if facts and links else facts


def _said(text: str) -> dict[str, str]:
    """The number and the date in a line that says nothing else; a doubt, where the date has two readings."""
    number, rest = "", text
    for pattern in (_VOLUME, _NUMBER):
        # Vol. 2, No. 6 is 2.6; Vol. 2.6 is that already.
        if (found := pattern.search(rest)) and "." not in number:
            number = f"{number}.{found[1]}".lstrip(".")
            rest = f"{rest[: found.start()]} {rest[found.end() :]}"
    words = " ".join(_MONTHS.get(word.lower(), word) for word in _ASIDE.sub(" ", rest).split())
    days = set()
    for form in _DATES:
        with suppress(ValueError):
            days.add(date(*strptime(words, form)[:3]).isoformat())
    if words and not days:
        return {}
    said = {"number": number} if number else {}
    if len(days) > 1:
        return said | {"doubt": f"“{text}”, which can mean {' or '.join(sorted(days))}"}
    return said | ({"date": days.pop()} if days else {})
