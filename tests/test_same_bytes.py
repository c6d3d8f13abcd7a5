"""The same input gives the same bytes, on any machine; an edition's hash covers what is written, and nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alliance_mailer.config import load_config
from alliance_mailer.edition import compile_edition
from alliance_mailer.issue import load_issue
from alliance_mailer.render import render

SCRIPT = """
import json, sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from alliance_mailer.build import build_files
from alliance_mailer.config import load_config
from alliance_mailer.contact import Contact
from alliance_mailer.edition import compile_edition
from alliance_mailer.issue import load_issue
from alliance_mailer.message import address
from alliance_mailer.render import render

project = Path(sys.argv[1])
publication = load_config(project).publication
issue = load_issue(project, "2.6")
edition = compile_edition(render(issue, publication, project / "templates"), publication, issue.number, issue.file)
contact = Contact("ken@example.com", {"name": "佐藤 健", "first_name": "健"})
message = address(edition, contact, date=datetime(2023, 4, 3, tzinfo=UTC), key=b"key").as_bytes()
print(json.dumps([build_files(issue, edition)[1], sha256(message).hexdigest()]))
"""


def digest(project: Path) -> str:
    """The hash of issue 2.6 as its files now say."""
    publication = load_config(project).publication
    issue = load_issue(project, "2.6")
    rendered = render(issue, publication, project / "templates")
    return compile_edition(rendered, publication, issue.number, issue.file).sha256


def test_two_processes_with_other_settings_write_the_same_bytes(project: Path, tmp_path: Path) -> None:
    settings = [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": "/nowhere"},
        {"PYTHONHASHSEED": "2", "TZ": "America/Los_Angeles", "LC_ALL": "tr_TR.UTF-8", "MAILER_SECRET": "secret", "PYTHONUTF8": "1"},
    ]  # fmt: skip
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(project)],
            env={**os.environ, **environ},
            cwd=folder,
            stdout=subprocess.PIPE,
        )
        for environ, folder in zip(settings, (project, tmp_path), strict=True)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said[0] == said[1]
    assert json.loads(said[0])[0]["edition_sha256"] == digest(project)


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        path = project / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def other_picture(project: Path) -> None:
    picture = project / "issues" / "2.6-hero.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0")


def own_text_part(project: Path) -> None:
    (project / "templates" / "digest" / "message.txt.j2").write_text("{{ text }}!")


ISSUE, TEMPLATE = "issues/2.6.md", "templates/digest/message.mjml.j2"
WRITTEN = {
    "a word": replaced(ISSUE, "a pact on critical", "the pact on critical"),
    "a link": replaced(ISSUE, "https://www.mda.mil/", "https://www.mda.mil/x"),
    "the subject": replaced(ISSUE, "date:", 'subject: "Another"\ndate:'),
    "a field in the subject": replaced(ISSUE, "date:", "subject: \"{{ contact.name | default('You') }}\"\ndate:"),
    "the preheader": replaced(ISSUE, "Also inside", "Inside"),
    "the date": replaced(ISSUE, "2023-03-31", "2023-04-01"),
    "a picture's words": replaced(ISSUE, "Two islands", "Three islands"),
    "a picture": other_picture,
    "a field": replaced(ISSUE, "contact.first_name", "contact.last_name"),
    "a fallback": replaced(ISSUE, '"friend"', '"reader"'),
    "the template": replaced(TEMPLATE, "You are receiving this", "You receive this"),
    "a style": replaced("templates/digest/inline.css", "#16181d", "#16181e"),
    "a client's style": replaced("templates/digest/client.css", "#0e1013", "#0e1014"),
    "the text part": own_text_part,
    "the sender": replaced("mailer.toml", "<digest@example.org>", "<news@example.org>"),
    "the sender's name": replaced("mailer.toml", 'from = "US-Japan', 'from = "The US-Japan'),
    "the postal address": replaced("mailer.toml", "1000 Example", "1001 Example"),
    "the organisation": replaced("mailer.toml", 'organisation = "', 'organisation = "The '),
    "where to unsubscribe": replaced("mailer.toml", "unsubscribe@", "leave@"),
    "an endpoint": replaced("mailer.toml", "[newsletter]\n", '[newsletter]\nunsubscribe_url = "https://e.org/u"\n'),
    "where to reply": replaced("mailer.toml", "[newsletter]\n", '[newsletter]\nreply_to = "a@example.org"\n'),
    "the list's identity": replaced("mailer.toml", "[newsletter]\n", '[newsletter]\nlist_id = "a.example.org"\n'),
    "where pictures are": replaced("mailer.toml", "[newsletter]\n", '[newsletter]\nassets_url = "https://e.org/p"\n'),
    "the language": replaced("mailer.toml", 'language = "en"', 'language = "en-GB"'),
}  # fmt: skip


@pytest.mark.parametrize("what", WRITTEN)
def test_whatever_is_written_counts(what: str, project: Path) -> None:
    before = digest(project)
    WRITTEN[what](project)
    assert digest(project) != before


def other_list(project: Path) -> None:
    (project / "contacts" / "subscribers.csv").write_text("email\nnobody@example.org\n")


def other_key(project: Path) -> None:
    (project / ".mailer").mkdir(exist_ok=True)
    (project / ".mailer" / "secret").write_text("another")


def moved(project: Path) -> None:
    for path in (project / ISSUE, project / TEMPLATE):
        os.utime(path, (0, 0))


NOT_WRITTEN = {
    "the list": other_list,
    "the key": other_key,
    "the files' times": moved,
    "an editor's remark": replaced(ISSUE, "## Headlines", "<!-- a remark\n-->\n## Headlines"),
    "when it is sent": replaced(ISSUE, "audience:", "send_at: 2023-04-03 09:00\naudience:"),
    "whom it is sent to": replaced(ISSUE, "audience: [subscribers]", "audience: [friends]"),
    "the zone": replaced("mailer.toml", "America/New_York", "Asia/Tokyo"),
    "the transport": replaced("mailer.toml", 'use = "files"', 'use = "smtp"\nhost = "localhost"\ntls = "none"'),
    "Windows' line ends": lambda project: (project / ISSUE).write_bytes(
        (project / ISSUE).read_bytes().replace(b"\n", b"\r\n")
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_WRITTEN)
def test_nothing_else_counts(what: str, project: Path) -> None:
    before = digest(project)
    NOT_WRITTEN[what](project)
    assert digest(project) == before


def test_the_places_of_the_gaps_and_the_words_around_them_count(project: Path) -> None:
    publication = load_config(project).publication
    issue = load_issue(project, "2.6")
    rendered = render(issue, publication, project / "templates")
    mark = next(rendered.markers.mark(field) for field in rendered.markers.fields if field.name == "email")
    variants = [
        rendered,
        replace(rendered, html=rendered.html.replace(f"at {mark}.", f"at .{mark}")),
        replace(rendered, text=rendered.text.replace(f"at {mark}.", f"at .{mark}")),
        replace(rendered, subject=f"To {mark}: news"),
        replace(rendered, subject=f"To {mark}: old news"),
        replace(rendered, subject=f": newsTo {mark}"),
    ]
    assert len({compile_edition(each, publication, "2.6", "f").sha256 for each in variants}) == len(variants)
