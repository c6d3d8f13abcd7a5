"""What is written is what a mail program reads; `email` and `quopri` of the standard library are the judges."""

import binascii
import email
import email.policy
import quopri
import re
from dataclasses import replace
from email.header import decode_header, make_header
from email.headerregistry import Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alliance_mailer import mime
from alliance_mailer.publication import Publication
from alliance_mailer.unsubscribe import header_fields

ANY = st.text(st.characters(exclude_categories=["Cs"]))
# What makes an encoder stumble: blanks at an edge, dots and "From " at a start, lines of about 76 columns.
ROUGH = st.lists(
    st.sampled_from([" ", "  ", "\t", ".", "From ", "=", "é", "日本語", "🙂", "\n", "\r\n", "\r", "word", "x" * 70]),
    max_size=40,
).map("".join)
# For header fields: no control character, and blanks at the ends are not kept.
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
WORDS = st.lists(
    st.sampled_from(
        [" ", "a", "Re:", "=?utf-8?q?x?=", "é", "日本語", "🙂", '"', "\\", "(", "<a@b>", ",", "x" * 70, "y" * 30, "\t"]
    )
).map("".join)
HEADER_TEXTS = st.one_of(
    LINE, WORDS, st.lists(st.sampled_from(["été", "of", "the", "a" * 61, "日本", ""])).map(" ".join)
)


# Bodies -----------------------------------------------------------------------------------------------------------


def decoded(body: str) -> str:
    head = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
    message = email.message_from_bytes(f"{head}\r\n\r\n{body}".encode("ascii"), policy=email.policy.default)
    assert not message.defects
    data = message.get_payload(decode=True)
    assert data == quopri.decodestring(body.encode("ascii"))
    return data.decode()


def as_sent(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


@given(ANY | ROUGH)
@example("x" * 75)
@example("x" * 76)
@example("x" * 74 + "é")
@example("x" * 75 + ".")
@example("x" * 75 + "From ")
@example("From the start")
@example(".")
@example(" ")
def test_quoted_printable_is_read_back_and_keeps_its_lines_short_and_safe(text: str) -> None:
    encoded = mime.quoted_printable(text)
    assert decoded(encoded) == as_sent(text)
    lines = encoded.split("\r\n")
    assert all(re.fullmatch(r"[\t -~]{0,76}", line) for line in lines)
    assert not any(line.endswith((" ", "\t")) or line.startswith((".", "From ")) for line in lines)


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("From ", "=46rom=20"),
        ("From é", "=46rom =C3=A9"),
        (".é", "=2E=C3=A9"),
        ("é\t", "=C3=A9=09"),
        ("健", "=E5=81=A5"),
    ],
)
def test_a_short_text_is_spelt_by_the_same_rules(text: str, spelt: str) -> None:
    assert mime.quoted_printable(text) == spelt
    assert mime.quoted_printable(f"{text}\n{'x' * 99}").startswith(f"{spelt}\r\n")


@given(st.lists(ANY | ROUGH, min_size=1, max_size=6))
def test_pieces_joined_at_soft_breaks_are_read_back_as_one_text(pieces: list[str]) -> None:
    encoded = mime.SOFT_BREAK.join(map(mime.quoted_printable, pieces))
    assert decoded(encoded) == "".join(map(as_sent, pieces))
    assert all(len(line) <= 76 for line in encoded.split("\r\n"))


@given(st.binary(max_size=400))
@example(bytes(57))
@example(bytes(58))
@example(bytes(200))
def test_base64_is_read_back_from_lines_of_76(data: bytes) -> None:
    encoded = mime.base64_body(data)
    lines = encoded.split("\r\n")
    assert binascii.a2b_base64("".join(lines), strict_mode=True) == data
    assert all(len(line) == 76 for line in lines[:-1])
    assert len(lines[-1]) <= 76


@given(st.lists(ANY, max_size=3))
def test_a_boundary_occurs_in_no_encoded_body(contents: list[str]) -> None:
    limit = mime.boundary(*contents)
    assert limit == mime.boundary(*contents)
    assert re.fullmatch(r"=_[0-9a-f]{32}", limit)
    assert limit not in mime.quoted_printable("".join([*contents, limit]))


def test_boundaries_of_different_contents_differ() -> None:
    assert len({mime.boundary("a", "b"), mime.boundary("ab"), mime.boundary("b", "a"), mime.boundary("a")}) == 4


def test_a_multipart_is_taken_apart_as_it_was_put_together() -> None:
    limit = mime.boundary("x")
    part = mime.part("text/plain; charset=utf-8", "quoted-printable", "caf=C3=A9", "Content-ID: <a@b>")
    picture = mime.part("image/png", "base64", mime.base64_body(b"\x89PNG"))
    text = f'Content-Type: multipart/mixed; boundary="{limit}"\r\n' + mime.delimiter(limit) + part
    text += mime.delimiter(limit) + picture + mime.closing(limit)
    message = email.message_from_bytes(text.encode("ascii"), policy=email.policy.default)
    first, second = message.iter_parts()
    assert (first.get_content(), first["Content-ID"], second.get_content()) == ("café", "<a@b>", b"\x89PNG")
    assert not message.defects + first.defects + second.defects


# Header fields ----------------------------------------------------------------------------------------------------


def header(field: str) -> email.message.EmailMessage:
    assert field.endswith("\r\n")
    message = email.message_from_bytes(field.encode("ascii") + b"\r\n", policy=email.policy.default)
    assert len(message.keys()) == 1
    assert not message.get_payload()
    return message


def lines_are_legal(field: str) -> None:
    lines = field.removesuffix("\r\n").split("\r\n")
    for line in lines:
        assert re.fullmatch(r"[ -~]+", line)
        assert line.strip()
        # RFC 5322, 2.1.1: 78, but for what cannot be folded; RFC 2047, 2: 76 with an encoded-word, itself at most 75.
        unfoldable = "=?utf-8?" not in line and " " not in re.sub(r"^(To:)? ", "", line)
        assert len(line) <= 76 or unfoldable
    assert all(line.startswith(" ") for line in lines[1:])
    assert all(len(word) <= 75 for word in re.findall(r"=\?utf-8\?b\?[^?]*\?=", field))


@given(HEADER_TEXTS)
@example("")
@example("x" * 2000)
@example("Digest: " + "word: " * 40)
@example("é" * 40)
@example("two  blanks, and   three")
@example("a\tb")
@example("=?utf-8?q?not_encoded?=")
def test_a_subject_is_read_back_from_lines_of_legal_length(text: str) -> None:
    field = mime.header_text("Subject", text)
    assert header(field)["Subject"] == text.strip()
    assert all(len(line) <= 76 for line in field.split("\r\n"))
    if text.strip():
        lines_are_legal(field)


@given(HEADER_TEXTS)
@example("Okafor, Chidi")
@example('Robert "Bob" Lindqvist')
@example("back\\slash")
@example("María de los Ángeles")
@example("O'Brien")
@example("<x@evil.example>")
@example("two  blanks")
@example("@")
@example("é, a@b; c")
def test_a_mailbox_is_read_back_with_its_display_name(name: str) -> None:
    field = mime.mailbox("To", name, "ken@example.org")
    value = str(email.message_from_string(field + "\r\n", policy=email.policy.compat32)["To"])
    unfolded = value.replace("\r\n", "").replace("\n", "")
    display, _, address = unfolded.rpartition(" ")
    assert address == ("<ken@example.org>" if name.strip() else "ken@example.org")
    if re.fullmatch('".*"', display):
        shown = re.sub(r"\\(.)", r"\1", display[1:-1])
    else:
        # Not email.policy.default, whose Python 3.11 puts a blank between the encoded-words of a display name.
        shown = str(make_header(decode_header(display)))
    assert shown == name.strip()
    (judged,) = header(field)["To"].addresses
    assert judged.addr_spec == "ken@example.org"
    lines_are_legal(field)


@given(st.lists(st.sampled_from(["Ana", "O'Brien", "x-y", "é", "=?", "a" * 30, "b" * 61, "c.", "", ","])).map(" ".join))
def test_an_ordinary_name_is_spelt_as_any_other(name: str) -> None:
    words = mime.phrase(name.strip())
    whole = mime._field("To", [*words, "<a@b.org>"] if words else ["a@b.org"])
    assert mime.mailbox("To", name, "a@b.org") == whole


@pytest.mark.parametrize(
    "name", ["Okafor, Chidi", 'Robert "Bob" Lindqvist', "O'Brien", "U.S. Digest", "a\\b", "佐藤 健"]
)
def test_a_display_name_is_what_the_standard_library_reads(name: str) -> None:
    (judged,) = header(mime.mailbox("To", name, "ken@example.org"))["To"].addresses
    assert judged == Address(name, "ken", "example.org")


def test_no_encoded_word_is_empty_or_splits_a_character() -> None:
    for text in ("a  b", "日本" * 40, "🙂" * 30, " ".join(["été"] * 30)):
        words = re.findall(r"=\?utf-8\?b\?([^?]*)\?=", mime.header_text("Subject", text))
        assert all(binascii.a2b_base64(word).decode() for word in words)


def test_an_ascii_subject_stays_readable_on_the_wire() -> None:
    field = mime.header_text("Subject", "US-Japan Digest 2.6: a pact, drills & more")
    assert field == "Subject: US-Japan Digest 2.6: a pact, drills & more\r\n"


def test_a_line_is_filled_before_it_is_broken() -> None:
    assert mime.quoted_printable("x" * 75) == "x" * 75
    assert mime.quoted_printable("x" * 76) == f"{'x' * 75}=\r\nx"
    assert mime.header_text("Subject", "日本" * 6).count("=?") == 1


def test_only_the_words_that_need_it_are_encoded() -> None:
    field = mime.header_text("Subject", "Digest: Tōkyō acts")
    assert re.fullmatch(r"Subject: Digest: =\?utf-8\?b\?\S+\?= acts\r\n", field)


@pytest.mark.parametrize("bad", [*"\r\n\0\x0b\x0c\x1b\x1f\x7f", "\r\n", "\r\nBcc: x@example.org", "\n "])
@pytest.mark.parametrize("place", ["{}text", "te{}xt", "text{}"])
def test_no_line_break_or_control_character_gets_into_a_header(bad: str, place: str) -> None:
    text = place.format(bad)
    for write in (
        lambda: mime.header_text("Subject", text),
        lambda: mime.mailbox("To", text, "a@example.org"),
        lambda: mime.mailbox("To", "A", text),
        lambda: mime.structured("List-Help", text),
        lambda: mime.structured("List-Help", "<https://example.org>", text),
    ):
        with pytest.raises(ValueError, match=r"control character|printable ASCII"):
            write()


@given(st.text(), st.text())
def test_whatever_is_written_no_field_becomes_two(first: str, second: str) -> None:
    for write in (mime.header_text, mime.structured, lambda name, text: mime.mailbox(name, text, "a@example.org")):
        for text in (first, f"{first}\r\nBcc: {second}", f"{first}\u2028Bcc: {second}", f"{first}\x85Bcc: {second}"):
            try:
                field = write("Subject", text)
            except ValueError:
                continue
            assert not re.search(r"\r\n[^ ]|\r[^\n]|[^\r]\n", field)
            header(field)


# Structured fields (RFC 2047, 5: no encoded-word in them; python/cpython#85725) -------------------------------------


@pytest.mark.parametrize("text", ["<https://例え.jp>", "a\tb", "\x80", "\N{NO-BREAK SPACE}"])
def test_a_structured_field_refuses_what_it_would_have_to_encode(text: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        mime.structured("List-Unsubscribe", text)


def test_a_long_unsubscribe_link_is_neither_encoded_nor_folded(publication: Publication) -> None:
    endpoint = "https://mail.example.org/" + "a-long-way/" * 20
    fields = header_fields(replace(publication, unsubscribe_url=endpoint), "t" * 32)
    one, two, post = fields.removesuffix("\r\n").split("\r\n")
    assert one == f"List-Unsubscribe: <{endpoint}{'t' * 32}>,"
    assert two == f" <mailto:unsubscribe@example.org?subject=unsubscribe%20{'t' * 32}>"
    assert post == "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    assert "=?" not in fields
