"""`mailer doctor` in a real repository: whose addresses git would carry away, and which receipts it does not have."""

import shutil
import subprocess

import pytest

LIVE = ("send", "--issue", "2.6", "--transport", "live", "--yes")


@pytest.fixture
def git(project):
    assert shutil.which("git"), "git is missing: apt-get install git"

    def git(*argv):
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *argv], cwd=project, check=True, capture_output=True)

    git("init")
    return git


def test_the_example_list_may_be_tracked_and_real_ones_are_told(project, mailer, git):
    (project / ".gitignore").write_text("")
    git("add", "contacts")
    assert "is tracked" not in mailer("doctor").out
    (project / "contacts/press.csv").write_text("email\nreader@gmail.com\n")
    git("add", "contacts")
    result = mailer("doctor")
    assert result.code == 0
    assert "warn  git                contacts/press.csv is tracked: people's addresses in a repository" in result.out
    assert "try: git rm --cached contacts/press.csv" in result.out


def test_a_key_that_is_tracked_fails(project, mailer, git):
    mailer("send", "--issue", "2.6")
    git("add", "--force", ".mailer")
    result = mailer("doctor")
    assert result.code == 78
    assert ".mailer/key is tracked, and must not be" in result.out


def test_a_receipt_that_is_not_committed_is_told_and_its_command_commits_it(project, mailer, git, live):
    sent = mailer(*LIVE)
    assert "receipts are not committed" in mailer("doctor").out
    command = next(line for line in sent.out.splitlines() if "git add" in line).partition(": ")[2]
    git("config", "user.name", "A")
    git("config", "user.email", "a@example.org")
    subprocess.run(command, shell=True, cwd=project, check=True, capture_output=True)
    assert "receipts are not committed" not in mailer("doctor").out


def test_without_a_repository_receipts_have_nowhere_to_go(project, mailer):
    assert "no repository: receipts have nowhere to go" in mailer("doctor").out
