"""What every command works with: the publication that it is called in, and the options that several have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from .checks import Finding
    from .config import Config
    from .edition import Edition
    from .issue import Issue
    from .report import Report

IssueOption = Annotated[str, typer.Option("--issue", metavar="N", help="The issue's number, as in issues/N.md.")]
TransportOption = Annotated[
    str | None,
    typer.Option("--transport", metavar="NAME", help="A [transports.NAME] of mailer.toml instead of [transport]."),
]


class Session:
    """What a command works with: the publication's folder, its settings, the report."""

    def __init__(self, project: Path | None, *, as_json: bool, verbose: bool) -> None:
        from .report import Report

        self.report: Report = Report(as_json=as_json, verbose=verbose)
        self._start = project

    def find(self) -> Path:
        """Find the publication."""
        from .config import find_project
        from .errors import ConfigError

        if self._start is not None and not self._start.is_dir():
            raise ConfigError(f"there is no folder {self._start}")
        self.project = find_project((self._start or Path()).resolve())
        return self.project

    def open(self) -> Config:
        """Find the publication and read its settings."""
        from .config import load_config

        self.config = load_config(self.find())
        return self.config

    def load(self, number: str, *, mark: str = "") -> tuple[Issue, Edition, list[Finding]]:
        """Read, render, compile and check an issue; `mark` goes before its subject."""
        from .load import load

        loaded = load(self.project, self.config, number, mark=mark)
        return loaded.issue, loaded.edition, loaded.findings
