"""A message's bytes taken apart are what was compiled: one path, never a second rendering."""

import pytest

from alliance_mailer.contact import Contact
from alliance_mailer.preview.desk import addressed
from alliance_mailer.preview.mail import snippet, stories, take_apart

KEN = Contact(
    "ken.sato@example.com",
    {"name": "佐藤 健", "first_name": "健", "last_name": "佐藤", "email": "ken.sato@example.com"},
)


@pytest.fixture
def look(desk):
    return desk.look("2.6")


@pytest.mark.parametrize("who", ["nobody", "ken"])
def test_the_parts_are_those_of_the_message(look, who):
    contact = KEN if who == "ken" else look.loaded.edition.neutral_reader
    message = addressed(look.loaded, look.config, contact, b"k" * 32)
    mail = take_apart(message.as_bytes())
    assert mail.raw == message.as_bytes()
    assert mail.html == message.html
    assert mail.text == message.text
    assert mail.header("subject") == message.subject
    picture = next(iter(look.loaded.issue.pictures.values()))
    assert [part.data for part in mail.pictures.values()] == [picture.data]
    assert list(mail.pictures) == [f"{picture.name}@example.org"]


def test_sizes_are_those_on_the_wire(look):
    mail = take_apart(addressed(look.loaded, look.config, KEN, None).as_bytes())
    wire = mail.raw.decode()
    html = wire.index("<!DOCTYPE")
    assert mail.html_bytes == wire.index("\r\n--=_", html) - html
    assert sum(story.bytes for story in stories(mail)) < mail.html_bytes
    assert [story.label[:12] for story in stories(mail)] == [
        "US-Japan pac",
        "Amb Emanuel ",
        "Allies look ",
        "A month of d",
        "Washington a",
    ]


def test_a_longer_story_is_larger(desk, project):
    before = [story.bytes for story in stories(desk.mail(desk.look("2.6"), KEN)[0])]
    issue = project / "issues" / "2.6.md"
    issue.write_text(issue.read_text().replace("Unless the world", "Word " * 400 + "unless the world"))
    desk.refresh()
    after = [story.bytes for story in stories(desk.mail(desk.look("2.6"), KEN)[0])]
    assert after[1] - before[1] == pytest.approx(2000, rel=0.2)
    assert after[2:] == pytest.approx(before[2:], abs=25)


def test_an_inbox_shows_the_preheader_first_and_no_filler(look):
    mail = take_apart(addressed(look.loaded, look.config, KEN, None).as_bytes())
    assert snippet(mail.html).startswith("Also inside: a speech on coercion")
    assert "\u200c" not in snippet(mail.html)


def test_without_a_preheader_it_shows_the_first_words():
    assert (
        snippet("<head><title>no</title><style>no</style></head><td>View&nbsp;in <b>browser</b></td><p>Then</p>")
        == "View in browser Then"
    )
