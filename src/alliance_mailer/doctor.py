"""What `mailer doctor` does: look for what would stop a sending, or should not be so. It sends nothing.

Each look is a function that yields lines; a mistake that it meets becomes a line, too, and the others go on.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from .checks import ignored
from .checks.headers import RESERVED
from .checks.online import Sender, look_at_sender, sender_findings
from .config import Config, TransportConfig, load_config
from .contact import FORGOTTEN, list_names, read_lists, read_suppressions
from .errors import ConfigError, MailerError
from .forgotten import refuse_other_keys
from .ledger import is_there, open_ledger
from .outside import Public, is_public
from .receipt import key_mark, read_receipt, receipt_file, receipt_numbers
from .report import Report
from .signing import existing_key, key_file
from .suppressed import NAME
from .transports import connect, is_loopback, transport_module

_FEW, _TOO_FEW = 1_000_000_000, 100_000_000  # bytes free; a million people take 0.5 GB of ledger
_RELEASED = datetime(2026, 11, 1, tzinfo=UTC)  # of this program: no clock that is right is before it
_CODES = (78, 69, 77, 75, 65)  # when several apply, the first


@dataclass(frozen=True, slots=True)
class Line:
    """What a look has found."""

    level: Literal["ok", "warn", "fail"]
    name: str
    message: str
    hint: str = ""  # what to type next
    code: int = 1  # of a failure


Look = Callable[[Path, Config, Mapping[str, str]], Iterator[Line]]


def doctor(
    project: Path, report: Report, environ: Mapping[str, str], *, online: bool = False, public: Public = is_public
) -> int:
    """Print a line for each thing looked at. Returns the exit code: 0 where nothing would stop a sending.

    The network is asked about the sender where a transport leaves this machine; with `online` in any case.
    """
    lines = list[Line]()

    def seen(line: Line) -> None:
        lines.append(line)
        report.say(f"{report.level(line.level)}  {line.name:18} {line.message}")
        if line.hint and line.level != "ok":
            report.say(f"      {'':18} try: {line.hint}")

    try:
        config = load_config(project)
    except ConfigError as error:
        for problem in error.problems:
            seen(Line("fail", "mailer.toml", str(problem), problem.hint, error.code))
    else:
        publication = config.publication
        seen(Line("ok", "mailer.toml", f"{publication.name}, from {publication.sender}"))
        for look in (_key, _clock, _disk, _ledger, _lists, _git, _receipts, _transports):
            for line in _safely(look, project, config, environ):
                seen(line)
        if online or not _is_rehearsing(config):
            for line in _sender(config, public):
                seen(line)
    report.document({"checks": [asdict(line) for line in lines]})
    failed = {line.code for line in lines if line.level == "fail"}
    return next((code for code in _CODES if code in failed), 1) if failed else 0


def _safely(look: Look, project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    name = look.__name__.removeprefix("_")
    try:
        yield from look(project, config, environ)
    except MailerError as error:
        yield Line("fail", name, str(error), error.hint, error.code)


def _key(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    key = existing_key(project, config.secret_env, environ)
    if config.secret_env:
        yield Line("ok", "key", f"in {config.secret_env}")
    elif key is None:
        yield Line("ok", "key", "none yet; the first sending makes .mailer/key")
    elif (mode := key_file(project).stat().st_mode) & 0o077:
        yield Line("warn", "key", f".mailer/key may be read by others (mode {mode & 0o777:o})", "chmod 600 .mailer/key")
    else:
        yield Line("ok", "key", ".mailer/key; a backup of it belongs somewhere safe")
    suppressed = read_suppressions(project / NAME, NAME)
    refuse_other_keys(key, [each.address for each in suppressed if each.address.startswith(FORGOTTEN)])


def _clock(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    """Only what can be known without asking anybody: TLS asks, too, when a transport is looked at."""
    now, latest = datetime.now(UTC), _RELEASED
    file = [config.ledger] if isinstance(config.ledger, Path) else []
    for path in (*file, project / "mailer.toml", *(project / "sends").glob("*.json")):
        with contextlib.suppress(OSError):
            latest = max(latest, datetime.fromtimestamp(path.stat().st_mtime, UTC))
    zone = config.publication.timezone
    if (latest - now).total_seconds() > 60:
        message = f"it is {now:%Y-%m-%d %H:%M} UTC, says this machine; something was written at {latest:%Y-%m-%d %H:%M}"
        yield Line("fail", "clock", message, "timedatectl set-ntp true", 75)
    else:
        yield Line("ok", "clock", f"{now.astimezone(zone):%Y-%m-%d %H:%M} in {zone}")


def _disk(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    file = config.ledger if isinstance(config.ledger, Path) else project / "mailer.toml"
    place = next(each for each in file.parents if each.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB free"
    if not os.access(place, os.W_OK):
        yield Line("fail", "disk", f"{place} cannot be written", f"ls -ld {place}", 75)
    elif free < _FEW:
        level: Literal["warn", "fail"] = "fail" if free < _TOO_FEW else "warn"
        yield Line(level, "disk", f"{said}; a million people take 0.5 GB", f"df -h {place}", 75)
    else:
        yield Line("ok", "disk", said)


def _ledger(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    if not is_there(config.ledger):
        yield Line("ok", "ledger", "none yet; the first sending makes it")
        return
    with contextlib.closing(open_ledger(config.ledger)) as ledger:
        damage, sendings = ledger.damage(), [each for each in ledger.sendings() if not each.rehearsal]
        for words in damage:
            hint = "restore it from a backup, with the receipts in sends/; do not delete it"
            yield Line("fail", "ledger", f"damaged: {words}", hint, 78)
        for sending in sendings:
            if undecided := ledger.tally(sending).unknown - ledger.left(sending):
                said = f"issue {sending.issue}: {undecided} unknown, and nobody has decided"
                yield Line("warn", "ledger", said, f"mailer resolve --issue {sending.issue}")
        if not damage:
            yield Line("ok", "ledger", f"sound; {len(sendings)} {'issue' if len(sendings) == 1 else 'issues'} sent")


def _lists(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    names = list_names(project / "contacts")
    if not names:
        yield Line("warn", "lists", "contacts/ has none", "mailer contacts import FILE --apply")
    if not (project / NAME).exists():
        yield Line("warn", "lists", f"there is no {NAME}: nobody is kept from being mailed", f"restore {NAME}")
    for name in names:
        count = invalid = 0
        for contact in read_lists(project / "contacts", [name]):
            count, invalid = count + 1, invalid + bool(contact.invalid)
        if invalid:
            said = f"contacts/{name}.csv: {invalid} of {count} rows are no address"
            yield Line("warn", "lists", said, f"mailer contacts check {name}")
        else:
            yield Line("ok", "lists", f"contacts/{name}.csv: {count} people")


def _git(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    tracked = _asked(project, "git", "ls-files", "--", "contacts", ".mailer", "outbox")
    if tracked is None:
        yield Line("warn", "git", "no repository: receipts have nowhere to go", "git init")
        return
    for name in tracked.splitlines():
        path = Path(name)
        if path.parts[0] != "contacts":
            hint = f"git rm -r --cached {path.parts[0]}, and a new key: git remembers this one"
            yield Line("fail", "git", f"{name} is tracked, and must not be", hint, 78)
        elif path.suffix == ".csv" and not _is_example(project, path):
            hint = f"git rm --cached {name}; its history keeps the addresses until it is rewritten"
            yield Line("warn", "git", f"{name} is tracked: people's addresses in a repository", hint)
    changed = (_asked(project, "git", "status", "--porcelain", "--", "sends") or "").split()
    if changed:
        hint = 'git add sends && git commit -m "Receipts" sends'
        yield Line("warn", "git", "receipts are not committed; whoever sends from elsewhere does not know", hint)
    yield Line("ok", "git", "a repository")


def _is_example(project: Path, path: Path) -> bool:
    """Whether a list has nobody's addresses in it, as the one that comes with the program."""
    if path.name == "suppressed.csv":
        addresses = [each.address for each in read_suppressions(project / path, str(path))]
    else:
        addresses = [each.address for each in read_lists(project / path.parent, [path.stem])]
    domains = {address.rpartition("@")[2] for address in addresses if "@" in address}
    return all(map(RESERVED.search, domains))


def _receipts(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    key, numbers = existing_key(project, config.secret_env, environ), receipt_numbers(project)
    with contextlib.closing(open_ledger(config.ledger, dry_run=True)) as ledger:
        for number in numbers:
            receipt = read_receipt(project, number)
            if receipt is None or ledger.has_serial(number, receipt.serial):
                continue
            if key is None or receipt.key != key_mark(key):
                said = f"{receipt.name} was written with a key that is not here: issue {number} cannot be sent on"
                yield Line("warn", "receipts", said, "copy .mailer/key from the machine that sent")
            else:
                said = f"{receipt.name} knows better than this ledger; the next sending of {number} learns from it"
                yield Line("ok", "receipts", said)
    folder = receipt_file(project, "N").parent.name
    yield Line("ok", "receipts", f"{len(numbers)} in {folder}/")


def _transports(project: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    for name, way in config.transports.items():
        yield from _safely_named(f"transport {name}", lambda way=way: _transport(project, way, environ))  # type: ignore[misc]
    if _is_rehearsing(config):
        hint = 'name a mail server in mailer.toml: [transports.live], use = "smtp"'
        yield Line("warn", "transports", "none leaves this machine: only rehearsals are possible", hint)


def _is_rehearsing(config: Config) -> bool:
    return all(transport_module(way.use).LOCAL for way in config.transports.values())


def _safely_named(name: str, look: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    try:
        for line in look():
            yield Line(line.level, name, line.message, line.hint, line.code)
    except MailerError as error:
        yield Line("fail", name, str(error), error.hint, error.code)


def _transport(project: Path, way: TransportConfig, environ: Mapping[str, str]) -> Iterator[Line]:
    """A real connection, with TLS and AUTH, and a farewell; nothing is sent."""
    module = transport_module(way.use)
    banner = module.describe(way.options, "N")
    module.check(way.options, project=project, issue="N", environ=environ)
    if module.LOCAL:
        yield Line("ok", "", banner)
        return
    connect(way.use, way.options, project=project, issue="N", environ=environ).close()
    tls, user = getattr(way.options, "tls", ""), getattr(way.options, "user", "")
    encrypted = {"": "", "none": ", without TLS"}.get(tls, ", TLS verified")
    if (url := getattr(way.options, "base_url", None)) is not None:  # a mail API
        encrypted = ", without TLS" if url.startswith("http:") else ", TLS verified"
        encrypted += f"; mailer test --transport {way.name} --sandbox tries the key" if module.TRAITS.sandbox else ""
    yield Line("ok", "", f"{banner}: connected{encrypted}{f', logged in as {user}' if user else ''}; nothing was sent")
    if is_loopback(getattr(way.options, "host", "")):
        milters = _asked(project, "postconf", "-h", "smtpd_milters")
        if milters is None or not milters.strip():
            known = "its smtpd_milters is empty" if milters is not None else "which may sign or not"
            said = f"a relay on this machine, {known}: without a DKIM signature large providers refuse newsletters"
            yield Line(
                "warn", "", said, "look for DKIM-Signature in a mailer test to yourself; opendkim or rspamd sign"
            )


def _sender(config: Config, public: Public) -> Iterator[Line]:
    """What receivers look up: by the rules of `mailer check --online`, in their words."""
    publication = config.publication
    outside = look_at_sender(publication, public)
    known = ignored(config.checks, datetime.now(publication.timezone).date())
    sender = Sender(publication, outside, config.bounce_addresses)
    findings = [each for each in sender_findings(sender) if each.rule not in known]
    for each in findings:
        level: Literal["warn", "fail"] = "fail" if each.severity == "error" else "warn"
        yield Line(level, "sender", f"{each.message} [{each.rule}]", each.fix)
    if outside.domain is None:
        yield Line("ok", "sender", f"{publication.domain} is a name reserved for examples: the DNS is not asked")
    elif not findings:
        domain = outside.domain
        records = {"SPF": domain.spf, "DMARC": domain.dmarc, "DKIM": domain.dkim, "MX": domain.mx}
        there = ", ".join(name for name, found in records.items() if found)
        yield Line("ok", "sender", f"{domain.name}: {there} in the DNS")
    if outside.one_click and not any(each.rule == "U014" for each in findings):
        yield Line("ok", "sender", f"{publication.unsubscribe_url} answers as RFC 8058 asks")
    elif publication.unsubscribe_url and not outside.one_click:
        yield Line("ok", "sender", f"{publication.unsubscribe_url} is at a name reserved for examples: it is not asked")


def _asked(project: Path, *command: str) -> str | None:
    """What a command prints; None where it is not there, or fails."""
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
