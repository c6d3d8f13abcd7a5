"""mailer.toml, read once: every mistake named with its line. What comes out are plain values."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, available_timezones

from .contact import canonical_address
from .errors import ConfigError, Problem, did_you_mean
from .publication import Publication, default_list_id
from .transports import transport_module, transport_names

FILE = "mailer.toml"


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """A transport's name, the file in transports/ that it uses, and that file's options."""

    name: str
    use: str
    options: Any


@dataclass(frozen=True, slots=True)
class Config:
    """All of mailer.toml."""

    publication: Publication
    transports: Mapping[str, TransportConfig]  # "default", and each of [transports.NAME]
    ledger: Path
    secret_env: str

    def transport(self, name: str | None) -> TransportConfig:
        """The transport to use. Raises ConfigError for an unknown name."""
        if name is None or name in self.transports:
            return self.transports[name or "default"]
        known = [known for known in self.transports if known != "default"]
        message = f'there is no transport "{name}"{did_you_mean(name, known)}'
        raise ConfigError(Problem(FILE, None, message, f'add a table  [transports.{name}]  with  use = "…"'))


def find_project(start: Path) -> Path:
    """The nearest folder upwards that holds mailer.toml. Raises ConfigError."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise ConfigError(f"there is no {FILE} in {start} or above it", hint="mailer init my-digest")


def load_config(project: Path) -> Config:
    """Read mailer.toml. Raises ConfigError with every mistake in it."""
    try:
        text = (project / FILE).read_text("utf-8-sig")
        data = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(Problem(FILE, None, f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(FILE, None, "is not UTF-8", "save the file as UTF-8")) from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        message = f"this is no TOML: {str(error).replace(place[0], '').strip() if place else error}"
        raise ConfigError(
            Problem(FILE, int(place[1]) if place else None, message, 'text goes in quotes: key = "…"')
        ) from None
    return _Reader(text, project).config(data)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of [newsletter]: an example, what it is for, and how its text is read (ValueError: what was expected)."""

    example: str
    meaning: str
    read: Callable[[str], Any] = str
    required: bool = False


def _mailbox(value: str) -> tuple[str, str]:
    name, address = parseaddr(value)
    return name, canonical_address(address)


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[!-;=?-~]*)?", value):
        raise ValueError("expected an address that begins with https://")
    return value


def _https(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("expected an address that begins with https:// (RFC 8058)")
    return _url(value)


def _list_id(value: str) -> str:
    if not re.fullmatch(r"(?=.{3,255}\Z)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+", value):
        raise ValueError("expected a label and a domain of yours, joined by dots (RFC 2919)")
    return value


def _language(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError("expected a language tag (BCP 47)")
    return value


def _timezone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no such zone{did_you_mean(value, available_timezones())}") from None


NEWSLETTER = {
    "name": Key("My Digest", "the publication, in its masthead and headers", required=True),
    "from": Key("My Digest <digest@example.org>", "the sender", _mailbox, required=True),
    "organisation": Key("My Institute", "who answers for it; the law wants it in every mail", required=True),
    "postal_address": Key("1 Example Street, Springfield", "the law wants it in every mail", required=True),
    "unsubscribe_mailto": Key(
        "unsubscribe@example.org", "where wishes to unsubscribe arrive", canonical_address, required=True
    ),
    "language": Key("en", "of the mail, for screen readers; en when it is not set", _language),
    "timezone": Key("America/New_York", "send_at is wall time here; UTC when it is not set", _timezone),
    "reply_to": Key("editors@example.org", "where answers go, if not to the sender", canonical_address),
    "list_id": Key("my-digest.example.org", "List-Id; from name and sender when it is not set", _list_id),
    "help_url": Key("https://example.org/help", "List-Help, and a link in the foot", _url),
    "archive_url": Key("https://example.org/digest", "List-Archive, and “View in browser”", _url),
    "assets_url": Key(
        "https://example.org/pictures", "local pictures are linked from here; else they travel inside the mail", _url
    ),
    "unsubscribe_url": Key(
        "https://example.org/u", "only where a one-click endpoint (RFC 8058) stands; the token is appended", _https
    ),
    "secret_env": Key("MAILER_SECRET", "the environment variable that signs tokens; else .mailer/key, made once"),
}


_STRING, _TABLE = "text in quotes", "a table"


class _Reader:
    def __init__(self, text: str, project: Path) -> None:
        self._lines, self._project = _key_lines(text), project
        self._problems: list[Problem] = []

    def _problem(self, table: str, key: str, message: str, hint: str = "") -> None:
        line = self._lines.get((table, key)) or self._lines.get((table, ""))
        self._problems.append(Problem(FILE, line, message, hint))

    def config(self, data: dict[str, Any]) -> Config:
        known = ("newsletter", "transport", "transports", "ledger")
        for key, value in data.items():
            if key not in known:
                kind, place = ("table", (key, "")) if isinstance(value, dict) else ("key", ("", key))
                self._problem(*place, f'unknown {kind} "{key}"{did_you_mean(key, known)}')
        tables = {key: data[key] if isinstance(data.get(key), dict) else {} for key in known}
        for key in known:
            if not isinstance(data.get(key, {}), dict):
                self._problem("", key, f"{key}: found {_found(data[key])}, expected {_TABLE}", f"[{key}]")
        publication = self._publication(tables["newsletter"])
        transports = {"default": self._transport("default", "transport", tables["transport"] or {"use": "files"})}
        for name, table in tables["transports"].items():
            if isinstance(table, dict):
                transports[name] = self._transport(name, f"transports.{name}", table)
            else:
                self._problem(
                    "transports",
                    name,
                    f"transports.{name}: found {_found(table)}, expected {_TABLE}",
                    f"[transports.{name}]",
                )
        ledger = self._ledger(tables["ledger"])
        if self._problems or publication is None:
            raise ConfigError(sorted(self._problems, key=lambda problem: problem.line or 0))
        secret_env = str(tables["newsletter"].get("secret_env", ""))
        return Config(publication, {k: t for k, t in transports.items() if t}, ledger, secret_env)

    # [newsletter] --------------------------------------------------------------------------------------------------

    def _publication(self, table: dict[str, Any]) -> Publication | None:
        texts = self._strings("newsletter", table, NEWSLETTER)
        values: dict[str, Any] = {}
        for key, about in NEWSLETTER.items():
            hint = f'{key} = "{about.example}"'
            if not texts.get(key):
                if about.required and table.get(key, "") == "":
                    self._problem("newsletter", key, f"newsletter.{key} is missing", hint)
                continue
            try:
                values[key] = about.read(texts[key])
            except ValueError as error:
                self._problem("newsletter", key, f"newsletter.{key}: found {texts[key]!r}: {error}", hint)
        if self._problems:
            return None
        values.pop("secret_env", None)
        sender_name, sender = values.pop("from")
        list_id = values.pop("list_id", None) or default_list_id(values["name"], sender.rpartition("@")[2])
        return Publication(sender_name=sender_name or values["name"], sender=sender, list_id=list_id, **values)

    # [transport], [ledger] --------------------------------------------------------------------------------------------

    def _transport(self, name: str, place: str, table: dict[str, Any]) -> TransportConfig | None:
        use = table.get("use")
        if not isinstance(use, str) or use not in transport_names():
            found = f'found "{use}"' if isinstance(use, str) else "it is missing"
            near = (
                did_you_mean(use, transport_names())
                if isinstance(use, str)
                else f" (known: {', '.join(transport_names())})"
            )
            self._problem(place, "use", f"{place}.use names a file in transports/; {found}{near}", 'use = "smtp"')
            return None
        module = transport_module(use)
        before = len(self._problems)
        types_ = get_type_hints(module.Options)
        values = {}
        for key, value in table.items():
            if key == "use" or self._is_secret(place, key, value, types_):
                continue
            if key not in types_:
                self._problem(place, key, f'unknown key "{key}" for {use}{did_you_mean(key, types_)}')
            elif not _fits(value, types_[key]):
                self._problem(place, key, f"{place}.{key}: found {_found(value)}, expected {_expected(types_[key])}")
            else:
                values[key] = value
        for field in fields(module.Options):
            if field.name not in table and field.default is MISSING:
                self._problem(place, field.name, f"{place}.{field.name} is missing", f'{field.name} = "…"')
        return TransportConfig(name, use, module.Options(**values)) if len(self._problems) == before else None

    def _ledger(self, table: dict[str, Any]) -> Path:
        url = self._strings("ledger", table, ("url",)).get("url", "sqlite:///.mailer/ledger.db")
        if not url.startswith("sqlite:///"):
            self._problem(
                "ledger",
                "url",
                f"ledger.url: found {url!r}, expected sqlite:///PATH",
                'url = "sqlite:///.mailer/ledger.db"',
            )
        return self._project / url.removeprefix("sqlite:///")

    # All tables -----------------------------------------------------------------------------------------------------

    def _strings(self, name: str, table: dict[str, Any], known: Collection[str]) -> dict[str, str]:
        values = {}
        for key, value in table.items():
            if self._is_secret(name, key, value, known):
                continue
            if key not in known:
                self._problem(name, key, f'unknown key "{key}"{did_you_mean(key, known)}')
            elif not isinstance(value, str):
                self._problem(name, key, f"{name}.{key}: found {_found(value)}, expected {_STRING}")
            elif re.search(r"[\x00-\x09\x0b-\x1f\x7f]", value) or ("\n" in value and key != "postal_address"):
                self._problem(name, key, f"{name}.{key}: a control character or line break in it")
            else:
                values[key] = value.strip()
        return values

    def _is_secret(self, name: str, key: str, value: object, known: object) -> bool:
        """A secret itself in the file is an error; it is never printed."""
        secret = re.search(r"(password|passwd|secret|token|api_?key)$", key, re.IGNORECASE)
        if not secret or key in known or not isinstance(value, str):  # type: ignore[operator]
            return False
        self._problem(name, key, f"{name}.{key} is a secret; the file names an environment variable instead",
                      f'{key}_env = "MAILER_{key.upper()}", and change the secret: git remembers it')  # fmt: skip
        return True


def _found(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), type(value).__name__)


def _fits(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _expected(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(kind))
    return {str: _STRING, int: "a whole number", float: "a number", bool: "true or false"}.get(kind, str(kind))


def _key_lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each table (with the key "") and of each key; tomllib does not tell."""
    lines, table = {}, ""
    for number, line in enumerate(text.split("\n"), 1):
        if heading := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = heading[1].replace('"', "").replace(" ", "")
            lines[table, ""] = number
        elif key := re.match(r"""\s*["']?([\w.-]+)["']?\s*=""", line):
            lines.setdefault((table, key[1]), number)
    return lines
