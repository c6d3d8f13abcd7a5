"""`mailer check` as it is typed, and what is printed for whom."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from alliance_mailer.checks import RULES
from alliance_mailer.findings import as_text
from conftest import change

from .proofs import Edit, found, pulled
from .test_engine import edited

MANUSCRIPT = Path(__file__).parents[1] / "fixtures" / "manuscript.md"
ISSUE = Path("issues/2.6.md")


@pytest.fixture
def broken(project, monkeypatch):
    """The example with one empty link, and a warning."""
    change(project / ISSUE, "(https://www.mda.mil/)", "(#)")
    change(project / ISSUE, "[lays out]", "[here]")
    monkeypatch.setenv("COLUMNS", "100")
    return project


def test_a_finding_shows_the_words_and_points_at_them(broken, mailer):
    result = mailer("check", "--issue", "2.6")
    assert result.code == 1
    head, excerpt, caret, fix, empty = result.out.split("\n")[5:10]
    assert head == "issues/2.6.md:27:361: error: the link “counts” leads nowhere (#) [L001]"
    assert excerpt.startswith("    27 | …")
    assert caret.startswith("       | ")
    assert excerpt[caret.index("^") :][: len(caret.strip(" |"))] == "[counts](#)"
    assert fix == "       = write the address: [words](https://…)"
    assert empty == ""
    assert all(len(line) <= 100 for line in result.out.split("\n"))
    assert f"1 error, 1 warning, 1 remark, by {len(RULES)} rules" in result.out
    assert "KB of the 102 at which Gmail cuts" in result.out
    assert "why: mailer check --explain A007" in result.out


def test_the_caret_stands_below_its_words_whatever_their_width(clean, tmp_path):
    line = "（例え）東京大学の[ここ](#)で話した"
    proof = edited(clean, tmp_path / "digest", Edit("issues/2.6.md", "Thank you for reading", line))
    lines = list(as_text(found(proof, "L001"), proof, 1))
    excerpt, caret = next((above, below) for above, below in pairwise(lines) if "^" in below)
    from wcwidth import width

    assert width(excerpt[: excerpt.index("[ここ]")]) == caret.index("^")
    assert caret.count("~") + 1 == width("[ここ](#)")


def test_a_file_cannot_move_the_cursor(clean, tmp_path):
    proof = edited(clean, tmp_path / "digest", Edit("templates/digest/client.css", "", "/* \x1b[2J\u202e */\n"))
    shown = "\n".join(as_text(found(proof, "C005"), proof, 1))
    assert "client.css" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_colours_are_for_terminals(broken, mailer, monkeypatch):
    assert "\x1b" not in mailer("check", "--issue", "2.6").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[1;31merror:\x1b[0m" in mailer("check", "--issue", "2.6").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in mailer("check", "--issue", "2.6").out


def test_rules_can_be_chosen(broken, mailer):
    only = mailer("check", "--issue", "2.6", "--only", "a007", "--only", "H002")
    assert (only.code, "L001" in only.out, "by 2 rules" in only.out) == (0, False, True)
    skip = mailer("check", "--issue", "2.6", "--skip", "L001")
    assert (skip.code, "L001" in skip.out, f"by {len(RULES) - 1} rules" in skip.out) == (0, False, True)


def test_strict_counts_warnings_but_no_remarks(broken, mailer):
    assert mailer("check", "--issue", "2.6", "--strict", "--skip", "L001").code == 1
    assert mailer("check", "--issue", "2.6", "--strict", "--only", "H002").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--issue", "2.6", "--only", "L0001"), 'error: --only: there is no rule L0001 (did you mean "'),
        (("--issue", "2.6", "--skip", "X"), "error: --skip: there is no rule X"),
        (("--issue", "2.6", "--format", "xml"), "error: --format: there is no form 'xml'"),
        (("--explain", "L1"), "error: --explain: there is no rule L1"),
        (("--issue", "2.6", "--only", "L001", "--skip", "L001"), "error: --only and --skip leave no rule to run"),
        ((), "error: which issue?"),
    ],
)
def test_what_cannot_be_followed_is_told(project, mailer, options, words):
    result = mailer("check", *options)
    assert result.code == 2
    assert words in result.err


def test_all_rules_are_listed_and_each_is_explained(mailer):
    listed = mailer("check", "--list").out
    assert sorted(re.findall(r"^  ([A-Z][0-9]{3})  ", listed, re.MULTILINE)) == sorted(RULES)
    for rule in RULES.values():
        words = " ".join(mailer("check", "--explain", rule.id).out.split())
        for part in (rule.title, rule.why, rule.fix, rule.source, f"check: ignore {rule.id}"):
            assert " ".join(part.split()) in words
    (document,) = json.loads(mailer("check", "--explain", "L001", "--json").out)["rules"]
    assert document["severity"] == "error"


def test_github_shows_each_beside_its_line(broken, mailer):
    result = mailer("check", "--issue", "2.6", "--format", "github")
    assert result.code == 1
    first, second, third = result.out.splitlines()
    assert first.startswith("::warning file=issues/2.6.md,line=25,col=")
    assert second.startswith("::error file=issues/2.6.md,line=27,col=361,title=L001%3A ")
    assert second.endswith("::the link “counts” leads nowhere (#). write the address: [words](https://…)")
    assert third.startswith("::notice file=mailer.toml,line=5,col=8,")


def test_files_are_named_from_where_the_command_runs(broken, mailer, monkeypatch):
    monkeypatch.chdir(broken.parent)
    result = mailer("--project", broken.name, "check", "--issue", "2.6", "--format", "github", "--only", "L001")
    assert f"file={broken.name}/issues/2.6.md,line=27" in result.out


def test_sarif_is_what_code_scanning_reads(broken, mailer):
    document = json.loads(mailer("check", "--issue", "2.6", "--format", "sarif").out)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["A007", "H002", "L001"]
    link = next(result for result in run["results"] if result["ruleId"] == "L001")
    assert rules[link["ruleIndex"]] == "L001"
    assert link["level"] == "error"
    place = link["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "issues/2.6.md"}
    assert place["region"] == {"startLine": 27, "startColumn": 361, "endColumn": 361 + len("[counts](#)")}


def test_json_is_one_document_in_either_spelling(broken, mailer):
    one = mailer("check", "--issue", "2.6", "--format", "json")
    other = mailer("check", "--issue", "2.6", "--json")
    assert json.loads(one.out) == json.loads(other.out)
    assert [finding["rule"] for finding in json.loads(one.out)["findings"]] == ["A007", "L001", "H002"]


def test_a_manuscript_as_it_is_fails_with_its_real_faults(project, mailer):
    (project / ISSUE).unlink()
    shutil.copy(MANUSCRIPT, "draft.md")
    assert "23 things to mend before it can be sent" in mailer("import", "draft.md").out
    findings = json.loads(mailer("check", "--issue", "3.4", "--json").out)["findings"]
    lines = Path("issues/3.4.md").read_text().split("\n")
    empty = [finding for finding in findings if finding["rule"] == "L001"]
    # 22 in the text; the 23rd is that of the picture, which stands in the line of the picture that is missing.
    assert len(empty) == MANUSCRIPT.read_text().count("](#)") - 1 == 22
    for finding in empty:
        assert lines[finding["line"] - 1][finding["column"] - 1 :][: finding["length"]].endswith("](#)")
    assert [(finding["rule"], finding["severity"]) for finding in findings if finding not in empty] == [
        ("L011", "warning"),  # no preheader
        ("E007", "error"),  # the picture and its text
        ("H002", "info"),  # the example's sender
    ]


def test_what_the_manuscript_s_letter_lacks_is_found_in_a_template_that_lacks_it(clean, tmp_path):
    where = "templates/digest/message.mjml.j2"
    proof = edited(
        clean,
        tmp_path / "digest",
        Edit(where, '<a href="{{ unsubscribe_url }}">Unsubscribe</a>', ""),
        Edit(where, "<br/>{{ line }}", ""),
    )
    assert [finding.rule for finding in found(proof)] == ["U005", "U015"]


def test_the_example_is_clean(project):
    proof = pulled(project)
    assert [(finding.rule, finding.severity) for finding in found(proof)] == [("H002", "info")]
