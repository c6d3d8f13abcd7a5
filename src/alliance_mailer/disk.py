"""Text read with a clear word where it is none, and files written whole or not at all."""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from .errors import InputError, Problem, TryLater


def read_text(path: Path, name: str) -> str:
    """The text of a file: UTF-8, or UTF-16 with a byte order mark. Raises InputError with the line of a bad byte."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(Problem(name, None, f"cannot be read: {error.strerror}")) from None
    try:
        return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02X} is not {error.encoding.upper()}"
        raise InputError(Problem(name, line, message, "save the file as UTF-8")) from None


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, and the folders that it needs. Raises TryLater; what was there before is there still, then."""
    write_pieces_atomically(path, [data])


def write_pieces_atomically(path: Path, pieces: Iterable[bytes]) -> None:
    """The same, piece by piece."""
    # Its own name, as long as one may be, would leave no room for more.
    draft = path.with_name(f".{sha256(os.fsencode(path.name)).hexdigest()[:16]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as file:
                file.writelines(pieces)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TryLater(f"{path} cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time within it: a lock on a folder, which ends with its process, however that ends."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
