"""What MJML, the CSS inliner and their traps do to a page: one test for each trap that was met."""

import functools
import re

import mjml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from alliance_mailer import responsive
from alliance_mailer.errors import InputError
from alliance_mailer.responsive import compile_mjml, inline_css, normalised


def origin(line: int) -> tuple[str, int]:
    return "digest.mjml.j2", line


def mjml_of(body: str, head: str = "") -> str:
    return f'<mjml lang="en" dir="ltr"><mj-head>{head}</mj-head><mj-body width="640px">{body}</mj-body></mjml>'


def with_text(content: str, head: str = "") -> str:
    return mjml_of(f"<mj-section><mj-column><mj-text>{content}</mj-text></mj-column></mj-section>", head)


def page_of(source: str, *, inline: str = "", client: str = "") -> str:
    return inline_css(compile_mjml(source, origin), inline, client)


def the(tag: str, page: str) -> html.HtmlElement:
    (element,) = html.document_fromstring(page).iter(tag)
    return element


# Attributes ------------------------------------------------------------------------------------------------------------

TRICKY = [
    "a \\ backslash", 'a "quote"', "a\u00a0hard blank", "ZWJ \U0001f469\u200d\U0001f4bb", "e\u0301", "soft\u00adhyphen", "\ufe0f",
    "private \ue123", "日本", "it's & <done>",
]  # fmt: skip


@pytest.mark.parametrize("value", TRICKY)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_an_attribute_arrives_as_it_was_written(value: str, quote: str) -> None:
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(quote, "&quot;" if quote == '"' else "&#39;")
    page = page_of(with_text(f"<img src='a.png' alt={quote}{escaped}{quote} /><i title={quote}{escaped}{quote}>x</i>"))
    assert the("img", page).get("alt") == value
    assert the("i", page).get("title") == value


@pytest.mark.parametrize("value", TRICKY)
def test_an_attribute_of_mjml_arrives_as_it_was_written(value: str) -> None:
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    source = f'<mj-section><mj-column><mj-image src="a.png" alt="{escaped}" /></mj-column></mj-section>'
    assert the("img", page_of(mjml_of(source))).get("alt") == value


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20))
def test_any_text_survives_in_an_attribute(value: str) -> None:
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    compiled = compile_mjml(with_text(f'<i title="{escaped}">x</i>'), origin)
    assert the("i", compiled).get("title") == value


def test_a_style_over_several_lines_is_one_style() -> None:
    page = page_of(with_text('<p style="color: #112233;\n\t font-size: 20px;\n">x</p>'))
    assert the("p", page).get("style") == "color: #112233; font-size: 20px;"


def test_a_link_with_white_space_around_it_is_the_link() -> None:
    assert (
        the("a", page_of(with_text('<a href="\n  https://example.org/a  \n">x</a>'))).get("href")
        == "https://example.org/a"
    )


def test_a_hard_blank_beside_a_line_feed_stays() -> None:
    assert the("i", page_of(with_text('<i title="a\n\u00a0b">x</i>'))).get("title") == "a \u00a0b"


@pytest.mark.parametrize("title", TRICKY)
def test_the_title_survives_where_the_compiler_copies_it_to(title: str) -> None:
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    page = html.document_fromstring(page_of(with_text("x", f"<mj-title>\n{escaped}\n</mj-title>")))
    assert page.findtext(".//title") == title
    assert page.xpath("//*[@role='article']/@aria-label") == [title]


# Widths ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ['padding="0 40px"', 'padding="0px 40px"', 'padding="10px 40px 0"'])
def test_outlooks_tables_and_pictures_are_as_wide_as_the_padding_leaves_room(padding: str) -> None:
    source = f'<mj-section {padding}><mj-column padding="0"><mj-image src="a.png" alt="" padding="0" /></mj-column></mj-section>'
    page = page_of(mjml_of(source))
    assert the("img", page).get("width") == "560"
    assert re.findall(r"<td[^>]*width:(\d+)px", page) == [
        "560",
        "560",
    ]  # in the comment for Outlook, and below the picture


def test_a_bare_0_on_one_side_does_not_call_the_shorthand_back() -> None:
    source = '<mj-section padding="0px 40px" padding-left="0"><mj-column><mj-image src="a.png" padding="0px" /></mj-column></mj-section>'
    assert the("img", page_of(mjml_of(source))).get("width") == "600"


@pytest.mark.parametrize(
    "untouched", ['padding="10px 0.5px"', 'padding="10%"', 'cellpadding="0"', 'title="0 and 10"', 'alt="0"']
)
def test_only_a_bare_0_of_a_padding_gets_its_unit(untouched: str) -> None:
    assert normalised(f"<td {untouched}>") == f"<td {untouched}>"


# Blanks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "<b>one</b>\n<i>two</i>",
        "<b>one</b>   \n\n\t <i>two</i>",
        "<a href='x'>one</a>\r\n<a href='y'>two</a>",
        "<b><i>one</i>\n</b><u>two</u>",
        "<b>one</b> <i>two</i>",
        "one\n<i>two</i>",
        "<b>one</b>\ntwo",
        "<b>one</b><br />\n<i>two</i>",
    ],
)
def test_neighbouring_words_are_not_glued(content: str) -> None:
    text = the("p", page_of(with_text(f"<p>{content}</p>"))).text_content()
    assert text.split() == ["one", "two"]


def test_words_without_a_blank_between_them_get_none() -> None:
    assert the("p", page_of(with_text("<p><b>one</b><i\n>two</i\n></p>"))).text_content() == "onetwo"


def test_named_entities_mean_what_html_says() -> None:
    page = page_of(with_text('<p title="caf&eacute;&nbsp;&amp;">&copy;&nbsp;&hellip;&lt;b&gt;&amp;&zwnj;</p>'))
    assert the("p", page).text_content() == "©\u00a0…<b>&\u200c"
    assert the("p", page).get("title") == "café\u00a0&"


WORDS = st.sampled_from(["<b>", "</b>", "<br/>", "<td a='1'\n b='2'>", "text", "\n", "  \n ", "\t", "<mj-text>", "</mj-text\n>",
                         "<!-- a\n<b> -->", "<mj-title>a\nb</mj-title>"])  # fmt: skip


@given(st.lists(WORDS, max_size=30))
def test_everything_stays_on_its_line(words: list[str]) -> None:
    numbered = "".join(f"{word}<n{index}>" for index, word in enumerate(words))
    after = normalised(numbered)
    for index in range(len(words)):
        lines = [text[: text.index(f"<n{index}>")].count("\n") for text in (numbered, after)]
        assert lines[0] == lines[1]


def test_outlooks_comments_are_normalised_like_all_else() -> None:
    comment = "<!--[if mso]><v:rect style='width:640px;\n\theight:320px' alt='e\u0301\\'><b>one</b>\n<i>two</i></v:rect><![endif]-->"
    page = page_of(with_text(f"<p>x</p>{comment}"))
    inside = html.fragment_fromstring(re.findall(r"<!--\[if mso\]>(<v:rect.*?)<!\[endif\]-->", page, re.DOTALL)[0])
    assert dict(inside.items()) == {"style": "width:640px; height:320px", "alt": "e\u0301\\"}
    assert inside.text_content().split() == ["one", "two"]


def test_an_authors_comment_is_left_alone() -> None:
    comment = "<!-- <p title='a\n\tb'>\n<b padding='0'> -->"
    assert normalised(f"<p>\n{comment}</p>") == f"<p>\n{comment}</p>"


# Errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("", 1, "empty"),
        ("\n\n<p>a</p", 3, "not well-formed"),
        ("<mjml>\n<mj-body>\n<p>a\n<b>x\n</p></mj-body></mjml>", 5, r"b \(digest.mjml.j2:4\) and p"),
        ("<mjml>\n<p>\n</p>\n<p a='1' a='2'></p></mjml>", 4, "Attribute a redefined"),
        ("<mjml>\n\n<p>5 < 6</p></mjml>", 3, "invalid element name"),
        ("<mjml>\n<p>a & b</p></mjml>", 2, "no name"),
        ("<mjml>\n<p>&nosuch;</p></mjml>", 2, "nosuch"),
        ("<mjml>\n<p>\x01</p></mjml>", 2, "invalid Char"),
        ("<mjml>\n<mj-head>\n<mj-foo/></mj-head></mjml>", 3, r"unexpected element: 'mj-foo'"),
        ("<mjml>\n<mj-body>éééééééééé\n</mj-body><mj-body title='é'>\n<mj-column\n></mj-column></mj-body><oops/>\n\n\n</mjml>", 5, "oops"),
        ("<html></html>", 1, "unexpected token"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(source: str, line: int, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        compile_mjml(source, origin)
    (problem,) = error.value.problems
    assert (problem.file, problem.line) == origin(line)
    assert "column" not in problem.message
    assert "position" not in problem.message


def test_a_panic_of_the_compiler_is_a_mistake_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    source = with_text("x", '<mj-include path="a.html" type="html" />')
    panicking = functools.partial(mjml.mjml2html, include_loader=lambda _path: "<p></p>")
    with pytest.raises(BaseException) as panic:
        panicking(source)
    assert type(panic.value).__name__ == "PanicException"
    assert not isinstance(panic.value, Exception)
    with pytest.raises(InputError, match="mj-include is not available"):
        compile_mjml(source, origin)
    # And if another template made it panic: past the gate, with the loader that leads there.
    monkeypatch.setattr(responsive, "_FORBIDDEN", re.compile("(?!)"))
    monkeypatch.setattr(mjml, "mjml2html", panicking)
    with pytest.raises(InputError, match="the MJML compiler cannot take this template"):
        compile_mjml(source, origin)


def test_an_interrupt_while_compiling_stays_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_source: str, **_options: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(mjml, "mjml2html", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compile_mjml(with_text("x"), origin)


# What premailer would do to it -------------------------------------------------------------------------------------------

CLIENT = """\
:root { color-scheme: light dark }
@font-face { font-family: X; src: url(https://example.org/x.woff) }
@media (max-width: 560px) { .a { color: #010203 !important } }
@supports (display: grid) { .a { color: red } }
[data-ogsc] .a { color: #040506 !important }
.a > * { margin: 0 }
a:hover { color: "<!--" }"""


def test_the_clients_sheet_stays_verbatim() -> None:
    page = page_of(with_text('<p class="a">x</p>'), inline="p { color: #000000 }", client=f"\n{CLIENT}\n\n")
    assert f"<style>{CLIENT}</style></head>" in page
    assert "data-premailer" not in page


def test_without_a_sheet_for_clients_none_is_written() -> None:
    assert "<style></style>" not in page_of(with_text("x"))


def test_the_compilers_own_sheets_stay_for_the_clients() -> None:
    page = page_of(with_text("x", "<mj-style>.b { color: #070809 !important }</mj-style>"))
    assert ".b { color: #070809 !important }" in page
    assert "@media only screen and (min-width:480px)" in page
    assert '<style media="screen and (min-width:480px)">' in page
    assert "data-premailer" not in page


def test_classes_stay_for_the_sheets() -> None:
    assert the("p", page_of(with_text('<p class="a b">x</p>'), inline=".a { margin: 1px }")).get("class") == "a b"


def test_the_doctype_stays() -> None:
    assert page_of(with_text("x")).startswith("<!DOCTYPE html>\n")


def test_rules_are_written_into_the_elements() -> None:
    page = page_of(
        with_text("<p class='a'>x</p>"), inline=".a { color: #112233 !important } p { margin: 0px; mso-hide: all }"
    )
    style = the("p", page).get("style")
    assert "color:#112233 !important" in style  # six digits: Outlook misreads #123 in places
    assert "mso-hide:all" in style


def test_a_rule_that_the_inliner_does_not_know_is_written_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    page = page_of(with_text("<p>x</p>"), inline="p { no-such-rule: 1px; margin: min(1px, 2vw); color: {{ oops }} }")
    assert the("p", page).get("style") == "no-such-rule:1px; margin:min(1px, 2vw)"
    assert caplog.records == []


def test_widths_and_heights_in_attributes_win_over_rules() -> None:
    source = with_text('<table width="100%"><tr><td width="32" height="20" align="left" valign="top" bgcolor="#ffffff">'
                       '<img src="a.png" alt="" width="640" height="320" /></td></tr></table>')  # fmt: skip
    rules = "img { width: 100%; height: auto; float: left } td { width: 50%; height: 1px; text-align: center; vertical-align: bottom; background-color: #000000 }"
    page = page_of(source, inline=rules)
    picture, cell = the("img", page), html.document_fromstring(page).xpath("//td[@bgcolor]")[0]
    assert dict(picture.items()) == {
        "src": "a.png",
        "alt": "",
        "width": "640",
        "height": "320",
        "style": "width:100%; height:auto; float:left",
    }
    assert [cell.get(name) for name in ("width", "height", "align", "valign", "bgcolor")] == [
        "32",
        "20",
        "left",
        "top",
        "#ffffff",
    ]


def test_outlooks_tables_keep_their_width_through_the_inliner() -> None:
    page = page_of(with_text("x"), inline="table { width: 100% } td { width: 10% }")
    assert re.findall(r'<!--\[if mso \| IE\]><table[^>]*width="640"', page)


def test_a_picture_without_a_height_has_no_height_called_auto() -> None:
    source = '<mj-section><mj-column><mj-image src="a.png" alt="" /><mj-text>say height="auto"</mj-text></mj-column></mj-section>'
    page = page_of(mjml_of(source))
    assert the("img", page).get("height") is None
    assert 'say height="auto"' in page  # the author's words are the author's


def test_language_and_direction_are_on_the_page_and_on_its_wrapper() -> None:
    page = html.document_fromstring(page_of('<mjml lang="ar" dir="rtl"><mj-body></mj-body></mjml>'))
    (wrapper,) = page.xpath("//*[@role='article']")
    assert [(element.get("lang"), element.get("dir")) for element in (page, wrapper)] == [("ar", "rtl")] * 2


def test_no_font_is_asked_for() -> None:
    page = page_of(with_text("x"))  # the compiler's default is a font of Google's
    assert re.findall(r"https?://[^/]*", page) == ["http://www.w3.org"]
    assert "<link" not in page
