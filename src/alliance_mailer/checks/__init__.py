"""Checks: what should not be sent as it is, each finding with file and line.

One file a family; each has `check(issue) -> Iterator[Finding]`. A finding is no reading error: the issue builds, but a
transport that leaves this machine refuses it until it is mended or allowed (`--allow RULE`).
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contact import read_columns
from ..errors import InputError, did_you_mean
from ..issue import Issue
from ..slots import Field

RULES = {
    "A004": "every picture has a text for who does not see it",
    "L001": "a link has an address that a reader's mail program can open",
    "M005": "a message stays below 1 MB",
    "M010": "the lists of the audience are there, and have a column for each merge field",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at."""

    rule: str  # L001
    severity: str  # error, warning
    file: str
    line: int | None
    message: str
    fix: str
    column: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message} [{self.rule}]"


def run_checks(issue: Issue) -> list[Finding]:
    """What all families find, in the order of the file."""
    families = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [finding for name in families for finding in importlib.import_module(f"{__name__}.{name}").check(issue)]
    return sorted(found, key=lambda finding: (finding.line or 0, finding.rule))


def check_audience(issue: Issue, fields: Iterable[Field], contacts: Path) -> list[Finding]:
    """M010. A list may be absent, in a fresh clone for instance; `send` needs it, `build` does not."""
    columns: set[str] = set()
    for name in issue.audience:
        try:
            columns |= read_columns(contacts, name)
        except InputError as error:
            fix = "name a list that is in contacts/: audience: […]"
            return [Finding("M010", "warning", issue.file, None, str(error), fix)]
    found = []
    for field in fields:
        if field.name not in columns:
            # With a fallback everybody would get that: a typo, perhaps.
            severity = "error" if field.fallback is None else "warning"
            message = f"no list of the audience has a column {field.name}{did_you_mean(field.name, columns)}"
            found.append(Finding("M010", severity, issue.file, None, message, "write the field as the list names it"))
    return found


def errors_in(findings: Sequence[Finding], allowed: Collection[str]) -> list[Finding]:
    """The findings that keep an issue from leaving this machine."""
    return [finding for finding in findings if finding.severity == "error" and finding.rule not in allowed]
