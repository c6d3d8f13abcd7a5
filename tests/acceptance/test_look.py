"""How the digest looks, asked of a real browser: wide and narrow, light and dark, pictures off, and as Outlook sees it."""

import re
from collections.abc import Iterator
from pathlib import Path

import css_inline
import pytest
from balance import Balance

from alliance_mailer import render as renderer
from alliance_mailer.build import build_files
from alliance_mailer.edition import Edition, compile_edition
from alliance_mailer.errors import UsageError
from alliance_mailer.example import copy_example
from alliance_mailer.issue import load_issue
from alliance_mailer.preview.chromium import Chromium
from alliance_mailer.preview.frame import as_outlook
from alliance_mailer.responsive import inline_css
from conftest import PUBLICATION

STRESS = f"""\
---
issue: "9"
title: A Digest With a Title That Is Long Enough to Need Three Lines on Any Telephone
date: 2024-02-29
preheader: "Everything at once."
---

A lead with `code`, **strong**, _soft_ and a [link](https://example.org/).

## Headlines
- A headline that goes on and on, past the edge of every telephone and of most desks, until nobody would read to its end
- 日米両政府は重要鉱物の供給網に関する協定に署名した。これは電気自動車の電池に使われる鉱物の供給網を強化するものである
- One with a [link](https://example.org/) of its own
- {"Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"}

## Details
- A story with a list:

  1. first
     - nested
       - deeper
  2. second

  > A quotation of some length, with a [link](https://example.org/), that wraps onto a second line on any screen there is.

  ```
  a line of code that is much too long for any telephone = and.goes(on) + until_it_ends
  ```
- 日米両政府は重要鉱物の供給網に関する協定に署名した。これは電気自動車の電池に使われる鉱物の供給網を強化するもので、両国の協力の新たな一歩となる。
- See <https://example.org/{"a-very-long-address-without-a-single-blank/" * 4}>.
- Done.

## Appointments
- Somebody, [to somewhere](https://example.org/)
- Somebody else

  with a second paragraph

## Notes
### A heading inside
Prose, and a rule:

***

> ## A quoted heading
> > and a quotation in a quotation

---
The end, with `code`.
"""

WIDTHS = [320, 375, 900]
SCHEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
ISSUES = pytest.mark.parametrize("number", ["2.6", "9"], ids=["example", "stress"])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("look") / "digest"
    copy_example(folder)
    (folder / "issues" / "9.md").write_text(STRESS)
    return folder


@pytest.fixture(scope="module")
def pages(project: Path) -> dict[str, Path]:
    """message.html of both issues, their pictures beside it."""
    written = {}
    for number in ("2.6", "9"):
        issue = load_issue(project, number)
        edition = compile_edition(
            renderer.render(issue, PUBLICATION, project / "templates"), PUBLICATION, number, issue.file
        )
        written[number] = project / "build" / number / "message.html"
        for name, data in build_files(issue, edition)[0].items():
            (written[number].parent / name).parent.mkdir(parents=True, exist_ok=True)
            (written[number].parent / name).write_bytes(data)
    return written


def variant(page: Path, name: str, text: str) -> Path:
    """A changed page, with the same pictures beside it."""
    path = page.with_name(f"{name}.html")
    path.write_text(text)
    return path


def test_without_chromium_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is none here") as error:
        Chromium(tmp_path / "profile")
    assert "apt-get install chromium" in error.value.hint


# Width -------------------------------------------------------------------------------------------------------------

TOO_WIDE = """[...document.querySelectorAll('body *')].filter(e => e.getClientRects().length)
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)
  .map(e => e.tagName + '.' + e.className + ' ' + e.getBoundingClientRect().right)"""


@ISSUES
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_at_the_side(number: str, width: int, pages: dict[str, Path], browser: Chromium) -> None:
    browser.show(pages[number], width=width)
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(TOO_WIDE) == []


def test_the_message_is_640_wide_on_a_desk_and_as_wide_as_a_telephone(
    pages: dict[str, Path], browser: Chromium
) -> None:
    for width, expected in ((900, 640), (640, 640), (375, 375), (320, 320)):
        browser.show(pages["2.6"], width=width)
        assert browser.run("document.querySelector('.paper').getBoundingClientRect().width") == expected
        assert browser.run("document.querySelector('.hero img').getBoundingClientRect().width") == expected
        assert browser.run("document.querySelector('.hero img').getBoundingClientRect().height") == pytest.approx(
            expected / 2, abs=1
        )


def test_on_a_telephone_all_text_begins_at_one_edge_and_links_in_the_foot_have_room(
    pages: dict[str, Path], browser: Chromium
) -> None:
    browser.show(pages["2.6"], width=375)
    edges = browser.run(
        "['.org', 'h1', '.folio', '.num', '.fig', 'h2', '.story', '.tint p', '.foot p'].map(s => document.querySelector(s))"
        ".map(e => (range => (range.selectNodeContents(e), range.getClientRects()[0].left))(document.createRange()))"
    )
    assert [round(edge) for edge in edges] == [24] * len(edges)
    assert browser.run("document.querySelector('.foot a').getBoundingClientRect().height") >= 32
    assert browser.run("document.querySelector('h1').getBoundingClientRect().height") <= 2 * 40


@ISSUES
@pytest.mark.parametrize("width", [375, 900])
def test_text_is_large_enough_to_read(number: str, width: int, pages: dict[str, Path], browser: Chromium) -> None:
    browser.show(pages[number], width=width)
    sizes = browser.run(f"({TEXTS}).map(e => parseFloat(getComputedStyle(e).fontSize))")
    assert min(sizes) >= 13
    story = browser.run("parseFloat(getComputedStyle(document.querySelector('.story')).fontSize)")
    assert story == 17


# Colour ------------------------------------------------------------------------------------------------------------

# The elements that hold words of their own, and are shown.
TEXTS = """[...document.querySelectorAll('body *')].filter(e => e.getClientRects().length && !e.matches('style')
  && [...e.childNodes].some(n => n.nodeType == 3 && n.data.replace(/[\\s\\u034f\\u200c\\u00a0]/g, '')))"""

# What each of them has to the first opaque colour behind it (WCAG 2.2, 1.4.3).
CONTRAST = """(elements => {
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length == 3 || colour[3] == 1) return colour;
    }
    return [255, 255, 255];
  };
  return elements.map(e => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
    return [(a + 0.05) / (b + 0.05), e.tagName, e.className, e.textContent.slice(0, 40)];
  });
})"""


@ISSUES
@SCHEMES
@pytest.mark.parametrize("width", [375, 900])
def test_all_text_has_contrast(number: str, dark: bool, width: int, pages: dict[str, Path], browser: Chromium) -> None:
    browser.show(pages[number], width=width, dark=dark)
    contrasts = browser.run(f"{CONTRAST}({TEXTS})")
    assert len(contrasts) > 20
    assert [found for found in contrasts if found[0] < 4.5] == []


BACKGROUNDS = """['body', '.canvas', '.paper', '.paper table', '.tint'].map(s => document.querySelector(s))
  .map(e => getComputedStyle(e).backgroundColor)"""
INKS = """['h1', '.story', '.story h3', '.story a[href]', '.vol', '.folio', '.num', '.foot p', '.tint p'].map(s => document.querySelector(s))
  .map(e => getComputedStyle(e).color)"""


def brightness(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


@SCHEMES
def test_the_scheme_of_the_reader_applies(dark: bool, pages: dict[str, Path], browser: Chromium) -> None:
    browser.show(pages["2.6"], dark=dark)
    paper, ink = (list(map(brightness, browser.run(script))) for script in (BACKGROUNDS, INKS))
    if dark:
        assert max(paper) < 40
        assert min(ink) > 130
    else:
        assert min(filter(None, paper)) > 230  # a table in the light scheme has none of its own
        assert max(ink) < 130


def test_outlook_com_in_the_dark_gets_the_same_colours(pages: dict[str, Path], browser: Chromium) -> None:
    """It knows no prefers-color-scheme, but marks what it repaints with [data-ogsc] and [data-ogsb]."""
    browser.show(pages["2.6"], dark=True)
    by_scheme = browser.run(BACKGROUNDS)[1:], browser.run(INKS)
    marked = pages["2.6"].read_text().replace("<body", "<body data-ogsc data-ogsb", 1)
    browser.show(variant(pages["2.6"], "outlook-com", marked))
    assert (browser.run(BACKGROUNDS)[1:], browser.run(INKS)) == by_scheme


# Links -------------------------------------------------------------------------------------------------------------


@ISSUES
def test_every_jump_arrives(number: str, pages: dict[str, Path], browser: Chromium) -> None:
    browser.show(pages[number], width=375)
    jumps = browser.run("[...document.querySelectorAll('a[href^=\"#\"]')].map(e => e.getAttribute('href'))")
    assert len(jumps) >= 5
    for jump in jumps:
        browser.run(f"location.hash = {jump!r}")
        top = browser.run(f"document.querySelector(`a[name='${{{jump!r}.slice(1)}}']`).getBoundingClientRect().top")
        assert -1 <= top <= 1 or browser.run("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")


# Pictures off --------------------------------------------------------------------------------------------------------


def test_without_pictures_their_words_are_there_to_read(pages: dict[str, Path], browser: Chromium) -> None:
    page = pages["2.6"].read_text()
    alone = pages["2.6"].parent.parent / "off"
    alone.mkdir(exist_ok=True)
    for width in (320, 900):
        browser.show(variant(alone / "x", "off", page), width=width)
        assert browser.run("document.images[0].naturalWidth") == 0
        box = browser.run("(b => [b.left, b.right, b.height])(document.images[0].getBoundingClientRect())")
        assert box[1] - box[0] == min(width, 640)
        words = browser.run("document.images[0].alt.length * 8 / document.images[0].clientWidth")  # lines that it needs
        assert box[2] >= 36 * words
        assert (
            browser.run("parseFloat(getComputedStyle(document.images[0]).minHeight)") == 150
        )  # who ignores the height
        with_words = browser.photograph()
        browser.show(variant(alone / "x", "mute", re.sub(' alt="[^"]*"', ' alt=""', page)), width=width)
        assert browser.photograph() != with_words
        ink, paper = browser.run("(s => [s.color, s.backgroundColor])(getComputedStyle(document.images[0]))")
        assert abs(brightness(ink) - brightness(paper)) > 120


# Outlook -----------------------------------------------------------------------------------------------------------


@ISSUES
def test_outlooks_branch_is_balanced_and_no_wider_than_the_message(
    number: str, pages: dict[str, Path], browser: Chromium
) -> None:
    page = as_outlook(pages[number].read_text())
    assert page.count('width="640"') > pages[number].read_text().count("<img")
    balance = Balance()
    balance.feed(page)
    assert (balance.wrong, balance.open) == ([], [])
    browser.show(variant(pages[number], "outlook", page), width=1200)
    boxes = browser.run(
        "[...document.querySelectorAll('table, td, img, p, h1, h2, h3, li, pre')].filter(e => e.getClientRects().length)"
        ".map(e => e.getBoundingClientRect()).map(b => [b.left, b.right])"
    )
    assert len(boxes) > 30
    assert {(left, right) for left, right in boxes if left < 280 or right > 920} == set()  # 640 in the middle of 1200


# The second opinion ----------------------------------------------------------------------------------------------------


@ISSUES
def test_css_inline_makes_the_same_picture_of_it(
    number: str, project: Path, pages: dict[str, Path], browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[str, str, str]] = []

    def inlined(page: str, inline: str, client: str) -> str:
        taken.append((page, inline, client))
        return inline_css(page, inline, client)

    monkeypatch.setattr(renderer, "inline_css", inlined)
    ours = renderer.render(load_issue(project, number), PUBLICATION, project / "templates").html
    ((page, inline, client),) = taken
    inliner = css_inline.CSSInliner(
        load_remote_stylesheets=False, inline_style_tags=False, keep_style_tags=True, extra_css=inline
    )
    theirs = inliner.inline(page.replace("</head>", f"<style>{client}</style></head>", 1))
    assert theirs != ours
    for width, dark in ((900, False), (375, False), (375, True)):
        photographs = []
        for name, text in (("premailer", ours), ("css-inline", theirs)):
            browser.show(variant(pages[number], name, text), width=width, dark=dark)
            photographs.append(browser.photograph())
        assert photographs[0] == photographs[1], f"{number} at {width} px"


def test_a_photograph_shows_a_difference(edition: Edition, tmp_path: Path, browser: Chromium) -> None:
    """So that the test above proves something."""
    page = edition.html.fill({"email": "a@example.org", "unsubscribe_url": "https://example.org/"})
    photographs = []
    for colour in ("#16181d", "#16181e"):
        (tmp_path / "a.html").write_text(page.replace("#16181d", colour))
        browser.show(tmp_path / "a.html")
        photographs.append(browser.photograph())
    assert photographs[0] != photographs[1]
