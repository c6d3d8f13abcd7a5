"""An approval: who approved which bytes of an issue, for whom and when; and what has changed since.

The Edition's SHA-256, the audience rule and the instant decide; hashes of files, stories and versions explain.
"""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from .disk import read_text
from .edition import Edition
from .errors import NotApproved
from .git import git
from .issue import Issue
from .publication import Publication
from .story import stories, story_changes
from .walltime import shown, to_instant, write_wall

RENDERING = ("alliance-mailer", "cssutils", "jinja2", "lxml", "markdown-it-py", "mjml-python", "premailer")
DRIFT = 0.10  # so much of an audience may come or go before it is asked for again

_TOLD_APART = ("audience", "send_at")  # as facts, not as stories
_SHOWN = 24  # lines of a diff


@dataclass(frozen=True, slots=True)
class Facts:
    """What is approved."""

    edition: str  # SHA-256
    audience: tuple[str, ...]  # the rule: lists, not people
    send_at: str  # wall time as an issue writes it; empty: not scheduled
    timezone: str
    instant: datetime | None  # UTC; what send_at meant, should the zone's rules change
    versions: Mapping[str, str]  # what the bytes depend on and no file of the publication shows
    newsletter: Mapping[str, str]  # the settings that stand in every message
    files: Mapping[str, str]  # SHA-256 of each input, by its path in the publication
    stories: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Approval:
    """Facts, and who approved them. Withdrawn, it stays as a record."""

    issue: str
    by: str
    at: datetime  # UTC
    facts: Facts
    people: int | None  # who would have got it then; None where the lists were not there
    transport: str  # its name in mailer.toml; `dispatch` sends through it
    allow: Mapping[str, str] = field(default_factory=dict)  # rules that were passed over, and why
    commit: str = ""  # of git, when it was approved
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = None

    @property
    def said(self) -> str:
        """By whom and when, for people."""
        return f"{self.by}, {_day(self.at, self.facts.timezone)}"

    @property
    def way(self) -> str:
        """The transport, as mailer.toml has it."""
        return "[transport]" if self.transport == "default" else f"[transports.{self.transport}]"


def facts_of(project: Path, issue: Issue, edition: Edition) -> Facts:
    """What an approval of the issue would hold now."""
    zone = edition.publication.timezone
    return Facts(
        edition=edition.sha256,
        audience=issue.audience,
        send_at=write_wall(issue.send_at, zone) if issue.send_at else "",
        timezone=zone.key,
        instant=to_instant(issue.send_at, zone) if issue.send_at else None,
        versions={name: version(name) for name in RENDERING},
        newsletter=_settings(edition.publication),
        files=_hashes(project, issue),
        stories=stories(read_text(project / issue.file, issue.file), issue),
    )


def _hashes(project: Path, issue: Issue) -> dict[str, str]:
    folder = (project / issue.file).parent
    template = project / "templates" / issue.template
    paths = [project / issue.file, *(folder / unquote(src) for src in issue.pictures)]
    paths += sorted(path for path in template.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {_name(project, path): _digest(path.read_bytes()) for path in paths}


def _settings(publication: Publication) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(replace(publication, timezone=None)).items() if value}  # type: ignore[arg-type]


def _name(project: Path, path: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.as_posix()


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def _day(at: datetime, timezone: str) -> str:
    return shown(at, [("", ZoneInfo(timezone))])


# What has changed ------------------------------------------------------------------------------------------------


def require(approval: Approval | None, facts: Facts, number: str, *, required: bool, project: Path) -> None:
    """Raise NotApproved where the issue must not go out: unapproved though that is required, withdrawn, or changed."""
    again = f"mailer approve --issue {number}"
    if approval is None:
        if required:
            raise NotApproved(f"issue {number} is not approved", hint=again)
        return
    if approval.withdrawn_at:
        raise withdrawal(approval)
    if changes := differences(approval, facts, project):
        said = "\n".join(f"  {line}" for line in changes)
        message = f"issue {number} has changed since its approval ({approval.said})\n{said}"
        raise NotApproved(message, hint=f"undo that, or look again and {again}")


def withdrawal(approval: Approval) -> NotApproved:
    """Why a withdrawn approval is none."""
    assert approval.withdrawn_at
    when = _day(approval.withdrawn_at, approval.facts.timezone)
    message = f"the approval of issue {approval.issue} was withdrawn ({approval.withdrawn_by}, {when})"
    return NotApproved(message, hint=f"mailer approve --issue {approval.issue}")


def differences(approval: Approval, facts: Facts, project: Path) -> list[str]:
    """Lines that tell a person what is no longer as it was approved; none where everything that counts is."""
    old = approval.facts
    lines: list[str] = []
    if old.audience != facts.audience:
        lines.append(f"audience: {', '.join(old.audience)} → {', '.join(facts.audience)}")
    if old.instant != facts.instant:
        lines.append(_moved(old, facts))
    if old.edition != facts.edition:
        lines += _other_bytes(approval, facts, project)
    return lines


def _moved(old: Facts, new: Facts) -> str:
    if old.send_at == new.send_at and old.timezone == new.timezone and old.instant and new.instant:
        return f"send_at: the rules of {new.timezone} changed; {new.send_at} was {_utc(old)} and is {_utc(new)}"
    was, now = (f"{each.send_at} {each.timezone}" if each.send_at else "no time" for each in (old, new))
    return f"send_at: {was} → {now}"


def _utc(facts: Facts) -> str:
    return f"{facts.instant:%H:%M} UTC"


def _other_bytes(approval: Approval, facts: Facts, project: Path) -> list[str]:
    old = approval.facts
    lines: list[str] = []
    for name in sorted({*old.files, *facts.files}, key=lambda name: (not name.startswith("issues/"), name)):
        before, after = old.files.get(name), facts.files.get(name)
        if before == after:
            continue
        lines.append(f"{name}: {'added' if before is None else 'removed' if after is None else 'changed'}")
        if name.startswith("issues/") and name.endswith(".md"):
            told = story_changes(*map(_content, (old.stories, facts.stories)))
        else:
            told = _text_changes(project, approval.commit, name, before)
        lines += [f"  {line}" for line in _few(told)]
    for name in dict.fromkeys([*old.newsletter, *facts.newsletter]):
        if old.newsletter.get(name) != facts.newsletter.get(name):
            was, now = (each.get(name, "not set") for each in (old.newsletter, facts.newsletter))
            lines.append(f"mailer.toml: {name}: {was} → {now}")
    for name in sorted({*old.versions, *facts.versions}):
        if old.versions.get(name) != facts.versions.get(name):
            was, now = (each.get(name, "absent") for each in (old.versions, facts.versions))
            lines.append(f"{name} {was} → {now}: this version makes other bytes")
    return lines or ["no file and no version has changed, but the bytes have: the program itself was edited"]


def _content(stories: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in stories.items() if name not in _TOLD_APART}


def _text_changes(project: Path, commit: str, name: str, digest: str | None) -> list[str]:
    """A diff with what git has kept, where it kept what was approved; a picture has none."""
    kept = git(project, "show", f"{commit}:./{name}") if commit and digest else None
    if kept is None or _digest(kept) != digest or not (project / name).is_file():
        return []
    try:
        old, new = kept.decode(), (project / name).read_bytes().decode()
    except UnicodeDecodeError:
        return []
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    return [line for line in diff if not line.startswith(("---", "+++", "@@"))]


def _few(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"… and {len(lines) - _SHOWN} lines more"]


def refuse_drift(approval: Approval | None, people: int, number: str) -> None:
    """Raise NotApproved where so many came or left since the approval that somebody should look again."""
    if approval is None or approval.people is None or abs(people - approval.people) <= max(1, DRIFT * approval.people):
        return
    message = f"issue {number} was approved for {approval.people} people, and now goes to {people}"
    raise NotApproved(message, hint=f"look at the lists, and mailer approve --issue {number}")


# The state of an issue, without rendering it -----------------------------------------------------------------------

State = Literal["draft", "approved", "scheduled", "changed", "withdrawn"]


def state(approval: Approval | None, project: Path, issue: Issue, publication: Publication, now: datetime) -> State:
    """How far an issue is, from the hashes of its files: milliseconds, nothing is rendered.

    Whether it is sent, the ledger and the receipt know. A change of versions is left to `require`.
    """
    if approval is None:
        return "draft"
    if approval.withdrawn_at:
        return "withdrawn"
    instant = to_instant(issue.send_at, publication.timezone) if issue.send_at else None
    old = approval.facts
    here = (issue.audience, instant, _settings(publication), _hashes(project, issue))
    if here != (old.audience, old.instant, old.newsletter, old.files):
        return "changed"
    return "scheduled" if instant and instant > now else "approved"
