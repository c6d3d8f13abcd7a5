"""Every mistake in an issue is named: file and line, what was found, what was expected; all of them at once."""

from pathlib import Path

import pytest

from alliance_mailer.errors import InputError, Problem
from alliance_mailer.issue import Issue, parse_issue
from alliance_mailer.picture import LARGEST

HERO = Path(__file__).parents[1] / "issues" / "2.6-hero.jpg"
FRONT = 'issue: "2.6"\ntitle: My Digest\ndate: 2023-03-31\n'  # lines 2 to 4
HEADLINES, DETAILS = "## Headlines\n\n- One\n- Two\n", "## Details\n\n- First\n- Second\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "outside.jpg").write_bytes(HERO.read_bytes())
    folder = tmp_path / "digest" / "issues"
    folder.mkdir(parents=True)
    (folder / "hero.jpg").write_bytes(HERO.read_bytes())
    return folder.parent


def read(text: str, project: Path = HERO.parents[1]) -> Issue:
    return parse_issue(text, file="issues/2.6.md", number="2.6", folder=project / "issues", project=project)


def problems(text: str, project: Path = HERO.parents[1]) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        read(text, project)
    assert all(problem.file == "issues/2.6.md" for problem in caught.value.problems)
    return caught.value.problems


def only(text: str, project: Path = HERO.parents[1]) -> Problem:
    found = problems(text, project)
    assert len(found) == 1, found
    return found[0]


def front(extra: str = "", base: str = FRONT, body: str = "Text\n") -> str:
    return f"---\n{base}{extra}---\n{body}"


# Front matter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("titel: x", "unknown key 'titel' (did you mean \"title\"?)"),
        (
            "zzz: x",
            "unknown key 'zzz' (known: audience, date, image, issue, preheader, send_at, subject, template, title)",
        ),
        ("? [a]\n: x", "unknown key ''"),
        ("<<: {title: x}", "unknown key '<<'"),
        ("title: again", "the key 'title' stands here a second time"),
        ("subject:", "subject is empty"),
        ("subject: ~", "subject is empty"),
        ("subject: a\x92b", "control character U+0092; type what is meant there"),
        ('subject: " "', "subject is empty"),
        ("subject: [a, b]", "subject: found a list, expected text"),
        ("preheader: {a: b}", "preheader: found a mapping, expected text"),
        ("subject: a: b", "this is no YAML: mapping values are not allowed here"),
        ("subject: \tx", "this is no YAML: found character '\\t' that cannot start any token"),
        ("subject: @x", "this is no YAML: found character '@' that cannot start any token"),
        ("subject: *x", "this is no YAML: found undefined alias 'x'"),
        ('subject: "a\\x00b"', "subject: control character U+0000; type what is meant there"),
        ('subject: "\\ud800"', "subject: control character U+D800; type what is meant there"),
        ('subject: "a\\Lb"', "subject: control character U+2028; type what is meant there"),
        ('subject: "\\xZZ"', "this is no YAML: expected escape sequence of 2 hexadecimal numbers"),
        ("send_at: tomorrow", "send_at: found 'tomorrow', expected a day and a time as YYYY-MM-DD HH:MM"),
        ("send_at: 2023-04-03", "send_at: found '2023-04-03', expected a day and a time"),
        ("send_at: 2023-04-03 25:00", "send_at: found '2023-04-03 25:00', expected a day and a time"),
        ("template: ../x", "template: found '../x', expected the name of a folder in templates/"),
        ('template: "{{ contact.a }}"', "template: found '{{ contact.a }}', expected the name of a folder"),
        ("audience: []", "audience is empty"),
        ("audience:", "audience is empty"),
        ("audience: [a, b/c]", "audience: found 'b/c', expected the name of a list in contacts/"),
        ("audience: suppressed", "audience: found 'suppressed', expected the name of a list in contacts/"),
        ("audience: [[a]]", "audience: found a list, expected text"),
        ("audience: &a [*a]", "audience: found a list, expected text"),
        ('audience: "{{ contact.a }}"', "audience: found '{{ contact.a }}', expected the name of a list"),
        ("image: hero.jpg", "image: found a text, expected src, alt, credit, href"),
        ("image: {alt: x}", "image.src is missing"),
        ("image: {src: 2.6-hero.jpg, atl: x}", "unknown key 'atl' (did you mean \"alt\"?)"),
        ('image: {src: ""}', "image.src is empty"),
        ("image: {src: [a]}", "image.src: found a list, expected text"),
    ],
)
def test_a_mistake_in_a_key_is_named_with_its_line(line: str, message: str) -> None:
    problem = only(front(f"{line}\n"))
    assert problem.line == 5
    assert problem.message.startswith(message)


@pytest.mark.parametrize("bad", ['"\\UFFFFFFFF"', '"\\U00110000"', "[" * 2000])
def test_yaml_that_its_own_reader_stumbles_over_is_named(bad: str) -> None:
    assert only(front(f"subject: {bad}\n")).message.startswith("this is no YAML: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [('subject: "x', "found unexpected end of stream"), ("image: {src: a", "expected ',' or '}', but got '<stream end>'"),
     ("words", "could not find expected ':'")],
)  # fmt: skip
def test_what_is_not_closed_is_named_where_it_opens(text: str, message: str) -> None:
    problem = only(front(f"{text}\npreheader: x\n".replace("{src: a\n", "{src: a,\n")))
    assert (problem.line, problem.message) == (5, f"this is no YAML: {message}")
    assert problem.hint == 'put the value in quotes: key: "…"'


def test_a_mistake_in_the_middle_is_named_there() -> None:
    problem = only(front('subject: "x" y\n'))
    assert (problem.line, problem.message[:37]) == (5, "this is no YAML: expected <block end>")


def test_aliases_that_grow_without_end_cost_nothing() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 40)) + "audience: *a39\n"
    found = problems(front(bomb))
    assert len(found) == 40 + 1  # unknown keys; an audience that is no list of names


@pytest.mark.parametrize("number", ["2.6", "2.10", "26", "0x1a", "1:30", "2023-01-01", "true", "2_6"])
def test_a_bare_number_is_told_to_be_quoted(number: str) -> None:
    problem = only(front(base=f"issue: {number}\ntitle: T\ndate: 2023-03-31\n"))
    assert problem.line == 2
    assert problem.message == f"issue: found the bare value {number}, expected it quoted (2.10 would become 2.1)"
    assert problem.hint == f'issue: "{number}"'


def test_a_number_that_is_not_the_file_s_is_named() -> None:
    problem = only(front(base='issue: "2.7"\ntitle: T\ndate: 2023-03-31\n'))
    assert str(problem) == "issues/2.6.md:2: issue: found \"2.7\", but the file is named for '2.6'"


@pytest.mark.parametrize(
    "day", ["March 31, 2023", "31.03.2023", "2023-02-29", "2023-3", "20230331", "2023-03-31 09:00", "soon"]
)
def test_a_bad_date_is_named(day: str) -> None:
    problem = only(front(base=f'issue: "2.6"\ntitle: T\ndate: {day}\n'))
    assert (problem.line, problem.message) == (4, f"date: found {day!r}, expected a day as YYYY-MM-DD")


def test_missing_keys_are_named_all_at_once() -> None:
    found = problems(front(base=""))
    assert [problem.message for problem in found] == [
        f"the key {key!r} is missing" for key in ("issue", "title", "date")
    ]
    assert found[0].hint == 'add the line  issue: "2.6"'


@pytest.mark.parametrize("matter", ["- a\n- b\n", "just words\n"])
def test_front_matter_without_keys_is_named(matter: str) -> None:
    problem = only(front(base=matter))
    assert (problem.line, problem.message) == (2, "expected lines of the form  key: value")


@pytest.mark.parametrize(
    ("text", "found"),
    [("## Headlines\n\n- a\n\n## Details\n\n- b\n", "found '## Headlines'"),
     (f" \n\n---\n{FRONT}\n{HEADLINES}\n{DETAILS}", "the closing --- is missing"), ("+++\na = 1\n+++\nText\n", "found '+++'")],
)  # fmt: skip
def test_without_front_matter_that_alone_is_told(text: str, found: str) -> None:
    problem = only(text)
    assert problem.line == 1 + text[:3].count("\n")
    assert problem.message == f"the file begins with front matter between two --- lines; {found}"


def test_without_front_matter_the_text_keeps_its_lines() -> None:
    assert [problem.line for problem in problems("\n\n## Headlines\n\n- a\n")] == [3, 3]
    assert [problem.line for problem in problems("\n\n---\ntitle: T\n\n## Headlines\n\n- a\n")] == [3, 6]


def test_an_empty_file_is_told_how_to_begin() -> None:
    first, second = problems("")
    assert (first.line, first.message[-8:]) == (1, "found ''")
    assert first.hint.startswith('begin it with\n---\nissue: "2.6"\n')
    assert second.message.startswith("no text")


# Text ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        (f"{HEADLINES}\n## Details\n\n- First\n", 11, "1 details, but 2 headlines (line 6); they pair item by item"),
        (f"{DETAILS}\n## Headlines\n\n- One\n", 6, "2 details, but 1 headlines (line 11); they pair item by item"),
        (HEADLINES, 6, "the section “## Details” is missing"),
        (DETAILS, 6, "the section “## Headlines” is missing"),
        (f"{HEADLINES}\n## Detials\n\n- a\n", 6, "the section “## Details” is missing; found “## Detials” in line 11"),
        (
            f"## Headline\n\n- a\n\n{DETAILS}",
            10,
            "the section “## Headlines” is missing; found “## Headline” in line 6",
        ),
        (f"{HEADLINES}\nStray.\n\n{DETAILS}", 11, "“Headlines” is one list; found a paragraph beside it"),
        (f"{HEADLINES}\n1. x\n\n{DETAILS}", 11, "“Headlines” is one list; found an ordered list beside it"),
        (f"{HEADLINES}\n---\n\n{DETAILS}\n---\n\nEnd\n", 11, "“Headlines” is one list; found a rule beside it"),
        (f"{HEADLINES}\n{DETAILS}\n{HEADLINES}", 16, "a second section “Headlines”; the first is in line 6"),
        (
            f"{HEADLINES.replace('Two', 'Two' + chr(10) + chr(10) + '  more')}\n{DETAILS}",
            9,
            "a headline is one line of text",
        ),
        (f"{HEADLINES}-\n\n{DETAILS}- Third\n", 10, "an empty item"),
        (f"{HEADLINES}- Three\n\n{DETAILS}-\n", 16, "an empty item"),
        (
            "Text\n[a]({{ contact.a }}/b)\n",
            7,
            "the link “a”: {{ contact.a }} must be the whole link, or follow",
        ),
        (
            "[a](relative/{{ contact.a }})\n",
            6,
            "the link “a”: {{ contact.a }} must be the whole link, or follow",
        ),
        ('[a]({{ contact.a | default("b") }})\n', 6, "the link “a”: 'b' is no http(s) or mailto link"),
        ("# Title\n\nText\n", 6, "a heading of the first level; the title stands in the front matter"),
        ("Text\n\n---\n\n## Section\n\nText\n", 10, "a section below the last rule, where the colophon stands"),
        ("", 6, "no text; expected “## Headlines” and “## Details”, or sections of your own"),
        ("---\n\nOnly a colophon\n", 6, "no text; expected"),
        ("Text\n\nmore <!-- to be\n\ncontinued", 8, "a comment begins here and does not end"),
        ("a\nb \x92c\n", 7, "control character U+0092; type what is meant there"),
        ("a\N{LINE SEPARATOR}\ufffeb\n", 6, "control character U+2028; type what is meant there"),
        ("a\ufffeb\n", 6, "control character U+FFFE; type what is meant there"),
        ("a\x00b\n", 6, "control character U+0000; type what is meant there"),
    ],
)
def test_a_mistake_in_the_text_is_named_with_its_line(body: str, line: int, message: str) -> None:
    problem = only(front(body=body))
    assert problem.line == line
    assert problem.message.startswith(message)


def test_a_section_without_a_list_is_named() -> None:
    empty, prose = problems(front(body="## Headlines\n\n## Details\n\nText\n"))
    assert (empty.line, empty.message) == (6, "“Headlines” is empty; expected a list")
    assert (prose.line, prose.message) == (10, "found a paragraph under “Details”, expected a list")
    assert empty.hint == "begin each item with “- ”"


@pytest.mark.parametrize(
    "field",
    ["{{ first_name }}", "{{ contact }}", "{{ contact.first name }}", "{{ contact.a | upper }}", "{{ contact.a | default(b) }}",
     '{{ contact.a | default("b") | upper }}', "{{ contact.a.b }}", "{{}}", "{{ contact.1 }}", '{{ contact.a | default("x\') }}',
     "{{ contact.a if contact.b }}"],
)  # fmt: skip
def test_a_field_that_is_none_is_shown_as_it_stands(field: str) -> None:
    problem = only(front(body=f"Dear\n{field}!\n"))
    assert problem.line == 7
    assert problem.message == f'found {field!r}, expected {{{{ contact.first_name | default("reader") }}}}'
    assert problem.hint == "put a backslash before braces that are meant as text"


@pytest.mark.parametrize(
    ("text", "found"), [("{% if x %}", "{%"), ("{{ contact.a", "{{"), ("{{ contact.a |\ndefault('') }}", "{{")]
)
def test_logic_and_open_braces_are_mistakes(text: str, found: str) -> None:
    problem = only(front(body=text))
    assert (problem.line, problem.message[:10]) == (6, f"found {found!r}")


def test_a_field_in_a_message_is_shown_as_the_author_wrote_it() -> None:
    assert only(front(base='issue: "2.6"\ntitle: T\ndate: "{{ contact.a }}"\n')).message.startswith(
        "date: found '{{ contact.a }}'"
    )


def test_all_mistakes_are_told_in_one_go_in_the_order_of_the_file() -> None:
    text = "---\nissue: 2.6\ntitel: T\ndate: soon\nimage: {src: no.jpg}\n---\n## Headlines\n\n- {{ x }}\n- b\x92\n\n## Details\n\n- c ![](../x.png)\n"
    assert [problem.line for problem in problems(text)] == [1, 2, 3, 4, 5, 9, 10, 12, 14]


def test_the_same_mistake_twice_in_a_line_is_told_once() -> None:
    assert only(front(body="{{ x }} {{ x }}\n")).line == 6


# Pictures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["hero.jpg", "./hero.jpg", "../issues/hero.jpg", "../pictures/hero.jpg", "two words.jpg", "größe.jpg"]
)
def test_a_picture_inside_the_publication_is_read(project: Path, name: str) -> None:
    (project / "pictures").mkdir()
    (project / "issues" / name).write_bytes(HERO.read_bytes())
    issue = read(front(f"image: {{src: {name}, alt: x}}\n", body=f"![x](<{name}>)\n"), project)
    assert {picture.width for picture in issue.pictures.values()} == {1280}
    assert len(issue.images) == 2


def test_a_picture_elsewhere_is_linked_and_not_fetched(project: Path) -> None:
    assert (
        read(front(body="![x](https://nowhere.invalid/a.png) ![y](HTTP://nowhere.invalid/b)\n"), project).pictures == {}
    )


@pytest.mark.parametrize(
    ("src", "message"),
    [
        (
            "hreo.jpg",
            "no such picture (there are: broken.png, empty.gif, hero.jpg, link.jpg, loop.jpg, vast.jpg, words.jpg)",
        ),
        ("no/such/folder.jpg", "no such picture"),
        ("../../outside.jpg", "outside the publication's folder"),
        ("link.jpg", "outside the publication's folder"),
        ("/etc/passwd", "outside the publication's folder"),
        ("//example.org/a.jpg", "outside the publication's folder"),
        ("%2e%2e/%2e%2e/outside.jpg", "outside the publication's folder"),
        ("words.jpg", "neither PNG, JPEG nor GIF, which is what every mail client shows"),
        ("broken.png", "damaged: its PNG header names no size"),
        ("empty.gif", "neither PNG, JPEG nor GIF"),
        ("vast.jpg", "larger than 10 MB"),
        (".", "cannot be read: Is a directory"),
        ("hero.jpg/x.jpg", "cannot be read: Not a directory"),
        ("loop.jpg", "cannot be read: Too many levels of symbolic links"),
        ("x" * 300, "cannot be read: File name too long"),
        ("data:image/png;base64,iVBORw0KGgo=", "expected a file or an https:// link"),
        ("ftp://example.org/a.png", "expected a file or an https:// link"),
        ("cid:a@b", "expected a file or an https:// link"),
    ],
)
def test_a_picture_that_cannot_travel_is_named_with_its_line(project: Path, src: str, message: str) -> None:
    folder = project / "issues"
    (folder / "words.jpg").write_text("no picture")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8))
    (folder / "empty.gif").touch()
    (folder / "link.jpg").symlink_to(project.parent / "outside.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    with (folder / "vast.jpg").open("wb") as stream:
        stream.write(HERO.read_bytes())
        stream.truncate(LARGEST + 1)
    for text, line in (
        (front(f'image:\n  alt: x\n  src: "{src}"\n'), 7),
        (front(body=f"Text\n\n- a\n  ![x](<{src}>)\n"), 9),
    ):
        problem = only(text, project)
        assert problem.line == line
        assert problem.message.startswith("picture '")
        assert message in problem.message


def test_a_picture_without_an_address_is_named(project: Path) -> None:
    assert only(front(body="![x]()\n"), project).message == "picture '': no file is named"
