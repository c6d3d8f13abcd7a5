"""What lies on the desk: the publication, compiled when it is looked at, and kept until a file changes."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from datetime import time as clock
from pathlib import Path

from ..config import Config, load_config
from ..contact import Contact
from ..errors import InputError, MailerError, Problem
from ..issue import issue_file, issue_numbers
from ..load import Loaded, check, compiled
from ..message import Message, address
from ..signing import existing_key
from .mail import Mail, take_apart

NOBODY = "0" * 32  # in place of what a key would make
_KEPT = 8  # issues


@dataclass(frozen=True, slots=True)
class Look:
    """An issue as it was last good, and what is wrong with it now."""

    number: str
    config: Config | None
    loaded: Loaded | None  # None: it was never good
    error: MailerError | None
    milliseconds: int  # that it took
    checked: bool = True  # whether the findings are this one's, or still those of the one before


class Desk:
    """The publication in memory. `version` counts the changes; all methods can be called from any thread."""

    def __init__(self, project: Path, environ: Mapping[str, str]) -> None:
        self.project, self.environ = project, environ
        self.version = 0
        self.changed = datetime.now().astimezone()
        self._lock = threading.RLock()
        self._config: Config | None = None
        self._looks: dict[str, Look] = {}
        self._good: dict[str, Look] = {}
        self._mails: dict[tuple[object, ...], tuple[Mail, Message]] = {}
        self._looked_at = ""  # the issue

    def look(self, number: str) -> Look:
        """The issue as it is now. Never raises: what is wrong is a part of the look."""
        with self._lock:
            if number not in self._looks:
                self._looks[number] = self._compile(number)
            return self._looks[number]

    def _compile(self, number: str, *, check_later: bool = False) -> Look:
        began, good = time.perf_counter(), self._good.get(number)
        config = self._config
        try:
            config = self._config = load_config(self.project)
            issue, edition = compiled(self.project, config, number)
        except MailerError as error:
            return Look(number, config, good.loaded if good else None, error, good.milliseconds if good else 0)
        except Exception as error:  # noqa: BLE001 (it must not take the page down, which is open for hours)
            mistake = InputError(f"a mistake of the program itself: {type(error).__name__}: {error}")
            return Look(number, config, good.loaded if good else None, mistake, good.milliseconds if good else 0)
        took = round((time.perf_counter() - began) * 1000)
        before = good.loaded.findings if check_later and good and good.loaded else None
        findings = check(self.project, config, issue, edition) if before is None else before
        look = Look(number, config, Loaded(issue, edition, findings), None, took, checked=before is None)
        self._keep(look)
        return look

    def _keep(self, look: Look) -> None:
        """Remember it for when its files hold a mistake; the few that were good last."""
        self._good.pop(look.number, None)
        self._good[look.number] = look
        if len(self._good) > _KEPT:
            del self._good[next(iter(self._good))]

    def check(self) -> bool:
        """Check what has waited for it. Returns whether there was anything.

        It waits until the message is on the page: there are many rules, and somebody who writes looks at the words.
        """
        waiting = [look for look in list(self._looks.values()) if look.loaded and not look.error and not look.checked]
        for look in waiting:
            assert look.loaded
            assert look.config
            findings = check(self.project, look.config, look.loaded.issue, look.loaded.edition)
            checked = replace(look, loaded=replace(look.loaded, findings=findings), checked=True)
            with self._lock:
                if self._looks.get(look.number) is look:  # else it has changed again
                    self._looks[look.number] = checked
                    self._keep(checked)
        return bool(waiting)

    def turn_to(self, number: str) -> None:
        """From now on this is the issue that is looked at: the one to compile first when a file changes."""
        self._looked_at = number

    def editions(self) -> dict[str, str]:
        """The editions that are known, by issue."""
        return {look.number: look.loaded.edition.sha256 for look in list(self._looks.values()) if look.loaded}

    def looked_at(self) -> str:
        """The number of the issue and its edition."""
        look = self._looks.get(self._looked_at)
        return f"{look.number} {look.loaded.edition.sha256[:12]}" if look and look.loaded else ""

    def refresh(self) -> bool:
        """Forget what was compiled, and compile what is looked at. Returns whether it is good."""
        with self._lock:
            self._looks.clear()
            self._mails.clear()
            number = self._looked_at
            if not number:
                return True
            self._looks[number] = look = self._compile(number, check_later=True)
            return look.error is None

    def publish(self) -> None:
        """Count a change, so that whoever waits for one looks again."""
        self.version += 1
        self.changed = datetime.now().astimezone()

    def newest(self) -> str:
        """The number of the newest issue, by number. Raises InputError where there is none."""
        numbers = issue_numbers(self.project)
        if not numbers:
            raise InputError("there is no issue yet in issues/", hint="mailer import MANUSCRIPT.md")
        return numbers[-1]

    def file(self, number: str) -> Path:
        """Where an issue stands. Raises InputError."""
        return issue_file(self.project, number)

    def mail(self, look: Look, contact: Contact) -> tuple[Mail, Message]:
        """The message that a contact gets, from its bytes. Raises InputError where it cannot be addressed to them."""
        assert look.loaded
        assert look.config
        key = (look.loaded.edition.sha256, contact.address, tuple(contact.fields.items()))
        with self._lock:
            if key not in self._mails:  # the page and each frame ask for the same one
                message = addressed(look.loaded, look.config, contact, self._key(look.config))
                self._mails[key] = take_apart(message.as_bytes()), message
            return self._mails[key]

    def _key(self, config: Config) -> bytes | None:
        """The publication's key; none where there is none yet: to look makes no file and needs no secret."""
        try:
            return existing_key(self.project, config.secret_env, self.environ)
        except MailerError:
            return None


def addressed(loaded: Loaded, config: Config, contact: Contact, key: bytes | None) -> Message:
    """The message for a contact, dated as the issue is. Raises InputError where somebody lacks what it needs."""
    issue, edition = loaded.issue, loaded.edition
    if mistakes := edition.mistakes(contact):
        file, _, line = contact.source.rpartition(":")
        raise InputError([Problem(file, int(line or 0), f"{contact.address} {mistake}") for mistake in mistakes])
    wall = issue.send_at or datetime.combine(issue.date, clock())
    date = wall.replace(tzinfo=config.publication.timezone)
    if key is None:
        return Message(edition, contact, date, key=NOBODY, token=NOBODY)
    return address(edition, contact, date=date, key=key)
