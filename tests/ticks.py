"""A publication whose clock the test winds: approve at one time, let cron tick at another."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from alliance_mailer.approve import approve_issue
from alliance_mailer.cli import Session
from alliance_mailer.dispatch import dispatch
from alliance_mailer.errors import MailerError
from alliance_mailer.example import example_folder
from conftest import Result, change

NEW_YORK = ZoneInfo("America/New_York")
ANN = "Ann Example <ann@example.org>"


def wall(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    """An instant, by what the clocks in a zone show."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone).astimezone(UTC)


@dataclass
class Desk:
    """Commands that ask what time it is, at a time of the test's choice."""

    project: Path
    compiled: dict[str, object] = field(default_factory=dict)  # by number, for tests that tick a hundred times

    def session(self) -> Session:
        session = Session(self.project, as_json=False, verbose=False)
        session.open()
        return session

    def load(self, session: Session, number: str):
        if number not in self.compiled:
            return session.load(number)
        return self.compiled[number]

    def approve(self, number: str, now: datetime, transport: str | None = "live", by: str = ANN, allow=None) -> None:
        session = self.session()
        approve_issue(
            session.project, session.config, session.report, *self.load(session, number),
            transport=transport, by=by, allow=allow or {}, now=now,
        )  # fmt: skip

    def tick(self, now: datetime, clock=None) -> Result:
        """What cron would see."""
        session = Session(self.project, as_json=False, verbose=False)
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            session.report.out = out
            session.find()
            try:
                load = lambda number: self.load(session, number)  # noqa: E731
                code = dispatch(session.project, session.open, session.report, load, clock or (lambda: now))
            except MailerError as error:
                session.report.error(error)
                code = error.code
        return Result(code, out.getvalue(), err.getvalue())

    def write(self, number: str, send_at: str | None, audience: str = "subscribers") -> None:
        """The example's issue with a number and a time of its own."""
        source = (example_folder() / "issues" / "2.6.md").read_text()
        text = source.replace('issue: "2.6"', f'issue: "{number}"').replace(
            "audience: [subscribers]", f"audience: [{audience}]" + (f"\nsend_at: {send_at}" if send_at else "")
        )
        (self.project / "issues" / f"{number}.md").write_text(text)


def settings(project: Path, text: str) -> None:
    """Add tables to mailer.toml; [schedule] takes the place of the example's."""
    config = project / "mailer.toml"
    before = config.read_text()
    if "[schedule]" in text:
        before = re.sub(r"^\[schedule\]\n(?:(?!\[).*\n)*", "", before, flags=re.MULTILINE)
    config.write_text(f"{before}\n{text}\n")


__all__ = ["ANN", "NEW_YORK", "Desk", "change", "settings", "wall"]
