"""An issue's source, story by story, and what changed in it between two versions, for a person to read."""

import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import chain, pairwise

from .issue import Issue

Stories = Mapping[str, str]  # "Details 3" → what its author wrote

_AROUND = 5  # words that are shown on both sides of a change
_LONGEST = 60  # words of one version


def stories(source: str, issue: Issue) -> dict[str, str]:
    """The file of an issue, cut where a key, a section or an item begins. Every line of it stands in one of them."""
    lines = re.sub(r"\r\n?", "\n", source).split("\n")
    rules = [n for n, line in enumerate(lines) if line.rstrip() == "---"]
    body = rules[1] + 1
    starts = [(n, key[1]) for n in range(body) if (key := re.match(r"([A-Za-z_]+)\s*:", lines[n]))]
    starts.append((body, "the lead"))
    for section in issue.sections:
        starts.append((section.line - 1, f"the heading {section.title}"))
        starts += [(entry.line - 1, f"{section.title} {n}") for n, entry in enumerate(section.entries, 1)]
    if issue.colophon:
        starts.append((rules[-1], "the colophon"))
    starts.sort()
    found: dict[str, str] = {}
    for (start, name), (end, _) in pairwise([*starts, (len(lines), "")]):
        unique = name if name not in found else f"{name} (line {start + 1})"
        found[unique] = "\n".join(line.rstrip() for line in lines[start:end]).strip("\n-").strip()
    return {name: text for name, text in found.items() if text}


def story_changes(old: Stories, new: Stories) -> list[str]:
    """Lines that say which stories differ: the old text and the new one, around what differs."""
    return list(chain.from_iterable(_block(name, before, after) for name, before, after in _pairs(old, new)))


def _pairs(old: Stories, new: Stories) -> Iterator[tuple[str, str, str]]:
    # By text, not by name: an item put in front of the others changes one story, not all of them.
    names = list(old), list(new)
    matcher = difflib.SequenceMatcher(None, list(old.values()), list(new.values()), autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        olds, news = names[0][a:b], names[1][c:d]
        same = dict(zip(olds, news, strict=True)) if len(olds) == len(news) else {n: n for n in olds if n in news}
        for name in olds:
            yield name, old[name], new[same[name]] if name in same else ""
        for name in news:
            if name not in same.values():
                yield name, "", new[name]


def _block(name: str, before: str, after: str) -> list[str]:
    if not before:
        return [f"{name} is new:", f"  + {_shortened(after.split())}"]
    if not after:
        return [f"{name} is gone:", f"  - {_shortened(before.split())}"]
    if before.split() == after.split():
        return [f"{name}: only blanks and line ends"]
    old, new = text_around(before, after)
    return [f"{name}:", f"  - {old}", f"  + {new}"]


def text_around(before: str, after: str) -> tuple[str, str]:
    """Both texts, cut to the words that differ and a few around them."""
    old, new = before.split(), after.split()
    shortest = min(len(old), len(new))
    first = next((n for n in range(shortest) if old[n] != new[n]), shortest)
    same = next((n for n in range(shortest - first) if old[-1 - n] != new[-1 - n]), shortest - first)
    start = max(0, first - _AROUND)
    return tuple(_cut(words, start, len(words) - max(0, same - _AROUND)) for words in (old, new))  # type: ignore[return-value]


def _cut(words: list[str], start: int, end: int) -> str:
    return ("… " if start else "") + _shortened(words[start:end]) + (" …" if end < len(words) else "")


def _shortened(words: list[str]) -> str:
    half = _LONGEST // 2
    return " ".join(words if len(words) <= _LONGEST else [*words[:half], "…", *words[-half:]])
