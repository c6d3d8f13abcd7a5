"""What `mailer dispatch` has told people already, so that cron does not say it every five minutes."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from .disk import write_atomically
from .errors import TryLater


class Said:
    """A small file. Lost, everything is said once more; that is all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._causes: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._causes = {str(about): str(cause) for about, cause in json.loads(path.read_text()).items()}

    def is_news(self, about: str, cause: str) -> bool:
        """Whether a subject's cause is another than the last; written down before the answer is given."""
        digest = sha256(cause.encode()).hexdigest()[:16]
        if self._causes.get(about) == digest:
            return False
        self._causes[about] = digest
        self._write()
        return True

    def settle(self, about: str) -> None:
        """The cause is gone: should it come back, it is news."""
        if self._causes.pop(about, None):
            self._write()

    def _write(self) -> None:
        with contextlib.suppress(TryLater):  # a full disk; then it is said again
            write_atomically(self._path, json.dumps(self._causes, indent=1).encode())


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[bool]:
    """Whether no other process is inside. A lock on a file ends with its process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "dispatch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise TryLater(f"{folder} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)
