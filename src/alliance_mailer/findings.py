"""What the checks found, for whoever reads it: a terminal, a program, GitHub's page of a pull request, SARIF."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from wcwidth import width

from .checks import RULES, Finding, Proof, Rule
from .checks._budget import CLIP, Story, budget

_COLOURS = {"error": "31", "warning": "33", "info": "36"}
FAMILIES = (
    "headers", "unsubscribe", "mime", "html", "accessibility", "css", "clients", "links", "content", "editorial",
    "dates", "template", "audience", "online",
)  # fmt: skip


def styled(text: str, style: str) -> str:
    """Text in a colour, where stdout is a terminal that wants one."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{style}m{text}\033[0m"


# A terminal ----------------------------------------------------------------------------------------------------------


def as_text(findings: Sequence[Finding], proof: Proof, rules: int) -> Iterator[str]:
    """Line by line: each finding with the words that it is about, what to do once, and a sum at the end."""
    told = set()
    for finding in findings:
        rule = styled(f"[{finding.rule}]", "2")
        yield f"{styled(_where(finding), '1')}: {_severity(finding)} {_clean(finding.message)} {rule}"
        yield from _excerpt(finding)
        if (finding.rule, finding.fix) not in told:
            told.add((finding.rule, finding.fix))
            first, *more = textwrap.wrap(finding.fix, _room(), break_long_words=False, break_on_hyphens=False)
            yield f"{' ' * 6} {styled('=', '34')} {first}"
            yield from (f"{' ' * 9}{line}" for line in more)
        yield ""
    yield from _sum(findings, proof, rules)


def _room() -> int:
    """Columns for an author's line, behind its number."""
    return max(30, min(shutil.get_terminal_size((100, 24)).columns, 110) - 10)


def _where(finding: Finding) -> str:
    return ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part)


def _severity(finding: Finding) -> str:
    return styled(f"{finding.severity}:", f"1;{_COLOURS[finding.severity]}")


def _clean(text: str) -> str:
    """Text that moves no cursor."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", " ", text)


def _excerpt(finding: Finding) -> Iterator[str]:
    """The part of the author's line that matters, and a caret below it."""
    if not finding.line or not finding.excerpt.strip():
        return
    room = _room()
    text, column = finding.excerpt, (finding.column or 1) - 1
    start = 0
    if width(_clean(text)) > room:
        start = max(0, min(column - room // 3, len(text) - room))
        start = (text.find(" ", start, column) + 1 if start else 0) or start  # a whole word first
    start += len(text[start:]) - len(text[start:].lstrip())
    left = "…" if text[:start].strip() else ""
    shown = left + _clean(text[start : start + room + 1])
    while width(shown) > room:
        shown = shown[:-2] + "…"
    bar = styled("|", "34")
    yield f"{styled(f'{finding.line:6}', '34')} {bar} {shown}"
    if finding.column:
        before = width(_clean(text[start:column])) + len(left)
        under = width(_clean(text[column : column + (finding.length or 1)]))
        caret = ("^" + "~" * max(0, under - 1))[: max(1, width(shown) - before)]
        yield f"{' ' * 6} {bar} {' ' * before}{styled(caret, '1;' + _COLOURS[finding.severity])}"


def _sum(findings: Sequence[Finding], proof: Proof, rules: int) -> Iterator[str]:
    counts = Counter(finding.severity for finding in findings)
    words = [styled(_count(counts[kind], kind), f"1;{_COLOURS[kind]}") for kind in _COLOURS if counts[kind]]
    if words:
        yield f"{', '.join(words)}, by {_count(rules, 'rule')}"
    else:
        yield f"{styled('✓', '1;32')} {proof.issue.file}: nothing found by {_count(rules, 'rule')}"
    spent = budget(proof)
    share = min(1.0, spent.bytes / CLIP)
    colour = "32" if share < 0.8 else "33" if share < 1 else "31"
    bar = styled("█" * round(share * 24), colour) + styled("░" * (24 - round(share * 24)), "2")
    yield f"  {bar} {spent.bytes / 1000:.0f} KB of the {CLIP / 1000:.0f} at which Gmail cuts"
    if spent.stories:
        most: Story = spent.largest(1)[0]
        line = f"  the longest story: {most.bytes / 1000:.1f} KB, line {most.line}, “{most.words} …”"
        yield styled(line, "2")
    if findings:
        yield f"  why: mailer check --explain {findings[0].rule}"


def _count(count: int, kind: str) -> str:
    word = {"info": "remark"}.get(kind, kind)
    return f"{count} {word}{'' if count == 1 else 's'}"


def as_list() -> Iterator[str]:
    """All rules, family by family."""
    for family in FAMILIES:
        rules = [rule for rule in RULES.values() if rule.family == family]
        if rules:
            yield styled(family, "1")
            for rule in rules:
                yield f"  {rule.id}  {styled(f'{rule.severity:8}', _COLOURS[rule.severity])} {rule.title}"
            yield ""


def explained(rule: Rule) -> Iterator[str]:
    """One rule, in full."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 90)
    fill = partial(textwrap.fill, width=width, break_long_words=False, break_on_hyphens=False)  # to be copied
    yield f"{styled(rule.id, '1')}  {styled(rule.severity, _COLOURS[rule.severity])}, {rule.family}"
    yield ""
    yield fill(f"{rule.title}.")
    yield fill(rule.why)
    yield ""
    yield fill(rule.fix, initial_indent="  do      ", subsequent_indent=" " * 10)
    yield fill(rule.source, initial_indent="  source  ", subsequent_indent=" " * 10)
    comment = f"<!-- check: ignore {rule.id} because … --> on the line or above it"
    setting = f'[check] ignore = [{{ rule = "{rule.id}", reason = "…" }}]'
    yield fill(f"{comment}; or {setting}", initial_indent="  ignore  ", subsequent_indent=" " * 10)


# Programs ------------------------------------------------------------------------------------------------------------


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The document of --json."""
    return {"findings": [asdict(finding) for finding in findings]}


def as_github(findings: Sequence[Finding]) -> Iterator[str]:
    """Workflow commands: GitHub shows each beside the line of the pull request."""
    names = {"error": "error", "warning": "warning", "info": "notice"}
    for finding in findings:
        place = {"file": finding.file, "line": finding.line, "col": finding.column}
        properties = [f"{key}={_escaped(str(value), ':,')}" for key, value in place.items() if value]
        title = _escaped(f"{finding.rule}: {RULES[finding.rule].title}", ":,")
        message = _escaped(f"{finding.message}. {finding.fix}", "")
        yield f"::{names[finding.severity]} {','.join([*properties, f'title={title}'])}::{message}"


def _escaped(text: str, more: str) -> str:
    return re.sub(rf"[%\r\n{more}]", lambda found: f"%{ord(found[0]):02X}", text)


def as_sarif(findings: Sequence[Finding], version: str) -> str:
    """SARIF 2.1.0 (OASIS), for code scanning."""
    levels = {"error": "error", "warning": "warning", "info": "note"}
    used = sorted({finding.rule for finding in findings})
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "help": {"text": f"{rule.fix} (source: {rule.source})"},
            "defaultConfiguration": {"level": levels[rule.severity]},
            "properties": {"category": rule.family},
        }
        for rule in map(RULES.__getitem__, used)
    ]
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": used.index(finding.rule),
            "level": levels[finding.severity],
            "message": {"text": f"{finding.message}. {finding.fix}"},
            "locations": [{"physicalLocation": _location(finding)}],
        }
        for finding in findings
    ]
    driver = {"name": "mailer check", "version": version, "rules": rules}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def _location(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": finding.file}}
    if finding.line:
        region = {"startLine": finding.line}
        if finding.column:
            region |= {"startColumn": finding.column, "endColumn": finding.column + (finding.length or 1)}
        location["region"] = region
    return location
