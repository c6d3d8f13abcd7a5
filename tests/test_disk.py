"""A file is written whole or not at all, and text that is none is named with its line."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from alliance_mailer.disk import read_text, write_atomically
from alliance_mailer.errors import InputError, TryLater


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_in_the_usual_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").write_bytes("a 日本\r\n".encode(encoding))
    assert read_text(tmp_path / "a", "a") == "a 日本\r\n"


def test_a_byte_that_is_no_text_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo\nthr\xe9e\n\xe9")
    with pytest.raises(InputError, match=r"^a.md:3: byte 0xE9 is not UTF-8$"):
        read_text(tmp_path / "a", "a.md")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^a.md: cannot be read: No such file or directory$"):
        read_text(tmp_path / "a", "a.md")
    with pytest.raises(InputError, match=r"^a.md: cannot be read: Is a directory$"):
        read_text(tmp_path, "a.md")


def test_a_file_is_written_with_the_folders_that_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / ("ü" * 127)
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_where_a_folder_stands_in_the_way_it_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(TryLater, match=r"/a cannot be written: "):
        write_atomically(tmp_path / "a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_where_no_folder_can_be_made_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(TryLater, match="cannot be written: File exists"):
        write_atomically(tmp_path / "a" / "b", b"x")


def python(program: str, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *argv], stdout=subprocess.PIPE, text=True)


FULL = """
import resource, sys
from pathlib import Path
from alliance_mailer.disk import TryLater, write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 5000)
except TryLater as error:
    print(error)
"""


def test_on_a_full_disk_what_was_there_is_there_still(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"before")
    out, _ = python(FULL, str(path)).communicate(timeout=30)
    assert out == f"{path} cannot be written: File too large\n"
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import itertools, sys
from pathlib import Path
from alliance_mailer.disk import write_atomically
for letter in itertools.cycle((b"a", b"b")):
    write_atomically(Path(sys.argv[1]), letter * 1_000_000)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for n in range(4):
        write_atomically(path, b"before")
        writer = python(WRITER, str(path))
        while path.read_bytes() == b"before":
            time.sleep(0.001)
        time.sleep(n * 0.007)
        writer.kill()
        writer.communicate()
        data = path.read_bytes()
        assert (len(data), len(set(data))) == (1_000_000, 1)
