"""The keys of [check] in mailer.toml."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from fnmatch import fnmatch
from typing import Any

from .errors import did_you_mean
from .preferences import Ignore
from .setting import Setting, found


def _texts(example: str, check: Callable[[str], None] = lambda _: None) -> Callable[[Any], tuple[str, ...]]:
    def read(value: Any) -> tuple[str, ...]:
        wrong = (
            [each for each in value if not isinstance(each, str) or not each] if isinstance(value, list) else [value]
        )
        if wrong:
            raise ValueError(
                f"found {found(wrong[0]) if wrong[0] != '' else 'an empty text'}, expected a list such as {example}"
            )
        for each in value:
            check(each)
        return tuple(value)

    return read


def _client(pattern: str) -> None:
    from .checks.clients import support

    known = support().clients
    if not any(fnmatch(client, pattern) for client in known):
        raise ValueError(f"there is no mail program {pattern!r}{did_you_mean(pattern, known)}")


def _ignore(value: Any) -> tuple[Ignore, ...]:
    wrong = [each for each in value if not isinstance(each, dict)] if isinstance(value, list) else [value]
    if wrong:
        raise ValueError(f"found {found(wrong[0])}, expected a list of tables with rule, reason, until")
    return tuple(map(_ignored, value))


def _ignored(entry: Mapping[str, Any]) -> Ignore:
    from .checks import RULES

    rule, reason, until = str(entry.get("rule", "")), entry.get("reason"), entry.get("until")
    if unknown := entry.keys() - {"rule", "reason", "until"}:
        raise ValueError(f'unknown key "{min(unknown)}"{did_you_mean(min(unknown), ("rule", "reason", "until"))}')
    if not rule:
        raise ValueError("an entry names no rule")
    if rule not in RULES:
        raise ValueError(f"there is no rule {rule!r}{did_you_mean(rule.upper(), RULES)} (mailer check --list)")
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"{rule} is to be ignored without a reason")
    if until is not None and type(until) is not date:
        raise ValueError(f"{rule}: until is a day without quotes: until = 2027-01-31")
    return Ignore(rule, reason, until)


def _terms(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(right, str) and re.search(r"\w", wrong) for wrong, right in value.items()
    ):
        raise ValueError(f'found {found(value)}, expected lines such as "e-mail" = "email" below [check.terms]')
    return value


_EXAMPLE = '[{ rule = "L008", reason = "no archive yet", until = 2027-01-31 }]'

CHECK = {
    "clients": Setting(
        '["apple-mail.*", "gmail.*", "outlook.*"]',
        "the mail programs that must show everything, as caniemail.com calls them",
        _texts('["gmail.*", "outlook.windows"]', _client),
    ),
    "ignore": Setting(
        "[]",
        "findings that are known, and why; they count again after the day that `until` names, if it is there: "
        f"`{_EXAMPLE}`",
        _ignore,
        _EXAMPLE,
    ),
    "acronyms": Setting("[]", 'those that every reader knows: `["NOAA", "MDA"]`', _texts('["NOAA", "MDA"]')),
    "terms": Setting("{}", 'the house style, below [check.terms]: `"e-mail" = "email"`', _terms),
}
