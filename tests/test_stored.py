"""A compiled edition written down and read again."""

from datetime import UTC, datetime

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
