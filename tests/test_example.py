"""`mailer init`: a publication that works from the first minute, and nothing overwritten."""

import json
import subprocess

import pytest


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("folder", ["my-digest", "a/b c/digest", "."])
def test_a_publication_that_builds_and_sends_is_made(empty, mailer, monkeypatch, folder):
    result = mailer("init", folder)
    assert result.code == 0
    monkeypatch.chdir(empty / folder)
    assert mailer("check", "--issue", "2.6").code == 0
    assert mailer("build", "--issue", "2.6").code == 0
    assert mailer("send", "--issue", "2.6").code == 0
    assert len([*(empty / folder / "outbox" / "2.6").iterdir()]) == 24


def test_it_says_what_it_wrote_and_what_to_type_next(empty, mailer):
    said = mailer("init", "my digest").out
    assert "  my digest/issues/2.6.md\n" in said
    assert said.endswith("  cd 'my digest' && mailer send --issue 2.6\n")


def test_here_there_is_no_folder_to_go_to(empty, mailer):
    assert mailer("init").out.endswith("\n\n  mailer send --issue 2.6\n")


def test_a_program_hears_what_was_written(empty, mailer):
    document = json.loads(mailer("init", "d", "--json").out)
    assert document["project"] == str(empty / "d")
    assert sorted(document["files"]) == files(empty / "d")


@pytest.mark.parametrize("name", ["mailer.toml", "contacts/subscribers.csv", "templates/digest/inline.css"])
def test_nothing_is_overwritten_and_nothing_else_is_written(empty, mailer, name):
    (empty / name).parent.mkdir(parents=True, exist_ok=True)
    (empty / name).write_text("mine")
    result = mailer("init")
    assert result.code == 2
    assert f"{name}: there already; nothing was written" in result.err
    assert (empty / name).read_text() == "mine"
    assert files(empty) == [name]


def test_a_repository_keeps_what_it_ignores_already(empty, mailer):
    (empty / ".gitignore").write_text("/private/\n")
    assert mailer("init").code == 0
    ignored = (empty / ".gitignore").read_text().splitlines()
    assert ignored[0] == "/private/"
    assert "/.mailer/" in ignored


def test_a_file_is_no_folder(empty, mailer):
    (empty / "digest").write_text("mine")
    result = mailer("init", "digest")
    assert result.code == 2
    assert "digest is a file" in result.err


def test_a_folder_with_other_things_in_it_will_do(empty, mailer):
    (empty / "README.md").write_text("mine")
    assert mailer("init").code == 0
    assert (empty / "README.md").read_text() == "mine"


def test_a_full_disk_is_a_reason_to_try_later(empty, mailer, small_disk):
    with small_disk(1000):
        result = mailer("init", "d")
    assert result.code == 75
    assert "cannot be written: File too large" in result.err


def test_git_keeps_the_publication_and_nobodys_address(empty, mailer):
    mailer("init")
    mailer("send", "--issue", "2.6")
    mailer("build", "--issue", "2.6")
    (empty / "contacts" / "members.csv").write_text("email\nreal@example.org\n")
    subprocess.run(["git", "init", "-q"], check=True)
    listed = subprocess.run(["git", "ls-files", "-o", "--exclude-standard"], capture_output=True, text=True, check=True)
    assert sorted(listed.stdout.split()) == [
        ".gitignore",
        "contacts/subscribers.csv",
        "issues/2.6-hero.jpg",
        "issues/2.6.md",
        "mailer.toml",
        "templates/digest/client.css",
        "templates/digest/inline.css",
        "templates/digest/message.mjml.j2",
    ]
