"""The publication's key is made once, whoever comes first, and is nobody else's to read."""

import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alliance_mailer.errors import ConfigError, TryLater
from alliance_mailer.signing import signing_key


def test_a_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    key = signing_key(tmp_path, "", {})
    path = tmp_path / ".mailer" / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key.decode())) == 32
    assert signing_key(tmp_path, "", {}) == key == path.read_bytes()
    assert [each.name for each in path.parent.iterdir()] == ["key"]


def test_two_publications_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert signing_key(tmp_path / "a", "", {}) != signing_key(tmp_path / "b", "", {})


RACE = """
import sys, time
from pathlib import Path
from alliance_mailer.signing import signing_key
start, folder = float(sys.argv[1]), Path(sys.argv[2])
for n in range(25):
    while time.time() < start + n * 0.02:
        pass
    print(signing_key(folder / str(n), "", {}).decode())
"""


def test_processes_that_come_first_together_end_with_the_same_key(tmp_path: Path) -> None:
    for n in range(25):
        (tmp_path / str(n)).mkdir()
    command = [sys.executable, "-c", RACE, str(time.time() + 0.5), str(tmp_path)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    keys = [racer.communicate(timeout=30)[0].split() for racer in racers]
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys[0])) == 25
    assert {path.name for path in tmp_path.glob("*/.mailer/*")} == {"key"}


@pytest.mark.parametrize("secret", ["s" * 16, "größer-als-sechzehn", "0123456789abcdef\udcff"])
def test_a_key_from_the_environment_is_used_as_it_is(tmp_path: Path, secret: str) -> None:
    assert signing_key(tmp_path, "DIGEST_KEY", {"DIGEST_KEY": secret}) == secret.encode("utf-8", "surrogateescape")
    assert not (tmp_path / ".mailer").exists()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "is not set"),
        ({"DIGEST_KEY": ""}, "is not set"),
        ({"DIGEST_KEY": "s" * 15}, "is shorter than 16 characters"),
    ],
)
def test_without_a_key_in_the_environment_there_is_no_other(
    tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        signing_key(tmp_path, "DIGEST_KEY", environ)
    assert str(caught.value) == f"the environment variable DIGEST_KEY {words}"
    assert caught.value.hint.startswith("export DIGEST_KEY=")
    assert "sss" not in str(caught.value) + caught.value.hint
    assert not (tmp_path / ".mailer").exists()


@pytest.mark.parametrize("data", [b"", b"\n", b"0123456789abcde"])
def test_a_key_cut_short_is_an_error_and_not_made_anew(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / ".mailer" / "key"
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"\.mailer/key is empty or cut short") as caught:
        signing_key(tmp_path, "", {})
    assert "restore it from a backup" in caught.value.hint
    assert path.read_bytes() == data


def test_a_key_of_any_bytes_is_one(tmp_path: Path) -> None:
    path = tmp_path / ".mailer" / "key"
    path.parent.mkdir()
    path.write_bytes(b"\xff" * 16 + b"\n")
    assert signing_key(tmp_path, "", {}) == b"\xff" * 16


@pytest.mark.parametrize("where", [".mailer", ".mailer/key"])
def test_where_no_key_can_be_made_that_is_told(tmp_path: Path, where: str) -> None:
    if where == ".mailer":
        (tmp_path / where).write_text("a file, not a folder")
    else:
        (tmp_path / where).mkdir(parents=True)
    with pytest.raises(TryLater, match=r"^\.mailer/key cannot be made or read: "):
        signing_key(tmp_path, "", {})
