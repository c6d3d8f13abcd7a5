"""The message's HTML in its frame: its own, but for pictures, scheme and marks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.preview.frame import as_outlook, marked, shown
from alliance_mailer.slots import Field, Markers

PAGE = (
    "<!DOCTYPE html><html><head><style>@media (prefers-color-scheme: dark) { p { color: red } }</style></head>"
    '<body><img src="cid:a.jpg@x" alt="one"><img alt="a > b" src="https://elsewhere.example/p.png?a=1&amp;b=2">'
    "<p>(prefers-color-scheme: dark)</p></body></html>"
)
HERE = {"cid:a.jpg@x": "picture?name=a.jpg"}


def show(page: str = PAGE, theme: str = "light", img: str = "on"):
    return shown(page, theme=theme, img=img, pictures=HERE)


def test_a_picture_of_the_message_is_had_from_here_and_one_from_elsewhere_is_not_fetched():
    page = show()
    assert 'src="picture?name=a.jpg" alt="one"' in page.html
    assert "elsewhere.example" not in page.html
    assert page.blocked == ("https://elsewhere.example/p.png?a=1&b=2",)


def test_a_person_may_ask_for_the_pictures_from_elsewhere():
    page = show(img="remote")
    assert 'src="https://elsewhere.example/p.png?a=1&amp;b=2"' in page.html
    assert page.blocked == ()


def test_without_pictures_the_words_for_them_stay():
    html = show(img="off").html
    assert html.count('src="data:,"') == 2
    assert 'alt="one"' in html
    assert 'alt="a > b"' in html


@pytest.mark.parametrize("address", ["https://evil.example/x", "//evil.example/x", "http://evil.example/x"])
@pytest.mark.parametrize(
    "html", ["<td style=\"background:url('{}')\">", '<td style="background: URL( {} )">', "<style>p{{background:url({})}}</style>",
             '<td style="background:url(&quot;{}&quot;)">', "<img src={}>", "<IMG SRC='{}'>", '<img\nsrc = "{}">'.replace(" = ", "=")]
)  # fmt: skip
def test_nothing_is_fetched_however_it_is_written(html, address):
    page = show(html.format(address))
    assert address not in page.html
    assert page.blocked == (address,)


@pytest.mark.parametrize(
    "html", ['<meta http-equiv="refresh" content="0;url=/x">', "<META HTTP-EQUIV=Refresh>", "<base href='/x'>"]
)
def test_what_would_lead_elsewhere_is_left_out(html):
    assert html not in show(f"<head>{html}</head>").html


def test_a_scheme_is_in_force_whatever_the_machine_prefers_and_words_about_it_stay_words():
    light, dark = show().html, show(theme="dark").html
    assert "@media (max-width:0px) { p" in light
    assert "@media (min-width:0px) { p" in dark
    for page in (light, dark):
        assert "<p>(prefers-color-scheme: dark)</p>" in page
    assert "color-scheme:dark" in dark
    assert "color-scheme:only light" in light


@given(st.text(alphabet=st.characters(exclude_characters="<>&")))
def test_text_is_what_it_was(text):
    assert f"<p>{text}</p>" in show(f"<head></head><p>{text}</p>").html


def test_the_reader_s_own_words_are_marked_and_links_stay_whole():
    markers = Markers("0123456789")
    name, page = markers.mark(Field("name", "you")), markers.mark(Field("page"))
    segments = markers.split_html(f'<head></head><p title="{name}">{name}</p><a href="{page}">x</a>')
    html = marked(segments, {"name": "<b>", "page": "https://example.org/"})
    assert '<mark data-field="name">&lt;b&gt;</mark>' in html
    assert 'title="&lt;b&gt;"' in html
    assert 'href="https://example.org/"' in html


def test_outlook_reads_what_is_for_it_and_passes_over_the_rest():
    page = "<!--[if mso]><noscript><xml><o:x>96</o:x></xml></noscript><![endif]--><!--[if mso | IE]><table><![endif]-->a<!--[if !mso]><!-->b<!--<![endif]-->"
    assert as_outlook(page) == "<table>a"
