"""mailer.toml, read once: every mistake named with its line. What comes out are plain values."""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .errors import ConfigError, Problem, did_you_mean
from .newsletter import NEWSLETTER
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
    except (ValueError, RecursionError) as error:  # not TOMLDecodeError alone: a number of 5000 digits, [[[[…
        message, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        number = int(line[1]) if line else len(text.splitlines()) if place else None  # "at end of document"
        hint = 'text goes in quotes: key = "…"'
        raise ConfigError(Problem(FILE, number, f"this is no TOML: {message}", hint)) from None
    return _Reader(text, project).config(data)


_STRING, _TABLE = "text in quotes", "a table"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _Reader:
    """Reads the tables. A key is named by its path, such as transports.live.host."""

    def __init__(self, text: str, project: Path) -> None:
        self._lines, self._project = _key_lines(text), project
        self._problems: list[Problem] = []

    def _problem(self, path: str, message: str, hint: str = "") -> None:
        while path and path not in self._lines:  # what is missing is missed where its table begins
            path = path.rpartition(".")[0]
        message = re.sub(r"//\S*@", "//…@", message)  # a password in a URL
        self._problems.append(Problem(FILE, self._lines.get(path), message, hint))

    def config(self, data: dict[str, Any]) -> Config:
        known = ("newsletter", "transport", "transports", "ledger")
        for key, value in data.items():
            if key not in known:
                kind = "table" if isinstance(value, dict) else "key"
                self._problem(key, f'unknown {kind} "{key}"{did_you_mean(key, known)}')
        tables = {key: self._table(key, data.get(key, {})) for key in known}
        publication = self._publication(tables["newsletter"])
        transports = {"default": self._transport("default", "transport", tables["transport"] or {"use": "files"})}
        for name, value in tables["transports"].items():
            place = f"transports.{name}"
            if name == "default":
                self._problem(place, f'{place}: "default" is [transport] itself', "[transports.live]")
            elif self._table(place, value) is value:
                transports[name] = self._transport(name, place, value)
        ledger = self._ledger(tables["ledger"])
        if self._problems or publication is None:
            raise ConfigError(sorted(self._problems, key=lambda problem: problem.line or 0))
        secret_env = str(tables["newsletter"].get("secret_env", ""))
        return Config(publication, {k: t for k, t in transports.items() if t}, ledger, secret_env)

    def _table(self, path: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self._problem(path, f"{path}: found {_found(value)}, expected {_TABLE}", f"[{path}]")
        return {}

    # [newsletter] --------------------------------------------------------------------------------------------------

    def _publication(self, table: dict[str, Any]) -> Publication | None:
        texts = self._strings("newsletter", table, NEWSLETTER)
        values: dict[str, Any] = {}
        for key, about in NEWSLETTER.items():
            path, hint = f"newsletter.{key}", f'{key} = "{about.example}"'
            if not texts.get(key):
                if about.required and not str(table.get(key, "")).strip():
                    self._problem(path, f"{path} is missing", hint)
                continue
            try:
                values[key] = about.read(texts[key])
            except ValueError as error:
                self._problem(path, f"{path}: found {texts[key]!r}: {error}", hint)
        if self._problems:
            return None
        values.pop("secret_env", None)
        sender_name, sender = values.pop("from")
        list_id = values.pop("list_id", None) or default_list_id(values["name"], sender.rpartition("@")[2])
        return Publication(sender_name=sender_name or values["name"], sender=sender, list_id=list_id, **values)

    # [transport], [ledger] --------------------------------------------------------------------------------------------

    def _transport(self, name: str, place: str, table: dict[str, Any]) -> TransportConfig | None:
        use, names = table.get("use"), transport_names()
        if not isinstance(use, str) or use not in names:
            found = "it is missing" if use is None else f"found {_shown(use)}"
            near = did_you_mean(use if isinstance(use, str) else "", names)
            self._problem(f"{place}.use", f"{place}.use names a file in transports/; {found}{near}", 'use = "smtp"')
            return None
        options = transport_module(use).Options
        before = len(self._problems)
        kinds = get_type_hints(options)
        values = {}
        for key, value in table.items():
            path = f"{place}.{key}"
            if key == "use" or self._is_secret(path, key, value, kinds):
                continue
            if key not in kinds:
                self._problem(path, f'unknown key "{key}" for {use}{did_you_mean(key, kinds)}')
            elif not _fits(value, kinds[key]):
                self._problem(path, f"{path}: found {_shown(value)}, expected {_expected(kinds[key])}")
            elif isinstance(value, str) and _CONTROL.search(value):
                self._problem(path, f"{path}: a control character or line break in it")
            else:
                values[key] = value
        for field in fields(options):
            if field.name not in table and field.default is MISSING:
                self._problem(f"{place}.{field.name}", f"{place}.{field.name} is missing", f'{field.name} = "…"')
        return TransportConfig(name, use, options(**values)) if len(self._problems) == before else None

    def _ledger(self, table: dict[str, Any]) -> Path:
        url = self._strings("ledger", table, ("url",)).get("url", "sqlite:///.mailer/ledger.db")
        path = url.removeprefix("sqlite:///")
        if path in ("", url):
            message = f"ledger.url: found {url!r}, expected sqlite:///PATH"
            self._problem("ledger.url", message, 'url = "sqlite:///.mailer/ledger.db"')
        return self._project / path

    # All tables -----------------------------------------------------------------------------------------------------

    def _strings(self, name: str, table: dict[str, Any], known: Collection[str]) -> dict[str, str]:
        values = {}
        for key, value in table.items():
            path = f"{name}.{key}"
            if self._is_secret(path, key, value, known):
                continue
            if key not in known:
                self._problem(path, f'unknown key "{key}"{did_you_mean(key, known)}')
            elif not isinstance(value, str):
                self._problem(path, f"{path}: found {_found(value)}, expected {_STRING}")
            elif _CONTROL.search(value.replace("\n", "") if key == "postal_address" else value):
                self._problem(path, f"{path}: a control character or line break in it")
            else:
                values[key] = value.strip()
        return values

    def _is_secret(self, path: str, key: str, value: object, known: Collection[str]) -> bool:
        """A secret itself in the file is an error; it is never printed."""
        if re.search(r"(password|passwd|secret|token|api_?key)$", key, re.IGNORECASE) and key not in known:
            self._problem(path, f"{path} is a secret; the file names an environment variable instead",
                          f'{key}_env = "MAILER_{key.upper()}", and change the secret: git remembers it')  # fmt: skip
            return True
        named = isinstance(value, str) and re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", value)
        if key.endswith("_env") and not named:
            self._problem(path, f"{path} is the name of an environment variable: letters, digits and underscores",
                          f'{key} = "MAILER_{key.removesuffix("_env").upper()}"')  # fmt: skip
            return True
        return False


_NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: _TABLE,
}


def _found(value: object) -> str:
    return _NAMES.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    if isinstance(value, int | float):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else _found(value)


def _fits(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9  # nan is not
    return type(value) is kind


def _expected(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(kind))
    return {str: _STRING, int: "a whole number", float: "a number", bool: "true or false"}.get(kind, str(kind))


def _key_lines(text: str) -> dict[str, int]:
    """The line of each table and key, by its path; tomllib does not tell."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        path = ""
        if heading := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            path = table = re.sub(r"[\s\"']", "", heading[1])
        elif key := re.match(r"""\s*([\w.\s"'-]+?)\s*=""", line):
            path = ".".join(filter(None, (table, re.sub(r"[\s\"']", "", key[1]))))
        while path and path not in lines:  # a.b.c stands also for a.b, and for a
            lines[path] = number
            path = path.rpartition(".")[0]
    return lines
