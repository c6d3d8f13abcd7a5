"""An edition, and the message that it becomes for one person: what is read is what was rendered, for any person."""

import email
import email.policy
import html
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html as lxml_html

from alliance_mailer.contact import Contact
from alliance_mailer.edition import Edition, compile_edition
from alliance_mailer.errors import InputError
from alliance_mailer.message import Message, address
from alliance_mailer.mime import SOFT_BREAK, quoted_printable
from alliance_mailer.picture import Picture
from alliance_mailer.publication import Publication
from alliance_mailer.render import Rendered
from alliance_mailer.slots import Field, Markers
from alliance_mailer.unsubscribe import is_genuine
from conftest import PUBLICATION

KEY, DATE = b"a key", datetime(2023, 4, 3, 9, tzinfo=ZoneInfo("America/New_York"))
PICTURES = tuple(Picture(bytes([n]) * 1000, "png", 10, 10) for n in (1, 2))
MARKERS = Markers("0123abcd")
NAME, CITY, SITE = (MARKERS.mark(Field(name)) for name in ("name", "city", "site"))
EMAIL, LEAVE = (MARKERS.mark(Field(name)) for name in ("email", "unsubscribe_url"))
# Every place where a value can stand: text, attribute, link, part of a link, subject, plain text.
EVERYWHERE = Rendered(
    f"For {NAME} of {CITY}: “news”",
    f'<!DOCTYPE html><p title="{NAME}">Dear {NAME} = {EMAIL}<br>é <a href="{SITE}">{CITY}</a></p>\n'
    f'<a href="https://example.org/?q={NAME}&amp;c={CITY}#x">q</a> <a href="{LEAVE}">leave</a>',
    f"Dear {NAME},\n\n{CITY}{NAME}\n日本 = {NAME}\n{NAME}\n.\n{CITY}\nFrom {EMAIL}, {LEAVE}\n",
    MARKERS,
    PICTURES,
)  # fmt: skip

# What a list may hold: all but control characters, lone surrogates and line separators (see contact.py).
VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).map(str.strip).filter(bool)
ROUGH = st.lists(
    st.sampled_from(["<", ">", "&", "&amp;", '"', "'", "=", "=?utf-8?q?x?=", ".", "From ", "é", "日本", "🙂", " ", "%41", "javascript:",
                     "--=_", "x" * 80, "</p>", "<!--", "MF0123abcdx0x", "{{ contact.name }}", "\u200b", "؟", "#", "?a=b", "/", "\\"]),
    min_size=1,
).map("".join).map(str.strip).filter(bool)  # fmt: skip
SITES = st.builds(
    "{}{}".format, st.sampled_from(["https://e.org/", "http://e.org?", "mailto:a@e.org?subject="]), VALUES | ROUGH
)


def edition_of(rendered: Rendered = EVERYWHERE, publication: Publication = PUBLICATION) -> Edition:
    return compile_edition(rendered, publication, "2.6", "issues/2.6.md")


def message_to(contact: Contact, edition: Edition | None = None, *, key: bytes = KEY) -> Message:
    return address(edition or EDITION, contact, date=DATE, key=key)


def parsed(message: Message) -> EmailMessage:
    return email.message_from_bytes(message.as_bytes(), policy=email.policy.SMTPUTF8)  # type: ignore[return-value]


def parts(message: EmailMessage) -> tuple[str, str]:
    """The decoded plain text and HTML."""
    found = [part for part in message.walk() if part.get_content_maintype() == "text"]
    text, page = (part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in found)
    return text, page


EDITION = edition_of()
ANA = Contact("ana@example.org", {"name": "Ana Sato", "city": "Nara", "site": "https://a.example.org/"})
BEA = Contact("bea@example.net", {"name": "Bea Lind", "city": "Oslo", "site": "https://b.example.org/"})


# What is read is what was rendered ---------------------------------------------------------------------------------


@given(VALUES | ROUGH, VALUES | ROUGH, SITES)
def test_whatever_a_contact_holds_is_read_as_it_was_rendered(name: str, city: str, site: str) -> None:
    contact = Contact("ana@example.org", {"name": name, "city": city, "site": site})
    message = message_to(contact)
    received = parsed(message)
    text, page = parts(received)
    assert (text, page, received["Subject"]) == (message.text, message.html, message.subject)
    # And an oracle of its own: the values, read out of their places.
    assert text == EVERYWHERE.text.replace(NAME, name).replace(CITY, city).replace(EMAIL, contact.address).replace(
        LEAVE, message.values["unsubscribe_url"]
    )
    assert message.subject == f"For {name} of {city}: “news”"
    assert html.unescape(re.findall(r'title="([^"]*)"', page)[0]) == name
    assert html.unescape(re.findall(r">Dear ([^<]*)<br>", page)[0]) == f"{name} = {contact.address}"
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*)"', page)]
    assert parse_qs(urlsplit(links[1]).query, keep_blank_values=True) == {"q": [name], "c": [city]}
    assert unquote(links[0]) == unquote(site)
    assert links[0].isascii()
    assert page.count("<") == EVERYWHERE.html.count("<")


@given(VALUES | ROUGH, VALUES | ROUGH)
def test_whatever_a_contact_holds_the_wire_stays_legal(name: str, city: str) -> None:
    contact = Contact("ana@example.org", {**ANA.fields, "name": name, "city": city})
    wire = message_to(contact).as_bytes()
    assert wire.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", wire)
    assert b"\n." not in wire  # SMTP would have to double that dot (RFC 5321, 4.5.2), and looks at the edition alone
    head, _, body = wire.partition(b"\r\n\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(len(line) for line in head.split(b"\r\n") if b"<" not in line) <= 78  # what can be folded, is
    # No value makes a field: they are the same as for anybody else.
    names = re.findall(rb"(?m)^([^ \t:]+):", head)
    assert names == re.findall(rb"(?m)^([^ \t:]+):", message_to(ANA).as_bytes().partition(b"\r\n\r\n")[0])
    assert not list(defects(email.message_from_bytes(wire, policy=email.policy.default)))


def defects(message: email.message.Message) -> Iterator[object]:
    for part in message.walk():
        yield from part.defects
        for field in part.values():
            yield from getattr(field, "defects", ())


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\0b", "a\x0bb"])
def test_a_line_break_in_a_value_stops_the_message_instead_of_entering_its_head(bad: str) -> None:
    for field in ("name", "city"):
        with pytest.raises(ValueError, match="control character"):
            message_to(Contact("ana@example.org", {**ANA.fields, field: bad})).as_bytes()


def test_the_examples_message_is_without_defects(edition: Edition) -> None:
    received = parsed(message_to(Contact("o'brien@example.com", {"name": "Siobhán O'Brien"}), edition))
    assert not list(defects(received))
    assert received["To"].addresses[0].display_name == "Siobhán O'Brien"
    assert received["Subject"].startswith("US-Japan Alliance Digest 2.6: US-Japan pact on critical minerals")
    text, page = parts(received)
    assert "Thank you for reading, friend." in " ".join(text.split())
    assert lxml_html.document_fromstring(page).findtext(".//h1") == "US-Japan Alliance Digest"


ENDPOINTS = st.lists(st.sampled_from(["a", "bc/", "&", "=", "?", ".", "From%20", "'", "0" * 32]), max_size=80)


@given(ENDPOINTS.map("".join))
def test_the_link_to_leave_is_spelt_as_if_each_person_s_were_encoded_anew(path: str) -> None:
    everywhere = replace(
        EVERYWHERE, html=f'{EVERYWHERE.html}{LEAVE}<a href="https://e.org/?u={LEAVE}">x</a>', text=f".{LEAVE}{LEAVE}"
    )
    endpoint = replace(PUBLICATION, unsubscribe_url=f"https://e.org/{path}" if path else None)
    edition = edition_of(everywhere, endpoint)
    message = message_to(ANA, edition)
    gaps = [edition.gaps[index] for index in edition.order]
    spelt = [(quoted_printable(gap.write(message.values)) + SOFT_BREAK).encode() for gap in gaps]
    anew = b"".join(b"".join(pair) for pair in zip(edition.body, [*spelt, b""], strict=True))
    assert message.as_bytes().endswith(anew)
    assert [gap.field.name for gap in gaps].count("unsubscribe_url") == 5


# Parts -------------------------------------------------------------------------------------------------------------


def shape(message: EmailMessage) -> object:
    kind = message.get_content_type()
    return [kind, *map(shape, message.iter_parts())] if message.is_multipart() else kind


def test_plain_text_comes_first_then_html_with_its_pictures() -> None:
    received = parsed(message_to(ANA))
    assert shape(received) == [
        "multipart/alternative",
        "text/plain",
        ["multipart/related", "text/html", "image/png", "image/png"],
    ]
    related = list(received.iter_parts())[1]
    assert related.get_param("type") == "text/html"  # RFC 2387, 3.1


def test_without_pictures_html_stands_alone() -> None:
    edition = edition_of(replace(EVERYWHERE, pictures=()))
    assert shape(parsed(message_to(ANA, edition))) == ["multipart/alternative", "text/plain", "text/html"]


def test_pictures_arrive_whole_inline_and_under_the_name_that_the_page_uses(edition: Edition) -> None:
    received = parsed(message_to(ANA))
    pictures = [part for part in received.walk() if part.get_content_maintype() == "image"]
    assert [part.get_content() for part in pictures] == [picture.data for picture in PICTURES]
    assert {part.get_content_disposition() for part in pictures} == {"inline"}
    example = parsed(message_to(ANA, edition))
    identities = [part["Content-ID"] for part in example.walk() if part["Content-ID"]]
    assert [f"<{link}>" for link in re.findall('src="cid:([^"]*)"', parts(example)[1])] == identities
    assert len(identities) == 1


def test_text_is_utf_8_in_quoted_printable() -> None:
    for part in parsed(message_to(ANA)).walk():
        if part.get_content_maintype() == "text":
            assert (part.get_content_charset(), part["Content-Transfer-Encoding"]) == ("utf-8", "quoted-printable")


# The head ----------------------------------------------------------------------------------------------------------


def field(name: str, message: Message) -> list[str]:
    """The values of a header field, unfolded and otherwise as they are on the wire."""
    head = message.as_bytes().partition(b"\r\n\r\n")[0].decode()
    return re.findall(rf"(?m)^{name}: (.*)$", re.sub(r"\r\n(?=[ \t])", "", head).replace("\r\n", "\n"))


def test_every_field_is_there_once() -> None:
    names = parsed(message_to(ANA)).keys()
    assert sorted(names) == sorted(set(names))
    assert {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "List-Id", "List-Unsubscribe", "List-Post",
            "Feedback-ID", "Content-Type"} == set(names)  # fmt: skip


def test_fields_say_what_rfc_2919_rfc_2369_and_gmail_ask_for() -> None:
    full = replace(
        PUBLICATION, reply_to="editors@example.org", help_url="https://e.org/help", archive_url="https://e.org/archive"
    )
    message = message_to(ANA, edition_of(publication=full))
    assert field("From", message) == ["US-Japan Alliance Digest <digest@example.org>"]
    assert field("To", message) == ["Ana Sato <ana@example.org>"]
    assert field("Reply-To", message) == ["editors@example.org"]
    assert field("List-Id", message) == ["US-Japan Alliance Digest <us-japan-alliance-digest.example.org>"]
    assert field("List-Help", message) == ["<https://e.org/help>"]
    assert field("List-Archive", message) == ["<https://e.org/archive>"]
    assert field("List-Post", message) == ["NO"]
    assert field("MIME-Version", message) == ["1.0"]
    (feedback,) = field("Feedback-ID", message)
    campaign, label, kind, sender = feedback.split(":")
    assert (campaign, label, kind) == ("2.6", "us-japan-alliance-digest", "newsletter")
    assert 5 <= len(sender) <= 15


@pytest.mark.parametrize("domain", ["a.io", "x.org", "news.a-very-long-domain-name.example.org"])
def test_the_senders_mark_in_the_feedback_id_has_5_to_15_letters_for_any_domain(domain: str) -> None:
    message = message_to(ANA, edition_of(publication=replace(PUBLICATION, sender=f"digest@{domain}")))
    assert re.fullmatch("[a-z0-9]{5,15}", field("Feedback-ID", message)[0].rpartition(":")[2])


def test_leaving_by_mail_needs_no_endpoint_and_promises_no_click() -> None:
    message = message_to(ANA)
    (leave,) = field("List-Unsubscribe", message)
    assert leave == f"<mailto:unsubscribe@example.org?subject=unsubscribe%20{message.token}>"
    assert field("List-Unsubscribe-Post", message) == []
    assert f'href="{leave[1:-1]}"' in message.html


def test_an_endpoint_makes_it_one_click_however_long_its_address() -> None:
    endpoint = "https://lists.example.org/" + "a-long-path/" * 12
    message = message_to(ANA, edition_of(publication=replace(PUBLICATION, unsubscribe_url=endpoint)))
    (leave,) = field("List-Unsubscribe", message)
    by_click, by_mail = leave.split(", ")
    assert by_click == f"<{endpoint.rstrip('/')}/{message.token}>"  # in one piece, and never an encoded-word
    assert by_mail.startswith("<mailto:unsubscribe@example.org?")
    assert field("List-Unsubscribe-Post", message) == ["List-Unsubscribe=One-Click"]
    assert is_genuine(KEY, by_click[1:-1].rpartition("/")[2])
    assert f'href="{by_click[1:-1]}"' in message.html


def test_a_person_with_a_non_ascii_address_is_written_to_as_rfc_6532_says() -> None:
    contact = replace(ANA, address="jürgen@example.org")
    message = message_to(contact)
    wire = message.as_bytes()
    assert [line for line in wire.split(b"\r\n") if not line.isascii()] == [
        "To: Ana Sato <jürgen@example.org>".encode()
    ]
    assert message.envelope.rcpt_to == "jürgen@example.org"
    received = email.message_from_string(wire.decode(), policy=email.policy.SMTPUTF8)
    assert received["To"].addresses[0].addr_spec == "jürgen@example.org"


def test_the_envelope_goes_from_the_sender_to_the_person() -> None:
    assert message_to(ANA).envelope.mail_from == "digest@example.org"
    assert message_to(ANA).envelope.rcpt_to == "ana@example.org"


def test_the_date_is_written_in_its_own_zone_whatever_was_written_before() -> None:
    instants = [DATE, DATE.astimezone(UTC), DATE.astimezone(ZoneInfo("Asia/Tokyo"))]
    written = [field("Date", replace(message_to(ANA), date=instant))[0] for instant in instants]
    assert written == [
        "Mon, 03 Apr 2023 09:00:00 -0400",
        "Mon, 03 Apr 2023 13:00:00 +0000",
        "Mon, 03 Apr 2023 22:00:00 +0900",
    ]
    assert {parsedate_to_datetime(date) for date in written} == {DATE}


def test_the_message_id_belongs_to_person_and_issue_and_tells_neither() -> None:
    ids = [
        message.message_id
        for message in (
            message_to(ANA),
            message_to(BEA),
            message_to(ANA, replace(EDITION, issue="2.7")),
            message_to(ANA, replace(EDITION, publication=replace(PUBLICATION, list_id="other.example.org"))),
            message_to(ANA, key=b"another key"),
        )
    ]
    assert len(set(ids)) == len(ids)
    assert message_to(replace(ANA, fields={**ANA.fields, "city": "Kyoto"})).message_id == ids[0]
    assert message_to(ANA, replace(EDITION, sha256="another")).message_id == ids[0]
    for identity in ids:
        assert re.fullmatch(r"[a-z2-7]{32}@example\.org", identity)
    assert field("Message-ID", message_to(ANA)) == [f"<{ids[0]}>"]


def test_the_token_belongs_to_person_and_list_but_not_to_the_issue() -> None:
    token = message_to(ANA).token
    assert message_to(ANA, replace(EDITION, issue="2.7")).token == token
    assert message_to(BEA).token != token
    assert message_to(ANA, key=b"another key").token != token


def test_nothing_of_an_address_is_left_in_what_others_may_see() -> None:
    message = message_to(Contact("zq@wv.example.com", ANA.fields))
    assert "zq" not in message.message_id + message.token
    assert "wv" not in message.message_id + message.token


# Only the personal places differ --------------------------------------------------------------------------------------


def test_two_persons_messages_differ_only_in_the_personal_places(edition: Edition) -> None:
    neutral = []
    for contact, other in ((ANA, EDITION), (BEA, EDITION), (ANA, edition), (BEA, edition)):
        message = message_to(contact, other)
        wire = message.as_bytes().replace(b"=\r\n", b"").decode()
        personal = {**contact.fields, "address": contact.address, "key": message.key, "token": message.token}
        for name, value in sorted(personal.items(), key=lambda item: -len(item[1])):
            for spelling in (value, value.replace(" ", "%20"), value.replace("=", "=3D")):
                wire = wire.replace(spelling, f"[{name}]")
        neutral.append(wire)
    assert neutral[0] == neutral[1]
    assert neutral[2] == neutral[3]
    assert neutral[0] != neutral[2]


def test_a_second_message_to_the_same_person_is_the_same() -> None:
    assert message_to(ANA).as_bytes() == message_to(ANA, edition_of()).as_bytes()
    assert message_to(ANA).as_bytes() != replace(message_to(ANA), date=DATE + timedelta(seconds=1)).as_bytes()


# Who cannot be written to ---------------------------------------------------------------------------------------------


def test_what_a_person_lacks_is_named() -> None:
    assert EDITION.fields == {"name", "city", "site", "email"}
    assert EDITION.mistakes(ANA) == []
    assert EDITION.mistakes(Contact("a@example.org", {"site": "ftp://x"})) == [
        "has no name",
        "has no city",
        "site: 'ftp://x' is no http(s) or mailto link",
    ]


def test_the_neutral_reader_can_always_be_written_to() -> None:
    message = message_to(EDITION.neutral_reader)
    assert message.subject == "For [name] of [city]: “news”"
    assert 'href="https://example.org/site"' in message.html
    assert not list(defects(parsed(message)))


def test_who_needs_nothing_is_a_nobody(edition: Edition) -> None:
    reader = edition.neutral_reader
    assert (reader.address, reader.name) == ("reader@example.org", "")


def test_a_fallback_that_is_no_link_is_refused_where_a_link_must_be() -> None:
    bad = MARKERS.mark(Field("home", "example.org"))
    with pytest.raises(InputError, match=r"issues/2\.6\.md: .*home: 'example\.org' is no http"):
        edition_of(replace(EVERYWHERE, html=f'<a href="{bad}">x</a>'))


def test_an_address_that_is_to_be_a_whole_link_is_refused() -> None:
    with pytest.raises(InputError, match="email: 'reader@example"):
        edition_of(replace(EVERYWHERE, html=f'<a href="{EMAIL}">x</a>'))


@pytest.mark.parametrize("page", ['<p style="color:{}">', "<p {}>", "<style>{}</style>", "<a href='x{}'>", "<{}>"])
def test_a_field_in_a_dangerous_place_is_refused(page: str) -> None:
    with pytest.raises(InputError, match=r"issues/2\.6\.md: "):
        edition_of(replace(EVERYWHERE, html=page.format(NAME)))
