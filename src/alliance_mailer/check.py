"""What `mailer check` does: run the rules that are wanted over a proof, and print what they found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

from .checks import RULES, Finding, Proof, errors_in, run_checks
from .errors import UsageError, did_you_mean
from .findings import as_github, as_json, as_list, as_sarif, as_text, explained
from .report import Report

FORMS = ("text", "json", "github", "sarif")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked `mailer check` for. Raises UsageError for a rule or a form that there is not."""

    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    strict: bool = False
    online: bool = False
    form: str = "text"

    def __post_init__(self) -> None:
        for field, option in (("only", "--only"), ("skip", "--skip")):
            object.__setattr__(self, field, [known_rule(name, option) for name in getattr(self, field)])
        if not self.rules:
            raise UsageError("--only and --skip leave no rule to run", hint="mailer check --list")
        if self.form not in FORMS:
            raise UsageError(f"--format: there is no form {self.form!r}{did_you_mean(self.form, FORMS)}")

    @property
    def rules(self) -> list[str]:
        """The rules to run."""
        return [rule for rule in RULES if (not self.only or rule in self.only) and rule not in self.skip]


def known_rule(name: str, option: str) -> str:
    """The name of a rule, in capitals. Raises UsageError, with the nearest one."""
    if name.upper() not in RULES:
        near = did_you_mean(name.upper(), RULES)
        raise UsageError(f"{option}: there is no rule {name}{near}", hint="mailer check --list")
    return name.upper()


def print_rules(report: Report, one: str | None) -> None:
    """All rules, or one in full."""
    rules = [RULES[known_rule(one, "--explain")]] if one is not None else list(RULES.values())
    for line in as_list() if one is None else explained(rules[0]):
        report.say(line)
    report.document({"rules": [rule.as_dict() for rule in rules]})


def check_issue(report: Report, proof: Proof, wanted: Wanted, today: date) -> int:
    """Run, print, and return the exit code: 1 where there is an error."""
    if wanted.online:
        from .checks.online import look_outside

        proof = replace(proof, outside=look_outside(proof))
    findings = run_checks(proof, today, wanted.rules)
    _print(report, proof, wanted, findings)
    fatal = [finding for finding in findings if finding.severity == "warning"] if wanted.strict else []
    return 1 if errors_in(findings, ()) or fatal else 0


def _print(report: Report, proof: Proof, wanted: Wanted, findings: Sequence[Finding]) -> None:
    if report.as_json or wanted.form == "json":
        Report(as_json=True).document(as_json(findings))
    elif wanted.form == "github":
        for line in as_github(_from_here(proof, findings)):
            report.say(line)
    elif wanted.form == "sarif":
        report.say(as_sarif(_from_here(proof, findings), version("alliance-mailer")))
    if wanted.form == "text":
        for line in as_text(findings, proof, len(wanted.rules)):
            report.say(line)


def _from_here(proof: Proof, findings: Sequence[Finding]) -> Sequence[Finding]:
    """The findings with the files as they are called from the folder where the command runs: a repository's, in CI."""
    here = Path.cwd()
    if proof.project == here or not proof.project.is_relative_to(here):
        return findings
    folder = proof.project.relative_to(here)
    return [replace(finding, file=(folder / finding.file).as_posix()) for finding in findings]
