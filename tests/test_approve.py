"""`mailer approve`, and what `mailer send` asks of it: each refusal as a person reads it."""

import json
import subprocess

import pytest

from alliance_mailer.approval_file import read_approval
from conftest import change
from terminal import at_a_terminal
from ticks import ANN, Desk, settings, wall

NOW = wall("2026-04-02 16:00")
BY = ("--by", ANN)
APPROVE = ("approve", "--issue", "2.6", *BY)
ZONES = '[schedule]\nshow_zones = {Washington = "America/New_York", Tokyo = "Asia/Tokyo"}'


def git(project, *argv):
    subprocess.run(["git", "-C", str(project), *argv], check=True, capture_output=True)


def committed(project, author):
    git(project, "init", "-q")
    git(project, "config", "user.name", author)
    git(project, "config", "user.email", f"{author.lower()}@example.org")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "x")


# What it shows ----------------------------------------------------------------------------------------------------


def test_it_shows_what_is_approved_and_writes_it_down(project, live, mailer):
    settings(project, ZONES)
    change(project / "issues" / "2.6.md", "template: digest", "template: digest\nsend_at: 2100-04-02 09:00")
    result = mailer(*APPROVE, "--transport", "live")
    assert result.code == 0
    assert result.out == (
        f"Issue 2.6, edition {read_approval(project, '2.6').facts.edition[:12]}\n"
        "  subject  US-Japan Alliance Digest 2.6: US-Japan pact on critical minerals aims to secure EV batteries\n"
        "  from     US-Japan Alliance Digest <digest@example.org>\n"
        "  to       24 people (25 in contacts/subscribers.csv, 1 suppressed)\n"
        "  at       Fri 2 Apr 2100 09:00 EDT Washington, 22:00 JST Tokyo\n"
        f"  through  smtp 127.0.0.1:{live.port} (LIVE)\n"
        f"  by       {ANN}\n"
        "\nApproved: issues/2.6.approval.toml. Keep it:\n\n"
        "  git add issues/2.6.approval.toml issues/2.6.md\n"
        '  git commit -m "Approve issue 2.6"\n'
    )
    approval = read_approval(project, "2.6")
    assert (approval.by, approval.people, approval.transport) == (ANN, 24, "live")
    assert list(approval.facts.files) == [
        "issues/2.6.md", "issues/2.6-hero.jpg", "templates/digest/client.css", "templates/digest/inline.css",
        "templates/digest/message.mjml.j2",
    ]  # fmt: skip
    assert "premailer" in approval.facts.versions


def test_the_audience_is_compared_with_the_issue_before(project, live, mailer):
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes").code == 0
    contacts = project / "contacts" / "subscribers.csv"
    lines = contacts.read_text().splitlines()
    contacts.write_text(
        "\n".join([*lines[:-2], "new1@example.org,,,,", "new2@example.org,,,,", "new3@example.org,,,,", ""])
    )
    Desk(project).write("2.7", None)
    result = mailer("approve", "--issue", "2.7", *BY)
    assert "  to       25 people (26 in contacts/subscribers.csv, 1 suppressed); +3 −2 since 2.6\n" in result.out


def test_an_issue_without_a_time_says_so(project, mailer):
    result = mailer(*APPROVE)
    assert "  at       no send_at: whenever somebody runs `mailer send`; dispatch never does\n" in result.out
    assert "a rehearsal, nothing leaves this machine; --transport names another" in result.err


@pytest.mark.parametrize(
    ("send_at", "said"),
    [
        ("2020-01-01 09:00", "send_at is past by more than max_late: dispatch does not send it"),
        ("2100-12-01 09:00", "Washington moves its clocks on 2100-03-14, between now and then"),
    ],
)
def test_what_a_person_should_know_about_the_time(project, mailer, send_at, said):
    change(project / "issues" / "2.6.md", "template: digest", f"template: digest\nsend_at: {send_at}")
    result = mailer(*APPROVE)
    assert (result.code, said in result.err) == (0, True)


def test_the_settings_name_the_transport(project, live, mailer):
    settings(project, '[schedule]\ntransport = "live"')
    mailer(*APPROVE)
    assert read_approval(project, "2.6").transport == "live"


def test_without_the_lists_the_audience_is_not_counted(project, mailer):
    (project / "contacts" / "subscribers.csv").unlink()
    result = mailer(*APPROVE)
    assert result.code == 0
    assert "the audience is not counted" in result.err
    assert read_approval(project, "2.6").people is None


def test_json(project, mailer):
    document = json.loads(mailer("--json", *APPROVE).out)
    approval = read_approval(project, "2.6")
    assert document == {
        "issue": "2.6", "edition": approval.facts.edition, "by": ANN, "at": approval.at.isoformat(),
        "audience": ["subscribers"], "people": 24, "send_at": None, "instant": None, "transport": "default",
        "allow": {}, "withdrawn": False, "file": "issues/2.6.approval.toml",
    }  # fmt: skip


# What it refuses --------------------------------------------------------------------------------------------------


def test_mistakes_are_not_approved_unless_a_reason_is_recorded(project, live, mailer):
    change(project / "issues" / "2.6.md", "[put their names](https://ustr.gov/)", "[put their names](#)")
    result = mailer(*APPROVE)
    assert (result.code, result.out) == (1, "")
    assert 'error: issue 2.6 is not approved: a mistake in it\n  try: mend that, or --allow L001="why"\n' in result.err
    assert read_approval(project, "2.6") is None
    for wrong, said in (("L001", "--allow L001 wants the reason, too"), ("L999=x", "there is no rule L999")):
        refused = mailer(*APPROVE, "--allow", wrong)
        assert (refused.code, said in refused.err) == (2, True)
    assert mailer(*APPROVE, "--allow", "L001=it is published on Friday", "--transport", "live").code == 0
    assert read_approval(project, "2.6").allow == {"L001": "it is published on Friday"}
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes").code == 0  # and is not asked for again


def test_somebody_approves(project, mailer, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    result = mailer("approve", "--issue", "2.6")
    assert result.code == 2
    assert "error: who approves? git does not know who you are\n  try: --by " in result.err
    committed(project, "Ann")
    assert mailer("approve", "--issue", "2.6").code == 0
    assert read_approval(project, "2.6").by == "Ann <ann@example.org>"
    assert len(read_approval(project, "2.6").commit) == 40


def test_the_author_does_not_approve_where_another_must(project, mailer):
    settings(project, '[approval]\nby = "another"')
    unknown = mailer(*APPROVE)
    assert unknown.code == 77
    assert "error: issue 2.6: who wrote it is not known, it is not in git as it is now" in unknown.err
    committed(project, "Ann")
    own = mailer(*APPROVE)
    assert own.code == 77
    assert "error: issue 2.6 was last written by Ann <ann@example.org>; somebody else approves it" in own.err
    assert "try: ask another person to run  mailer approve --issue 2.6" in own.err
    assert mailer("approve", "--issue", "2.6", "--by", "Bob <bob@example.org>").code == 0
    change(project / "issues" / "2.6.md", "oil spill", "oil slick")
    assert "not in git as it is now" in mailer("approve", "--issue", "2.6", "--by", "Bob <bob@example.org>").err


# What `send` asks of it -------------------------------------------------------------------------------------------


def test_send_asks_for_an_approval_where_it_is_required(project, mailer):
    assert mailer("send", "--issue", "2.6").code == 0
    settings(project, "[approval]\nrequired = true")
    result = mailer("send", "--issue", "2.6")
    assert (result.code, result.err) == (77, "error: issue 2.6 is not approved\n  try: mailer approve --issue 2.6\n")
    mailer(*APPROVE)
    assert mailer("send", "--issue", "2.6").code == 0


@pytest.mark.parametrize("option", [(), ("--dry-run",), ("--to-new",)])
def test_send_refuses_what_is_not_what_was_approved(project, mailer, option):
    mailer(*APPROVE)
    change(project / "issues" / "2.6.md", "A month of drills", "Two months of drills")
    result = mailer("send", "--issue", "2.6", *option)
    assert result.code == 77
    assert "error: issue 2.6 has changed since its approval (Ann Example <ann@example.org>, " in result.err
    assert (
        "    Headlines 4:\n      - A month of drills shows US and …\n      + Two months of drills shows US and …\n"
        in result.err
    )
    assert "try: undo that, or look again and mailer approve --issue 2.6" in result.err


def test_send_refuses_what_was_withdrawn(project, mailer):
    mailer(*APPROVE)
    result = mailer("approve", "--issue", "2.6", "--withdraw", "--by", "Bob Boss")
    assert result.code == 0
    assert f"The approval of issue 2.6 ({ANN}, " in result.out
    assert 'git commit -m "Withdraw issue 2.6" issues/2.6.approval.toml' in result.out
    refused = mailer("send", "--issue", "2.6")
    assert refused.code == 77
    assert "error: the approval of issue 2.6 was withdrawn (Bob Boss, " in refused.err
    record = read_approval(project, "2.6")
    assert (record.by, record.withdrawn_by) == (ANN, "Bob Boss")
    mailer(*APPROVE)
    assert mailer("send", "--issue", "2.6").code == 0


def test_there_must_be_something_to_withdraw(project, mailer):
    result = mailer("approve", "--issue", "2.6", "--withdraw", *BY)
    assert result.code == 65
    assert "issue 2.6 has no approval to withdraw" in result.err


def test_a_larger_audience_is_asked_for_again(project, live, mailer):
    mailer(*APPROVE)
    with (project / "contacts" / "subscribers.csv").open("a") as contacts:
        contacts.writelines(f"new{n}@example.org,,,,\n" for n in range(3))
    said = "issue 2.6 was approved for 24 people, and now goes to 27"
    refused = mailer("send", "--issue", "2.6", "--transport", "live", "--yes")
    assert refused.code == 77
    assert f"error: {said}\n  try: look at the lists, and mailer approve --issue 2.6\n" in refused.err
    code, screen = at_a_terminal("send", "--issue", "2.6", "--transport", "live", asked="(2.6): ", typed="2.6\n")
    assert code == 0
    assert screen.index(said) < screen.index("Send it to 27 people?")
    assert len(live.accepted) == 27
