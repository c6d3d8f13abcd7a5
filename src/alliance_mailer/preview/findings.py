"""The checks' findings as the page lists them: by what they are about, and where in the message one can see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..checks import RULES, Finding
from ..issue import Issue

_TITLES = {
    "html": "HTML",
    "css": "CSS",
    "mime": "MIME",
    "clients": "Mail programs",
}  # of the families that are no words


@dataclass(frozen=True, slots=True)
class Note:
    """A finding, and what to look for in the message: a link's address, a picture's, or a jump target."""

    finding: Finding
    kind: str = ""  # href, src, name
    value: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """What the findings are about, the worst first; so are the groups."""

    title: str
    notes: tuple[Note, ...]


def grouped(findings: Sequence[Finding], issue: Issue, pictures: Mapping[str, str]) -> list[Group]:
    """The findings by family. `pictures` says where a picture of the issue is to be had, by its src there."""
    by_title: dict[str, list[Note]] = {}
    for finding in findings:
        family = RULES[finding.rule].family
        title = _TITLES.get(family, family.capitalize())
        by_title.setdefault(title, []).append(Note(finding, *_place(finding, issue, pictures)))
    groups = [
        Group(title, tuple(sorted(notes, key=lambda note: rank(note.finding)))) for title, notes in by_title.items()
    ]
    return sorted(groups, key=lambda group: rank(group.notes[0].finding))


def rank(finding: Finding) -> int:
    """Errors before warnings before the rest."""
    return {"error": 0, "warning": 1}.get(finding.severity, 2)


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many errors, warnings and notes; and how many rules found nothing."""
    severities = [finding.severity for finding in findings]
    errors, warnings = severities.count("error"), severities.count("warning")
    found = {finding.rule for finding in findings}
    passed = sum(rule not in found for rule in RULES)
    return {"errors": errors, "warnings": warnings, "notes": len(findings) - errors - warnings, "passed": passed}


def _place(finding: Finding, issue: Issue, pictures: Mapping[str, str]) -> tuple[str, str]:
    if finding.file != issue.file or not finding.line:
        return "", ""
    images = [image.src for image in issue.images if image.line == finding.line and image.src in finding.message]
    if images:
        return "src", pictures.get(images[0], images[0])
    links = [link for link in issue.links if link.line == finding.line]
    links = [link for link in links if link.text and link.text in finding.message] or links
    if links and finding.rule.startswith("L"):
        return "href", links[0].href
    for section in issue.sections:
        for number, entry in enumerate(section.entries, 1):
            last = max((token.map[1] for token in entry.blocks if token.map), default=0)
            first = min((token.map[0] for token in entry.blocks if token.map), default=0)
            if entry.line <= finding.line < entry.line + max(last - first, 1):
                return "name", f"item-{number}"
    return "", ""
