"""An issue becomes HTML, text and the pictures that travel along."""

import re
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import html

from alliance_mailer.errors import InputError
from alliance_mailer.issue import load_issue, parse_issue
from alliance_mailer.publication import Publication
from alliance_mailer.render import Rendered, content_id, render

FRONT = '---\nissue: "7"\ntitle: The Digest\ndate: 2024-02-29\n'
Render = Callable[..., Rendered]


def png(width: int, height: int, tone: int = 0) -> bytes:
    """A real picture, all of one tone."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress((b"\0" + bytes([tone]) * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def rendered(project: Path, publication: Publication) -> Render:
    """Render Markdown as issue 7 of the example publication; `front` is more front matter, `changes` the publication's."""

    def make(markdown: str, front: str = "", **changes: object) -> Rendered:
        text = f"{FRONT}{front}---\n{markdown}"
        issue = parse_issue(text, file="issues/7.md", number="7", folder=project / "issues", project=project)
        return render(issue, replace(publication, **changes), project / "templates")

    return make


def shown(rendering: Rendered) -> html.HtmlElement:
    """The page, its fields spelt out."""
    return html.document_fromstring(rendering.markers.shown(rendering.html))


def words(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


STORIES = "## Headlines\n- One\n- Two “2”\n\n## Details\n- First.\n- Second.\n"


# Structure ---------------------------------------------------------------------------------------------------------


def test_each_headline_leads_to_its_story_and_back(rendered: Render) -> None:
    page = shown(rendered(STORIES))
    headlines = page.xpath("//a[starts-with(@href, '#item-')]")
    assert [(words(link), link.get("href")) for link in headlines] == [("One", "#item-1"), ("Two “2”", "#item-2")]
    assert [words(heading) for heading in page.iter("h3")] == ["One", "Two “2”"]
    for link in page.xpath("//a[starts-with(@href, '#')]"):
        target = link.get("href").removeprefix("#")
        (anchor,) = page.xpath(
            f"//a[@name='{target}']"
        )  # Gmail, Outlook and Yahoo follow an empty <a name>, and no other
        assert (anchor.get("id"), words(anchor)) == (target, "")


def test_headings_go_down_one_step_at_a_time(rendered: Render) -> None:
    page = shown(rendered("lead\n\n" + STORIES + "\n## Notes\n### A note\nx"))
    assert [element.tag for element in page.iter("h1", "h2", "h3")] == ["h1", "h2", "h2", "h3", "h3", "h2", "h3"]


def test_a_headline_with_a_link_of_its_own_is_reached_by_its_numeral(rendered: Render) -> None:
    page = shown(rendered(STORIES.replace("One", "One [story](https://example.org/)")))
    assert [words(link) for link in page.xpath("//a[@href='#item-1']")] == ["1"]
    assert not page.xpath("//a//a")


def test_free_sections_are_lists_or_prose(rendered: Render) -> None:
    page = shown(rendered("A lead.\n\n## Jobs\n- one\n- two\n\n## Notes\nSome *prose*.\n\n> quoted\n\n---\nThe end."))
    assert re.search(r"A lead\..*Jobs\s*•\s*one\s*•\s*two.*Notes\s*Some prose\.\s*quoted\s*The end\.", words(page))
    assert [words(element) for element in page.iter("blockquote")] == ["quoted"]
    assert not page.xpath("//a[@href='#headlines']")


def test_an_issue_may_be_nothing_but_a_lead(rendered: Render) -> None:
    assert "Just this." in words(shown(rendered("Just this.")))


def test_the_masthead_names_publisher_title_number_and_date(rendered: Render) -> None:
    page = shown(rendered("x"))
    assert "Alliance Studies Institute The Digest Vol. 7 | February 29, 2024" in words(page)
    assert page.findtext(".//title") == "The Digest 7"


def test_the_foot_says_who_writes_why_and_how_to_leave(rendered: Render) -> None:
    page = shown(rendered("x", postal_address="1 Street\nTown"))
    foot = " ".join(page.xpath("//*[contains(@class, 'foot')]")[0].itertext())
    assert (
        " ".join(foot.split())
    ) == "Alliance Studies Institute 1 Street Town You are receiving this at {{ contact.email }}. Unsubscribe"
    (leave,) = page.xpath("//a[.='Unsubscribe']")
    assert leave.get("href") == "{{ contact.unsubscribe_url }}"


def test_archive_and_help_are_linked_when_there_are_such(rendered: Render) -> None:
    links = "//a[.='View in browser' or .='Help']/@href"
    assert shown(rendered("x")).xpath(links) == []
    page = shown(rendered("x", archive_url="https://a.example.org/", help_url="https://h.example.org/"))
    assert set(page.xpath(links)) == {"https://a.example.org/", "https://h.example.org/"}


def test_the_preheader_comes_first_and_is_not_seen(rendered: Render) -> None:
    page = shown(rendered("x", 'preheader: "In short: “this” & that"\n'))
    (preheader,) = page.xpath("//*[@class='preheader']")
    assert (preheader.text or "") == "In short: “this” & that"
    assert preheader.getparent().index(preheader) == 0
    assert {"display:none", "mso-hide:all"} <= {rule.strip() for rule in preheader.get("style").split(";")}
    assert "font-size" not in preheader.get("style")  # text of one pixel costs points at SpamAssassin
    assert not shown(rendered("x")).xpath("//*[@class='preheader']")


def test_the_language_of_the_publication_is_the_pages(rendered: Render) -> None:
    page = shown(rendered("x", language="ja"))
    assert [element.get("lang") for element in (page, *page.xpath("//*[@role='article']"))] == ["ja", "ja"]


def test_every_layout_table_says_that_it_is_one(rendered: Render) -> None:
    assert {table.get("role") for table in shown(rendered(STORIES)).iter("table")} == {"presentation"}


# What authors write ------------------------------------------------------------------------------------------------


def test_markup_in_the_text_is_text(rendered: Render) -> None:
    hostile = '<script>alert(1)</script> <b>x</b> & "q" {% x'.replace("{%", "\\{%")
    rendering = rendered(
        f"{hostile}\n\n## {hostile}\n{hostile}", f"subject: '{hostile}'\npreheader: '{hostile}'\n", organisation=hostile
    )
    page = shown(rendering)
    plain = hostile.replace("\\", "")
    assert not page.xpath("//script | //b")
    assert words(page).count(plain) >= 5
    assert page.findtext(".//title") == plain


def test_a_link_goes_where_it_was_written_to(rendered: Render) -> None:
    page = shown(rendered("[a](https://example.org/?a=1&b=%20x#y) [b](javascript:alert(1)) [c](https://例え.jp/パス)"))
    assert [link.get("href") for link in page.xpath("//p/a[not(@name)]")][:2] == [
        "https://example.org/?a=1&b=%20x#y",
        "https://xn--r8jz45g.jp/%E3%83%91%E3%82%B9",
    ]


def test_a_line_break_in_the_source_glues_no_words(rendered: Render) -> None:
    text = words(
        shown(rendered("[one](https://example.org/)\n[two](https://example.org/)\n**three**\n_four_  \n`five`"))
    )
    assert "one two three four five" in text


def test_a_field_in_the_subject_is_in_the_title_too(rendered: Render) -> None:
    rendering = rendered("x", "subject: \"{{ contact.name | default('You') }}: news\"\n")
    assert rendering.markers.shown(rendering.subject) == "{{ contact.name }}: news"
    page = shown(rendering)
    assert page.findtext(".//title") == "{{ contact.name }}: news"
    assert page.xpath("//*[@role='article']/@aria-label") == ["{{ contact.name }}: news"]


# Pictures ----------------------------------------------------------------------------------------------------------


def test_local_pictures_travel_once_and_are_named_by_their_content_id(
    rendered: Render, project: Path, publication: Publication
) -> None:
    for name, tone in (("hero.png", 1), ("a.png", 2), ("twin.png", 2)):
        (project / "issues" / name).write_bytes(png(1000, 500, tone))
    rendering = rendered("![one](a.png) ![two](twin.png) ![three](a.png)", "image: {src: hero.png, alt: Hero}\n")
    sources = shown(rendering).xpath("//img/@src")
    hero, inner = rendering.pictures
    assert sources == [f"cid:{content_id(picture, publication)}" for picture in (hero, inner, inner, inner)]


def test_a_picture_is_no_wider_than_its_place_and_never_enlarged(rendered: Render, project: Path) -> None:
    for name, size in (("large.png", (1280, 641)), ("small.png", (100, 30))):
        (project / "issues" / name).write_bytes(png(*size))
    page = shown(rendered("![](large.png) ![](small.png)", "image: {src: large.png, alt: Hero}\n"))
    assert [(p.get("width"), p.get("height")) for p in page.iter("img")] == [
        ("640", "320"),
        ("528", "264"),
        ("100", "30"),
    ]


def test_every_picture_has_its_words(rendered: Render, project: Path) -> None:
    (project / "issues" / "a.png").write_bytes(png(10, 10))
    page = shown(
        rendered(
            '![](a.png) ![日本 "x" **b**](a.png)',
            'image: {src: a.png, alt: "A “hero”", credit: Me, href: https://e.org/}\n',
        )
    )
    assert page.xpath("//img/@alt") == ["A “hero”", "", '日本 "x" b']
    assert "Image source: Me" in words(page)
    assert page.xpath("//a[.='Me']/@href") == ["https://e.org/"]


def test_pictures_on_a_server_of_ours_are_linked(rendered: Render, project: Path) -> None:
    (project / "issues" / "a.png").write_bytes(png(10, 10))
    for address in ("https://cdn.example.org/x", "https://cdn.example.org/x/"):
        rendering = rendered("![a](a.png)", assets_url=address)
        assert rendering.pictures == ()
        assert re.fullmatch(r"https://cdn\.example\.org/x/[0-9a-f]{16}\.png", shown(rendering).xpath("//img/@src")[0])


def test_a_picture_elsewhere_is_linked_as_it_stands(rendered: Render) -> None:
    rendering = rendered("![a](https://example.org/a.png)", "image: {src: 'https://example.org/hero.png', alt: Hero}\n")
    assert rendering.pictures == ()
    hero, inner = shown(rendering).iter("img")
    assert (hero.get("src"), hero.get("width"), hero.get("height")) == ("https://example.org/hero.png", "640", None)
    assert inner.get("src") == "https://example.org/a.png"


# Templates ---------------------------------------------------------------------------------------------------------


def test_a_template_that_is_not_there_is_named_with_the_nearest(project: Path, publication: Publication) -> None:
    issue = replace(load_issue(project, "2.6"), template="digset")
    with pytest.raises(
        InputError, match=r'issues/2\.6\.md:\d+: there is no template "digset" \(did you mean "digest"\?\)'
    ):
        render(issue, publication, project / "templates")


def test_a_template_needs_no_style_sheets(project: Path, publication: Publication) -> None:
    for name in ("inline.css", "client.css"):
        (project / "templates" / "digest" / name).unlink()
    assert "Vol. 2.6" in render(load_issue(project, "2.6"), publication, project / "templates").html


def test_the_issue_chooses_its_template(rendered: Render, project: Path) -> None:
    shutil.copytree(project / "templates" / "digest", project / "templates" / "plain")
    (project / "templates" / "plain" / "message.mjml.j2").write_text(
        "<mjml><mj-body><mj-section><mj-column><mj-text>{{ issue.title }}: {{ lead }}</mj-text>"
        "</mj-column></mj-section></mj-body></mjml>"
    )
    assert words(shown(rendered("x", "template: plain\n"))).endswith("The Digest: x")


def test_the_same_issue_renders_the_same(project: Path, publication: Publication) -> None:
    one, two = (render(load_issue(project, "2.6"), publication, project / "templates") for _ in range(2))
    assert (one.html, one.text, one.subject, one.pictures) == (two.html, two.text, two.subject, two.pictures)
