"""Checks: what should not be sent as it is, each finding with file, line and what to do.

One file a family; a rule is a function in it, from a `Proof` to flaws. A finding is no reading error: the issue builds,
but a transport that leaves this machine refuses it until its errors are mended or allowed (`--allow RULE=REASON`).
"""

import importlib
import pkgutil
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date

from ..errors import UsageError, did_you_mean
from ..preferences import Preferences
from ._proof import Proof, pull
from ._rule import Finding, Rule

__all__ = ["RULES", "Finding", "Proof", "Rule", "errors_in", "ignored", "pull", "read_allowed", "run_checks"]


def _rules() -> Iterator[Rule]:
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            family = importlib.import_module(f"{__name__}.{module.name}")
            yield from (value for value in vars(family).values() if isinstance(value, Rule))


RULES: Mapping[str, Rule] = {rule.id: rule for rule in sorted(_rules(), key=lambda rule: rule.id)}


def run_checks(proof: Proof, today: date, rules: Iterable[str] = RULES) -> list[Finding]:
    """What the rules find, in the order of the files, the issue first; without what is ignored on `today`."""
    known = ignored(proof.preferences, today)
    found = [finding for rule in rules if rule not in known for finding in RULES[rule].findings(proof)]
    found = [finding for finding in dict.fromkeys(found) if not _is_ignored(finding, proof)]
    first = proof.issue.file
    return sorted(found, key=lambda each: (each.file != first, each.file, each.line or 0, each.column or 0, each.rule))


def ignored(preferences: Preferences, today: date) -> set[str]:
    """The rules that [check] ignores on a day."""
    return {each.rule for each in preferences.ignore if each.until is None or today <= each.until}


# In the author's file, on the line itself or alone on the line above: <!-- check: ignore L001 because … -->
_IGNORE = re.compile(r"check: ignore ((?:[A-Z][0-9]{3}[ ,]+)+)(?!-->|-?#\}|\*/)\S")


def _is_ignored(finding: Finding, proof: Proof) -> bool:
    lines = proof.lines(finding.file)
    if not finding.line or finding.line > len(lines):
        return False
    near = [lines[finding.line - 1]]
    if finding.line > 1 and re.fullmatch(r"\s*(<!--|\{#|/\*|#).*", lines[finding.line - 2]):
        near.append(lines[finding.line - 2])
    return any(finding.rule in re.split("[ ,]+", match[1]) for line in near for match in _IGNORE.finditer(line))


def read_allowed(options: Iterable[str]) -> dict[str, str]:
    """The reason of each rule that is passed over, from RULE=REASON as --allow has it. Raises UsageError."""
    allowed = {}
    for option in options:
        rule, _, reason = option.partition("=")
        rule = rule.strip().upper()
        if rule not in RULES:
            raise UsageError(f"--allow: there is no rule {rule}{did_you_mean(rule, RULES)}", hint="mailer check --list")
        if not reason.strip():
            raise UsageError(
                f"--allow {rule} wants the reason, too: RULE=REASON", hint=f'--allow {rule}="agreed with Ann"'
            )
        allowed[rule] = reason.strip()
    return allowed


def errors_in(findings: Sequence[Finding], allowed: Collection[str]) -> list[Finding]:
    """The findings that keep an issue from leaving this machine."""
    return [finding for finding in findings if finding.severity == "error" and finding.rule not in allowed]
