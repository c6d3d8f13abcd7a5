"""The command line's manners: help at once, clear errors, exit codes, and words that suit who reads them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alliance_mailer.checks import RULES
from conftest import change, start
from terminal import at_a_terminal

COMMANDS = [
    "init",
    "import",
    "new",
    "build",
    "check",
    "diff",
    "test",
    "approve",
    "send",
    "dispatch",
    "schedule",
    "status",
]
FIXTURES = Path(__file__).with_name("fixtures")


# Help -------------------------------------------------------------------------------------------------------------


def test_help_names_every_command(mailer):
    result = mailer("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", result.out, re.MULTILINE)
    assert "..." not in result.out.partition("Commands:")[2]  # each says its whole sentence


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(mailer, command):
    result = mailer(command, "--help")
    assert result.code == 0
    assert f"mailer {command} " in result.out.partition("\n")[2]


def test_without_a_command_it_says_how_it_is_used(mailer):
    result = mailer()
    assert result.code == 2
    assert "Usage: mailer" in result.err
    assert result.out == ""


def test_the_version_is_the_packages(mailer):
    assert re.fullmatch(r"mailer \d+\.\d+\.\d+\n", mailer("--version").out)


@pytest.mark.parametrize("argv", [["--help"], ["send", "--help"], ["--version"]])
def test_help_loads_nothing_that_help_does_not_need(argv):
    script = f"""
import sys
from alliance_mailer.cli import run
code = run({argv!r})
slow = "jinja2 lxml premailer mjml sqlite3 markdown_it cssutils email_validator yaml smtplib ssl imagesize".split()
print(code, [name for name in slow if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "0 []"


# Errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "said", "hint"),
    [
        (["sned"], "'sned'. Did you mean 'send'?", "mailer --help"),
        (["send", "--isue", "2.6"], "--isue (Possible options: --issue)", "mailer send --help"),
        (["send"], "Missing option '--issue'", "mailer send --help"),
        (["send", "--issue", "2.6", "--limit", "0"], "Invalid value for '--limit'", "mailer send --help"),
        (["send", "--issue", "2.6", "more"], "unexpected extra argument", "mailer send --help"),
    ],
)
def test_a_command_line_that_cannot_be_followed_is_answered_with_the_nearest_that_can(
    project, mailer, argv, said, hint
):
    result = mailer(*argv)
    assert result.code == 2
    assert said in result.err
    assert f"try: {hint}" in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    "command", [["send", "--issue", "2.6"], ["build", "--issue", "2.6"], ["status"], ["import", "x.md"]]
)
def test_without_a_publication_there_is_a_word_what_to_do(tmp_path, monkeypatch, mailer, command):
    monkeypatch.chdir(tmp_path)
    result = mailer(*command)
    assert result.code == 78
    assert f"there is no mailer.toml in {tmp_path} or above it" in result.err
    assert "try: mailer init my-digest" in result.err
    assert [*tmp_path.iterdir()] == []


def test_a_publication_is_found_from_below_and_by_name(project, mailer, monkeypatch):
    monkeypatch.chdir(project / "issues")
    assert mailer("check", "--issue", "2.6").code == 0
    monkeypatch.chdir(project.parent)
    assert mailer("--project", "digest", "check", "--issue", "2.6").code == 0
    assert mailer("--project", "digets", "check", "--issue", "2.6").code == 78


def test_broken_settings_are_named_with_their_line(project, mailer):
    change(project / "mailer.toml", 'language = "en"', "language = en")
    result = mailer("send", "--issue", "2.6")
    assert result.code == 78
    assert "error: mailer.toml:8: this is no TOML" in result.err


def test_an_unknown_issue_is_answered_with_those_that_there_are(project, mailer):
    for command in ("send", "build", "check"):
        result = mailer(command, "--issue", "2.7")
        assert result.code == 65
        assert "2.6" in result.err.partition("2.7")[2]


def test_an_unknown_transport_is_answered_with_the_nearest_name(live, mailer):
    result = mailer("send", "--issue", "2.6", "--transport", "life")
    assert result.code == 78
    assert 'there is no transport "life" (did you mean "live"?)' in result.err


def test_a_mistake_in_the_template_is_named_with_its_line(project, mailer):
    template = project / "templates" / "digest" / "message.mjml.j2"
    template.write_text("<mjml>\n{% if %}\n")
    result = mailer("send", "--issue", "2.6")
    assert result.code == 65
    assert "error: templates/digest/message.mjml.j2:2: " in result.err


def test_every_mistake_of_a_file_is_told_at_once_each_with_what_to_do(project, mailer):
    change(project / "mailer.toml", "[transport]\n", "[transport]\nfodler = 1\n")
    change(project / "mailer.toml", 'language = "en"', 'langauge = "en"')
    said = mailer("send", "--issue", "2.6").err
    assert 'mailer.toml:8: unknown key "langauge" (did you mean "language"?)' in said
    assert 'unknown key "fodler" for files (did you mean "folder"?)' in said


def test_each_hint_stands_below_the_last_of_its_mistakes(project, mailer):
    change(project / "mailer.toml", 'name = "US-Japan Alliance Digest"', 'name = ""')
    change(project / "mailer.toml", 'language = "en"', 'language = "no language"')
    lines = mailer("send", "--issue", "2.6").err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "  try", "error", "  try"]
    assert lines[1::2] == ['  try: name = "My Digest"', '  try: language = "en"']


def test_an_error_is_a_document_for_a_program(project, mailer):
    change(project / "mailer.toml", 'language = "en"', 'language = "no language"')
    result = mailer("--json", "send", "--issue", "2.6")
    error = json.loads(result.out)["error"]
    assert {key: error[key] for key in ("code", "file", "line", "hint")} == {
        "code": 78, "file": "mailer.toml", "line": 8, "hint": 'language = "en"'
    }  # fmt: skip
    assert error["message"].startswith("newsletter.language: found 'no language'")
    assert result.code == 78
    assert "error: mailer.toml:8" in result.err


@pytest.mark.parametrize(
    "argv", [["send", "--issue", "2.7", "--json"], ["--json", "sned"], ["sned", "--json"], ["build", "--json"]]
)
def test_json_is_understood_before_and_behind_the_command_and_for_every_error(project, mailer, argv):
    result = mailer(*argv)
    assert json.loads(result.out)["error"]["code"] == result.code
    assert list(json.loads(result.out)["error"])[:5] == ["code", "message", "file", "line", "hint"]


@pytest.mark.parametrize("verbose", [False, True])
def test_a_mistake_of_the_program_itself_is_short_unless_more_is_asked_for(project, verbose):
    argv = ["send", "--issue", "2.6", *(["-v"] if verbose else [])]
    script = f"import sys; sys.modules['jinja2'] = None; from alliance_mailer.cli import main; main({argv})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == (1 if verbose else 70)
    assert ("Traceback" in result.stderr) == verbose
    assert ("try: the same with -v, and report what it prints" in result.stderr) != verbose
    assert "ModuleNotFoundError" in result.stderr


# build, check, import ------------------------------------------------------------------------------------------------


def test_build_writes_the_message_and_says_where_it_is(project, mailer):
    result = mailer("build", "--issue", "2.6")
    assert result.code == 0
    folder = project / "build" / "2.6"
    assert {"message.html", "message.txt", "message.eml", "manifest.json"} <= {each.name for each in folder.iterdir()}
    assert "Next: open build/2.6/message.html in a browser" in result.out
    assert not (project / ".mailer").exists()


def test_build_gives_a_program_its_manifest(project, mailer, tmp_path):
    document = json.loads(mailer("build", "--issue", "2.6", "--out", str(tmp_path / "look"), "--json").out)
    assert document == json.loads((tmp_path / "look" / "manifest.json").read_text())
    assert list(document) == ["issue", "edition_sha256", "files"]
    eml = document["files"]["message.eml"]
    assert eml["bytes"] == (tmp_path / "look" / "message.eml").stat().st_size


def test_check_finds_nothing_in_the_example(project, mailer):
    result = mailer("check", "--issue", "2.6")
    assert result.code == 0
    assert "warning" not in result.out
    assert "error" not in result.out
    assert "the sender is at example.org, a name reserved for examples [H002]" in result.out
    assert f"1 remark, by {len(RULES)} rules" in result.out


def test_check_names_each_mistake_with_its_line(project, mailer):
    change(project / "issues" / "2.6.md", "(https://www.mda.mil/)", "(#)")
    result = mailer("check", "--issue", "2.6", "--json")
    assert result.code == 1
    finding, _ = json.loads(result.out)["findings"]
    assert set(finding) == {"rule", "severity", "file", "line", "column", "length", "excerpt", "message", "fix"}
    lines = (project / "issues" / "2.6.md").read_text().split("\n")
    assert "[counts](#)" in lines[finding["line"] - 1]
    assert lines[finding["line"] - 1][finding["column"] - 1 :][: finding["length"]] == "[counts](#)"
    assert f"issues/2.6.md:{finding['line']}:{finding['column']}: error: " in result.err


def test_a_manuscript_becomes_an_issue_that_builds(project, mailer):
    shutil.copy(FIXTURES / "manuscript.md", "draft.md")
    result = mailer("import", "draft.md", "--issue", "3.1")
    assert result.code == 0
    assert "draft.md → issues/3.1.md" in result.out
    assert "mailer build --issue 3.1" in result.out
    assert mailer("build", "--issue", "3.1").code == 0
    assert mailer("check", "--issue", "3.1").code == 1  # 23 links lead nowhere yet


def test_an_import_overwrites_nothing(project, mailer):
    shutil.copy(FIXTURES / "manuscript.md", "draft.md")
    before = (project / "issues" / "2.6.md").read_bytes()
    result = mailer("import", "draft.md", "--issue", "2.6")
    assert result.code == 65
    assert "issues/2.6.md is there already" in result.err
    assert (project / "issues" / "2.6.md").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "said"), [("digest.docx", ".docx cannot be read"), ("gone.md", "cannot be read: No such file")]
)
def test_a_manuscript_that_cannot_be_read_is_named(project, mailer, name, said):
    if name != "gone.md":
        (project / name).write_bytes(b"PK\x03\x04")
    result = mailer("import", name)
    assert result.code == 65
    assert f"{name}: {said}" in result.err
    assert [each.name for each in (project / "issues").glob("*.md")] == ["2.6.md"]


# Who reads it -------------------------------------------------------------------------------------------------------


def test_where_there_is_no_terminal_there_are_no_escape_codes(project, mailer):
    results = [
        mailer("send", "--issue", "2.6"),
        mailer("send", "--issue", "9"),
        mailer("status", "--failed"),
        mailer("--help"),
    ]
    assert "\x1b" not in "".join(result.out + result.err for result in results)


def test_at_a_terminal_there_is_colour_unless_it_is_not_wanted(project):
    assert "\x1b[31merror: " in at_a_terminal("send", "--issue", "9")[1]
    plain = at_a_terminal("send", "--issue", "9", NO_COLOR="1")[1]
    assert "error: " in plain
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    "argv", [["status"], ["send", "--issue", "2.6", "--dry-run"], ["send", "--issue", "2.6", "--json"]]
)
def test_a_reader_who_goes_away_gets_no_traceback(project, argv):
    reads, writes = os.pipe()
    os.close(reads)
    with start(*argv, stdout=writes) as run:
        os.close(writes)
        said = run.stderr.read()
    assert run.returncode == 0
    assert "Broken" not in said
    assert "Traceback" not in said


def test_python_minus_m_is_the_same_program(project):
    with start("check", "--issue", "2.6") as run:
        assert f"by {len(RULES)} rules" in run.stdout.read()
    assert run.returncode == 0


def test_an_import_copies_the_pictures_beside_the_manuscript_and_nothing_else(project, mailer, tmp_path):
    folder = tmp_path / "contacts"
    folder.mkdir()
    (folder / "vip.csv").write_text("email\nvip@example.org\n")
    shutil.copy(project / "issues" / "2.6-hero.jpg", folder / "ship.jpg")
    text = (Path(__file__).parent / "fixtures" / "manuscript.md").read_text()
    stolen = "## Headlines:\n\n- ![](../contacts/vip.csv) ![](../contacts/ship.jpg) "
    (folder / "draft.md").write_text(
        text.replace("Image Source:", "![A ship](ship.jpg)\n\nImage Source:").replace("## Headlines:\n\n- ", stolen)
    )
    mailer("import", str(folder / "draft.md"))
    assert (project / "issues" / "ship.jpg").is_file()
    assert not (project / "contacts" / "vip.csv").exists()
    assert not (project / "contacts" / "ship.jpg").exists()


def test_a_number_is_no_path(project, mailer):
    shutil.copy(Path(__file__).parent / "fixtures" / "manuscript.md", "draft.md")
    result = mailer("import", "draft.md", "--issue", "../outside")
    assert result.code == 65
    assert not (project / "outside.md").exists()


def test_check_knows_the_columns_of_the_lists(project, mailer):
    change(project / "issues" / "2.6.md", "contact.first_name", "contact.first_nam")
    result = mailer("check", "--issue", "2.6")
    assert result.code == 0  # it has a fallback
    assert 'no list of the audience has a column first_nam (did you mean "first_name"?) [M010]' in result.out


def test_a_publication_without_a_suppression_list_is_told(project, mailer):
    (project / "contacts" / "suppressed.csv").unlink()
    assert "there is no contacts/suppressed.csv" in mailer("send", "--issue", "2.6").err


_ELSEWHERE = """
import sys
sys.modules["psycopg"] = sys.modules["procrastinate"] = None  # not installed: only the extra brings them
from alliance_mailer.cli import run
print([run(argv) for argv in {argv!r}])
"""


def test_without_a_shared_ledger_nothing_of_the_cluster_is_needed_and_with_one_it_is_said_what(project):
    def codes(*argv: list[str]) -> tuple[str, str]:
        program = _ELSEWHERE.format(argv=argv)
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        return ended.stdout.splitlines()[-1], ended.stderr

    assert codes(["send", "--issue", "2.6"], ["status"])[0] == "[0, 0]"
    with (project / "mailer.toml").open("a") as settings:
        settings.write('\n[ledger]\nurl = "postgresql://db.example.org/mailer"\n')
    ended, said = codes(["send", "--issue", "2.6"], ["worker"], ["ledger", "upgrade"])
    assert ended == "[78, 78, 78]"
    assert said.count('try: pip install "alliance-mailer[cluster]"') == 3
