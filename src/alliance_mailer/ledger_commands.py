"""What `mailer ledger` does: upgrade a schema, copy a ledger."""

import contextlib
from pathlib import Path

from .config import Config, ledger_at
from .errors import ConfigError
from .ledger import open_ledger, require_postgres
from .ledger.copying import copy_ledger
from .report import Report


def upgrade_ledger(config: Config, report: Report) -> None:
    """Bring the schema up to date."""
    if isinstance(config.ledger, Path):
        open_ledger(config.ledger, durability=config.durability).close()  # a file is upgraded whenever it is opened
        done: list[str] = []
    else:
        require_postgres()
        from .ledger.database import connect, upgrade

        with contextlib.closing(connect(config.ledger)) as db:
            done = upgrade(db)
    for each in done or ["the ledger is up to date"]:
        report.say(each)
    report.document({"done": done})


def copy_to(project: Path, config: Config, report: Report, url: str) -> None:
    """Copy the ledger that [ledger] url names. Raises ConfigError for a URL that is none."""
    try:
        target = ledger_at(url, project)
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        raise ConfigError(message, hint=hint) from None
    counts = copy_ledger(config.ledger, target)
    for (issue, rehearsal), planned in sorted(counts.items()):
        report.say(
            f"  {issue} {'rehearsal' if rehearsal else 'sending'}: {planned} planned, each in the state it was in"
        )
    report.say(f'\nCopied. Next: in mailer.toml  [ledger]  url = "{url}"')
    copied = [
        {"issue": issue, "rehearsal": rehearsal, "planned": n} for (issue, rehearsal), n in sorted(counts.items())
    ]
    report.document({"to": url, "copied": copied})
