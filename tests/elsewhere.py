"""Another machine: a copy of the publication, with or without what git does not carry."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def clone(project: Path, folder: Path, *, key: bool, ledger: bool = False) -> Path:
    """What git and a copied contacts/ bring; the key and the ledger if they were copied, too."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".mailer", "outbox"))
    (folder / ".mailer").mkdir()
    if key:
        shutil.copy(project / ".mailer" / "key", folder / ".mailer" / "key")
    if ledger:
        for path in (project / ".mailer").glob("ledger.db*"):
            shutil.copy(path, folder / ".mailer" / path.name)
    if not key and not ledger:
        (folder / ".mailer").rmdir()
    return folder


@contextmanager
def at(folder: Path) -> Iterator[Path]:
    """Work there."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
