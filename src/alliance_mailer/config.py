"""mailer.toml, read once: every mistake named with its line. What comes out are plain values."""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal, get_type_hints

from .cadence import read_cadence
from .check_settings import CHECK
from .errors import ConfigError, Problem, did_you_mean
from .newsletter import NEWSLETTER
from .pace import Policy, Rate
from .preferences import NONE, Preferences
from .publication import Publication, default_list_id
from .schedule_settings import APPROVAL, SCHEDULE, ApprovalPolicy, Schedule
from .setting import DELIVERY, EVERY_TRANSPORT, expected, fits, shown
from .tables import CONTROL, Tables
from .transports import transport_module, transport_names

FILE = "mailer.toml"


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """A transport's name, the file in transports/ that it uses, that file's options, and what every transport has."""

    name: str
    use: str
    options: Any
    connections: int = 1
    rate: tuple[Rate, ...] = ()
    domain_rate: tuple[Rate, ...] = ()  # the same for each domain of the recipients


@dataclass(frozen=True, slots=True)
class Config:
    """All of mailer.toml."""

    publication: Publication
    transports: Mapping[str, TransportConfig]  # "default", and each of [transports.NAME]
    ledger: Path | str  # SQLite's file, or a postgresql:// URL
    secret_env: str
    delivery: Policy
    durability: Literal["process", "power"]  # what the ledger survives: kill -9; a power cut, too
    approval: ApprovalPolicy
    schedule: Schedule
    checks: Preferences = NONE
    lines: Mapping[str, int] = field(default_factory=dict)  # where each key stands, by its path: newsletter.from

    @property
    def zones(self) -> Sequence[tuple[str, tzinfo]]:
        """In which zones times are shown, by the names that people have for them."""
        zone, more = self.publication.timezone, self.schedule.show_zones
        city = zone.key.rpartition("/")[2].replace("_", " ")
        return more if zone in (each for _, each in more) else ((city, zone), *more)

    @property
    def bounce_addresses(self) -> Mapping[str, str]:
        """Where bounces go, by the key that says so: transports.live.bounce_address."""
        found = {}
        for name, way in self.transports.items():
            if address := getattr(way.options, "bounce_address", ""):
                found[f"{'transport' if name == 'default' else f'transports.{name}'}.bounce_address"] = address
        return found

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


class _Reader(Tables):
    """Reads all of mailer.toml."""

    def __init__(self, text: str, project: Path) -> None:
        super().__init__(FILE, text)
        self._project = project

    def config(self, data: dict[str, Any]) -> Config:
        known = ("newsletter", "transport", "transports", "delivery", "ledger", "approval", "schedule", "check")
        for key, value in data.items():
            if key not in known:
                kind = "table" if isinstance(value, dict) else "key"
                self.problem(key, f'unknown {kind} "{key}"{did_you_mean(key, known)}')
        tables = {key: self.table(key, data.get(key, {})) for key in known}
        publication = self._publication(tables["newsletter"])
        transports = {"default": self._transport("default", "transport", tables["transport"] or {"use": "files"})}
        for name, value in tables["transports"].items():
            place = f"transports.{name}"
            if name == "default":
                self.problem(place, f'{place}: "default" is [transport] itself', "[transports.live]")
            elif self.table(place, value) is value:
                transports[name] = self._transport(name, place, value)
        delivery = self.settings("delivery", tables["delivery"], DELIVERY)
        durability = delivery.pop("durability", "process")
        ledger = self._ledger(tables["ledger"])
        approval = ApprovalPolicy(**self.settings("approval", tables["approval"], APPROVAL))
        schedule = self._schedule(tables["schedule"], transports)
        checks = self.settings("check", tables["check"], CHECK)
        if self.problems or publication is None:
            raise ConfigError(sorted(self.problems, key=lambda problem: problem.line or 0))
        secret_env = str(tables["newsletter"].get("secret_env", ""))
        usable = {name: transport for name, transport in transports.items() if transport}
        return Config(
            publication, usable, ledger, secret_env, Policy(**delivery), durability, approval, schedule,
            Preferences(**checks), self.lines,
        )  # fmt: skip

    # [newsletter] --------------------------------------------------------------------------------------------------

    def _publication(self, table: dict[str, Any]) -> Publication | None:
        texts = self.strings("newsletter", table, NEWSLETTER)
        values: dict[str, Any] = {}
        for key, about in NEWSLETTER.items():
            path, hint = f"newsletter.{key}", f'{key} = "{about.example}"'
            if not texts.get(key):
                if about.required and not str(table.get(key, "")).strip():
                    self.problem(path, f"{path} is missing", hint)
                continue
            try:
                values[key] = about.read(texts[key])
            except ValueError as error:
                self.problem(path, f"{path}: found {texts[key]!r}: {error}", hint)
        if self.problems:
            return None
        values.pop("secret_env", None)
        sender_name, sender = values.pop("from")
        list_id = values.pop("list_id", None) or default_list_id(values["name"], sender.rpartition("@")[2])
        return Publication(sender_name=sender_name or values["name"], sender=sender, list_id=list_id, **values)

    # [transport], [delivery], [ledger] --------------------------------------------------------------------------------

    def _transport(self, name: str, place: str, table: dict[str, Any]) -> TransportConfig | None:
        use, names = table.get("use"), transport_names()
        if not isinstance(use, str) or use not in names:
            what = "it is missing" if use is None else f"found {shown(use)}"
            near = did_you_mean(use if isinstance(use, str) else "", names)
            self.problem(f"{place}.use", f"{place}.use names a file in transports/; {what}{near}", 'use = "smtp"')
            return None
        module, before = transport_module(use), len(self.problems)
        table = {**self._preset(place, use, module, table), **table}
        kinds = get_type_hints(module.Options)
        options: dict[str, Any] = {}
        common: dict[str, Any] = {"connections": getattr(module, "CONNECTIONS", 1)}
        for key, value in table.items():
            path = f"{place}.{key}"
            if key in ("use", "preset") or self.is_secret(path, key, value, kinds):
                continue
            if key in EVERY_TRANSPORT:
                common |= self.setting(path, key, value, EVERY_TRANSPORT[key])
            elif key not in kinds:
                near = did_you_mean(key, ("preset", *EVERY_TRANSPORT, *kinds))
                self.problem(path, f'unknown key "{key}" for {use}{near}')
            elif not fits(value, kinds[key]):
                self.problem(path, f"{path}: found {shown(value)}, expected {expected(kinds[key])}")
            elif any(isinstance(text, str) and CONTROL.search(text) for text in _each(value)):
                self.problem(path, f"{path}: a control character or line break in it")
            else:
                options[key] = tuple(value) if isinstance(value, list) else value
        for option in fields(module.Options):
            if option.name not in table and option.default is MISSING:
                self.problem(f"{place}.{option.name}", f"{place}.{option.name} is missing", f'{option.name} = "…"')
        if len(self.problems) > before:
            return None
        return TransportConfig(name, use, module.Options(**options), **common)

    def _preset(self, place: str, use: str, module: Any, table: dict[str, Any]) -> Mapping[str, Any]:
        """The keys that lie under those of the table."""
        preset, presets = table.get("preset"), getattr(module, "PRESETS", {})
        if preset is None:
            return {}
        if isinstance(preset, str) and preset in presets:
            return {key: list(value) if isinstance(value, tuple) else value for key, value in presets[preset].items()}
        near = did_you_mean(preset if isinstance(preset, str) else "", presets) if presets else f" ({use} has none)"
        self.problem(f"{place}.preset", f"{place}.preset: there is no preset {shown(preset)}{near}")
        return {}

    def _ledger(self, table: dict[str, Any]) -> Path | str:
        url = self.strings("ledger", table, ("url",)).get("url", "sqlite:///.mailer/ledger.db")
        try:
            return ledger_at(url, self._project)
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            self.problem("ledger.url", f"ledger.url: {message}", hint)
            return self._project

    def _schedule(self, table: dict[str, Any], transports: Collection[str]) -> Schedule:
        values = self.settings("schedule", table, SCHEDULE)
        anchor, cadence = values.pop("anchor", None), values.pop("cadence", None)
        if cadence:
            try:
                values["cadence"] = read_cadence(cadence, anchor)
            except ValueError as error:
                self.problem("schedule.cadence", f'schedule.cadence: found "{cadence}", {error}',
                              f"cadence = {SCHEDULE['cadence'].default}, and anchor = 2023-03-31")  # fmt: skip
        if (name := values.get("transport")) not in (None, *transports):
            self.problem("schedule.transport", f'schedule.transport: there is no transport "{name}"'
                          f"{did_you_mean(str(name), transports)}", f"add a table  [transports.{name}]")  # fmt: skip
        return Schedule(**values)


def ledger_at(url: str, project: Path) -> Path | str:
    """Where a ledger is, by its URL: a file's path, or the URL of a PostgreSQL database.

    Raises ValueError with what is wrong, and after "; " what to type instead.
    """
    if url.startswith(("postgresql://", "postgres://")):
        if re.match(r"[a-z]+://[^/@]*:[^/@]+@", url) or re.search(r"[?&](ssl)?password=", url):
            raise ValueError("a password in it; the password comes from PGPASSWORD or ~/.pgpass")
        if not re.fullmatch(r"[a-z]+://([^/@\s]+@)?[^/@\s]*/[^/?\s]+(\?\S*)?", url):
            raise ValueError('it names no database; url = "postgresql://mailer@db.example.org/mailer"')
        return url
    path = url.removeprefix("sqlite:///")
    if path in ("", url):
        raise ValueError(
            f'found {url!r}, expected sqlite:///PATH or postgresql://…; url = "sqlite:///.mailer/ledger.db"'
        )
    return project / path


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
