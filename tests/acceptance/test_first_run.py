"""The first minutes of somebody new: a fresh clone and `make demo`; a wheel and `mailer init`. They need PyPI."""

import csv
import os
import re
import subprocess
import sys
import time
import venv
import zipfile
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PERSONAL = ("To", "Message-ID", "List-Unsubscribe")


def outside() -> dict[str, str]:
    """The environment of somebody who has none of our tools at hand."""
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    folders = [folder for folder in kept["PATH"].split(os.pathsep) if not Path(folder).is_relative_to(sys.prefix)]
    return {**kept, "PATH": os.pathsep.join(folders)}


def run(*command: object, where: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=where, env=outside(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "alliance-mailer"
    run("git", "clone", "--quiet", ROOT, folder, where=ROOT)
    return folder


# make demo ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(clone: Path) -> str:
    return run("make", "demo", where=clone)


@pytest.fixture(scope="module")
def messages(clone: Path, demo: str) -> dict[str, EmailMessage]:
    files = (clone / "outbox" / "2.6").iterdir()
    return {
        file.name.removesuffix(".eml"): message_from_bytes(file.read_bytes(), policy=policy.default) for file in files
    }


def text_and_html(message: EmailMessage) -> tuple[str, str]:
    return tuple(message.get_body((kind,)).get_content() for kind in ("plain", "html"))


def test_it_says_where_to_look_and_what_to_do_next(demo):
    assert "24 accepted, 1 suppressed; nobody is left." in demo
    assert "Look at them: outbox/2.6/" in demo
    assert "mailer test --issue 2.6 --to" in demo
    assert "mailer send --issue 2.6 --transport live" in demo


def test_a_second_time_it_is_quick_and_sends_nothing(demo, clone):
    began = time.monotonic()
    again = run("make", "demo", where=clone)
    assert time.monotonic() - began < 10
    assert "The rehearsal is complete: 24 accepted, 1 suppressed. Nothing was sent." in again
    assert "setting up" not in again


def test_everybody_on_the_list_has_a_message(messages, clone):
    with (clone / "contacts" / "subscribers.csv").open(encoding="utf-8") as rows:
        people = list(csv.DictReader(rows))
    assert len(messages) == len(people) - 1 == 24
    for person in people:
        local, _, domain = person["email"].lower().partition("@")
        address = f"{local}@{domain.encode('idna').decode()}"
        if address == "thomas.ashdown@example.net":  # who has unsubscribed
            assert address not in messages
            continue
        to = messages[address]["To"].addresses[0]
        # Python's parser keeps the blank between two encoded-words, which RFC 2047 drops (6.2).
        assert (to.addr_spec, " ".join(to.display_name.split())) == (address, person["name"])
        assert f"reading, {person['first_name'] or 'friend'}." in text_and_html(messages[address])[0].replace("\n", " ")


def test_every_message_is_read_without_a_defect_text_first_then_html(messages):
    for message in messages.values():
        assert [part.defects for part in message.walk() if part.defects] == []
        assert [message[name].defects for name in message if message[name].defects] == []
        assert message.get_content_type() == "multipart/alternative"
        kinds = [part.get_content_type() for part in message.walk() if not part.is_multipart()]
        assert kinds == ["text/plain", "text/html", "image/jpeg"]


def test_every_message_holds_the_whole_issue(messages, clone):
    issue = (clone / "issues" / "2.6.md").read_text("utf-8")
    headlines = re.findall(r"^- (.+)$", issue.partition("## Headlines")[2].partition("##")[0], re.MULTILINE)
    links = re.findall(r"\]\((https://[^)]+)\)", issue)
    assert (len(headlines), len(links)) == (5, 22)
    for message in messages.values():
        text, html = text_and_html(message)
        for headline in headlines:
            assert headline in " ".join(text.split())
            assert headline in " ".join(html.split())
        for link in links:
            assert link in text
            assert f'href="{link}"' in html


def test_messages_differ_in_the_personal_places_and_nowhere_else(messages):
    def impersonal(text: str, *personal: str) -> str:
        for words in personal:
            text = text.replace(words, "…")
        return re.sub(r"(receiving this at )\S+(\.\s|\.<)", r"\1…\2", text)

    headers, texts, pages = set(), set(), set()
    for message in messages.values():
        text, html = text_and_html(message)
        name = re.search(r"reading, ([^.]+\.)", text)[1]
        token = re.search(r"unsubscribe%20(\w{32})", message["List-Unsubscribe"])[1]
        texts.add(impersonal(text, name, token))
        pages.add(impersonal(html, name, token))
        shared = [(field, value) for field, value in message.items() if field not in _PERSONAL]
        headers.add(str(shared))
    assert (len(headers), len(texts), len(pages)) == (1, 1, 1)
    for field in _PERSONAL:
        assert len({message[field] for message in messages.values()}) == 24


def test_the_clone_is_as_clean_as_before(demo, clone):
    assert run("git", "status", "--porcelain", where=clone) == ""


# The wheel ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with a new Python environment beside it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=True)
    return folder


@pytest.fixture(scope="module")
def wheel(clone: Path, elsewhere: Path) -> Path:
    pip = (elsewhere / "env" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "wheel", "--no-deps", "-w", elsewhere / "dist", clone, where=elsewhere)
    return next((elsewhere / "dist").iterdir())


def test_the_wheel_holds_the_program_its_types_and_the_example(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    folders = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert folders == {"alliance_mailer"}
    for needed in (
        "py.typed",
        "preview/page.html.j2",
        "preview/page.css",
        "preview/page.js",
        "ledger/sqlite.sql",
        "ledger/postgres.sql",
        "example/mailer.toml",
        "example/issues/2.6.md",
        "example/issues/2.6-hero.jpg",
        "example/contacts/subscribers.csv",
        "example/contacts/suppressed.csv",
        "example/templates/digest/message.mjml.j2",
        "example/templates/digest/inline.css",
        "example/templates/digest/client.css",
    ):
        assert f"alliance_mailer/{needed}" in names


def test_the_installed_wheel_makes_a_publication_that_sends_and_builds(wheel, elsewhere):
    run(
        elsewhere / "env" / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        wheel,
        where=elsewhere,
    )
    mailer = elsewhere / "env" / "bin" / "mailer"
    run(mailer, "init", "d", where=elsewhere)
    assert "24 accepted, 1 suppressed; nobody is left." in run(mailer, "send", "--issue", "2.6", where=elsewhere / "d")
    assert len([*(elsewhere / "d" / "outbox" / "2.6").iterdir()]) == 24
    run(mailer, "build", "--issue", "2.6", where=elsewhere / "d")
    assert (elsewhere / "d" / "build" / "2.6" / "message.html").stat().st_size > 10_000
