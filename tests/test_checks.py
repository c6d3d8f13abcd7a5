"""What should not be sent as it is: found before, with file and line."""

from pathlib import Path

import pytest

from alliance_mailer.checks import Finding, errors_in, run_checks
from alliance_mailer.issue import parse_issue

HERO = Path(__file__).parents[1] / "issues" / "2.6-hero.jpg"


def findings(body: str, front: str = "", folder: Path = HERO.parent) -> list[Finding]:
    """The body begins in line 6 + the lines of `front`."""
    text = f'---\nissue: "2.6"\ntitle: T\ndate: 2023-03-31\n{front}---\n{body}'
    return run_checks(parse_issue(text, file="issues/2.6.md", number="2.6", folder=folder, project=folder))


@pytest.mark.parametrize(
    ("href", "message"),
    [
        ("", "is empty"),
        ("#", "leads nowhere (#)"),
        ("https://", "leads nowhere (https://)"),
        ("https://…", "leads nowhere (https://xn--rvg)"),
        ("https:/example.org", "leads nowhere (https:/example.org)"),
        ("http://localhost:8000/", "leads nowhere (http://localhost:8000/)"),
        ("https:///example.org", "leads nowhere (https:///example.org)"),
        ("mailto:", "leads nowhere (mailto:)"),
        ("tel:", "leads nowhere (tel:)"),
        ("example.org", "is relative (example.org); a mail has no base"),
        ("/news", "is relative (/news); a mail has no base"),
        ("//example.org", "is relative (//example.org); a mail has no base"),
        ("ken@example.org", "is relative (ken@example.org); a mail has no base"),
        ("ftp://example.org", "has the scheme ftp:, which mail programs do not open"),
        ("CID:a@b", "has the scheme CID:, which mail programs do not open"),
        ("data:image/png;base64,x", "has the scheme data:, which mail programs do not open"),
    ],
)
def test_a_link_that_leads_nowhere_is_an_error_with_its_line(href: str, message: str) -> None:
    (found,) = findings(f"Text\nand [words]({href})\n")
    assert (found.rule, found.severity, found.line, found.message) == (
        "L001",
        "error",
        7,
        f"the link “words” {message}",
    )
    assert str(found) == f"issues/2.6.md:7: the link “words” {message} [L001]"
    assert found.fix == "write the address: [words](https://…)"


@pytest.mark.parametrize(
    "href",
    ["https://example.org", "HTTP://example.org/a?b#c", "mailto:a@example.org", "tel:+1-202", "#item-1", "{{ contact.page }}",
     "https://{{ contact.host }}/", "https://example.org/{{ contact.id }}", "mailto:{{ contact.email }}", "https://例え.jp"],
)  # fmt: skip
def test_a_link_that_can_be_opened_is_none(href: str) -> None:
    assert findings(f"[words]({href})\n") == []


def test_a_field_in_a_link_s_words_is_shown_as_it_was_written() -> None:
    (found,) = findings("[{{ contact.city }}](#)\n")
    assert found.message == "the link “{{ contact.city }}” leads nowhere (#)"


def test_every_empty_link_is_told_wherever_it_stands() -> None:
    body = (
        "[a](#)\n\n## Headlines\n\n- [b](#)\n\n## Details\n\n- c\n\n  [d]()\n\n## More\n\n> [e](#)\n\n---\n\n[f](#)\n"
    )
    found = findings(body, "image: {src: 2.6-hero.jpg, alt: A, credit: me, href: ''}\n")
    assert [(each.line, each.message.split("”")[0][-1]) for each in found] == [
        (5, "e"), (7, "a"), (11, "b"), (17, "d"), (21, "e"), (25, "f"),
    ]  # fmt: skip


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_picture_without_a_text_is_an_error(alt: str) -> None:
    found = findings(
        f"![{alt}](https://e.org/a.png) ![what it shows](https://e.org/b.png)\n", "image: {src: 2.6-hero.jpg}\n"
    )
    assert [(each.rule, each.severity, each.line, each.message) for each in found] == [
        ("A004", "error", 5, "the picture 2.6-hero.jpg has no alt text"),
        ("A004", "error", 7, "the picture https://e.org/a.png has no alt text"),
    ]
    assert all(each.fix for each in found)


def test_a_heavy_picture_is_a_warning(tmp_path: Path) -> None:
    jpeg = HERO.read_bytes()
    (tmp_path / "light.jpg").write_bytes(jpeg + bytes(2**20 - len(jpeg)))
    (tmp_path / "heavy.jpg").write_bytes(jpeg + bytes(1_600_000 - len(jpeg)))
    (found,) = findings("![a](light.jpg)\n![b](heavy.jpg)\n", folder=tmp_path)
    assert (found.rule, found.severity, found.line) == ("M005", "warning", 7)
    assert found.message == "the picture heavy.jpg weighs 1.5 MB, in every single message"


def test_findings_come_in_the_order_of_the_file() -> None:
    found = findings("[a](#) ![](https://e.org/a.png)\n[b](#)\n![](https://e.org/b.png)\n")
    assert [(each.line, each.rule) for each in found] == [(6, "A004"), (6, "L001"), (7, "L001"), (8, "A004")]


def test_only_errors_that_are_not_allowed_stop_an_issue() -> None:
    one, two, three = (
        Finding(rule, kind, "f", None, "m", "x") for rule, kind in (("A1", "error"), ("B1", "error"), ("C1", "warning"))
    )
    assert errors_in([one, two, three], ()) == [one, two]
    assert errors_in([one, two, three], {"A1", "C1"}) == [two]
    assert str(one) == "f: m [A1]"
