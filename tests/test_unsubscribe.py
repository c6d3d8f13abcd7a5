"""An unsubscribe link names a person to who holds the key, and nobody to anybody else."""

import email
import email.policy
import re
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.publication import Publication
from alliance_mailer.unsubscribe import header_fields, is_genuine, keyed, link, mailto, unsubscribe_token

KEY, OTHER_KEY = b"k" * 32, b"K" * 32
LIST = "digest.example.org"
TOKEN = unsubscribe_token(KEY, LIST, "ken@example.org")


def test_tokens_never_change() -> None:
    # A link in an old mail must work: these are not to be touched.
    assert keyed(KEY, "purpose", "a", "b") == "w566eywlnndcv6vggweb2j2nizdeelmm"
    assert TOKEN == "eexc36wxe7y2sjewxfnyucjupemqf7cq"


@given(st.emails(), st.emails())
def test_a_token_is_the_same_for_the_same_person_only(one: str, two: str) -> None:
    tokens = [unsubscribe_token(KEY, LIST, address) for address in (one, two)]
    assert (tokens[0] == tokens[1]) == (one == two)
    assert tokens[0] == unsubscribe_token(KEY, LIST, one)
    assert all(re.fullmatch("[a-z2-7]{32}", token) for token in tokens)


def test_a_token_differs_by_key_list_and_address() -> None:
    tokens = {
        unsubscribe_token(key, name, who) for key in (KEY, OTHER_KEY) for name in ("a", "b") for who in ("c", "d")
    }
    assert len(tokens) == 8


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=3),
       st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=3))  # fmt: skip
def test_two_lists_of_parts_never_run_into_one(one: list[str], two: list[str]) -> None:
    assert (keyed(KEY, "p", *one) == keyed(KEY, "p", *two)) == (one == two)


def test_only_who_has_the_key_can_make_a_token() -> None:
    assert is_genuine(KEY, TOKEN)
    assert not is_genuine(OTHER_KEY, TOKEN)


@given(st.integers(0, 31), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_token_with_one_wrong_letter_is_refused(place: int, letter: str) -> None:
    forged = TOKEN[:place] + letter + TOKEN[place + 1 :]
    assert is_genuine(KEY, forged) == (forged == TOKEN)


@pytest.mark.parametrize(
    "forged", ["", TOKEN[:31], TOKEN + "a", TOKEN[:16], TOKEN[16:], TOKEN.upper(), "é" * 32, TOKEN[16:] + TOKEN[:16]]
)
def test_what_is_no_token_is_refused(forged: str) -> None:
    assert not is_genuine(KEY, forged)


@pytest.mark.parametrize("address", ["unsubscribe@example.org", "digest+out@example.org", "o'brien&co=%?#@example.org"])
def test_the_mailto_link_opens_a_mail_to_the_publication_with_the_token(publication: Publication, address: str) -> None:
    parts = urlsplit(mailto(replace(publication, unsubscribe_mailto=address), TOKEN))
    assert (parts.scheme, unquote(parts.path)) == ("mailto", address)
    assert parse_qs(parts.query, strict_parsing=True) == {"subject": [f"unsubscribe {TOKEN}"]}
    assert not parts.fragment


@pytest.mark.parametrize("endpoint", ["https://example.org/u", "https://example.org/u/"])
def test_the_foot_links_to_the_endpoint_where_there_is_one(publication: Publication, endpoint: str) -> None:
    assert link(replace(publication, unsubscribe_url=endpoint), TOKEN) == f"https://example.org/u/{TOKEN}"
    assert link(publication, TOKEN) == mailto(publication, TOKEN)


def fields(publication: Publication) -> email.message.EmailMessage:
    text = header_fields(publication, TOKEN)
    assert "=?" not in text
    return email.message_from_string(text + "\r\n", policy=email.policy.default)


def test_by_mail_alone_no_one_click_is_promised(publication: Publication) -> None:
    message = fields(publication)
    assert message.keys() == ["List-Unsubscribe"]
    assert message["List-Unsubscribe"] == f"<{mailto(publication, TOKEN)}>"


def test_with_an_endpoint_one_click_is_promised_and_https_comes_first(publication: Publication) -> None:
    endpoint = replace(publication, unsubscribe_url="https://example.org/u")
    message = fields(endpoint)
    assert message.keys() == ["List-Unsubscribe", "List-Unsubscribe-Post"]
    assert message["List-Unsubscribe"] == f"<https://example.org/u/{TOKEN}>, <{mailto(publication, TOKEN)}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
