"""An issue with all that follows from it: read, rendered, compiled, checked. What every command looks at."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from .checks import Finding, Proof, pull, run_checks
from .config import Config
from .edition import Edition, compile_edition
from .issue import Issue, load_issue
from .render import render


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was written, what it compiles to, and what the checks say of it."""

    issue: Issue
    edition: Edition
    findings: list[Finding]


def load(project: Path, config: Config, number: str, *, mark: str = "") -> Loaded:
    """Read, render, compile and check an issue; `mark` goes before its subject. Raises InputError."""
    issue, edition = compiled(project, config, number, mark=mark)
    return Loaded(issue, edition, check(project, config, issue, edition))


def compiled(project: Path, config: Config, number: str, *, mark: str = "") -> tuple[Issue, Edition]:
    """An issue without its findings, which take longer than all the rest. Raises InputError."""
    issue = load_issue(project, number, config.publication.timezone)
    rendered = render(issue, config.publication, project / "templates")
    if mark:
        rendered = replace(rendered, subject=mark + rendered.subject)
    return issue, compile_edition(rendered, config.publication, issue.number, issue.file)


def proof(project: Path, config: Config, issue: Issue, edition: Edition, *, people: bool = True) -> Proof:
    """What the checks look at; with the persons on the lists, which a sending looks at anyway."""
    return pull(
        project, issue, edition, preferences=config.checks, key_lines=config.lines,
        bounce_addresses=config.bounce_addresses, people=people,
    )  # fmt: skip


def check(project: Path, config: Config, issue: Issue, edition: Edition) -> list[Finding]:
    """What the checks find, but for what they say of persons."""
    today = datetime.now(config.publication.timezone).date()
    return run_checks(proof(project, config, issue, edition, people=False), today)
