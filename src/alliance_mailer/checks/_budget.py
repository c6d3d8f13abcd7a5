"""How much of the room that Gmail leaves is spent, story by story, and the sentence at which it would cut."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..body import Entry, plain
from ._proof import Proof
from ._rule import Place

CLIP = 102_400  # bytes of HTML; hteumeuleu/email-bugs#41


@dataclass(frozen=True, slots=True)
class Story:
    """An item of the issue, and the bytes of HTML that it becomes."""

    words: str  # its first
    line: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Budget:
    """The page's bytes, those of each story, and where they run out."""

    bytes: int
    stories: Sequence[Story]
    cut_words: str = ""  # the last that Gmail would show
    cut_at: Place | None = None

    def largest(self, count: int) -> list[Story]:
        """The stories that cost most."""
        return sorted(self.stories, key=lambda story: -story.bytes)[:count]


def budget(proof: Proof) -> Budget:
    """Count."""
    size = len(proof.html.encode())
    entries = [entry for section in proof.issue.sections for entry in section.entries if section.kind != "headlines"]
    starts = sorted(entry.line for entry in entries)
    spent = dict.fromkeys(starts, 0)
    pieces = _MARK.split(proof.page)  # text, file, line, text, …
    story, row = None, 0  # the template's line of the story's row
    for before, file, line in zip(pieces[3::3], pieces[1::3], pieces[2::3], strict=True):
        if file == proof.issue.file:
            story = max((start for start in starts if start <= int(line)), default=None)
        elif story is None or int(line) <= row:
            row = int(line)
        else:  # below the rows: the story is over
            story = None
        if story is not None:
            spent[story] += len(before.encode())
    stories = [Story(_first_words(proof, entry), entry.line, spent[entry.line]) for entry in entries]
    return Budget(size, stories, *_cut(proof)) if size > CLIP else Budget(size, stories)


_MARK = re.compile(r'(?: data-at="|<!--at )([^">]*):([0-9]+)(?:"|-->)')


def _first_words(proof: Proof, entry: Entry) -> str:
    words = " ".join(plain(token.children or []) for token in entry.blocks if token.type == "inline")
    return " ".join(proof.issue.markers().shown(words).split()[:5])


def _cut(proof: Proof) -> tuple[str, Place | None]:
    """The last words that are shown, and where they stand in the issue."""
    kept = proof.html.encode()[:CLIP].decode(errors="ignore")
    words = re.sub(r"<[^>]*>?", " ", kept[-3000:]).split()[-8:-1]
    for count in range(len(words)):  # fewer and fewer of them: a link or a line break may stand between
        text = " ".join(words[count:])
        for number, line in proof.prose:
            if (index := line.rfind(text)) >= 0:
                return " ".join(words), proof.at(proof.issue.file, number, text, index)
    return " ".join(words), None
