"""The text part: what a person reads who has no HTML."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from alliance_mailer.issue import load_issue, parse_issue
from alliance_mailer.plaintext import COLUMNS, _wrap, plain_text
from alliance_mailer.publication import Publication
from alliance_mailer.render import render
from conftest import PUBLICATION

FRONT = '---\nissue: "7"\ntitle: The Digest\ndate: 2024-02-29\n---\n'
RULE = "-" * 72


def text_of(markdown: str, publication: Publication, front: str = FRONT) -> str:
    issue = parse_issue(front + markdown, file="issues/7.md", number="7", folder=Path(), project=Path())
    markers = issue.markers()
    return markers.shown(plain_text(issue, publication, markers))


@pytest.fixture
def text(publication: Publication) -> Callable[[str], str]:
    """The text of a lead: what stands between the masthead and the foot."""

    def lead(markdown: str) -> str:
        return text_of(markdown, publication).split("\n\n\n", 1)[1].split(f"\n\n\n{RULE}")[0]

    return lead


# The whole ---------------------------------------------------------------------------------------------------------

WHOLE = """\
Welcome, {{ contact.first_name | default("reader") }}.

## Headlines
- First [story](https://example.org/0)
- Second [one](https://example.org/2nd)

## Details
- One [two](https://example.org/1).

  And [three](https://example.org/2).
- Four.

## Also seen
- A [thing](https://example.org/3)
- Another

---
The end, by [us](https://example.org/4).
"""

EXPECTED = f"""\
THE DIGEST
Vol. 7 | February 29, 2024
Alliance Studies Institute

Read this issue in your browser:
https://example.org/archive


Welcome, {{{{ contact.first_name }}}}.


HEADLINES
{"=" * 72}

 1. First story [1]
 2. Second one [2]


DETAILS
{"=" * 72}

1. First story [1]

One two [3].

And three [4].

[1] https://example.org/0
[3] https://example.org/1
[4] https://example.org/2


2. Second one [2]

Four.

[2] https://example.org/2nd


ALSO SEEN
{"=" * 72}

- A thing [5]
- Another

[5] https://example.org/3


{RULE}

The end, by us [6].

[6] https://example.org/4

{RULE}

Alliance Studies Institute
1000 Example Street NW, Suite 300, Washington, DC 20036

You are receiving this at {{{{ contact.email }}}}.
Unsubscribe: {{{{ contact.unsubscribe_url }}}}
Help: https://example.org/help
"""


def test_an_issue_reads_from_masthead_to_foot(publication: Publication) -> None:
    linked = replace(publication, archive_url="https://example.org/archive", help_url="https://example.org/help")
    assert text_of(WHOLE, linked) == EXPECTED


def test_what_the_publication_does_not_have_is_not_there(publication: Publication) -> None:
    text = text_of("x", publication)
    assert "browser" not in text
    assert "Help" not in text


def test_a_postal_address_over_several_lines_keeps_them(publication: Publication) -> None:
    assert "Institute\n1 Street\nTown\n\nYou are" in text_of("x", replace(publication, postal_address="1 Street\nTown"))


def test_titles_in_capitals_leave_a_persons_value_alone(publication: Publication) -> None:
    front = FRONT.replace("The Digest", 'Für {{ contact.name | default("Dich") }} gewiß')
    text = text_of('## Mehr für {{ contact.name | default("Dich") }}\nx', publication, front)
    assert text.startswith("FÜR {{ contact.name }} GEWISS\n")
    assert "\nMEHR FÜR {{ contact.name }}\n====" in text


# Lines -------------------------------------------------------------------------------------------------------------


def test_a_line_has_72_columns(text: Callable[[str], str]) -> None:
    assert text("a " * 100).split("\n") == [" ".join("a" * 36), " ".join("a" * 36), " ".join("a" * 28)]
    assert text("x" * 72 + " y") == "x" * 72 + "\ny"
    assert text("x" * 70 + " y") == "x" * 70 + " y"


def test_a_japanese_character_takes_two_columns(text: Callable[[str], str]) -> None:
    assert text("日" * 40).split("\n") == ["日" * 36, "日" * 4]
    assert text("重要鉱物の" * 8 + "abc。").split("\n") == ["重要鉱物の" * 7 + "重", "要鉱物のabc。"]


def test_japanese_is_broken_where_japanese_may_be(text: Callable[[str], str]) -> None:
    assert text("日" * 36 + "。「本」").split("\n") == ["日" * 35, "日。「本」"]
    assert text("日" * 35 + "「本」日").split("\n") == ["日" * 35, "「本」日"]
    assert text("日" * 35 + "ちょっと").split("\n") == ["日" * 35, "ちょっと"]


def test_japanese_never_breaks_a_field_a_reference_or_a_latin_word(text: Callable[[str], str]) -> None:
    for blanks in range(30, 37):
        lines = text("日" * blanks + '{{ contact.name | default("様") }}' + "本" * 9)
        assert "{{ contact.name }}" in lines
        lines = text("日" * blanks + "[本](https://example.org/)と" + "本" * 9)
        assert "本 [1]と" in lines.replace("\nと", "と")
        assert "EVs" in text("日" * blanks + "EVs" + "本" * 9)


def test_korean_is_broken_between_its_words(text: Callable[[str], str]) -> None:
    word = "한국어를"
    assert set(text(f"{word} " * 20).split()) == {word}


HEADS = {"-": "- ", "1.": "1. ", ">": "> "}


@given(
    st.lists(st.sampled_from(["word", "a", "日本語の", "“quoted,”", "[link](https://example.org/)", "**bold**", "é" * 20]), min_size=20, max_size=60),
    st.lists(st.sampled_from(sorted(HEADS)), max_size=4),
)  # fmt: skip
def test_no_line_is_wider_however_deep_it_stands(words: list[str], nesting: list[str]) -> None:
    markdown = "".join(HEADS[head] for head in nesting) + " ".join(words)
    for line in text_of(f"x\n\n{markdown}", PUBLICATION).split("\n"):
        assert width(line) <= COLUMNS


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=200))
def test_wrapping_loses_no_word(words: str) -> None:
    invisible = "[\u00ad\u200b\u2060\ufeff\\s\ue000]"
    assert re.sub(invisible, "", _wrap(words)) == re.sub(invisible, "", words)


def test_hard_blanks_and_invisible_characters_become_plain(text: Callable[[str], str]) -> None:
    assert text("a\u00a0b\u202fc\u200bd\ufeffe\u00adf\u2060gh") == "a b cdefgh"
    assert text("typographic “quotes”—and ’s") == "typographic “quotes”—and ’s"


def test_a_long_title_and_organisation_are_wrapped(publication: Publication) -> None:
    front = FRONT.replace("The Digest", "A title of many words " * 6)
    long = replace(publication, organisation="An institute of many words " * 6, postal_address="A street " * 20)
    text = text_of(
        "## A section of many words, of which there are more than any one line could ever hold\nx", long, front
    )
    assert max(map(width, text.split("\n"))) <= COLUMNS


# Links -------------------------------------------------------------------------------------------------------------

LONG = "https://example.org/" + "a-very-long-path-" * 8


def test_a_long_url_is_alone_on_its_line_and_whole(text: Callable[[str], str]) -> None:
    assert text(f"- [one]({LONG})\n  - [two]({LONG}b)").split("\n")[-2:] == [f"[1] {LONG}", f"[2] {LONG}b"]


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("[signed](https://e.org) it", "signed [1] it"),
        ("[operations](https://e.org).", "operations [1]."),
        ("“the [Initiative](https://e.org).”", "“the Initiative [1].”"),
        ("[USA](https://e.org)’s way", "USA’s [1] way"),
        ("[USA](https://e.org)'s way", "USA's [1] way"),
        ("[workers](https://e.org)’ rights", "workers’ [1] rights"),
        ("[drill](https://e.org)s went on", "drills [1] went on"),
        ("**[bold](https://e.org)** it", "*bold [1]* it"),
        ("[**bold** and _more_](https://e.org) it", "*bold* and _more_ [1] it"),
        ("[a](https://e.org) [b](https://f.org)", "a [1] b [2]"),
        ("[a](https://e.org)[](https://f.org) b", "a [1] [2] b"),
        ("[over\ntwo](https://e.org)\nlines", "over two [1] lines"),
        ("[a](https://e.org)  \nb", "a [1]\nb"),
        ('[a](https://e.org "with a title")', "a [1]"),
        ("[協定](https://e.org)に", "協定 [1]に"),
        ("[a](https://e.org){{ contact.name }}", "a [1]{{ contact.name }}"),
    ],
)  # fmt: skip
def test_the_marker_follows_the_linked_words(markdown: str, words: str, text: Callable[[str], str]) -> None:
    assert text(markdown).split("\n\n")[0] == words


@pytest.mark.parametrize("before", range(60, 76))
def test_the_marker_stays_on_the_line_of_its_word(before: int, text: Callable[[str], str]) -> None:
    lines = text(f"{'x ' * (before // 2)}{'x' * (before % 2)} [operations](https://e.org)’s overhead")
    assert "operations’s [1]" in lines


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("[digest@example.org](mailto:digest@example.org)", "digest@example.org"),
        ("[write to us](mailto:digest@example.org?subject=x) now", "write to us (digest@example.org) now"),
        ("[write](mailto:j%C3%BCrgen@example.org)", "write (jürgen@example.org)"),
        ("<https://example.org/a>", "https://example.org/a"),
        ("[https://example.org/](https://example.org)", "https://example.org/"),
        ("[https://example.org](https://example.org/)", "https://example.org"),
        ("[example.org](https://www.example.org/)", "example.org"),
        ("[empty](#) link", "empty link"),
        ("[empty]() link", "empty link"),
        ("[up](#item-1)", "up"),
    ],
)
def test_a_link_that_tells_nothing_new_has_no_marker(markdown: str, words: str, text: Callable[[str], str]) -> None:
    assert text(markdown) == words


def test_a_link_whose_words_name_another_place_is_listed(text: Callable[[str], str]) -> None:
    assert text("[example.org](https://example.net/)") == "example.org [1]\n\n[1] https://example.net/"


# Blocks ------------------------------------------------------------------------------------------------------------

BLOCKS = [
    ("- a\n- b\n  - c\n    - d\n  - e", "- a\n- b\n  - c\n    - d\n  - e"),
    ("- a\n\n- b", "- a\n\n- b"),
    ("- a\n\n  more\n- b", "- a\n\n  more\n\n- b"),
    ("3. a\n4. b\n   - c", "3. a\n4. b\n   - c"),
    ("> a\n>\n> b\n> > c", "> a\n>\n> b\n>\n> > c"),
    ("> - a\n> - b", "> - a\n> - b"),
    ("- > a", "- > a"),
    ("```\nx = 1\n\n    y\n```", "    x = 1\n\n        y"),
    ("    indented", "    indented"),
    ("### A heading\ntext", "A heading\n\ntext"),
    ("a **strong** and _soft_ `code`", "a *strong* and _soft_ code"),
    ("a\\\nb", "a\nb"),
    ("a\nb", "a b"),
    ("![A chart](https://e.org/a.png) it", "[A chart] it"),
    ("![](https://e.org/a.png)it", "it"),
    ("[![A chart](https://e.org/a.png)](https://e.org/)", "[A chart] [1]\n\n[1] https://e.org/"),
    ("a &amp; &lt;b&gt; \\* <i>", "a & <b> * <i>"),
    ("\\$209", "$209"),
]  # fmt: skip


@pytest.mark.parametrize(("markdown", "expected"), BLOCKS)
def test_markdown_reads_well_as_text(markdown: str, expected: str, text: Callable[[str], str]) -> None:
    assert text(markdown) == expected


def test_a_picture_without_words_leaves_no_empty_lines(text: Callable[[str], str]) -> None:
    assert text("a\n\n![](https://e.org/a.png)\n\nb") == "a\n\nb"


def test_a_section_of_prose_may_hold_a_rule_of_its_own(publication: Publication) -> None:
    text = text_of("## Notes\na\n\n> b\n>\n> ---\n\nc\n\n---\nend", publication)
    assert f"a\n\n> b\n>\n> {'-' * 70}\n\nc\n\n\n{RULE}\n\nend" in text


# A template's own ----------------------------------------------------------------------------------------------------


def test_a_template_may_write_the_text_part_itself(project: Path, publication: Publication) -> None:
    own = project / "templates" / "digest" / "message.txt.j2"
    own.write_text('\n\n{{ publication.name }} <&> for {{ contact.name | default("you") }}\n\n{{ text }}\n\nBYE\n\n')
    issue = load_issue(project, "2.6")
    rendered = render(issue, publication, project / "templates")
    segments = rendered.markers.split(rendered.text)
    text = segments.fill({"email": "a@example.org", "unsubscribe_url": "u"})
    assert text.startswith("US-Japan Alliance Digest <&> for you\n\nUS-JAPAN ALLIANCE DIGEST\n")
    assert text.endswith("Unsubscribe: u\n\n\nBYE\n")
