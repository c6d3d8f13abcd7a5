"""The example publication that `mailer init` copies. It is this project's own; the wheel carries it."""

import shutil
from pathlib import Path

from .errors import TryLater, UsageError

_FILES = ("mailer.toml", "issues/2.6.md", "issues/2.6-hero.jpg", "contacts/subscribers.csv", "contacts/suppressed.csv",
          "templates/digest/message.mjml.j2", "templates/digest/inline.css", "templates/digest/client.css")  # fmt: skip

GITIGNORE = """\
# What mailer writes
/outbox/
/build/
/.mailer/
# People's addresses do not belong into git; the example list may stay
/contacts/*
!/contacts/subscribers.csv
"""


def example_folder() -> Path:
    """Where the example lies: in the installed package, or at the root of a source checkout."""
    installed = Path(__file__).with_name("example")
    return installed if installed.is_dir() else Path(__file__).parents[2]


def copy_example(folder: Path) -> list[str]:
    """Write the example into `folder`; returns the files' names.

    Raises UsageError where one is there already (nothing is written then), TryLater where the disk takes nothing.
    """
    there = [name for name in _FILES if (folder / name).exists()]
    if folder.is_file():
        raise UsageError(f"{folder} is a file", hint="mailer init my-digest")
    if there:
        raise UsageError(f"{', '.join(there)}: there already; nothing was written", hint="mailer init in a new folder")
    try:
        for name in _FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(example_folder() / name, folder / name)
        with (folder / ".gitignore").open("a") as ignored:  # in a repository there is one
            ignored.write(GITIGNORE)
    except OSError as error:
        raise TryLater(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    return [*_FILES, ".gitignore"]
