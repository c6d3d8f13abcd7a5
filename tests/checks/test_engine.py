"""How findings come about: what is ignored, in which order, which rules run; any issue is looked at without a crash."""

import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alliance_mailer.checks import Finding, Proof, errors_in, run_checks
from alliance_mailer.errors import ConfigError, InputError
from alliance_mailer.preferences import Ignore
from alliance_mailer.render import render

from .proofs import CLIENT, INLINE, ISSUE, PAGE, TODAY, TOML, Edit, found, pulled


def edited(clean: Proof, folder: Path, *edits: Edit) -> Proof:
    shutil.copytree(clean.project, folder)
    for edit in edits:
        edit.make(folder)
    return pulled(folder)


BROKEN = Edit(ISSUE, "(https://ustr.gov/) to a pact", "(#) to a pact")


# What is ignored -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edits", "rules"),
    [
        ((BROKEN,), ["L001"]),
        ((BROKEN, Edit(ISSUE, "- On March 28", "<!-- check: ignore L001 the page comes on Monday -->\n- On March 28")), []),
        ((BROKEN, Edit(ISSUE, "to a pact", "to <!-- check: ignore A001, L001 comes on Monday --> a pact")), []),
        ((BROKEN, Edit(ISSUE, "- On March 28", "<!-- check: ignore L001 -->\n- On March 28")), ["L001"]),  # no reason
        ((BROKEN, Edit(ISSUE, "- On March 28", "<!-- check: ignore L003 because -->\n- On March 28")), ["L001"]),
        ((BROKEN, Edit(ISSUE, "## Details", "<!-- check: ignore L001 because -->\n## Details")), ["L001"]),  # too far
        ((Edit(PAGE, "<mj-section>", '<mj-section colour="a">'),), ["T002"]),
        ((Edit(PAGE, "<mj-section>", '{# check: ignore T002 for the next compiler #}\n<mj-section colour="a">'),), []),
        ((Edit(INLINE, ".org { margin", "/* check: ignore C015 Word needs it */\n.org { color: #16181d !important; margin"),), []),
        ((Edit(CLIENT, "", "/* the phone */\n"),), ["C005"]),
        ((Edit(TOML, "<digest@allies.org>", "<digest@example.org>"),), ["H002"]),
        ((Edit(TOML, '<digest@allies.org>"', '<digest@example.org>" # check: ignore H002 an example'),), []),
    ],
)  # fmt: skip
def test_a_comment_with_a_reason_ignores_a_rule_on_its_line_and_the_next(edits, rules, clean, tmp_path) -> None:
    assert [finding.rule for finding in found(edited(clean, tmp_path / "digest", *edits))] == rules


def test_settings_ignore_a_rule_until_a_day(clean: Proof, tmp_path: Path) -> None:
    proof = edited(clean, tmp_path / "digest", BROKEN)
    for until, today, rules in (
        (None, TODAY, []),
        (date(2023, 4, 1), date(2023, 4, 1), []),
        (date(2023, 4, 1), date(2023, 4, 2), ["L001"]),
    ):
        ignoring = replace(proof, preferences=replace(proof.preferences, ignore=(Ignore("L001", "known", until),)))
        assert [finding.rule for finding in run_checks(ignoring, today)] == rules


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ignore = [{}]", "check.ignore: an entry names no rule"),
        ('ignore = [{ rule = 3, reason = "x" }]', "check.ignore: there is no rule '3' (mailer check --list)"),
        ('ignore = ["L001"]', "check.ignore: found text, expected a list of tables with rule, reason, until"),
        ('ignore = [{ rule = "l001", reason = "x" }]', """check.ignore: there is no rule 'l001' (did you mean "L001"?) (mailer check --list)"""),
        ('clients = [""]', 'check.clients: found an empty text, expected a list such as ["gmail.*", "outlook.windows"]'),
        ("ignore = 3", "check.ignore: found a number, expected a list of tables with rule, reason, until"),
        ('ignore = [{ rule = "L001" }]', "check.ignore: L001 is to be ignored without a reason"),
        ('ignore = [{ rule = "L999", reason = "x" }]', "check.ignore: there is no rule 'L999' (mailer check --list)"),
        ('ignore = [{ rule = "L001", reason = "x", until = "2027-01-31" }]', "check.ignore: L001: until is a day without quotes: until = 2027-01-31"),
        ('ignore = [{ rule = "L001", reason = "x", untill = 2027-01-31 }]', 'check.ignore: unknown key "untill" (did you mean "until"?)'),
        ('clients = ["outlook.window"]', """check.clients: there is no mail program 'outlook.window' (did you mean "outlook.windows"?)"""),
        ('clients = "gmail.*"', 'check.clients: found text, expected a list such as ["gmail.*", "outlook.windows"]'),
        ('terms = { "" = "x" }', 'check.terms: found a table, expected lines such as "e-mail" = "email" below [check.terms]'),
        ("term = {}", 'unknown key "term" (did you mean "terms"?)'),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_told_with_its_line(line: str, message: str, clean: Proof, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        edited(clean, tmp_path / "digest", Edit(TOML, "[check]\n", f"[check]\n{line}\n"))
    (problem,) = told.value.problems
    assert problem.message == message
    if "ignore" in line and "did you mean" not in message:
        assert problem.hint == 'ignore = [{ rule = "L008", reason = "no archive yet", until = 2027-01-31 }]'
    lines = (tmp_path / "digest" / TOML).read_text().split("\n")
    assert lines[problem.line - 1] == line


# The order, and what stops a sending -----------------------------------------------------------------------------------


def test_findings_come_in_the_order_of_the_files_the_issue_first(clean: Proof, tmp_path: Path) -> None:
    proof = edited(clean, tmp_path / "digest", BROKEN, Edit(ISSUE, "[lays out]", "[here]"), Edit(CLIENT, "", "/* a */\n"),
                   Edit(TOML, "<digest@allies.org>", "<digest@example.org>"))  # fmt: skip
    assert [finding.rule for finding in found(proof)] == ["L001", "A007", "H002", "C005"]


def test_only_errors_that_are_not_allowed_stop_an_issue() -> None:
    one, two, three = (
        Finding(rule, kind, "f", None, "m", "x") for rule, kind in (("A1", "error"), ("B1", "error"), ("C1", "warning"))
    )
    assert errors_in([one, two, three], ()) == [one, two]
    assert errors_in([one, two, three], {"A1", "C1"}) == [two]
    assert str(one) == "f: m [A1]"


# The traced page -------------------------------------------------------------------------------------------------------


def test_the_traced_page_is_the_page_but_for_its_marks(clean: Proof) -> None:
    rendered = render(clean.issue, clean.publication, clean.project / "templates")
    stripped = re.sub(r' data-at="[^"]*"|<!--at [^>]*-->', "", clean.traced.html)
    assert stripped == rendered.html


def test_every_element_is_traced_to_a_line_that_has_it(clean: Proof) -> None:
    links = [
        element for element in clean.elements if element.tag == "a" and element.get("href", "").startswith("https://")
    ]
    assert len(links) > 25
    for link in links:
        place = clean.of(link)
        assert place.line, link.get("href")
        own = place.file == ISSUE and link.get("href") in place.excerpt
        assert own or "<a href=" in place.excerpt, place


def test_prose_keeps_its_columns(clean: Proof) -> None:
    for number, line in clean.prose:
        text = clean.lines(ISSUE)[number - 1]
        assert len(line) == len(text)
        assert all(seen in (" ", written) for seen, written in zip(line, text, strict=True))
    words = " ".join(line for _, line in clean.prose)
    assert "Also inside: a speech" in words  # the preheader is read, too
    for unread in ("https://", "contact.first_name", "subscribers", "2.6-hero.jpg"):
        assert unread not in words


# Anything at all -------------------------------------------------------------------------------------------------------

SNIPPETS = st.one_of(
    st.sampled_from(["](#)", "https://[", "http://a@b:99999/", "](mailto:%zz)", "“", "TK", "\u200b", "Vol. 99", "February 30", "\t", "<!--",
                     "-->", "{{ contact.a | default('b') }}", "![](", "日本国憲法", "\n\n---\n\n", "## More\n\n- a\n", "`", "\\", "&#0;", "https://例え.jp/é"]),
    st.text(max_size=5),
)  # fmt: skip


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 12), SNIPPETS), max_size=5))
def test_an_issue_with_any_edits_is_looked_at_or_its_mistakes_are_told(clean: Proof, tmp_path: Path, edits) -> None:
    folder = tmp_path / "digest"
    if not folder.exists():
        shutil.copytree(clean.project, folder)
    text = clean.issue.source
    for place, length, snippet in edits:
        start = place % (len(text) + 1)
        text = text[:start] + snippet + text[start + length :]
    (folder / ISSUE).write_text(text, errors="replace")
    try:
        proof = pulled(folder)
    except InputError:
        return
    for finding in found(proof):
        assert finding.excerpt == (proof.lines(finding.file)[finding.line - 1] if finding.line else "")
