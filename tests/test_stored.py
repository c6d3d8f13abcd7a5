"""A compiled edition written down and read again."""

import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from alliance_mailer.contact import Contact
from alliance_mailer.message import address
from alliance_mailer.stored import read_edition, write_edition


def test_what_is_read_is_what_was_compiled_to_the_byte(edition):
    digest, data = write_edition(edition)
    again = read_edition(data)
    assert again == edition
    assert write_edition(again) == (digest, data)
    ann = Contact("ann@example.org", {"first_name": "Ānn", "name": "Ānn Ōta"})
    messages = [address(each, ann, date=datetime(2023, 4, 3, tzinfo=UTC), key=b"k" * 32) for each in (edition, again)]
    assert messages[0].as_bytes() == messages[1].as_bytes()
    assert messages[0].html == messages[1].html


def test_a_later_form_is_refused(edition):
    with pytest.raises(ValueError, match="of form 9; this program knows 1"):
        read_edition(write_edition(edition)[1].replace(b'"form":1', b'"form":9'))


def test_what_an_older_program_stored_is_read_and_whoever_stores_more_counts_the_form_up(edition):
    stored = (Path(__file__).parent / "fixtures" / "edition_1.json").read_bytes()
    old = read_edition(stored)
    ann = Contact("ann@example.org", {"first_name": "Ann"})
    message = address(old, ann, date=datetime(2023, 4, 3, tzinfo=UTC), key=b"k" * 32)
    sent = message_from_bytes(message.as_bytes(), policy=default)
    assert (sent["To"], sent["Subject"]) == ("Ann <ann@example.org>", "Short")
    assert "Good morning, Ann" in sent.get_body(["plain"]).get_content()
    # A reader of form 1 knows exactly these names; with one more, or less, it could not read what is written now.
    assert names(json.loads(write_edition(edition)[1])) == names(json.loads(stored))


def names(value: dict) -> dict[str, set[str]]:
    parts = {"": value, "publication": value["publication"], "picture": value["pictures"][0]}
    parts["link"] = next(filter(None, value["links"]))
    return {part: set(each) for part, each in parts.items()}
