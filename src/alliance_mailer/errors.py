"""What can go wrong, and the exit code (sysexits.h) that each kind earns.

MailerError
├── UsageError         2   the command line cannot be followed: declined, no --yes without a terminal
├── CheckFailed        1   the issue has findings that a live transport does not carry; nothing was sent
├── TooLate            1   an approved issue whose time passed long ago; `dispatch` does not send it
├── InputError        65   EX_DATAERR: issue, template or contacts; every mistake of a file at once
├── TransportRefused  69   EX_UNAVAILABLE: credentials, TLS, account, policy; trying again will not help
├── TryLater          75   EX_TEMPFAIL: no connection, disk full
│   └── IssueHeld          another run holds the issue
├── EditionChanged    77   EX_NOPERM: not the bytes that people have already got
├── SentElsewhere     77   EX_NOPERM: a receipt says that it was sent, and the key that tells to whom is missing
├── NotApproved       77   nobody approved it, or not as it is now
└── ConfigError       78   EX_CONFIG: mailer.toml, the environment, no project
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what was found and what was expected, and what to type next."""

    file: str
    line: int | None
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        if "(did you mean" in self.message:  # that says what to type; an example beside it would contradict
            object.__setattr__(self, "hint", "")

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


class MailerError(Exception):
    """Anything a person can mend. It carries at least one `Problem`, several where a file has several."""

    code = 70  # EX_SOFTWARE: only the subclasses are raised

    def __init__(self, problems: Problem | Sequence[Problem] | str, *, hint: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem("", None, problems, hint)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def hint(self) -> str:
        """What to type next: the first hint that a problem has."""
        return next((problem.hint for problem in self.problems if problem.hint), "")


class UsageError(MailerError):
    """The command line cannot be followed."""

    code = 2


class CheckFailed(MailerError):
    """The issue has mistakes that must not leave this machine."""

    code = 1


class TooLate(MailerError):
    """The issue's time has passed by more than [schedule] max_late."""

    code = 1


class InputError(MailerError):
    """An issue, a template or a contact list cannot be used as it is."""

    code = 65


class TransportRefused(MailerError):
    """The transport refuses *us*, whoever the recipient is."""

    code = 69


class TryLater(MailerError):
    """Nothing is lost; the same command may work later."""

    code = 75


class IssueHeld(TryLater):
    """Another run is sending this issue."""


class EditionChanged(MailerError):
    """The issue is not what has already been sent to a part of its audience."""

    code = 77


class SentElsewhere(MailerError):
    """The issue was sent from elsewhere, and it cannot be told to whom."""

    code = 77


class NotApproved(MailerError):
    """Nobody has approved the issue, or it is no longer what was approved."""

    code = 77


class ConfigError(MailerError):
    """The publication's settings cannot be used as they are."""

    code = 78


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A clause to append to a message: the nearest known name, or all of them when there are few."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f' (did you mean "{near[0]}"?)'
    return f" (known: {', '.join(names)})" if 0 < len(names) <= 20 else ""
