"""The keys of [approval] and [schedule] in mailer.toml: who must agree, when an issue is due, who hears of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any, Literal

from .cadence import EXAMPLE, Cadence
from .contact import canonical_address
from .newsletter import read_url, read_zone
from .setting import Setting, mistake, read_duration


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """[approval]: `dispatch` sends nothing unapproved in any case."""

    required: bool = False  # by `send`, too
    by: Literal["anyone", "another"] = "anyone"  # another: not who wrote the issue last, as git has it


@dataclass(frozen=True, slots=True)
class Schedule:
    """[schedule]."""

    cadence: Cadence | None = None
    show_zones: Sequence[tuple[str, tzinfo]] = ()
    max_late: int = 6 * 3600  # seconds
    transport: str | None = None
    heartbeat_url: str = ""
    report_to: tuple[str, ...] = ()  # addresses
    webhook_env: str = ""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise mistake(value, "true or false")
    return value


def _approver(value: Any) -> str:
    if value not in ("anyone", "another"):
        raise mistake(value, '"anyone" or "another"')
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise mistake(value, "text in quotes")
    return value.strip()


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(_text(value))
    except ValueError:
        raise mistake(value, "a day such as 2023-03-31") from None


def _zones(value: Any) -> tuple[tuple[str, tzinfo], ...]:
    if isinstance(value, list):
        value = {str(zone).rpartition("/")[2].replace("_", " "): zone for zone in value}
    if not isinstance(value, dict) or not all(isinstance(zone, str) for zone in value.values()):
        raise mistake(value, 'names and zones: {Washington = "America/New_York", Tokyo = "Asia/Tokyo"}')
    return tuple((name, _zone(zone)) for name, zone in value.items())


def _zone(name: str) -> tzinfo:
    try:
        return read_zone(name)
    except ValueError as error:
        raise ValueError(f'found "{name}", {error}') from None


def _url(value: Any) -> str:
    try:
        return read_url(_text(value))
    except ValueError as error:
        raise ValueError(f"{error}") from None


def _addresses(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise mistake(value, 'addresses: ["editors@example.org"]')
    return tuple(_address(each) for each in found)


def _address(written: str) -> str:
    try:
        return canonical_address(written)
    except ValueError as error:
        raise ValueError(f'found "{written}", {error}') from None


APPROVAL = {
    "required": Setting(
        "false", "whether `send`, too, sends nothing that is not approved; `dispatch` never does", _flag
    ),
    "by": Setting(
        '"anyone"',
        'who may approve: "anyone", or "another", who did not write the issue last (as git has it)',
        _approver,
    ),
}

SCHEDULE = {
    "cadence": Setting(
        f'"{EXAMPLE}"',
        'when an issue is due, for `new` and `schedule`; or "every month on the first Monday 08:30"; none by default',
        _text,
    ),
    "anchor": Setting("2023-03-31", "a day on which an issue was or is due: of every two weeks it tells which", _day),
    "show_zones": Setting(
        '{Washington = "America/New_York", Tokyo = "Asia/Tokyo"}',
        "the zones in which times are shown, besides the publication's own; a list of zones will do",
        _zones,
    ),
    "max_late": Setting(
        '"6h"', "an issue that is later than so is not sent by `dispatch`, but told once", read_duration("5m", "7d")
    ),
    "transport": Setting('"live"', "what `approve` names and `dispatch` sends through; [transport] by default", _text),
    "heartbeat_url": Setting(
        '"https://hc-ping.com/…"', "pinged by every `dispatch`: /start before a sending, itself after, /fail", _url
    ),
    "report_to": Setting(
        '["editors@example.org"]', "who gets a mail about every sending and every refusal", _addresses
    ),
    "webhook_env": Setting(
        '"MAILER_WEBHOOK"', 'the environment variable with a URL that gets the same as JSON, `{"text": …}`', _text
    ),
}
