"""A manuscript becomes an issue definition that the issue's reader takes, and not a word is lost on the way."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from alliance_mailer.errors import InputError
from alliance_mailer.issue import Issue, parse_issue, plain
from alliance_mailer.manuscript import Definition, issue_definition

FIXTURE = (Path(__file__).parent / "fixtures" / "manuscript.md").read_text(encoding="utf-8")
BODY = "## Headlines:\n\n- One\n- Two\n\n## Details:\n\n- First\n- Second\n\n---\n\nColophon\n"


def imported(text: str, number: str | None = None) -> Definition:
    return issue_definition(text, file="draft.md", number=number)


def read(definition: Definition) -> Issue:
    here = Path(__file__).parent
    return parse_issue(definition.text, file="issue.md", number=definition.number, folder=here, project=here)


def front(definition: Definition) -> dict[str, object]:
    return yaml.safe_load(definition.text.split("---\n")[1])


def body(definition: Definition) -> str:
    return definition.text.split("---\n", 2)[2]


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[^\W_]+", text.casefold()))


def shown(markdown: str) -> str:
    return " ".join(plain(token.children or []) for token in MarkdownIt().parse(markdown) if token.type == "inline")


def entries(issue: Issue, section: int) -> list[str]:
    return [plain(entry.blocks[1].children or []) for entry in issue.sections[section].entries]


# A real manuscript ---------------------------------------------------------------------------------------


def test_a_manuscript_as_its_authors_wrote_it() -> None:
    definition = imported(FIXTURE)
    assert definition.number == "3.4"
    assert definition.text.startswith(
        '---\nissue: "3.4"\ntitle: "Harbour Cities Digest"\ndate: 2023-10-06\n'
        '# image: {src: "…", alt: "…", credit: "Velden Port Authority", href: "#"}\n'
        "audience: [subscribers]\ntemplate: digest\n---\n\n## Headlines\n\n- Velden and Osmark open"
    )
    assert "Tarn\n\n## Details\n\n- The port authorities" in definition.text
    assert "dredges.\n\n---\n\n“Harbour Cities Digest” is a monthly letter" in definition.text
    assert definition.text.endswith("(mailto:harbour@example.org)\n")
    assert definition.notes == ("line 13: no picture named for “Velden Port Authority”: image.src is to be filled in",)
    lost = words(shown(FIXTURE)) - words(definition.text)
    assert lost == words("Vol, October 6, Source")  # labels that became keys (image: is one), and the date's spelling


def test_its_definition_is_a_valid_issue() -> None:
    issue = read(imported(FIXTURE))
    assert [(section.title, len(section.entries)) for section in issue.sections] == [("Headlines", 5), ("Details", 5)]
    assert [link.href for link in issue.links].count("#") == FIXTURE.count("](#)") - 1  # one is the picture's credit
    assert "$48 million" in "".join(entries(issue, 1))
    assert issue.colophon
    assert not issue.lead


def test_what_waits_in_the_comment_can_be_uncommented() -> None:
    values = front(Definition("", imported(FIXTURE).text.replace("# image", "image"), ()))
    assert values["image"] == {"src": "…", "alt": "…", "credit": "Velden Port Authority", "href": "#"}


@pytest.mark.parametrize("end", ["\r\n", "\r", "\u2028"])
def test_any_line_end_and_a_byte_order_mark(end: str) -> None:
    assert imported("\ufeff" + FIXTURE.replace("\n", end)) == imported(FIXTURE)


# Number and date -----------------------------------------------------------------------------------------

DATES = {
    "2023-03-31": [
        "March 31, 2023", "2023-03-31", "31 March 2023", "Mar 31, 2023", "Mar. 31, 2023", "March 31st, 2023", "31/03/2023",
        "Friday, March 31, 2023", "Fri 31 Mar 2023", "31.03.2023", "31. March 2023", "31st of March 2023",
        "Date: March 31, 2023", "**March 31, 2023**", "March\u00a031, 2023", "March 31, 2023\\", "MARCH 31 2023", "2023年3月31日",
        "### March 31, 2023", "2023/03/31", "Mar\u200bch 31, 2023",
    ],
    "2023-04-03": ["03.04.2023", "Monday, 3rd April, 2023"],
    "2023-09-05": ["Sept. 5, 2023", "5 Sep 2023"],
    "2023-05-05": ["05/05/2023", "May 5, 2023"],
}  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), [(each, day) for day, many in DATES.items() for each in many])
def test_a_date_in_any_spelling_becomes_the_day(written: str, meant: str) -> None:
    definition = imported(f"# Digest\n\nVol: 2.6\n\n{written}\n\n{BODY}")
    assert str(read(definition).date) == meant
    assert definition.notes == ()
    assert body(definition).startswith("\n## Headlines\n")


@pytest.mark.parametrize("written", ["03/04/2023", "February 30, 2023", "Marsh 31, 2023", "next Friday", "March 2023"])
def test_what_is_not_surely_a_day_is_no_date(written: str) -> None:
    with pytest.raises(InputError, match=r"date|03/04/2023") as caught:
        imported(f"# Digest\n\nVol: 2.6\n\n{written}\n\n{BODY}")
    assert len(caught.value.problems) == 1
    assert "2023-03-31" in caught.value.hint


def test_a_date_with_two_readings_is_kept_and_both_are_named() -> None:
    with pytest.raises(InputError, match="2023-03-04 or 2023-04-03"):
        imported(f"# Digest\nVol: 2.6\n03/04/2023\n{BODY}")
    definition = imported(f"# Digest\nVol: 2.6\n03/04/2023\n2023-04-03\n{BODY}")
    assert str(read(definition).date) == "2023-04-03"
    assert body(definition).startswith("\n03/04/2023\n\n## Headlines")
    assert (
        definition.notes[0] == "line 3: found “03/04/2023”, which can mean 2023-03-04 or 2023-04-03; the line is kept"
    )


NUMBERS = {
    "2.6": ["Vol: 2.6", "Vol. 2.6", "Volume 2.6", "vol 2.6.", "Vol 2, No. 6", "Volume 2, Issue 6", "**Vol:** 2.6", "Vol.\u00a02.6", "Vol: 2.\u200b6"],
    "2.10": ["Vol: 2.10"],
    "14": ["Issue No. 14", "No. 14", "Issue 14", "Issue #14", "№ 14", "Issue: 14", "Nr. 14", "Issue number 14", "Number 14", "## Issue 14"],
}  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), [(each, number) for number, many in NUMBERS.items() for each in many])
def test_a_number_in_any_spelling(written: str, meant: str) -> None:
    definition = imported(f"# Digest\n\n{written}\n\nMarch 31, 2023\n\n{BODY}")
    assert (definition.number, read(definition).number) == (meant, meant)
    assert definition.notes == ()
    assert body(definition).startswith("\n## Headlines\n")


@pytest.mark.parametrize(
    "line",
    [
        "Vol. 2.6 | March 31, 2023",
        "March 31, 2023 – Volume 2.6",
        "Vol 2, No. 6, 31.03.2023",
        "| Vol: 2.6 | Date: 2023-03-31 |",
    ],
)
def test_number_and_date_on_one_line(line: str) -> None:
    definition = imported(f"# Digest\n\n{line}\n\n{BODY}")
    assert (definition.number, str(read(definition).date), definition.notes) == ("2.6", "2023-03-31", ())
    assert body(definition).startswith("\n## Headlines\n")


def test_a_number_that_would_have_three_parts_is_asked_for() -> None:
    with pytest.raises(InputError, match="found no number"):
        imported(f"# Digest\n2023-03-31\nVol. 2.6, No. 14\n{BODY}")


def test_a_number_with_a_link_is_kept() -> None:
    definition = imported(f"# Digest\n2023-03-31\n[Vol. 2.6](https://example.org)\n{BODY}", "2.6")
    assert body(definition).startswith("\n[Vol. 2.6](https://example.org)\n\n## Headlines")


def test_the_number_asked_for_outranks_the_manuscript() -> None:
    definition = imported(FIXTURE, "3.5")
    assert (definition.number, read(definition).number) == ("3.5", "3.5")
    assert "line 7: here it is issue 3.4; it is imported as 3.5" in definition.notes
    assert imported(f"# Digest\n2023-03-31\n{BODY}", "7").number == "7"


@pytest.mark.parametrize(
    "line",
    ["Vol. 2.6 is our best", "Issue 14 came out on March 31, 2023", "[Vol. 2.6](https://example.org)", "Vol: 2.6"],
)
def test_a_line_that_says_more_or_says_it_again_is_kept(line: str) -> None:
    definition = imported(f"# Digest\n\nVol: 2.5\n{line}\nMarch 30, 2023\n\n{BODY}")
    assert body(definition).startswith(f"\n{line}\n\n## Headlines")
    assert definition.number == "2.5"
    assert definition.notes[0].startswith("line 4: “")
    assert read(definition).lead


# Title and picture ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "title",
    [
        "# The *Digest* &amp; more",
        "The Digest & more\n=====",
        "The Digest & more",
        "**The Digest & more**",
        "## The Digest & more",
    ],
)
def test_a_title(title: str) -> None:
    definition = imported(f"{title}\n\nVol: 2.6\n2023-03-31\n\n{BODY}")
    assert (read(definition).title, definition.notes) == ("The Digest & more", ())


def test_a_title_below_other_text() -> None:
    definition = imported(f"Dear all,\n\n# Digest\n\nVol: 2.6\n2023-03-31\n\n{BODY}")
    assert read(definition).title == "Digest"
    assert body(definition).startswith("\nDear all,\n\n## Headlines")


def test_a_long_sentence_is_no_title() -> None:
    intro = "This is the story of how we came to write " + "a very " * 12 + "long sentence."
    for below in ("\nSo there", "\n\nSo there"):
        definition = imported(f"Vol: 2.6\n2023-03-31\n\n{intro}{below}\n\n{BODY}")
        assert read(definition).title == "Issue 2.6"
        assert "line 1: no title was found; the number stands in for it" in definition.notes
        assert "line 4: “This is the story of how we came to writ…” stands above" in "".join(definition.notes)
        assert f"{intro}{below}" in body(definition)


@pytest.mark.parametrize("title", ['Say "yes": \\# 1', "2.10", "no", "- [x] {a}", "’tis: a #tag", "\\\\{{ x }}"])
def test_a_title_that_yaml_could_misread(title: str) -> None:
    definition = imported(f"# {title}\n\nVol: 2.6\n2023-03-31\n\n{BODY}")
    assert read(definition).title == shown(f"# {title}").replace("\\", "")


@pytest.mark.parametrize(
    "label",
    [
        "Image Source",
        "Image source",
        "Image Credit",
        "Photo",
        "Photo credit",
        "PHOTO CREDITS",
        "Picture source",
        "Photograph by",
    ],
)
def test_a_picture_and_its_credit(label: str) -> None:
    head = f"# Digest\n\nVol: 2.6\n2023-03-31\n\n![A ship *at sea*](my%20ship.jpg)\n\n*{label}: [Smith \\& Co](https://example.org/)*\n\n"
    definition = imported(head + BODY)
    assert front(definition)["image"] == {
        "src": "my ship.jpg", "alt": "A ship at sea", "credit": "Smith & Co", "href": "https://example.org/"
    }  # fmt: skip
    assert list(front(definition)["image"]) == ["src", "alt", "credit", "href"]
    assert definition.notes == ()
    assert body(definition).startswith("\n## Headlines")


def test_a_picture_with_its_credit_on_the_same_line_or_above() -> None:
    wanted = {"src": "https://example.org/a%20b.jpg", "alt": "A – b", "credit": "X"}
    for lines in (
        '![A](https://example.org/a%20b.jpg "b") Photo: X',
        'Photo: X\n![A](https://example.org/a%20b.jpg "b")',
    ):
        definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{lines}\n{BODY}")
        assert front(definition)["image"] == wanted
        assert read(definition).image


def test_a_picture_without_words_is_noted() -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n\n![](ship.jpg)\n{BODY}")
    assert front(definition)["image"] == {"src": "ship.jpg", "alt": ""}
    assert definition.notes == ("line 5: no words describe ship.jpg: image.alt is to be filled in",)


def test_no_picture_at_all() -> None:
    assert "image" not in imported(f"# Digest\nVol: 2.6\n2023-03-31\n{BODY}").text


@pytest.mark.parametrize(
    "line",
    ["![a](a.jpg) ![b](b.jpg)", "![a](a.jpg) as seen from here", "Photo: [a](#) and [b](#)", "Photo:"],
)  # fmt: skip
def test_a_picture_or_credit_that_does_not_fit_is_kept(line: str) -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n\n{line}\n\n{BODY}")
    assert "image" not in definition.text.split("---\n")[1]
    assert body(definition).startswith(f"\n{line}\n\n## Headlines")


def test_a_picture_beside_the_title_is_kept() -> None:
    definition = imported(f"# Digest ![logo](logo.png)\nVol: 2.6\n2023-03-31\n{BODY}")
    assert body(definition).startswith("\n## Digest ![logo](logo.png)\n\n## Headlines")


def test_notes_come_in_the_order_of_the_manuscript() -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n\nIntro.\n\nPhoto:A\n{BODY}")
    assert [note.partition(":")[0] for note in definition.notes] == ["line 5", "line 7"]
    assert 'credit: "A"' in definition.text


def test_a_second_credit_is_kept() -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\nPhoto: A\nPhoto: B\n{BODY}")
    assert "\nPhoto: B\n" in body(definition)
    assert 'credit: "A"' in definition.text


def test_a_credit_broken_within_its_link() -> None:
    definition = imported(
        f"# Digest\nVol: 2.6\n2023-03-31\nImage Source: [Office of\nthe Trade Rep](#)\nAn intro\n\n{BODY}"
    )
    assert '# image: {src: "…", alt: "…", credit: "Office of the Trade Rep", href: "#"}' in definition.text
    assert "line 6: “An intro” stands above the first section, and stays there" in definition.notes


# Sections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "heading",
    [
        "## {}:", "# {}", "### {} ###", "#{}", "**{}:**", "**{}**:", "__{}__", "***{}***", "{}:", "{}：", "{}\n-----", "{}:\n=====",
        "## **{}:**", "**{}:**\n---", "**{}** :", "\u00a0## {}", "##\u00a0{}", "\u200b{}:",
    ],
)  # fmt: skip
@pytest.mark.parametrize("case", [str.capitalize, str.upper])
def test_headings_in_any_dress(heading: str, case: object) -> None:
    parts = BODY.replace("## Headlines:", heading.format(case("headlines"))).replace(
        "## Details:", heading.format(case("details"))
    )
    definition = imported(f"# Digest\n\nVol: 2.6\n2023-03-31\n\n{parts}")
    assert body(definition).strip() == BODY.replace(":", "").strip()
    assert definition.notes == ()


@pytest.mark.parametrize("heading", ["Details:", "**Details**", "# Details"])
def test_a_heading_right_under_a_bullet_or_a_line(heading: str) -> None:
    issue = read(imported(f"# Digest\nVol: 2.6\n2023-03-31\nHeadlines:\n- One\n{heading}\n- First\n"))
    assert (entries(issue, 0), entries(issue, 1)) == (["One"], ["First"])


@pytest.mark.parametrize(
    "bullet", ["*", "+", "1.", "1)", "•", "-\u00a0", "-\t", "•\t", "\u00a0-", "10.", "  -", "-   "]
)
def test_bullets_of_any_kind(bullet: str) -> None:
    text = re.sub(r"(?m)^-(?= [A-Z])", bullet, BODY)
    definition = imported(f"# Digest\n\nVol: 2.6\n2023-03-31\n\n{text}")
    assert body(definition).strip() == BODY.replace(":", "").strip()
    assert definition.notes == ()


def test_a_pasted_bullet_without_a_blank() -> None:
    issue = read(imported("# Digest\nVol: 2.6\n2023-03-31\n" + BODY.replace("- ", "•")))
    assert entries(issue, 0) == ["One", "Two"]


@pytest.mark.parametrize("marker", ["- ", "1. ", "10)  ", "-   "])
def test_an_item_keeps_its_structure(marker: str) -> None:
    pad = " " * len(marker)
    item = f"{marker}First line\nlazy line\n{pad}third line\n\n{pad}Paragraph\n\n{pad}- sub\n{pad}  - subsub\n\n{pad}    code\n"
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n\n## Headlines\n- One\n\n## Details\n{item}\n---\nColophon")
    tidy = "- First line\n  lazy line\n  third line\n\n  Paragraph\n\n  - sub\n    - subsub\n\n      code\n\n---"
    assert f"## Details\n\n{tidy}\n" in definition.text


def test_loose_lists_mixed_markers_and_empty_bullets_become_one_list() -> None:
    text = "# Digest\nVol: 2.6\n2023-03-31\n\n## Headlines\n\n- One\n\n- \n\n* Two\n\n<!-- -->\n\n- Three\n\n## Details\n- a\n- b\n- c\n\n---\nC"
    definition = imported(text)
    assert "## Headlines\n\n- One\n- Two\n- Three\n\n## Details" in definition.text
    assert definition.notes == ()
    assert entries(read(definition), 0) == ["One", "Two", "Three"]


def test_paragraphs_where_bullets_were_wanted() -> None:
    definition = imported(
        "# Digest\nVol: 2.6\n2023-03-31\n\nHeadlines:\n\nOne\n\nTwo\n\nDetails:\n\n- First\n\n- Second\n\n---\nC"
    )
    assert entries(read(definition), 0) == ["One", "Two"]
    assert definition.notes == (
        "line 7: “One” is no bullet; it is taken as an item of Headlines",
        "line 9: “Two” is no bullet; it is taken as an item of Headlines",
    )


def test_stray_paragraphs_are_kept_where_an_issue_can_hold_them() -> None:
    definition = imported(
        "# Digest\nVol: 2.6\n2023-03-31\n\nIntro.\n\n## Headlines\n\nBefore.\n\n- One\n- Two\n\nAfter.\n\n"
        "## Details\n\n- First\n\nContinued\nthere.\n\n- Second\n\n---\n\nColophon"
    )
    assert body(definition) == (
        "\nIntro.\n\nBefore.\n\nAfter.\n\n## Headlines\n\n- One\n- Two\n\n"
        "## Details\n\n- First\n\n  Continued\n  there.\n- Second\n\n---\n\nColophon\n"
    )
    assert definition.notes == (
        "line 5: “Intro.” stands above the first section, and stays there",
        "line 9: “Before.” is no item of Headlines; it now stands above the sections",
        "line 14: “After.” is no item of Headlines; it now stands above the sections",
        "line 20: “Continued there.” is no bullet; it is taken as a part of the one above",
    )
    read(definition)


def test_a_stray_above_the_first_detail_and_a_heading_below() -> None:
    text = BODY.replace("- First", "Before.\n\n- First\n\n### Part two\n")
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{text}")
    assert body(definition).startswith("\nBefore.\n\n## Headlines")
    assert "## Details\n\n- First\n\n  ### Part two\n- Second\n\n---" in definition.text
    read(definition)


def test_sections_of_different_levels() -> None:
    text = BODY.replace("## Headlines", "# Headlines").replace("Colophon", "### Contact\n\nHere")
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{text}")
    assert "\n## Details\n" in definition.text
    assert definition.text.endswith("- Second\n\n---\n\n### Contact\n\nHere\n")


def test_an_empty_section() -> None:
    definition = imported("# Digest\nVol: 2.6\n2023-03-31\n## Headlines\n## Details\n\n---\n\n- First\n")
    assert body(definition) == "\n## Headlines\n\n## Details\n\n- First\n"


def test_further_sections_stay_where_they_are() -> None:
    definition = imported(
        "# Digest\nVol: 2.6\n2023-03-31\n# Editor’s note\nHello\n\n# Headlines\n- One\n\n***\n\n# Events\n1. Talk\n## When\nNoon\n"
        "# Details\n- First\n\n---\n\nColophon"
    )
    assert body(definition) == (
        "\n## Editor’s note\n\nHello\n\n## Headlines\n\n- One\n\n## Events\n\n1. Talk\n\n### When\n\nNoon\n\n"
        "## Details\n\n- First\n\n---\n\nColophon\n"
    )
    assert [section.title for section in read(definition).sections] == [
        "Editor’s note",
        "Headlines",
        "Events",
        "Details",
    ]
    assert "line 12: the section “Events” is kept as it is" in definition.notes


def test_bold_lines_are_sections_where_headlines_are_bold() -> None:
    text = "Digest\n\nVol: 2.6\n2023-03-31\n\n**Headlines:**\n- One\n\n**Details:**\n- First\n\n**Events:**\n- Talk\n\n---\nC"
    assert "\n## Events:\n\n- Talk\n" in body(imported(text))
    for heading in ("# {}", "## **{}**"):
        other = text.replace("**Headlines:**", heading.format("Headlines")).replace(
            "**Details:**", heading.format("Details")
        )
        assert "\n- First\n\n  **Events:**\n- Talk\n" in body(imported(other))
    assert body(imported(f"{text}\n**Bold.**\n")).endswith("\n---\n\nC\n**Bold.**\n")


def test_a_heading_of_two_lines() -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n\nTo be\ncontinued\n---\nText\n{BODY}")
    assert body(definition).startswith("\n## To be continued\n\nText\n")
    assert definition.notes == ("line 5: the section “To be continued” is kept as it is",)


def test_unpaired_headlines_are_noted() -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{BODY.replace('- Two', '')}")
    assert definition.notes == ("line 4: found 1 headlines, but 2 details; they pair item by item",)


def test_a_second_list_of_headlines_is_kept() -> None:
    definition = imported("# Digest\nVol: 2.6\n2023-03-31\n" + BODY.replace("---", "## Headlines\n- Three"))
    assert "## Headlines\n\n- Three" in definition.text
    assert "line 14: the section “Headlines” is kept as it is" in definition.notes


# Colophon ------------------------------------------------------------------------------------------------


def test_a_colophon_without_its_rule() -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{BODY.replace('---', 'Also here')}")
    assert body(definition).endswith("- Second\n\n---\n\nAlso here\n\nColophon\n")
    assert definition.notes == ("line 14: no rule stands above “Also here”; it is taken as the colophon",)
    assert len(read(definition).colophon) == 6


@pytest.mark.parametrize(("between", "rule"), [("x", ""), ("---", "---"), ("x\n\n---", "---")])
def test_the_colophon_is_what_comes_last(between: str, rule: str) -> None:
    text = BODY.replace("- Second", f"\n{between}\n\n- Second").replace("\n---\n\nC", f"\n{rule}\n\nC")
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{text}")
    assert definition.text.endswith("\n- Second\n\n---\n\nColophon\n")
    assert body(definition).count("---") == 1


def test_the_last_rule_is_the_colophons_and_others_go() -> None:
    text = BODY.replace("\n## Details:", "\n* * *\n\n## Details:\n\n---\n").replace("Colophon", "Colophon\n\n---")
    assert body(imported(f"# Digest\nVol: 2.6\n2023-03-31\n\n---\n\n{text}")).strip() == BODY.replace(":", "").strip()


def test_no_colophon() -> None:
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{BODY.partition('---')[0]}")
    assert definition.notes == ("line 11: nothing stands below the last section: the issue has no colophon",)
    assert read(definition).colophon == ()


def test_link_definitions_are_no_colophon_and_still_define() -> None:
    definition = imported(
        f"# Digest\nVol: 2.6\n2023-03-31\n{BODY.partition('---')[0].replace('Second', '[Second]')}\n[second]: https://example.org/\n"
    )
    assert read(definition).links[0].href == "https://example.org/"
    assert "---" not in body(definition)


# Characters ----------------------------------------------------------------------------------------------


def test_braces_are_text() -> None:
    text = BODY.replace("First", "{{ contact.name }} {% if %} {{{ \\{{ }").replace(
        "Colophon", "[x](https://example.org/{{y}})"
    )
    definition = imported(
        f"# A {{{{ b }}}}\nVol: 2.6\n2023-03-31\n![{{{{](https://example.org/x.png)\nPhoto: {{% c\n{text}"
    )
    issue = read(definition)
    assert issue.fields == ()
    assert issue.title == "A {{ b }}"
    assert issue.image is not None
    assert (issue.image.alt, issue.image.credit) == ("{{", "{% c")
    assert entries(issue, 1)[0] == "{{ contact.name }} {% if %} {{{ {{ }"


def test_characters_of_word_processors() -> None:
    text = BODY.replace("First", "Bi\u200bden\x92s min\ufefferals\u00a0deal\x85 👩\u200d💻 \\$209\x0b").replace(
        "Second", "a\u2028b"
    )
    definition = imported(f"# Digest\nVol: 2.6\n2023-03-31\n{text}")
    assert entries(read(definition), 1) == ["Biden’s minerals\u00a0deal… 👩\u200d💻 $209", "a b"]


# What cannot be an issue ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff \u00a0\u200b\r\n"])
def test_nothing_is_no_issue(text: str) -> None:
    with pytest.raises(InputError, match=r"draft\.md: found no text") as caught:
        imported(text, "2.6")
    assert caught.value.hint


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        imported("\n\nSome text\n")
    assert [str(problem).partition(",")[0] for problem in caught.value.problems] == [
        "draft.md:3: found neither Headlines nor Details",
        "draft.md:3: found no number",
        "draft.md:3: found no date above the headlines",
    ]
    assert "mailer import draft.md --issue 2.6" in [problem.hint for problem in caught.value.problems]


# Nothing is lost -----------------------------------------------------------------------------------------

# Letters and digits of several scripts. Each word ends in a letter, so that none is a number or a date.
WORD = st.from_regex(r"[A-Za-z0-9éßжд日本ぁ]{0,5}[a-zéжд日]", fullmatch=True)
DRESSED = st.one_of(
    WORD,
    WORD.map("[{}](#)".format),
    WORD.map("[{}](https://example.org/a_b?c=1)".format),
    WORD.map("**{}**".format),
    WORD.map("“{}”".format),
    WORD.map("\\${},".format),
    WORD.map("{{{{ {} }}}}".format),
    WORD.map("{{% {}".format),
    WORD.map("\u200b{}\u00a0".format),
)
TEXT = st.lists(DRESSED, min_size=1, max_size=8).map(" ".join)


@dataclass(frozen=True)
class Manuscript:
    text: str
    written: str  # what of it must not be lost, without labels and the date's spelling
    number: str
    day: str


@st.composite
def manuscripts(draw: st.DrawFn) -> Manuscript:
    written: list[str] = []

    def text() -> str:
        written.append(draw(TEXT))
        return written[-1]

    def maybe(value: str) -> list[str]:
        return [value] if draw(st.booleans()) else []

    number, spelled = draw(st.sampled_from([(number, each) for number, many in NUMBERS.items() for each in many]))
    day, dated = draw(st.sampled_from([(day, each) for day, many in DATES.items() for each in many]))
    label = draw(st.sampled_from(["## {}:", "# {}", "**{}:**", "{}:", "{}\n===", "{}:\n---"]))
    bullet = draw(st.sampled_from(["-", "*", "+", "•", "-\u00a0"]))
    between = draw(st.sampled_from(["\n", "\n\n", "\n\u00a0\n"]))
    count = draw(st.integers(1, 4))

    meta = draw(
        st.sampled_from(
            [[spelled, dated], [dated, spelled], [f"{spelled} | {dated}".replace("\\", "").replace("#", "")]]
        )
    )
    if draw(st.booleans()):
        credit = draw(st.sampled_from(["Image Source", "Image Credit", "Photo", "Photo credit", "Picture source"]))
        meta = [*meta, f"{credit}: {draw(st.sampled_from(['{}', '[{}](#)', '*{}*'])).format(draw(WORD))}"]
        written.append(meta[-1].partition(": ")[2])
    title = f"# {draw(WORD)} {draw(WORD)}"
    written.append(title)
    blocks = [title, *meta]
    blocks += [text() for _ in range(draw(st.integers(0, 2)))]
    for name in ("Headlines", "Details"):
        blocks += maybe("---")
        blocks += [label.format(name)]
        blocks += [between.join(f"{bullet} {text()}" for _ in range(count))]
        if name == "Details":
            for _ in range(draw(st.integers(0, 2))):
                blocks += [text(), f"{bullet} {text()}"]
    blocks += maybe("---")
    if draw(st.booleans()):
        blocks += [text()]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    whole = draw(st.sampled_from(["", "\n\n\n", "\ufeff"])) + "\n\n".join(blocks) + draw(st.sampled_from(["", "\n"]))
    return Manuscript(whole.replace("\n", end), "\n".join(written), number, day)


@given(manuscripts())
def test_no_word_is_lost(manuscript: Manuscript) -> None:
    definition = imported(manuscript.text)
    kept = definition.text.partition("---\n")[2].partition("---\n")
    written = words(shown(manuscript.written.replace("\u200b", "")))
    assert written - words(kept[0] + shown(kept[2])) == Counter()
    assert (definition.number, str(front(definition)["date"])) == (manuscript.number, manuscript.day)
    assert definition.text.endswith("\n")
    assert not re.search(r"(?<!\\)\{[{%]", definition.text)


@given(manuscripts())
def test_the_reader_takes_it(manuscript: Manuscript) -> None:
    definition = imported(manuscript.text)
    unpaired = any("they pair item by item" in note for note in definition.notes)
    if unpaired:
        with pytest.raises(InputError, match="they pair item by item"):
            read(definition)
    else:
        assert read(definition).number == manuscript.number


SCRAPS = [
    "{}", "- {}", "* {}", "  {}", "    {}", "\t{}", "1. {}", "> {}", "# {}", "## {}", "### {}", "**{}**", "{}\n---", "{}\n===", "---",
    "```", "[{}]: https://example.org", "[{}](#)", "![{}](a.png)", "Photo: {}", "Photo: [{}](#)", "Headlines:", "**Details**",
    "# Headlines", "Details\n---", "Vol: 2.6", "March 31, 2023", "03/04/2023", "{{{{ {} }}}}", "<b>{}</b>", "<!-- {} -->", "<!-- -->",
    "| {} |", "-", "", "", "", "\u00a0{}", "•\u00a0{}", "{}  ", "{}\\", "[{}", "{}]", "- - {}", "10) {}", "Vol. {}", "***", "-      {}",
    "Vol: 2.6 {}", "2023-03-31 {}", "Photo: {} ![{}](a.png)", "*{}", "-\n  {}", "\u3000{}", "1.\n\n   {}", "[![{}](a.png)](#)",
    "[{}]: https://example.org '{}'", "#", "Date: {}", "\x92{}", "\x00{}",
]  # fmt: skip


HEAD = "# Digest\nVol: 2.6\n2023-03-31\n## Headlines\n"


@given(st.lists(st.sampled_from(SCRAPS), max_size=30), st.sampled_from(["", HEAD]))
@example(["![{}](a.png)", "Details\n---"], HEAD)  # one heading of two lines, of which the reader sees the second
def test_no_word_is_lost_in_any_disorder(scraps: list[str], head: str) -> None:
    lines = [scrap.format(*(f"word{at}{letter}" for letter in "ab")) for at, scrap in enumerate(scraps)]
    text = head + "\n".join(lines)
    try:
        definition = imported(text)
    except InputError:
        return
    lost = words(text.replace("\x00", "")) - words(definition.text)
    assert not [word for word in lost if word.startswith("word")]
    assert front(definition)["issue"] == "2.6"
    assert all(re.match(r"line \d+: ", note) for note in definition.notes)
