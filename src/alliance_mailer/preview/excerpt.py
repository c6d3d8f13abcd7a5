"""An error as the page shows it: where it stands, the lines around it, a caret, what to do."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import Problem

_AROUND = 2  # lines


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file. `before`, `caret` and `after` are its parts, where it is the one that is meant."""

    number: int
    text: str
    before: str = ""
    caret: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One problem with the lines around it."""

    problem: Problem
    lines: tuple[Line, ...]
    column: int  # counted from 1


def card(problem: Problem, project: Path) -> Card:
    """The problem with the lines around it, where it names a file of the publication and a line."""
    path = (project / problem.file).resolve()
    if not problem.file or not problem.line or not path.is_relative_to(project.resolve()) or not path.is_file():
        return Card(problem, (), 1)
    lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines() or [""]
    at = min(problem.line, len(lines))
    start, end = _meant(problem.message, lines[at - 1])
    shown = tuple(
        Line(number, text, text[:start], text[start:end], text[end:]) if number == at else Line(number, text)
        for number, text in enumerate(lines[max(at - 1 - _AROUND, 0) : at + _AROUND], max(at - _AROUND, 1))
    )
    return Card(problem, shown, start + 1)


def _meant(message: str, line: str) -> tuple[int, int]:
    """Which part of the line a message speaks of: the first thing it quotes that stands there, else all of it."""
    quoted = re.findall(r"'([^']+)'|\"([^\"]+)\"|“([^”]+)”|\bvalue ([^\s,]+)", message)
    for words in ("".join(found) for found in quoted):
        if (at := line.find(words)) >= 0:
            return at, at + len(words)
    start = len(line) - len(line.lstrip())
    return start, max(len(line.rstrip()), start + 1)
