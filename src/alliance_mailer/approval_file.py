"""issues/N.approval.toml, which lies beside the issue, in git: read with a clear word, written whole."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from .approval import Approval, Facts
from .disk import read_text, write_atomically
from .errors import InputError, Problem


def approval_file(project: Path, number: str) -> Path:
    """Where the approval of an issue lies."""
    return project / "issues" / f"{number}.approval.toml"


def write_approval(project: Path, approval: Approval) -> Path:
    """Write it, atomically; returns where."""
    facts = approval.facts
    tables: dict[str, Mapping[str, Any]] = {
        "": {
            "issue": approval.issue, "by": approval.by, "at": approval.at, "edition": facts.edition,
            "audience": facts.audience, "people": approval.people, "send_at": facts.send_at,
            "timezone": facts.timezone, "instant": facts.instant, "transport": approval.transport,
            "commit": approval.commit,
        },
        "withdrawn": {"by": approval.withdrawn_by, "at": approval.withdrawn_at} if approval.withdrawn_at else {},
        "allow": approval.allow, "versions": facts.versions, "newsletter": facts.newsletter, "files": facts.files,
        "stories": facts.stories,
    }  # fmt: skip
    lines = ["# Written by `mailer approve`, read by `send` and `dispatch`; it belongs into git."]
    for name, table in tables.items():
        lines += ["", f"[{name}]"] if name and table else []
        lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items() if value not in (None, "")]
    path = approval_file(project, approval.issue)
    write_atomically(path, "\n".join([*lines, ""]).encode())
    return path


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f"[{', '.join(map(_value, value))}]"
    # TOML's strings are JSON's, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_approval(project: Path, number: str) -> Approval | None:
    """The approval of an issue, None where there is none. Raises InputError where the file says something else."""
    path = approval_file(project, number)
    if not path.exists():
        return None
    name = path.relative_to(project).as_posix()
    again = f"git checkout {name}, or mailer approve --issue {number}"
    try:
        data = tomllib.loads(read_text(path, name))
        approval = _approval(data)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        raise InputError(Problem(name, int(line[1]) if line else None, f"this is no TOML: {message}", again)) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(Problem(name, None, f"this is no approval: {error}", again)) from None
    if approval.issue != number:
        raise InputError(Problem(name, None, f'it approves issue "{approval.issue}", not this one', again))
    return approval


def _approval(data: dict[str, Any]) -> Approval:
    withdrawn = data.get("withdrawn", {})
    facts = Facts(
        edition=str(data["edition"]),
        audience=tuple(map(str, data["audience"])),
        send_at=str(data.get("send_at", "")),
        timezone=ZoneInfo(data["timezone"]).key,
        instant=_instant(data["instant"]) if "instant" in data else None,
        versions=_texts(data.get("versions", {})),
        newsletter=_texts(data.get("newsletter", {})),
        files=_texts(data.get("files", {})),
        stories=_texts(data.get("stories", {})),
    )
    return Approval(
        issue=str(data["issue"]),
        by=str(data["by"]),
        at=_instant(data["at"]),
        facts=facts,
        people=_count(data.get("people")),
        transport=str(data["transport"]),
        allow=_texts(data.get("allow", {})),
        commit=str(data.get("commit", "")),
        withdrawn_by=str(withdrawn.get("by", "")),
        withdrawn_at=_instant(withdrawn["at"]) if withdrawn else None,
    )


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"found {value!r}, expected an instant such as 2023-04-03T13:00:00Z")
    return value.astimezone(UTC)


def _count(value: object) -> int | None:
    return None if value is None else int(str(value))


def _texts(table: Mapping[str, object]) -> dict[str, str]:
    return {str(key): str(value) for key, value in table.items()}
