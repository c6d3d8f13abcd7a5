"""A person's value lands where the author put the field, as it is, and can do nothing but be read."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import lxml.html
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alliance_mailer.issue import parse_issue
from alliance_mailer.slots import Field, Gap, MarkerError, Markers, Place, Segments, safe_url

MARKERS = Markers("0a1b2c3d4e5f")
M = MARKERS.mark(Field("x"))
Y = MARKERS.mark(Field("y"))

# What contact.py lets through: no control character, no lone surrogate, no line separator.
PRINTABLE = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cn"])
HOSTILE = st.sampled_from(
    ['"><script>alert(1)</script>', "' onmouseover='x", "-->", "--!><b>", "<![endif]-->", "]]>", "</title>", "</p><p>",
     "&lt;", "&amp", "&#x22;", "&quot", "javascript:", "{{ contact.email }}", M, M.upper(), "%22", "%", "\\", "`", "../",
     "?a=b&c=d#e", "@evil.example", ":80", " ", "  ", "\N{NO-BREAK SPACE}", "\N{RIGHT-TO-LEFT OVERRIDE}"]
)  # fmt: skip
VALUES = st.one_of(
    HOSTILE, st.text(PRINTABLE, min_size=1), st.lists(HOSTILE | st.text(PRINTABLE), min_size=1).map("".join)
)
VALUES = VALUES.filter(bool)


def filled(page: str, value: str) -> str:
    return MARKERS.split_html(page).fill({"x": value, "y": value})


def parsed(page: str, value: str) -> lxml.html.HtmlElement:
    return lxml.html.fromstring(f"<!DOCTYPE html><html><body>{filled(page, value)}</body></html>").find("body")


class Outline(HTMLParser):
    """The tags, attribute names and texts of a page, for comparing the shape of two."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[object] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, [name for name, _ in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


# Whatever the value ----------------------------------------------------------------------------------------------


@given(VALUES)
def test_any_value_is_read_back_as_text_and_in_an_attribute(value: str) -> None:
    page = f"<p title=\"a {M} b\" lang='{M}'>c {M} d<b>{M}</b></p>"
    body = parsed(page, value)
    (p,) = body
    (b,) = p
    assert (p.get("title"), p.get("lang"), p.text, b.text) == (f"a {value} b", value, f"c {value} d", value)
    assert sorted(p.attrib) == ["lang", "title"]


@given(VALUES)
def test_no_value_changes_the_shape_of_the_page(value: str) -> None:
    page = f'<title>{M}</title><p title="{M}">{M}</p><a href="https://example.org/{M}">{M}</a>'
    assert Outline(filled(page, value)).tags == Outline(filled(page, "x")).tags
    assert Outline(filled(page, value)).text == value * 3


@given(VALUES)
def test_any_value_stays_in_the_part_of_a_link_where_it_stands(value: str) -> None:
    page = f'<a href="https://example.org/{M}?q={M}#{M}">x</a>'
    link = urlsplit(parsed(page, value).find("a").get("href"))
    assert (link.scheme, link.netloc) == ("https", "example.org")
    assert [unquote(part) for part in (link.path, link.query, link.fragment)] == [f"/{value}", f"q={value}", value]
    assert not set(f"{link.path[1:]}{link.query[2:]}{link.fragment}") & set("/?#&=+@:;")


@given(st.sampled_from(["https://e.org/", "HTTP://e.org?", "mailto:a@e.org?subject="]), VALUES)
def test_a_link_that_is_a_value_is_read_back_percent_encoded(start: str, rest: str) -> None:
    href = parsed(f'<a href=" {M} ">x</a>', start + rest).find("a").get("href").strip()
    assert unquote_to_bytes(href) == unquote_to_bytes(start + rest)
    assert href.isascii()
    assert not set(href) & set(' "<>\\^`{}|')


@given(VALUES)
@example("javascript:alert(1)")
@example("data:text/html,x")
def test_a_value_that_is_a_link_opens_only_a_page_or_a_mail(value: str) -> None:
    try:
        href = parsed(f'<a href="{M}">x</a>', value).find("a").get("href")
    except ValueError:
        return
    assert urlsplit(href).scheme in ("http", "https", "mailto")


@given(VALUES)
def test_any_value_is_written_into_an_outlook_comment_without_ending_it(value: str) -> None:
    page = f'<!--[if mso]><td title="{M}">{M}</td><![endif]--><p>after</p>'
    outline = Outline(filled(page, value))
    assert outline.tags == [("p", []), "p"]
    assert outline.text == "after"


@given(st.lists(st.text(PRINTABLE), min_size=2, max_size=4), st.text(PRINTABLE, min_size=1))
def test_plain_text_is_cut_at_its_gaps_and_joined_again(pieces: list[str], value: str) -> None:
    assert MARKERS.split(M.join(pieces)).fill({"x": value}) == value.join(pieces)


# Values that are no links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "//e.org",
     "e.org", " https://e.org", "https:e.org", "https://", "https:///x", "\thttps://e.org", "x https://e.org", "mailto:",
     "ftp://e.org", "", "https://e.org/\ud800"],
)  # fmt: skip
def test_a_value_that_is_no_http_or_mailto_link_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        safe_url(value)


# Where a field may stand -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "places"),
    [
        (f"a{M}b", [Place.TEXT]),
        (f"{M}{Y}", [Place.TEXT, Place.TEXT]),
        (f'<p title="{M}{Y}">{M}</p>', [Place.ATTRIBUTE, Place.ATTRIBUTE, Place.TEXT]),
        (f'<a href="{M}">', [Place.URL]),
        (f'<img SRC = "{M}" />', [Place.URL]),
        (f'<td background="https://e.org/{M}">', [Place.URL_PART]),
        (f'<a href="mailto:{M}?subject={Y}">', [Place.URL_PART, Place.URL_PART]),
        (f'<a href="https://{M}{Y}">', [Place.URL_PART, Place.URL_PART]),
        (f"<br/>{M}", [Place.TEXT]),
        (f"<style>p {{}}</style>{M}", [Place.TEXT]),
        (f"<!--[if mso]><v:fill src='{M}' /><![endif]-->", [Place.URL]),
    ],
)
def test_a_gap_knows_the_place_where_it_stands(page: str, places: list[Place]) -> None:
    assert [gap.place for gap in MARKERS.split_html(page).gaps] == places


@pytest.mark.parametrize(
    "page",
    [
        f"<style>{M}</style>",
        f"<style/>{M}</style>",
        f"<script>{M}</script>",
        f'<p style="color: {M}">',
        f'<p onclick="{M}">',
        f'<img srcset="{M} 2x">',
        f'<iframe srcdoc="{M}">',
        f"<{M}>",
        f"</{M}>",
        f"<p {M}>",
        f'<p {M}="x">',
        f"<p title={M}>",
        f"<p title= {M}>",
        f'<p title=a"{M}">',
        f"<!-- {M} -->",
        f"<!DOCTYPE {M}>",
        f"<!--[if mso]><style>{M}</style><![endif]-->",
        f"<!--[if mso]><p title={M}><![endif]-->",
        f'<a href="{M}://e.org">',
        f'<a href="{M}{Y}">',
        f'<a href="/{M}">',
        f'<a href="java{M}">',
        f'<a href="javascript:{M}">',
        f"""<a href="javascript:open('https://{M}')">""",
        f'<img src="cid:{M}">',
        f"<p>{M.upper()}</p>",
    ],
)
def test_a_field_where_no_value_can_be_written_safely_is_an_error(page: str) -> None:
    with pytest.raises(MarkerError) as error:
        MARKERS.split_html(page)
    assert error.value.mark in page
    assert str(error.value).startswith(f"{error.value.mark} ")


@pytest.mark.parametrize("damage", [str.upper, str.lower, str.title, lambda m: m[:-1], lambda m: m.replace("x", "-")])
def test_a_marker_that_a_filter_has_changed_is_an_error(damage) -> None:
    with pytest.raises(MarkerError, match="changed on its way"):
        MARKERS.split(f"Dear {damage(M)}, {M}")


def test_other_words_that_look_like_the_nonce_are_none() -> None:
    assert MARKERS.split("commit 0a1b2c3d4e5f").fill({}) == "commit 0a1b2c3d4e5f"


# Markers ----------------------------------------------------------------------------------------------------------


def test_the_same_field_has_the_same_marker_and_another_fallback_another() -> None:
    markers = Markers("00000000", [Field("a")])
    marks = [markers.mark(field) for field in (Field("a"), Field("a", ""), Field("b"), Field("a"))]
    assert marks == ["MF00000000x0x", "MF00000000x1x", "MF00000000x2x", "MF00000000x0x"]
    assert markers.fields == (Field("a"), Field("a", ""), Field("b"))


def test_the_eleventh_field_is_not_the_second() -> None:
    markers = Markers("00000000")
    text = "".join(markers.mark(Field(f"f{n}")) for n in range(12))
    assert markers.split(text).fill({f"f{n}": f"<{n}>" for n in range(12)}) == "".join(f"<{n}>" for n in range(12))


def test_an_author_cannot_forge_a_marker() -> None:
    page = '---\nissue: "1"\ntitle: T\ndate: 2023-03-31\n---\n{{ contact.email }} %s\n'
    here = Path(__file__).parent

    def read(text: str):
        return parse_issue(text, file="1.md", number="1", folder=here, project=here)

    forged = read(page % "").markers().mark(Field("email"))
    issue = read(page % forged)
    text = issue.lead[1].content
    assert issue.markers().split(text).fill({"email": "a@e.org"}) == f"a@e.org {forged}"


# Filling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{}, {"x": ""}])
def test_who_lacks_a_value_gets_the_fallback(values: dict[str, str]) -> None:
    segments = Segments(("Dear ", "!"), (Gap(Field("x", "<reader>"), Place.TEXT),))
    assert segments.fill(values) == "Dear &lt;reader&gt;!"


@pytest.mark.parametrize("values", [{}, {"x": ""}])
def test_without_a_fallback_the_missing_value_is_named(values: dict[str, str]) -> None:
    with pytest.raises(KeyError, match="x"):
        MARKERS.split(f"Dear {M}").fill(values)


def test_an_empty_fallback_is_one() -> None:
    assert Segments(("a", "b"), (Gap(Field("x", ""), Place.PLAIN),)).fill({}) == "ab"


def test_text_is_shown_to_everybody_with_its_fields_named() -> None:
    assert MARKERS.split(f"Dear {M}, {Y}").shown() == "Dear {{ x }}, {{ y }}"
    assert MARKERS.shown(f"Dear {M}, {Y}") == "Dear {{ contact.x }}, {{ contact.y }}"
