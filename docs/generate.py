"""Writes five pages of docs/reference/ from the program itself; tests/test_docs.py holds them to it."""

import inspect
import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from alliance_mailer import checks, cli, errors
from alliance_mailer.check_settings import CHECK
from alliance_mailer.checks.clients import support
from alliance_mailer.findings import FAMILIES
from alliance_mailer.newsletter import NEWSLETTER
from alliance_mailer.schedule_settings import APPROVAL, SCHEDULE
from alliance_mailer.setting import DELIVERY, EVERY_TRANSPORT, Setting
from alliance_mailer.transports import Traits, transport_module, transport_names

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- made by docs/generate.py; `make docs` -->\n"
LEDGER = (
    "the ledger's file, below the publication's folder; or, for many machines, a PostgreSQL database:"
    " `postgresql://mailer@db.example.org/mailer`, its password in `PGPASSWORD` or `~/.pgpass`"
)


def commands() -> str:
    """What each command says with --help."""
    pages = [("## mailer", _help())]
    pages += [(f"## mailer {name}", _help(name)) for name in _names(cli.app)]
    for group in cli.app.registered_groups:
        pages.append((f"## mailer {group.name}", _help(group.name)))
        pages += [(f"### mailer {group.name} {name}", _help(group.name, name)) for name in _names(group.typer_instance)]
    blocks = [f"{title}\n\n```\n{text}\n```\n" for title, text in pages]
    return f"# Commands\n\n{NOTE}\n" + "\n".join(blocks)


def _names(app: Any) -> list[str]:
    return [command.name or command.callback.__name__ for command in app.registered_commands]


def _help(*command: str) -> str:
    with redirect_stdout(io.StringIO()) as out:
        cli.run([*command, "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def settings() -> str:
    """The keys of mailer.toml."""
    rows = [
        (f"`{key}`", "needed" if about.required else "", f"`{about.example}`", about.meaning)
        for key, about in NEWSLETTER.items()
    ]
    text = f"# mailer.toml\n\n{NOTE}\nUnknown keys are errors, with the nearest known name. A secret itself in the file"
    text += " is an error: a key that ends in `_env` names an environment variable.\n\n"
    text += "## [newsletter]\n\n" + _table(("key", "", "example", "is"), rows)
    text += "\n## [transport], and [transports.NAME] for --transport NAME\n\n"
    text += "`use` names the transport, `preset` a set of keys that lie under yours. These every transport has:\n\n"
    text += _settings(EVERY_TRANSPORT)
    text += "\nThe others are its own.\n"
    for name in transport_names():
        module = transport_module(name)
        text += f'\n### use = "{name}"\n\n{module.__doc__.split(chr(10), 1)[0]}\n\n'
        text += _table(("key", "default", "is"), _options(module.Options))
    text += "\n## [delivery]\n\n" + _settings(DELIVERY)
    text += "\n## [approval]\n\n" + _settings(APPROVAL)
    text += "\n## [schedule]\n\n" + _settings(SCHEDULE, "example")
    text += "\n## [ledger]\n\n" + _table(
        ("key", "default", "is"),
        [("`url`", "`sqlite:///.mailer/ledger.db`", LEDGER)],
    )
    text += "\n## [check]\n\nWhat `mailer check` is to know. [Its rules](checks.md).\n\n"

    return text + _settings(CHECK)


def rules() -> str:
    """What `mailer check` looks for."""
    count, data = len(checks.RULES), support()
    text = f"# The rules of mailer check\n\n{NOTE}\n{count} rules. An *error* keeps an issue from a sending that leaves"
    text += " the machine, a *warning* is to be looked at, an *info* is a remark. How to work with them:"
    text += " [Check an issue](../howto/check.md).\n\n"
    text += "`mailer check --explain L001` prints one of them. What mail programs can show is known from"
    text += f" [caniemail.com](https://www.caniemail.com) (MIT), data of {data.date}.\n"
    for family in FAMILIES:
        module = inspect.getmodule(next(rule.find for rule in checks.RULES.values() if rule.family == family))
        text += f"\n## {family}\n\n{module.__doc__}\n\n"
        rows = [(f"`{rule.id}` {rule.severity}", f"**{rule.title}.** {rule.why}", rule.fix, rule.source)
                for rule in checks.RULES.values() if rule.family == family]  # fmt: skip
        cells = [tuple(map(_html, row)) for row in rows]
        text += _table(("rule", "is kept when, and why", "what to do", "source"), cells)
    return text


def _settings(known: Mapping[str, Setting], shown: str = "default") -> str:
    rows = [(f"`{key}`", f"`{about.default}`", about.meaning) for key, about in known.items()]
    return _table(("key", shown, "is"), rows)


def _html(text: str) -> str:
    """Words in which tags and braces are meant as text."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("{{", "&#123;&#123;")
    return text.replace("](", "]&#40;")


def _options(options: type) -> list[tuple[str, ...]]:
    """The comment beside a field is its documentation."""
    line = re.compile(r"^    (\w+): [^=#\n]+?(?: = ([^#\n]+?))?(?:  # (.*))?$", re.MULTILINE)
    found = line.findall(inspect.getsource(options))
    return [(f"`{name}`", f"`{default}`" if default else "needed", words) for name, default, words in found]


def transports() -> str:
    """What each transport makes of a message, and what its file says of it."""
    modules = {name: transport_module(name) for name in transport_names()}
    text = f"# Transports\n\n{NOTE}\nWhat each does with a message on its way, as `mailer send` says before it asks. "
    text += "How to set one up: [a mail server](../howto/send-through-a-mail-server.md), "
    text += "[a mail API](../howto/send-through-a-mail-api.md); each one's keys: [mailer.toml](settings.md).\n\n"
    text += _table(
        ("`use`", "is", "takes", "Message-ID", "Date", "a DKIM signature of ours", "List-Unsubscribe and friends",
         "pictures inside the mail", "messages a request", "taken once when repeated", "sandbox"),
        [(f"`{name}`", *_traits(module.TRAITS)) for name, module in modules.items()],
    )  # fmt: skip
    text += (
        "\n“Takes bytes”: the message that you saw goes there byte for byte. “Takes fields”: the provider composes the "
    )
    text += "mail itself, from the subject, both texts and the headers that you saw.\n"
    for name, module in modules.items():
        if hasattr(module.Options, "timeout") and hasattr(module.Options, "base_url"):
            title, _, more = inspect.getdoc(module).partition("\n")
            text += f"\n## `{name}`\n\n{title}\n\n{more.strip()}\n"
    return text


def _traits(traits: Traits) -> tuple[str, ...]:
    kept = (traits.message_id, traits.date, traits.dkim, traits.headers)
    window = {0: "no", 900: "for 15 minutes", 86400: "for 24 hours"}[traits.window]
    carried = "yes" if traits.pictures else "no: set `assets_url`"
    return (
        traits.name,
        traits.takes,
        *("kept" if each else "replaced" for each in kept[:2]),
        *("kept" if each else "lost" for each in kept[2:]),
        carried,
        f"{traits.batch}",
        window,
        traits.sandbox or "none",
    )


def exit_codes() -> str:
    """The codes of errors.py."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MailerError)]
    meanings: dict[int, str] = {}
    for kind in kinds:
        if kind.__base__ is errors.MailerError:
            meanings[kind.code] = f"{meanings.get(kind.code, '')} {kind.__doc__.split(chr(10), 1)[0]}".strip()
    meanings[0] = "Done; also when there was nothing to do."
    meanings[1] = "Done or not sent, but a person should look: mistakes in the issue, deliveries refused or unknown."
    meanings[75] += " Also: people are left for later."
    meanings[70] = "A mistake of the program itself: please report it, with what `-v` prints."
    meanings[130] = "Interrupted; safe to run again."
    rows = [(f"{code}", meaning) for code, meaning in sorted(meanings.items())]
    text = f"# Exit codes\n\n{NOTE}\nThey are sysexits, which cron, systemd and mail software know.\n\n"
    return text + _table(("code", "means"), rows) + "\nWhen several apply: 130, 78, 69, 77, 75, 1.\n"


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


PAGES = {
    "commands.md": commands,
    "settings.md": settings,
    "transports.md": transports,
    "exit-codes.md": exit_codes,
    "checks.md": rules,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
        print(f"docs/reference/{name}")
