"""What `mailer import` does: a manuscript becomes `issues/N.md`, its pictures beside it."""

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .checks import Finding, errors_in
from .disk import read_text, write_atomically
from .edition import Edition
from .errors import InputError, Problem
from .issue import NUMBER, Issue
from .manuscript import Definition, issue_definition
from .report import Report

_PICTURES = (".png", ".jpg", ".jpeg", ".gif")
_OTHER_KINDS = (".docx", ".doc", ".odt", ".rtf", ".pdf", ".html", ".htm")


Look = Callable[[str], tuple[Issue, Edition, list[Finding]]]


def import_manuscript(project: Path, report: Report, manuscript: Path, number: str | None, look: Look) -> int:
    """Write the issue, and say what is left to do, which `look` finds. Returns the exit code.

    Raises InputError where nothing was written.
    """
    if manuscript.suffix.lower() in _OTHER_KINDS:
        hint = f"save it as Markdown, for example: pandoc {manuscript} -t commonmark -o {manuscript.stem}.md"
        raise InputError(Problem(str(manuscript), None, f"{manuscript.suffix} cannot be read; only Markdown can", hint))
    definition = issue_definition(read_text(manuscript, str(manuscript)), file=str(manuscript), number=number)
    number = definition.number
    if not NUMBER.fullmatch(number):  # it becomes the name of a file
        raise InputError(f"found the number {number!r}, expected letters, digits and dots", hint="--issue 2.6")
    name = f"issues/{number}.md"
    if any((project / "issues" / taken).exists() for taken in (f"{number}.md", f"{number}/index.md")):
        raise InputError(f"{name} is there already", hint=f"mailer import {manuscript} --issue N, or move {name} away")
    write_atomically(project / name, definition.text.encode())
    copied = _copy_pictures(definition, manuscript.parent, project / "issues")
    for note in definition.notes:
        report.warn(f"{manuscript}: {note}")
    return _conclude(report, manuscript, definition, [name, *copied], look)


def _copy_pictures(definition: Definition, source: Path, target: Path) -> list[str]:
    """Copy the pictures that lie beside the manuscript to where the issue looks for them."""
    named = re.findall(r'^image: \{src: "([^"]+)"', definition.text, re.MULTILINE)
    named += map(unquote, re.findall(r"!\[[^\]]*\]\(([^()\s]+)\)", definition.text))
    copied = []
    for name in dict.fromkeys(named):
        # Only what lies below the manuscript's own folder, and only to where nothing is.
        inside = all((folder / name).resolve().is_relative_to(folder.resolve()) for folder in (source, target))
        if (
            inside
            and (source / name).suffix.lower() in _PICTURES
            and (source / name).is_file()
            and not (target / name).exists()
        ):
            write_atomically(target / name, (source / name).read_bytes())
            copied.append(f"issues/{name}")
    return copied


def _conclude(report: Report, manuscript: Path, definition: Definition, written: list[str], look: Look) -> int:
    document: dict[str, Any] = {"issue": definition.number, "file": written[0], "notes": list(definition.notes)}
    try:
        issue, _, findings = look(definition.number)
    except InputError as mistakes:
        report.document({**document, "problems": [asdict(problem) for problem in mistakes.problems]})
        report.say(f"{manuscript} → {', '.join(written)}, where there is something to mend:")
        for problem in mistakes.problems:
            report.warn(str(problem))
        return 1
    stories = next((len(section.entries) for section in issue.sections if section.kind == "details"), 0)
    report.say(f"{manuscript} → {', '.join(written)}: {stories} stories, {len(issue.links)} links")
    if errors := errors_in(findings, ()):
        report.say(f"{len(errors)} things to mend before it can be sent: mailer check --issue {issue.number}")
    report.say(f"\nNext: mailer build --issue {issue.number}")
    report.document({**document, "findings": [asdict(finding) for finding in findings]})
    return 0
