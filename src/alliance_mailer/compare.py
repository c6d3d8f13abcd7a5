"""What `mailer diff` does: two issues side by side, by story, links, template, size and audience."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from markdown_it.token import Token

from .body import Section, plain
from .edition import Edition
from .issue import Issue
from .message import Message
from .report import Report

_ALIKE = 0.6  # of two headlines that are the same story, told on


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared of an issue."""

    issue: Issue
    edition: Edition

    @property
    def facts(self) -> dict[str, str]:
        """One line each."""
        issue, edition = self.issue, self.edition
        message = Message(edition, edition.neutral_reader, _midnight(issue), "0" * 32, "0" * 32)
        words = sum(len(self._section_text(section).split()) for section in issue.sections)
        return {
            "date": issue.date.isoformat(),
            "send_at": f"{issue.send_at:%Y-%m-%d %H:%M}" if issue.send_at else "",
            "subject": edition.subject.shown(),
            "audience": ", ".join(issue.audience),
            "template": issue.template,
            "words": f"{words}",
            "links": f"{len(issue.links)}",
            "pictures": f"{len(issue.images)}",
            "HTML": f"{len(message.html.encode()):,} bytes",
            "message": f"{len(message.as_bytes()):,} bytes",
        }

    @property
    def sections(self) -> dict[str, list[str]]:
        """The first words of each item, section by section."""
        return {
            section.title: [_shortened(self._text(entry.blocks)) for entry in section.entries]
            for section in self.issue.sections
        }

    @property
    def colophon(self) -> str:
        """Its words."""
        return self._text(self.issue.colophon)

    def _text(self, tokens: Sequence[Token]) -> str:
        words = (plain(token.children or []) for token in tokens if token.type == "inline")
        return self.issue.markers().shown(" ".join(words))

    def _section_text(self, section: Section) -> str:
        return " ".join([self._text(section.blocks), *(self._text(entry.blocks) for entry in section.entries)])

    @property
    def links(self) -> dict[str, str]:
        """Where they go, with what they say."""
        return {link.href: link.text for link in self.issue.links}


def compare(report: Report, old: Side, new: Side) -> None:
    """Print both; a line that is the same in both stands once."""
    rows: list[tuple[str, str, str]] = [("", f"Issue {old.issue.number}", f"Issue {new.issue.number}")]
    rows += [(name, value, new.facts[name]) for name, value in old.facts.items() if value or new.facts[name]]
    sections = dict.fromkeys([*old.sections, *new.sections])
    for title in sections:
        olds, news = old.sections.get(title, []), new.sections.get(title, [])
        rows.append((f"{title}:", f"{len(olds)}" if title in old.sections else "not there",
                     f"{len(news)}" if title in new.sections else "not there"))  # fmt: skip
        rows += [("", before, after) for before, after in paired(olds, news)]
    report.columns(rows)
    both = [href for href in new.links if href in old.links]
    if both:
        report.say("\nLinks in both:")
        for href in both:
            report.say(f"  {href}")
    report.say(f"\nThe colophon is {'the same' if old.colophon == new.colophon else 'another one'}.")
    report.document({
        "issues": [{"issue": side.issue.number, **side.facts, "sections": side.sections} for side in (old, new)],
        "links_in_both": both, "same_colophon": old.colophon == new.colophon,
    })  # fmt: skip


def paired(olds: Sequence[str], news: Sequence[str]) -> list[tuple[str, str]]:
    """Items that tell of the same stand side by side, in the order of the new ones; the others have an empty side."""
    left = list(olds)
    rows = []
    for new in news:
        found = difflib.get_close_matches(new, left, n=1, cutoff=_ALIKE)
        if found:
            left.remove(found[0])
        rows.append((found[0] if found else "", new))
    return [*((old, "") for old in left), *rows]


def _shortened(text: str) -> str:
    return text if len(text) <= 70 else f"{text[:70].rsplit(' ', 1)[0]} …"


def _midnight(issue: Issue) -> datetime:
    return datetime.combine(issue.date, time(), UTC)
