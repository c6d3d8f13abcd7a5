"""A template's folder: the sandbox around it, and errors that name its own files and lines."""

from pathlib import Path
from typing import Any

import pytest

from alliance_mailer.errors import InputError
from alliance_mailer.issue import load_issue
from alliance_mailer.publication import Publication
from alliance_mailer.render import render
from alliance_mailer.slots import Field, Markers
from alliance_mailer.theme import ContactFields, MergeField, Theme

NONCE = "0123abcd"


def rendered(folder: Path, template: str, name: str = "message.mjml.j2", **context: Any) -> str:
    """What a template makes; its fields as `Markers.shown` spells them."""
    (folder / name).write_text(template)
    markers = Markers(NONCE)
    text = Theme(folder, "templates/x", markers).render(name, {"contact": ContactFields(markers), **context})
    return markers.shown(text)


def mistake(folder: Path, template: str, **context: Any) -> tuple[str, int | None, str]:
    """The file, line and words of the error that a template earns."""
    with pytest.raises(InputError) as error:
        rendered(folder, template, **context)
    (problem,) = error.value.problems
    return problem.file, problem.line, problem.message


# The sandbox -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ contact.__class__ }}",
        "{{ contact._markers }}",
        "{{ contact.name._field }}",
        "{{ contact.name.or_else.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ lipsum.__globals__['os'] }}",
        "{% for n in range(100000000) %}x{% endfor %}",
        "{% import os %}",
        "{{ open('message.mjml.j2') }}",
    ],
)
def test_there_is_no_way_out_of_the_sandbox(escape: str, tmp_path: Path) -> None:
    assert mistake(tmp_path, f"\n{escape}")[:2] == ("templates/x/message.mjml.j2", 2)


@pytest.mark.parametrize("path", ["../secret.j2", "/etc/hostname", "sub/../../secret.j2", "link.j2", "sub"])
def test_nothing_outside_of_the_folder_is_included(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.j2").write_text("SECRET")
    (folder / "link.j2").symlink_to(tmp_path / "secret.j2")
    file, line, words = mistake(folder, f'\n\n{{% include "{path}" %}}')
    assert (file, line) == ("templates/x/message.mjml.j2", 3)
    assert words == f"there is no '{path}' in the template's folder"


def test_a_part_in_a_subfolder_is_included(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "foot.j2").write_text("foot")
    assert rendered(tmp_path, '{% include "parts/foot.j2" %}') == "foot"


# Escaping ----------------------------------------------------------------------------------------------------------


def test_values_are_escaped_in_mjml_and_in_its_parts_and_not_in_plain_text(tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text("{{ value }}")
    template = '{{ value }} {% include "part.j2" %}'
    assert rendered(tmp_path, template, value="<&>") == "&lt;&amp;&gt; &lt;&amp;&gt;"
    assert rendered(tmp_path, "{{ value }}", "message.txt.j2", value="<&>") == "<&>"


# Fields ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ contact.first_name }}", "{{ contact.first_name }}"),
        ("{{ contact['First_Name'] }}", "{{ contact.first_name }}"),
        ("Dear {{ contact.name ~ '!' }}", "Dear {{ contact.name }}!"),
        ("{{ contact.name | e }}", "{{ contact.name }}"),
        ("{{ '%s and %s' | format(contact.a, contact.b) }}", "{{ contact.a }} and {{ contact.b }}"),
    ],
)
def test_a_field_is_a_marker(template: str, text: str, tmp_path: Path) -> None:
    assert rendered(tmp_path, template) == text


@pytest.mark.parametrize("name", ["default", "d"])
def test_a_fallback_belongs_to_its_field(name: str, tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text(f'{{{{ contact.name | {name}("<you>") }}}}{{{{ contact.name }}}}')
    markers = Markers(NONCE)
    text = Theme(tmp_path, "x", markers).render("t.j2", {"contact": ContactFields(markers)})
    assert [gap.field for gap in markers.split(text).gaps] == [Field("name", "<you>"), Field("name")]


def test_default_still_serves_everything_else(tmp_path: Path) -> None:
    assert rendered(tmp_path, '{{ nothing | default("a") }}{{ "" | d("b", true) }}{{ 0 | d("c") }}') == "ab0"


@pytest.mark.parametrize("fallback", ["contact.first_name", "'Dear ' ~ contact.first_name"])
def test_a_fallback_that_is_itself_a_field_is_refused(fallback: str, tmp_path: Path) -> None:
    _, line, words = mistake(tmp_path, f"\n{{{{ contact.name | default({fallback}) }}}}")
    assert (line, words) == (2, "the fallback of contact.name is itself a field")


@pytest.mark.parametrize(
    "logic",
    [
        "{% if contact.vip %}a{% endif %}",
        "{{ 'a' if contact.vip else 'b' }}",
        "{{ contact.vip or 'b' }}",
        "{{ not contact.vip }}",
        "{% if contact.vip == 'yes' %}a{% endif %}",
        "{% if contact.vip != 'yes' %}a{% endif %}",
        "{% if 'yes' == contact.vip %}a{% endif %}",
        "{% if contact.vip in ['yes'] %}a{% endif %}",
        "{% if 'y' in contact.vip %}a{% endif %}",
        "{% if contact.vip < 'b' %}a{% endif %}",
        "{% if contact.vip > 'b' %}a{% endif %}",
        "{% if contact.vip is defined %}a{% endif %}",
        "{% if contact.vip is not defined %}a{% endif %}",
        "{% for letter in contact.vip %}a{% endfor %}",
        "{{ contact.vip | length }}",
        "{{ contact.vip | int }}",
        "{{ contact.vip | float }}",
        "{{ contact.vip | urlencode }}",
        "{{ contact.vip | truncate(3) }}",
        "{{ contact.vip | list }}",
        "{{ {contact.vip: 1} }}",
    ],
)
def test_logic_that_needs_a_persons_value_is_refused_with_its_line(logic: str, tmp_path: Path) -> None:
    file, line, words = mistake(tmp_path, f"\n\n{logic}")
    assert (file, line) == ("templates/x/message.mjml.j2", 3)
    assert "contact.vip has no value yet" in words or "unhashable" in words


def test_defined_still_serves_everything_else(tmp_path: Path) -> None:
    assert rendered(tmp_path, "{{ a is defined }} {{ b is defined }} {{ a is not defined }}", a=1) == "True False False"


@pytest.mark.parametrize("changed", ["upper", "title", "reverse", "wordwrap(5)"])
def test_a_filter_that_changes_a_field_is_found(changed: str, project: Path, publication: Publication) -> None:
    template = project / "templates" / "digest" / "message.mjml.j2"
    template.write_text(template.read_text().replace("{{ contact.email }}", f"{{{{ contact.email | {changed} }}}}"))
    with pytest.raises(InputError) as error:
        render(load_issue(project, "2.6"), publication, project / "templates")
    assert error.value.problems[0].file == "templates/digest/message.mjml.j2"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ('<p style="color: {{ contact.color }}">x</p>', "{{ contact.color }} stands in the attribute style"),
        ('<p title="{{ contact.email }}" onclick="{{ contact.email }}">x</p>', "in the attribute onclick"),
        ('<a href="{{ contact.site }}/x">x</a>', "{{ contact.site }} must be the whole link"),
        ('<!--[if mso]><p style="{{ contact.email }}"></p><![endif]-->', "{{ contact.email }} stands in the attribute"),
        ("{{ contact.name | upper }}", "was changed on its way"),
    ],
)
def test_a_field_where_no_value_can_be_written_is_named_with_the_templates_line(
    wrong: str, words: str, project: Path, publication: Publication
) -> None:
    template = project / "templates" / "digest" / "message.mjml.j2"
    lines = template.read_text().split("\n")
    at = next(n for n, line in enumerate(lines) if "You are receiving this" in line)
    lines[at] += wrong
    template.write_text("\n".join(lines))
    with pytest.raises(InputError) as error:
        render(load_issue(project, "2.6"), publication, project / "templates")
    (problem,) = error.value.problems
    assert (problem.file, problem.line) == ("templates/digest/message.mjml.j2", at + 1)
    assert words in problem.message


def test_a_field_changed_in_the_text_part_is_named_with_its_line(project: Path, publication: Publication) -> None:
    (project / "templates" / "digest" / "message.txt.j2").write_text("{{ text }}\n\nBye, {{ contact.name | upper }}\n")
    with pytest.raises(InputError, match="was changed on its way") as error:
        render(load_issue(project, "2.6"), publication, project / "templates")
    (problem,) = error.value.problems
    assert (problem.file, problem.line) == ("templates/digest/message.txt.j2", 3)


def test_a_field_prints_the_same_marker_every_time() -> None:
    field = MergeField(Markers(NONCE), Field("name"))
    assert str(field) == str(field) == field.__html__() == f"MF{NONCE}x0x"


# Errors ------------------------------------------------------------------------------------------------------------

PARTS = {
    "part.j2": "a part\n\n{{ nothing }}\n",
    "broken.j2": "a part\n{% if %}\n",
    "macros.j2": "{% macro title(text) %}\n<b>\n{{ text.nothing }}\n</b>{% endmacro %}",
    "raising.j2": "\n{{ 1 // 0 }}",
    "loop.j2": '\n{% include "loop.j2" %}',
}


@pytest.mark.parametrize(
    ("template", "file", "line", "words"),
    [
        ("\n{% if %}", "message.mjml.j2", 2, "Expected an expression"),
        ("\n\n{{ 'x }}", "message.mjml.j2", 3, "unexpected char"),
        ("\n{% nosuchtag %}", "message.mjml.j2", 2, "nosuchtag"),
        ("{% if a %}\n\n", "message.mjml.j2", 1, "endif"),
        ("\n{{ x | nosuchfilter }}", "message.mjml.j2", 2, "nosuchfilter"),
        ("\n{{ issue.nothing }}", "message.mjml.j2", 2, "'issue' is undefined"),
        ("a\nb\n{{ nothing }}\n", "message.mjml.j2", 3, "'nothing' is undefined"),
        ("\n{{ 1 // 0 }}", "message.mjml.j2", 2, "division"),
        ("\n{{ 'x' + 1 }}", "message.mjml.j2", 2, "str"),
        ('\n{% include "part.j2" %}', "part.j2", 3, "'nothing' is undefined"),
        ('\n{% include "broken.j2" %}', "broken.j2", 2, "Expected an expression"),
        ('\n{% include "raising.j2" %}', "raising.j2", 2, "division"),
        ('\n{% include "loop.j2" %}', "loop.j2", 2, "recursion"),
        ('\n{% import "macros.j2" as m %}\n{{ m.title("x") }}', "macros.j2", 3, "nothing"),
        ('\n\n{% extends "nosuch.j2" %}', "message.mjml.j2", 3, "there is no 'nosuch.j2'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_file_and_line(
    template: str, file: str, line: int, words: str, tmp_path: Path
) -> None:
    for name, text in PARTS.items():
        (tmp_path / name).write_text(text)
    found = mistake(tmp_path, template)
    assert found[:2] == (f"templates/x/{file}", line)
    assert words in found[2]


def test_a_part_that_is_no_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "latin.j2").write_bytes("one\ntwo é".encode("latin-1"))
    assert mistake(tmp_path, '{% include "latin.j2" %}') == ("templates/x/latin.j2", 2, "byte 0xE9 is not UTF-8")


TEMPLATE = """\
<mjml>{% set greeting %}set{% endset %}
{%- macro row(text) -%}
<td>macro
{{ text }}</td>
{%- endmacro %}
<one/>
{% for n in [1, 2] %}
<two/>{{ n }}<three/>
{%- endfor %}
{{ value }}<four/>
{% include "part.j2" %}
{{ row("five") }}
{% if true %}six{% endif %}
{%- if true %}

<seven/>{# a comment
over two lines #}<eight/>{% endif %}
{% raw %}{{ nine }}{% endraw %}
{% filter upper %}ten
eleven{% endfilter %}
</mjml>"""
PART = "part\n\n{{ value }}<p2/>\n"
ORIGINS = {"<one/>": 6, "<two/>": 8, "<three/>": 8, "<four/>": 10, "<td>macro": 3, "six": 13, "<seven/>": 16,
           "{{ nine }}": 18, "TEN": 19, "ELEVEN": 20, "</mjml>": 21, "part\n": ("part.j2", 1), "<p2/>": ("part.j2", 3)}  # fmt: skip


def test_every_line_of_the_text_knows_the_templates_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "message.mjml.j2").write_text(TEMPLATE)
    (tmp_path / "part.j2").write_text(PART)
    theme = Theme(tmp_path, "t", Markers(NONCE))
    context = {"value": "a value\nover two lines"}
    text = theme.render("message.mjml.j2", context)
    for words, place in ORIGINS.items():
        line = text.count("\n", 0, text.index(words)) + 1
        file, expected = place if isinstance(place, tuple) else ("message.mjml.j2", place)
        found = theme.origin("message.mjml.j2", context, line)
        assert found == (f"t/{file}", expected), words


def test_a_line_past_the_end_is_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("one\ntwo")
    assert Theme(tmp_path, "t", Markers(NONCE)).origin("a.j2", {}, 99) == ("t/a.j2", 2)


def test_the_lines_of_a_value_are_the_line_where_it_is_printed(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("one {#\n#}two {{ value }}\nthree")
    theme = Theme(tmp_path, "t", Markers(NONCE))
    context = {"value": "a\nb\nc"}
    assert theme.render("a.j2", context) == "one two a\nb\nc\nthree"
    assert [theme.origin("a.j2", context, line)[1] for line in (1, 2, 3, 4)] == [1, 2, 2, 3]


@pytest.mark.parametrize("css", ["a {}\n</style>", "a {}\nb { content: '</' }"])
def test_a_style_sheet_cannot_end_the_style(css: str, tmp_path: Path) -> None:
    (tmp_path / "client.css").write_text(css)
    with pytest.raises(InputError, match="</ have no place") as error:
        Theme(tmp_path, "t", Markers(NONCE)).css("client.css")
    assert error.value.problems[0].line == 2


def test_what_finds_the_lines_leaves_no_trace_in_the_text(tmp_path: Path) -> None:
    template = "{% set word %}four{% endset %}{{ word | length }} {% filter truncate(4, true, '') %}four and more{% endfilter %}"
    assert rendered(tmp_path, template) == "4 four"


# Mistakes that show only in the finished text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("<p>not closed", "not well-formed: Opening and ending tag mismatch: p"),
        ("<p>5 < 6</p>", "not well-formed"),
        ("<p>AT&T</p>", "not well-formed"),
        ('<mj-include path="x" />', "mj-include is not available"),
    ],
)
def test_a_mistake_in_the_mjml_is_named_with_the_templates_line(
    wrong: str, words: str, project: Path, publication: Publication
) -> None:
    template = project / "templates" / "digest" / "message.mjml.j2"
    lines = template.read_text().split("\n")
    at = next(n for n, line in enumerate(lines) if "You are receiving this" in line)
    lines[at] += wrong
    template.write_text("\n".join(lines))
    issue = load_issue(project, "2.6")
    with pytest.raises(InputError, match=words) as error:
        render(issue, publication, project / "templates")
    (problem,) = error.value.problems
    assert problem.file == "templates/digest/message.mjml.j2"
    assert problem.line is not None
    assert at + 1 <= problem.line <= at + 8  # where it stands, or where the parser saw that it does not end


def test_what_the_compiler_refuses_is_named_with_the_templates_line(project: Path, publication: Publication) -> None:
    template = project / "templates" / "digest" / "message.mjml.j2"
    text = template.read_text().replace("    <mj-raw>\n", "    <mj-nosuch />\n    <mj-raw>\n", 1)
    template.write_text(text)
    with pytest.raises(InputError, match="MJML: unexpected element: 'mj-nosuch'") as error:
        render(load_issue(project, "2.6"), publication, project / "templates")
    assert error.value.problems[0].line == text.split("\n").index("    <mj-nosuch />") + 1
