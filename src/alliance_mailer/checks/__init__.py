"""Checks: what should not be sent as it is, each finding with file and line.

One file a family; each has `check(issue) -> Iterator[Finding]`. A finding is no reading error: the issue builds, but a
transport that leaves this machine refuses it until it is mended or allowed (`--allow RULE`).
"""

import importlib
import pkgutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..issue import Issue


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


def errors_in(findings: Sequence[Finding], allowed: Collection[str]) -> list[Finding]:
    """The findings that keep an issue from leaving this machine."""
    return [finding for finding in findings if finding.severity == "error" and finding.rule not in allowed]
