"""What should not be sent as it is: found before, with file and line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alliance_mailer.checks import Finding, errors_in

from .proofs import ISSUE, found, publication, pulled

HERO = Path(__file__).parents[2] / "issues" / "2.6-hero.jpg"
Find = Callable[..., list[Finding]]


@pytest.fixture
def findings(tmp_path: Path) -> Find:
    """What L001, A004 and M005 find in an issue. The body begins in line 6 + the lines of `front`."""
    folder = publication(tmp_path / "digest")

    def find(body: str, front: str = "") -> list[Finding]:
        (folder / ISSUE).write_text(f'---\nissue: "2.6"\ntitle: T\ndate: 2023-03-31\n{front}---\n{body}')
        return found(pulled(folder), "L001", "A004", "M005")

    return find


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
def test_a_link_that_leads_nowhere_is_an_error_with_its_line(findings: Find, href: str, message: str) -> None:
    (one,) = findings(f"Text\nand [words]({href})\n")
    assert (one.rule, one.severity, one.line, one.message) == (
        "L001",
        "error",
        7,
        f"the link “words” {message}",
    )
    assert str(one) == f"issues/2.6.md:7: the link “words” {message} [L001]"
    assert one.fix == "write the address: [words](https://…)"
    assert (one.column, one.excerpt) == (5, f"and [words]({href})")


@pytest.mark.parametrize(
    "href",
    ["https://example.org", "HTTP://example.org/a?b#c", "mailto:a@example.org", "tel:+1-202", "#item-1", "{{ contact.page }}",
     "https://{{ contact.host }}/", "https://example.org/{{ contact.id }}", "mailto:{{ contact.email }}", "https://例え.jp"],
)  # fmt: skip
def test_a_link_that_can_be_opened_is_none(findings: Find, href: str) -> None:
    assert errors_in(findings(f"[words]({href})\n"), ()) == []


def test_a_field_in_a_link_s_words_is_shown_as_it_was_written(findings: Find) -> None:
    (one,) = findings("[{{ contact.city }}](#)\n")
    assert one.message == "the link “{{ contact.city }}” leads nowhere (#)"


def test_every_empty_link_is_told_wherever_it_stands(findings: Find) -> None:
    body = (
        "[a](#)\n\n## Headlines\n\n- [b](#)\n\n## Details\n\n- c\n\n  [d]()\n\n## More\n\n> [e](#)\n\n---\n\n[f](#)\n"
    )
    all_ = findings(body, "image: {src: 2.6-hero.jpg, alt: A, credit: me, href: ''}\n")
    assert [(each.line, each.message.split("”")[0][-1]) for each in all_] == [
        (5, "e"), (7, "a"), (11, "b"), (17, "d"), (21, "e"), (25, "f"),
    ]  # fmt: skip


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_picture_without_a_text_is_an_error(findings: Find, alt: str) -> None:
    all_ = findings(
        f"![{alt}](https://e.org/a.png) ![what it shows](https://e.org/b.png)\n", "image: {src: 2.6-hero.jpg}\n"
    )
    assert [(each.rule, each.severity, each.line, each.message) for each in all_] == [
        ("A004", "error", 5, "the picture 2.6-hero.jpg has no alt text"),
        ("A004", "error", 7, "the picture https://e.org/a.png has no alt text"),
    ]
    assert all(each.fix for each in all_)


def test_a_heavy_picture_is_a_warning(findings: Find, tmp_path: Path) -> None:
    jpeg = HERO.read_bytes()
    (tmp_path / "digest/issues/light.jpg").write_bytes(jpeg + bytes(2**20 - len(jpeg)))
    (tmp_path / "digest/issues/heavy.jpg").write_bytes(jpeg + bytes(1_600_000 - len(jpeg)))
    (one,) = findings("![a](light.jpg)\n![b](heavy.jpg)\n")
    assert (one.rule, one.severity, one.line) == ("M005", "warning", 7)
    assert one.message == "the picture heavy.jpg weighs 1.5 MB, in every single message"


def test_findings_come_in_the_order_of_the_file(findings: Find) -> None:
    all_ = findings("[a](#) ![](https://e.org/a.png)\n[b](#)\n![](https://e.org/b.png)\n")
    assert [(each.line, each.rule) for each in all_] == [(6, "L001"), (6, "A004"), (7, "L001"), (8, "A004")]


def test_only_errors_that_are_not_allowed_stop_an_issue() -> None:
    one, two, three = (
        Finding(rule, kind, "f", None, "m", "x") for rule, kind in (("A1", "error"), ("B1", "error"), ("C1", "warning"))
    )
    assert errors_in([one, two, three], ()) == [one, two]
    assert errors_in([one, two, three], {"A1", "C1"}) == [two]
    assert str(one) == "f: m [A1]"
