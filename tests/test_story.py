"""What changed, story by story: the file is cut without a rest, and the changes name what a person would name."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.example import example_folder
from alliance_mailer.issue import parse_issue
from alliance_mailer.story import stories, story_changes, text_around

SOURCE = (example_folder() / "issues" / "2.6.md").read_text()


def cut(source):
    folder = example_folder()
    issue = parse_issue(source, file="issues/2.6.md", number="2.6", folder=folder / "issues", project=folder, zone=UTC)
    return stories(source, issue)


def changes(old, new):
    return story_changes(cut(SOURCE), cut(SOURCE.replace(old, new)))


def test_every_word_of_the_file_stands_in_a_story():
    found = cut(SOURCE)
    words = [word for word in SOURCE.split() if word not in ("---", "-")]
    assert [word for text in found.values() for word in text.split()] == words
    assert list(found)[:2] == ["issue", "title"]
    assert list(found)[-6:] == ["Details 1", "Details 2", "Details 3", "Details 4", "Details 5", "the colophon"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("joint development", "common development", ["Details 3:", "- … and Tokyo are moving toward [joint development]"]),
        ("https://www.mda.mil/", "https://example.org/", ["Details 3:", "Agency (MDA), [counts](https://example.org/)"]),
        ("Every two weeks", "Every week", ["the colophon:"]),
        ('preheader: "Also', 'preheader: "And', ["preheader:", '+ preheader: "And inside: a speech on']),
        ("## Details", "## Details:", ["the heading Details:", "+ ## Details:"]),
    ],
)  # fmt: skip
def test_a_change_is_told_where_it_stands(old, new, said):
    lines = "\n".join(changes(old, new))
    for each in said:
        assert each in lines
    assert lines.count("  - ") == lines.count("  + ") == 1


def test_an_item_put_in_front_is_one_change_not_all():
    headline, detail = "- New on top\n- US-Japan pact", "- The newest.\n- On March 28"
    new = SOURCE.replace("- US-Japan pact", headline).replace("- On March 28", detail)
    assert story_changes(cut(SOURCE), cut(new)) == [
        "Headlines 1 is new:", "  + New on top", "Details 1 is new:", "  + The newest."
    ]  # fmt: skip


def test_an_item_taken_away_is_told_with_its_text():
    lines = SOURCE.split("\n")
    dropped = [line for line in lines if line.startswith(("- A month of drills", "- All through March"))]
    new = "\n".join(line for line in lines if line not in dropped)
    assert [line[:60].rstrip() for line in story_changes(cut(SOURCE), cut(new))] == [
        "Headlines 4 is gone:",
        "  - A month of drills shows US and Japanese forces acting as",
        "Details 4 is gone:",
        "  - All through March, the armed forces of the United States",
    ]


def test_blanks_alone_are_called_so():
    assert changes("A month of drills", "A month  of drills") == ["Headlines 4: only blanks and line ends"]


@given(st.lists(st.sampled_from("abcdef"), max_size=80), st.lists(st.sampled_from("abcdef"), max_size=80))
def test_the_excerpts_of_two_texts_differ_where_they_do(old, new):
    shown = text_around(" ".join(old), " ".join(new))
    assert (shown[0] == shown[1]) == (old == new) or max(len(old), len(new)) > 60


def test_windows_line_ends_change_nothing():
    assert story_changes(cut(SOURCE), cut(SOURCE.replace("\n", "\r\n"))) == []
