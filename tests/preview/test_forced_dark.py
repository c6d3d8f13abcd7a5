"""Colours turned as mail programs turn them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.preview.forced_dark import _channels, _to_lab, _to_rgb, forced_dark

colours = st.tuples(*[st.integers(0, 255)] * 3)


def hexadecimal(colour: tuple[int, ...]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def lightness(colour: str) -> float:
    return _to_lab(*_channels(colour))[0]


def turned(css: str) -> str:
    return re.search(r'<p style="(.*?)">', forced_dark(f'<p style="{css}">'))[1]


@given(colours)
def test_a_colour_comes_back_from_lab(colour):
    assert all(abs(a - b) <= 1 for a, b in zip(_to_rgb(*_to_lab(*colour)), colour, strict=True))


@given(colours)
def test_grounds_become_dark_and_words_light(colour):
    assert lightness(turned(f"background-color:{hexadecimal(colour)}").partition(":")[2]) <= 51
    assert lightness(turned(f"color:{hexadecimal(colour)}").partition(":")[2]) >= 49


@given(st.integers(0, 255))
def test_grey_stays_grey(value):
    red, green, blue = _channels(turned(f"color:{hexadecimal((value,) * 3)}").partition(":")[2])
    assert max(red, green, blue) - min(red, green, blue) <= 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("color:#000000", "color:#dbdbdb"),
        ("background:#ffffff", "background:#212121"),
        ("background:#fff url(x.png) no-repeat", "background:#212121 url(x.png) no-repeat"),
        ("border-top:4px solid white", "border-top:4px solid #212121"),
        ("color:rgb(0, 0, 0)", "color:#dbdbdb"),
        ("color:rgba(0,0,0,.5)", "color:rgba(0,0,0,.5)"),
        ("color:inherit", "color:inherit"),
        ("font-family:Black Ops", "font-family:Black Ops"),
    ],
)
def test_every_spelling(before, after):
    assert turned(before) == after


def test_words_that_look_like_colours_stay():
    assert "<p>color: #ffffff; white</p>" in forced_dark("<head></head><p>color: #ffffff; white</p>")


def test_sheets_and_attributes_are_turned_too():
    page = forced_dark('<head><style>p { color: #000 }</style></head><td bgcolor="#ffffff">')
    assert "p { color: #dbdbdb }" in page
    assert 'bgcolor="#212121"' in page
