"""Proofs to look at: of a publication in order, with one thing in it changed."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from alliance_mailer.checks import RULES, Finding, Proof, pull, run_checks
from alliance_mailer.config import load_config
from alliance_mailer.edition import compile_edition
from alliance_mailer.example import copy_example
from alliance_mailer.issue import load_issue
from alliance_mailer.render import render

ISSUE = "issues/2.6.md"
BEFORE = "issues/2.5.md"
TOML = "mailer.toml"
LIST = "contacts/subscribers.csv"
PAGE = "templates/digest/message.mjml.j2"
TEXT = "templates/digest/message.txt.j2"
CLIENT = "templates/digest/client.css"
INLINE = "templates/digest/inline.css"

TODAY = date(2023, 3, 31)

_LAST = """---
issue: "2.5"
title: US-Japan Alliance Digest
date: 2023-03-17
---

A talk in [Osaka](https://talks.jp/osaka).
"""


def publication(folder: Path) -> Path:
    """The example, at a domain of its own, with an archive, a one-click endpoint and an issue before this one."""
    copy_example(folder)
    toml = (folder / TOML).read_text()
    toml = re.sub(r"(digest|unsubscribe)@example\.org", r"\1@allies.org", toml)
    more = 'archive_url = "https://allies.org/digest"\nunsubscribe_url = "https://allies.org/u"\n'
    (folder / TOML).write_text(toml.replace('language = "en"\n', f'language = "en"\n{more}', 1))
    (folder / BEFORE).write_text(_LAST)
    return folder


def pulled(folder: Path) -> Proof:
    """The proof of issue 2.6."""
    config = load_config(folder)
    issue = load_issue(folder, "2.6")
    rendered = render(issue, config.publication, folder / "templates")
    edition = compile_edition(rendered, config.publication, issue.number, issue.file)
    return pull(
        folder, issue, edition, preferences=config.checks, key_lines=config.lines,
        bounce_addresses=config.bounce_addresses,
    )  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """Text of a file changed, as a person does; a file that was not there is made. `old` may be all of it: ""."""

    file: str
    old: str
    new: str
    count: int = 1

    def make(self, folder: Path) -> int | None:
        """Change the file; returns the line of the first change."""
        path = folder / self.file
        text = path.read_text() if path.exists() else ""
        assert self.old in text, f"{self.old!r} is not in {self.file}"
        changed = text.replace(self.old, self.new, self.count) if self.old else text + self.new
        path.write_text(changed)
        pairs = zip([*text.split("\n"), None], changed.split("\n"), strict=False)
        return next((number for number, (before, after) in enumerate(pairs, 1) if before != after), None)


@dataclass(frozen=True)
class Seed:
    """A mistake: how it is made, the rule that finds it, and those that must complain with it."""

    rule: str
    edits: tuple[Edit, ...] = ()
    raw: Callable[[bytes], bytes] | None = None  # the finished message changed
    page: Callable[[str], str] | None = None  # the finished page changed
    facts: Callable[[Proof], Proof] | None = None  # anything else
    also: tuple[str, ...] = ()
    at: str | None = None  # "": no line is to blame; else words that the line holds. None: the line that was changed
    severity: str = ""  # the rule's own, when it is not given

    def proof(self, clean: Proof, folder: Path) -> tuple[Proof, int | None]:
        """The proof with the mistake in it, and the line where it was made."""
        proof, line = clean, None
        if self.edits:
            shutil.copytree(clean.project, folder)
            line, *_ = [edit.make(folder) for edit in self.edits]
            proof = pulled(folder)
        if self.raw:
            proof = replace(proof, raw=self.raw(proof.raw))
        if self.page:
            proof = replace(proof, page=self.page(proof.page))
        return (self.facts(proof) if self.facts else proof), line


def found(proof: Proof, *rules: str) -> list[Finding]:
    """What the rules find; all of them when none is named."""
    return run_checks(proof, TODAY, rules or RULES)
