"""A table out of a spreadsheet: a CSV file, however it was saved, read row by row; a change touches nothing else.

With a byte order mark, in UTF-16, with semicolons or tabs, "E-mail Address" for a heading, a line break in a cell: all
of that is read, and written as it was found. What cannot be read is named with file and line.
"""

import contextlib
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from .errors import InputError, Problem

# The usual headings, lower case, blanks and hyphens as underscores.
_ALIASES = {
    "email": {"e_mail", "email_address", "e_mail_address", "mail", "emailaddress", "mail_address"},
    "name": {"full_name", "fullname", "display_name"},
    "first_name": {"firstname", "given_name", "forename"},
    "last_name": {"lastname", "surname", "family_name"},
    "tags": {"tag", "labels", "groups"},
}
_COLUMN = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def read_rows(path: Path, name: str, *, required: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by column name, each with the line where it begins; empty rows are passed over.

    `name` is what messages call the file. Raises InputError for a file that cannot be read: encoding, heading, quoting.
    """
    for line, row, _ in _read(path, name, required):
        if row:
            yield line, row


def _read(path: Path, name: str, required: str) -> Iterator[tuple[int, dict[str, str], str]]:
    """Each row with its line and the text that it was read from; the heading and empty rows are empty ones."""
    with _open(path, name) as stream:
        dialect, text = _dialect(stream, name), list[str]()
        reader = csv.reader(_recorded(stream, text), dialect, strict=True)
        line = 0
        try:
            heading = [_column(cell) for cell in next(reader, [])]
            _check_heading(heading, name, required)
            line = reader.line_num
            yield 1, {}, _taken(text)
            for row in reader:
                start, line = line + 1, reader.line_num
                if not "".join(row).strip():
                    yield start, {}, _taken(text)
                    continue
                if len(row) > len(heading) and any(cell.strip() for cell in row[len(heading) :]):
                    message = f"{len(row)} cells, but the heading names {len(heading)} columns"
                    raise InputError(Problem(name, start, message, "put the cell with the separator in quotes"))
                row.extend([""] * (len(heading) - len(row)))
                named = dict(zip(heading, row, strict=False))
                named.pop("", None)  # columns without a heading
                yield start, named, _taken(text)
        except csv.Error as error:
            raise InputError(Problem(name, line + 1, f"this is no CSV row: {error}")) from None
        except UnicodeDecodeError as error:
            raise InputError(_undecodable(path, name, error)) from None


def _recorded(lines: Iterable[str], text: list[str]) -> Iterator[str]:
    for line in lines:
        text.append(line)
        yield line


def _taken(text: list[str]) -> str:
    taken = "".join(text)
    text.clear()
    return taken


def read_heading(path: Path, name: str) -> tuple[str, ...]:
    """The columns, as far as they can be read where the file has mistakes. Raises InputError for no file."""
    with _open(path, name) as stream:
        dialect = _dialect(stream, name)
        with contextlib.suppress(csv.Error, UnicodeDecodeError):  # told when the rows are read
            return tuple(map(_column, next(csv.reader(stream, dialect), [])))
    return ()


Row = Mapping[str, str]


def with_changes(
    path: Path,
    name: str,
    *,
    required: str,
    change: Callable[[Row], Row | None] = lambda row: row,
    more: Iterable[Row] = (),
    columns: Iterable[str] = (),
) -> bytes:
    """What the file is to hold, in its own encoding, separator and line ends: `change` of each row, then `more`.

    A row that `change` returns as it is keeps its text, so that a diff shows what has changed; None deletes it.
    `columns` that the heading does not name are added to it. Raises InputError as `read_rows` does.
    """
    known = read_heading(path, name)
    added = [column for column in dict.fromkeys(columns) if column not in known]
    with _open(path, name) as stream:
        dialect, encoding = _dialect(stream, name), stream.encoding
        end = re.search(r"\r\n|\r|\n", stream.readline())
    ending = end[0] if end else "\n"

    def written(cells: Iterable[str]) -> str:
        text = io.StringIO()
        csv.writer(text, dialect, lineterminator=ending).writerow(cells)
        return text.getvalue()

    out = io.StringIO(newline="")
    text = ""
    for line, row, text in _read(path, name, required):
        if line == 1 and added:
            out.write(text.rstrip("\r\n") + dialect.delimiter + written(added))
            continue
        changed = change(row) if row else row
        if changed is row:
            out.write(text)
        elif changed is not None:
            cells = next(csv.reader(io.StringIO(text, newline=""), dialect), [])
            cells += [""] * (len(known) - len(cells))
            old = zip(known, cells, strict=False)  # a column without a heading keeps its cells
            out.write(written([changed.get(column, cell) if column else cell for column, cell in old]
                              + [changed.get(column, "") for column in added]))  # fmt: skip
    rows = [written([row.get(column, "") for column in (*known, *added)]) for row in more]
    if rows and text and not text.endswith(("\r", "\n")):
        out.write(ending)
    out.write("".join(rows))
    return out.getvalue().encode(encoding)


def new_sheet(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    """A new file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return text.getvalue().encode()


def _column(cell: str) -> str:
    column = re.sub(r"[\s-]+", "_", cell.strip().lower())
    return _COLUMN.get(column, column)


def _check_heading(heading: list[str], name: str, required: str) -> None:
    if required not in heading:
        named = ", ".join(filter(None, heading)) or "nothing"
        message = f'the first line names no "{required}" column; it names: {named}'
        raise InputError(Problem(name, 1, message, "insert a first line above: email,name,first_name,last_name,tags"))
    doubled = sorted({column for column in heading if column and heading.count(column) > 1})
    if doubled:
        raise InputError(Problem(name, 1, f"two columns are called {doubled[0]}"))


def _open(path: Path, name: str) -> io.TextIOWrapper:
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(Problem(name, None, f"cannot be read: {error.strerror}")) from None
    start = raw.peek(4)[:4]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif start[1:2] == b"\0":
        encoding = "utf-16-le"
    elif start[:1] == b"\0":
        encoding = "utf-16-be"
    else:
        encoding = "utf-8-sig" if start.startswith(b"\xef\xbb\xbf") else "utf-8"
    return io.TextIOWrapper(raw, encoding=encoding, newline="")


def _dialect(stream: io.TextIOWrapper, name: str) -> type[csv.Dialect]:
    try:
        first = stream.readline()
    except UnicodeDecodeError as error:
        raise InputError(_undecodable(Path(stream.name), name, error)) from None
    stream.seek(0)
    unquoted = re.sub(r'"[^"]*"', "", first)

    class Dialect(csv.excel):
        delimiter = max(",;\t", key=unquoted.count)

    return Dialect


def _undecodable(path: Path, name: str, error: UnicodeDecodeError) -> Problem:
    line = None
    if error.encoding.startswith("utf-8"):
        with path.open("rb") as raw:
            for line, text in enumerate(raw, 1):  # noqa: B007 (the line where it stopped)
                try:
                    text.decode("utf-8")
                except UnicodeDecodeError:
                    break
    message = f"byte 0x{error.object[error.start]:02X} is not {error.encoding.removesuffix('-sig')}"
    return Problem(name, line, message, "save the list as “CSV UTF-8” in the spreadsheet")
