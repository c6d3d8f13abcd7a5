"""A rule of the checks: what it looks for, why that matters, how it is mended, who says so; and what it finds."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file that a person can edit; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    length: int | None = None  # characters from the column on
    excerpt: str = ""  # that line


@dataclass(frozen=True, slots=True)
class Flaw:
    """What a rule found, in words, and where; `fix` and `severity` where they are not the rule's own."""

    message: str
    place: Place
    fix: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at."""

    rule: str  # L001
    severity: str  # error, warning, info
    file: str
    line: int | None
    message: str
    fix: str
    column: int | None = None
    length: int | None = None
    excerpt: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Its function is given a `Proof` and yields flaws."""

    id: str
    severity: Severity
    title: str
    why: str
    fix: str
    source: str  # a standard, a measurement, whose advice
    family: str
    find: Callable[[Any], Iterator[Flaw]]

    def as_dict(self) -> dict[str, str]:
        """Its words, for programs."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "find"}

    def findings(self, proof: object) -> Iterator[Finding]:
        """What it finds in a proof."""
        for flaw in self.find(proof):
            place = flaw.place
            yield Finding(
                self.id, flaw.severity or self.severity, place.file, place.line, flaw.message, flaw.fix or self.fix,
                place.column, place.length, place.excerpt,
            )  # fmt: skip


def rule(
    identity: str, severity: Severity, *, fix: str, source: str
) -> Callable[[Callable[..., Iterator[Flaw]]], Rule]:
    """Make a rule of a function: the first line of its docstring is the title, the rest says why it matters."""

    def made(find: Callable[..., Iterator[Flaw]]) -> Rule:
        title, _, why = inspect.cleandoc(find.__doc__ or "").partition("\n")
        family = find.__module__.rpartition(".")[2]
        return Rule(identity, severity, title.rstrip("."), re.sub(r"\s+", " ", why).strip(), fix, source, family, find)

    return made
