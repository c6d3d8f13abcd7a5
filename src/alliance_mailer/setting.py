"""How mailer.toml writes a value (a duration, a share, a rate, a list), and the keys that all kinds of sending have."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from .pace import Rate

STRING, TABLE = "text in quotes", "a table"

_NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: TABLE,
}


def found(value: object) -> str:
    """The kind of a value, which may be a secret."""
    return _NAMES.get(type(value), type(value).__name__)


def shown(value: object) -> str:
    """A value that may be printed, as the file writes it."""
    if isinstance(value, int | float):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else found(value)


# A transport's own options: what a field of this type takes -----------------------------------------------------------


def fits(value: object, kind: Any) -> bool:
    """Whether a TOML value is one of a field's type."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9  # nan is not
    return type(value) is kind


def expected(kind: Any) -> str:
    """What a field of this type takes, for a person."""
    if get_origin(kind) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(kind))
    if get_origin(kind) is tuple:
        return 'a list of texts: ["…", "…"]'
    return {str: STRING, int: "a whole number", float: "a number", bool: "true or false"}.get(kind, str(kind))


# [delivery], and what every transport has --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """A key: its default as TOML writes it, what it is for, and how its value is read.

    `read` raises ValueError with what was found and what was expected.
    """

    default: str
    meaning: str
    read: Callable[[Any], Any]
    example: str = ""  # for who wrote something else, where the default says little


def mistake(value: object, words: str) -> ValueError:
    """A value that a key does not take."""
    return ValueError(f"found {shown(value)}, expected {words}")


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PERIODS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def _seconds(text: str) -> int | None:
    parts = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    return int(parts[1]) * _SECONDS[parts[2]] if parts else None


def read_duration(least: str, most: str) -> Callable[[Any], int]:
    """Reads "90s", "5m", "2h", "1d" between two of them as seconds."""
    low, high = _seconds(least), _seconds(most)
    assert low is not None
    assert high is not None

    def read(value: Any) -> int:
        seconds = _seconds(value) if isinstance(value, str) else None
        if seconds is None or not low <= seconds <= high:
            raise mistake(value, f'a time such as "90s", "5m", "2h" or "1d", from "{least}" to "{most}"')
        return seconds

    return read


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise mistake(value, f"a whole number from {least} to {most}")
        return value

    return read


def _share(value: Any) -> float:
    number = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", value) if isinstance(value, str) else None
    if not number or not 0 < float(number[1]) <= 100:
        raise mistake(value, 'a part of a hundred such as "5%", above "0%" and up to "100%"')
    return float(number[1]) / 100


def _rate(value: Any) -> Rate:
    parts = re.fullmatch(r"([1-9][0-9]{0,6})/(s|min|h|d)", value) if isinstance(value, str) else None
    if not parts:
        raise mistake(value, 'a rate such as "50/s", "100/min", "5000/h" or "2000/d"')
    return Rate(int(parts[1]), _PERIODS[parts[2]])


def _list_of(read: Callable[[Any], Any], example: str, least: int) -> Callable[[Any], tuple[Any, ...]]:
    def read_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not least <= len(value) <= 20:
            length = f" with {len(value)} in it" if isinstance(value, list) else ""
            raise ValueError(f"found {shown(value)}{length}, expected a list of {least} to 20, such as {example}")
        return tuple(read(each) for each in value)

    return read_all


def _durability(value: Any) -> str:
    if value not in ("process", "power"):
        raise mistake(value, '"process" or "power"')
    return str(value)


_RETRY = '["1m", "5m", "30m", "2h"]'
_rates = _list_of(_rate, '["50/s", "2000/d"]', 0)

DELIVERY = {
    "retry": Setting(
        _RETRY,
        "how long a message waits that the server put off: after the first try, the second …; the last for all others",
        _list_of(read_duration("1s", "7d"), _RETRY, 1),
    ),
    "max_attempts": Setting("10", "after so many tries a message that was put off counts as refused", _whole(1, 1000)),
    "give_up_after": Setting('"24h"', "and so it does so long after the first try", read_duration("1m", "30d")),
    "wait": Setting(
        '"2m"',
        "how long a run waits for people who are due again, or for a rate; when it would be longer, it ends with 75",
        read_duration("0s", "1d"),
    ),
    "durability": Setting(
        '"process"',
        'what the ledger survives: "process" the end of the program, however it ends; "power" a power cut, too',
        _durability,
    ),
    "brake": Setting('"5%"', 'a run stops when more of the answers are refusals; "100%": never', _share),
}

EVERY_TRANSPORT = {
    "connections": Setting(
        "5", "how many connections at once, 1 to 100; 1 for files, and what a preset says", _whole(1, 100)
    ),
    "rate": Setting(
        "[]", 'at most so many messages in a second, a minute, an hour, a day, such as `["50/s", "2000/d"]`', _rates
    ),
    "domain_rate": Setting("[]", 'the same for each domain of the recipients, such as `["100/min"]`', _rates),
}
