"""An issue is read as its author wrote it, with the lines where everything stands."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alliance_mailer.body import Link, plain
from alliance_mailer.errors import InputError
from alliance_mailer.frontmatter import Image
from alliance_mailer.issue import Issue, issue_numbers, load_front_matter, load_issue, parse_issue
from alliance_mailer.slots import Field
from conftest import change

ROOT = Path(__file__).parents[1]
EXAMPLE = (ROOT / "issues" / "2.6.md").read_text(encoding="utf-8")
FRONT = 'issue: "2.6"\ntitle: My Digest\ndate: 2023-03-31\n'  # lines 2 to 4
STORIES = "## Headlines\n\n- One\n- Two\n\n## Details\n\n- First [a](https://e.org)\n- Second\n\n---\n\nThe end\n"


def definition(front: str = "", body: str = STORIES) -> str:
    """The body begins in line 6 + the lines of `front`."""
    return f"---\n{FRONT}{front}---\n{body}"


def read(text: str, *, folder: Path = ROOT / "issues") -> Issue:
    return parse_issue(text, file="issues/2.6.md", number="2.6", folder=folder, project=folder.parent)


def shown(issue: Issue, text: str) -> str:
    return issue.markers().split(text).shown()


def words(tokens) -> str:
    return " ".join(plain(token.children) for token in tokens if token.type == "inline")


# What is read -----------------------------------------------------------------------------------------------------


def test_the_example_issue() -> None:
    issue = load_issue(ROOT, "2.6")
    assert (issue.number, issue.date, issue.dateline) == ("2.6", date(2023, 3, 31), "March 31, 2023")
    assert issue.subject.startswith("US-Japan Alliance Digest 2.6: US-Japan pact on critical minerals")
    assert [(section.title, section.kind, len(section.entries)) for section in issue.sections] == [
        ("Headlines", "headlines", 5),
        ("Details", "details", 5),
    ]
    assert words(issue.colophon).startswith("Thank you for reading")
    assert issue.fields == (Field("first_name", "friend"),)
    assert list(issue.pictures) == ["2.6-hero.jpg"]
    assert len(issue.links) == 1 + 23


def test_all_keys_of_the_front_matter() -> None:
    issue = read(
        definition(
            'subject: "Hello"\npreheader: " a  b\\n c "\nimage: {src: https://e.org/a.png, alt: "A", credit: B, href: https://e.org}\n'
            "audience: [press, friends, press]\ntemplate: plain\nsend_at: 2023-04-03 09:00\n"
        )
    )
    assert (issue.title, issue.subject, issue.preheader) == ("My Digest", "Hello", "a b c")
    assert issue.image == Image("https://e.org/a.png", "A", 7, "B", "https://e.org")
    assert (issue.audience, issue.template) == (("press", "friends"), "plain")
    assert issue.send_at == datetime(2023, 4, 3, 9, 0)
    assert issue.links[0] == Link("https://e.org", "B", 7)
    assert issue.pictures == {}


def test_what_the_front_matter_leaves_out() -> None:
    issue = read(definition())
    assert (issue.subject, issue.preheader, issue.image) == ("My Digest 2.6: One", "", None)
    assert (issue.audience, issue.template, issue.send_at) == (("subscribers",), "digest", None)


@pytest.mark.parametrize(
    ("written", "title"),
    [("2026", "2026"), ("on", "on"), ("'a: b'", "a: b"), (">\n  folded\n  text", "folded text"), ("日米\u3000通信", "日米\u3000通信"),
     ('"{{ contact.city }}"', "{{ city }}"), ('{{ contact.city | default("a: b") }}', "{{ city }}"),
     ('"\\{{ x }}"', "{{ x }}"), ("'\\{{ x }}'", "{{ x }}"), ("\\{{ x }}", "{{ x }}")],
)  # fmt: skip
def test_a_title_is_text_however_yaml_would_read_it(written: str, title: str) -> None:
    issue = read(f'---\nissue: "2.6"\ntitle: {written}\ndate: 2023-03-31\n---\nText\n')
    assert shown(issue, issue.title) == title
    assert shown(issue, issue.subject) == f"{title} 2.6"


def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "issues").mkdir()
    path = tmp_path / "issues" / "2.6.md"
    read_back = []
    for data in (
        definition().encode(),
        definition().replace("\n", "\r\n").encode("utf-8-sig"),
        definition().encode("utf-16"),
    ):
        path.write_bytes(data)
        issue = load_issue(tmp_path, "2.6")
        read_back.append(
            (issue.subject, issue.links, words(issue.colophon), [e.line for s in issue.sections for e in s.entries])
        )
    assert read_back[0] == read_back[1] == read_back[2]
    assert read_back[0][3] == [8, 9, 13, 14]


def test_blanks_around_the_front_matter_s_lines_are_passed_over() -> None:
    issue = read(f"\n  \n{definition(body='[a](#)')}".replace("---\n", "--- \t\n"))
    assert (issue.title, issue.links[0].line) == ("My Digest", 8)


@pytest.mark.parametrize("empty", ["", "~", '""', "null"])
def test_a_preheader_may_be_empty(empty: str) -> None:
    assert read(definition(f"preheader: {empty}\n")).preheader == ""


def test_sections_are_free() -> None:
    body = "A lead.\n\n## News:\n\n- a\n- b\n\n## Essay\n\nText\n\n- c\n\n### Part\n\n---\n\nMore\n\n---\n\nThe *end*\n\n> ## of it\n"
    issue = read(definition(body=body))
    assert words(issue.lead) == "A lead."
    assert [(s.title, s.kind, s.line, len(s.entries)) for s in issue.sections] == [
        ("News", "list", 8, 2),
        ("Essay", "prose", 13, 0),
    ]
    assert words(issue.sections[1].blocks) == "Text c Part More"
    assert words(issue.colophon) == "The end of it"


def test_no_colophon_and_no_section_is_needed() -> None:
    issue = read(definition(body="Just a letter.\n"))
    assert (words(issue.lead), issue.sections, issue.colophon) == ("Just a letter.", (), ())


def test_headings_are_understood_with_a_colon_and_in_capitals() -> None:
    issue = read(definition(body="## HEADLINES:\n\n- One\n\n## details\n\n- First\n\n  and more\n"))
    assert [(s.kind, len(s.entries)) for s in issue.sections] == [("headlines", 1), ("details", 1)]
    assert words(issue.sections[1].entries[0].blocks) == "First and more"


def test_links_and_pictures_know_their_lines() -> None:
    body = "[a *b*](#) and\n[c](https://e.org)\n![d](https://e.org/d.png)\n\n- [e\nf]()\n\n> [g]: https://e.org/g\n>\n> [![h](https://e.org/h.png)][g]\n"
    issue = read(definition(body=body))
    assert [(link.href, link.text, link.line) for link in issue.links] == [
        ("#", "a b", 6), ("https://e.org", "c", 7), ("", "e f", 10), ("https://e.org/g", "h", 15),
    ]  # fmt: skip
    assert [(image.src, image.alt, image.line) for image in issue.images] == [
        ("https://e.org/d.png", "d", 8), ("https://e.org/h.png", "h", 15),
    ]  # fmt: skip


def test_comments_are_left_out_and_keep_the_lines_as_they_are() -> None:
    body = "One<!-- {{ not read }}\n\n## Headlines\n\n--> two\n\n[x](#) \\<!-- three\n"
    issue = read(definition("# a note\ntemplate: plain <!-- for the editors -->\n", body))
    assert words(issue.lead) == "One two x <!-- three"
    assert (issue.template, issue.links[0].line) == ("plain", 14)


# Merge fields -------------------------------------------------------------------------------------------------------


def test_fields_may_stand_wherever_words_and_links_are() -> None:
    front = "subject: Hi {{contact.First_Name}}\npreheader: \"{{ contact.city | default('your city') }}\"\n"
    body = (
        '## Headlines\n\n- For {{ contact.first_name | default("you") }}\n\n## Details\n\n'
        '- *{{ contact.a }}*, [x](https://e.org/{{ contact.id }}?q={{ contact.q | default("") }}), [y]({{ contact.page }})\n'
    )
    issue = read(definition(front, body))
    assert shown(issue, issue.subject) == "Hi {{ first_name }}"
    assert shown(issue, issue.preheader) == "{{ city }}"
    assert [shown(issue, words(section.entries[0].blocks)) for section in issue.sections] == [
        "For {{ first_name }}",
        "{{ a }}, x, y",
    ]
    assert [shown(issue, link.href) for link in issue.links] == ["https://e.org/{{ id }}?q={{ q }}", "{{ page }}"]
    assert set(issue.fields) == {
        Field("first_name"), Field("city", "your city"), Field("first_name", "you"),
        Field("a"), Field("id"), Field("q", ""), Field("page"),
    }  # fmt: skip


def test_a_headline_with_a_field_makes_a_subject_with_it() -> None:
    issue = read(definition(body="## Headlines\n\n- A {{ contact.a }}\n\n## Details\n\n- B\n"))
    assert shown(issue, issue.subject) == "My Digest 2.6: A {{ a }}"


def test_braces_behind_a_backslash_are_text() -> None:
    issue = read(definition(body="Write \\{{ contact.name }} and \\{% if %}.\n"))
    assert words(issue.lead) == "Write {{ contact.name }} and {% if %}."
    assert issue.fields == ()


# Where an issue stands ------------------------------------------------------------------------------------------------


@pytest.fixture
def issues(tmp_path: Path) -> Path:
    for name in ("2.9", "2.10", "2.6"):
        (tmp_path / "issues").mkdir(exist_ok=True)
        (tmp_path / "issues" / f"{name}.md").write_text(definition().replace("2.6", name))
    return tmp_path


def test_an_issue_may_have_a_folder_of_its_own(issues: Path) -> None:
    folder = issues / "issues" / "3.1"
    folder.mkdir()
    (folder / "a.jpg").write_bytes((ROOT / "issues" / "2.6-hero.jpg").read_bytes())
    (folder / "index.md").write_text(definition("image: {src: a.jpg}\n").replace("2.6", "3.1"))
    issue = load_issue(issues, "3.1")
    assert (issue.file, issue.number, list(issue.pictures)) == ("issues/3.1/index.md", "3.1", ["a.jpg"])
    (issues / "issues" / "3.1.md").write_text(definition())
    with pytest.raises(InputError, match=r"there twice: issues/3.1.md and issues/3.1/index.md"):
        load_issue(issues, "3.1")


@pytest.mark.parametrize(
    "number",
    [
        "2.7",
        "../mailer",
        "../../etc/passwd",
        "2.6.md",
        "",
        ".",
        "..",
        "/etc/passwd",
        "2.6/",
        "x" * 300,
        "2.6\0",
        "２.６",
    ],
)
def test_an_unknown_number_names_those_there_are(issues: Path, number: str) -> None:
    (issues / "mailer.md").write_text("x")
    with pytest.raises(InputError) as caught:
        load_issue(issues, number)
    assert str(caught.value) == f"there is no issue {number!r}; there are: 2.6, 2.9, 2.10"
    assert caught.value.hint == "mailer build --issue 2.10"


def test_a_publication_without_issues_says_how_to_get_one(tmp_path: Path) -> None:
    assert issue_numbers(tmp_path) == []
    with pytest.raises(InputError, match="there is none yet") as caught:
        load_issue(tmp_path, "1")
    assert caught.value.hint == "mailer import MANUSCRIPT.md"


@pytest.mark.parametrize(("data", "line"), [(b"---\nissue: '2.6'\ntitle: caf\xe9\n", 3), (b"\xff\xfea\0b", 1)])
def test_a_file_in_another_encoding_is_named_with_its_line(issues: Path, data: bytes, line: int) -> None:
    (issues / "issues" / "2.6.md").write_bytes(data)
    with pytest.raises(InputError, match="is not UTF-") as caught:
        load_issue(issues, "2.6")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.hint) == ("issues/2.6.md", line, "save the file as UTF-8")


def test_an_unreadable_file_is_named(issues: Path) -> None:
    # Not by its mode: the tests may run as root.
    path = issues / "issues" / "4.md"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match=r"^issues/4.md: cannot be read: "):
        load_issue(issues, "4")


# Whatever is written --------------------------------------------------------------------------------------------------

SNIPPETS = st.one_of(
    st.sampled_from(["---\n", "\n\n", "## ", "- ", "  ", "\t", "{{", "}}", "{%", "<!--", "-->", '"', "'", "[", "](", ")", "![", "`", "\\",
                     "&amp;", "&#0;", "*", "_", "&a ", "*a", "!!int ", "? ", "| ", "> ", "#", "\0", "\x92", "\ufeff", "\u2028", "\r",
                     '"\\ud800"', '"\\UFFFFFFFF"', "{{ contact.a }}", "%", "xn--", "\ud800", "\ue000", "data:", "../"]),
    st.text(max_size=5),
)  # fmt: skip
EDITS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 12), SNIPPETS), max_size=6)


def is_read_or_told(text: str) -> bool:
    """Whether it is an issue whose words can be encoded, or has mistakes and each a line; anything else is raised."""
    try:
        issue = read(text)
    except InputError as error:
        return all(problem.file == "issues/2.6.md" and problem.line for problem in error.problems)
    parts = (issue.title, issue.subject, issue.preheader, words(issue.lead))
    return all(isinstance(shown(issue, part).encode(), bytes) for part in parts)


@given(EDITS)
def test_the_example_with_any_edits_is_read_or_its_mistakes_are_told(edits) -> None:
    text = EXAMPLE
    for place, length, snippet in edits:
        start = place % (len(text) + 1)
        text = text[:start] + snippet + text[start + length :]
    assert is_read_or_told(text)


@given(st.text() | st.lists(SNIPPETS).map("".join), st.text() | st.lists(SNIPPETS).map("".join))
@example("title: " + "[" * 20_000, "")
@example("a: &a [*a]\nb: [*a, *a]", "")
@example("", "> " * 3000 + "[" * 3000 + "](" * 3000)
def test_any_text_is_read_or_its_mistakes_are_told(front: str, body: str) -> None:
    assert is_read_or_told(front + body)
    assert is_read_or_told(definition(f"{front}\n", body))


def test_the_front_matter_alone_is_what_it_is_in_the_whole(project):
    change(
        project / "issues" / "2.6.md",
        "template: digest",
        'template: digest\nsend_at: 2026-04-03 09:00\nsubject: "For {{ contact.first_name | default("you") }}: news"',
    )
    meta, issue = load_front_matter(project, "2.6", UTC), load_issue(project, "2.6")
    assert (meta.number, meta.send_at, meta.audience) == (issue.number, issue.send_at, issue.audience)
