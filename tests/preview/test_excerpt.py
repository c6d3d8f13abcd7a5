"""A mistake with the lines around it, and a caret below what is meant."""

from alliance_mailer.errors import Problem
from alliance_mailer.preview.editor import editor_link
from alliance_mailer.preview.excerpt import card


def test_what_the_message_quotes_is_what_is_meant(project):
    found = card(Problem("issues/2.6.md", 11, "unknown key 'audience' (did you mean \"x\"?)"), project)
    assert [line.number for line in found.lines] == [9, 10, 11, 12, 13]
    here = found.lines[2]
    assert (here.before, here.caret, here.after) == ("", "audience", ": [subscribers]")
    assert found.column == 1


def test_else_it_is_the_line_without_its_margin(project):
    found = card(Problem("issues/2.6.md", 7, "something"), project)
    here = found.lines[2]
    assert (here.before, here.caret) == ("  ", here.text.strip())
    assert found.column == 3


def test_the_first_and_the_last_line(project):
    assert [line.number for line in card(Problem("issues/2.6.md", 1, ""), project).lines] == [1, 2, 3]
    many = len((project / "issues" / "2.6.md").read_text().splitlines())
    assert [line.number for line in card(Problem("issues/2.6.md", 9999, ""), project).lines] == [
        many - 2,
        many - 1,
        many,
    ]
    (project / "issues" / "3.md").write_text("")
    assert [line.text for line in card(Problem("issues/3.md", 1, ""), project).lines] == [""]


def test_no_file_outside_is_opened(project):
    assert card(Problem("../../etc/passwd", 1, ""), project).lines == ()
    assert card(Problem("/etc/passwd", 1, ""), project).lines == ()
    assert card(Problem("issues", 1, ""), project).lines == ()


def test_a_link_opens_the_editor_that_one_has(project):
    where = ("issues/2.6.md", 31, 4)
    assert editor_link(project, {})(*where) == f"vscode://file{project}/issues/2.6.md:31:4"
    assert editor_link(project, {"VISUAL": "/usr/bin/zed --wait"})(*where) == f"zed://file{project}/issues/2.6.md:31:4"
    assert editor_link(project, {"EDITOR": "subl"})(*where).endswith("&line=31&column=4")
