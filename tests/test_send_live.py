"""`mailer send` through a real mail server: it asks first, nobody gets it twice, and what went wrong is said."""

import json
import re

import pytest

from conftest import change
from terminal import at_a_terminal

ISSUE, LIST, SUPPRESSED = "issues/2.6.md", "contacts/subscribers.csv", "contacts/suppressed.csv"
AMELIA, KEN, LAST = "amelia.hartwell@example.org", "ken.sato@example.com", "library@example.com"
EVERYBODY = [
    AMELIA,
    KEN,
    "bob@example.net",
    "eve@example.org",
    "o'brien@example.com",
    "thomas.ashdown@example.net",
    LAST,
]
LIVE = ("send", "--issue", "2.6", "--transport", "live")


@pytest.fixture(autouse=True)
def few(live, project):
    """A list that is soon sent: six people, and one who is suppressed."""
    (project / LIST).write_text("email\n" + "".join(f"{address}\n" for address in EVERYBODY))


@pytest.fixture
def send(live, mailer):
    """Send for real, as a script does."""

    def send(*options):
        return mailer(*LIVE, "--yes", *options)

    return send


def recipients(server):
    return [to for _, to, _ in server.accepted]


def counts(mailer):
    document = json.loads(mailer("status", "--issue", "2.6", "--json").out)
    return {
        state: count for state, count in document.items() if isinstance(count, int) and count and state != "rehearsal"
    }


# Nobody twice ----------------------------------------------------------------------------------------------------------


def test_everybody_on_the_list_gets_it_once(send, live):
    result = send()
    assert result.code == 0
    assert "smtp 127.0.0.1" in result.out
    assert "(LIVE)" in result.out
    assert "6 accepted, 1 suppressed; nobody is left." in result.out
    assert len(recipients(live)) == len(set(recipients(live))) == 6
    assert {sender for sender, _, _ in live.accepted} == {"digest@example.org"}


def test_a_second_sending_says_that_everyone_has_it_and_sends_nothing(send, live):
    send()
    again = send()
    assert again.code == 0
    assert "Everyone has it: 6 accepted, 1 suppressed. Nothing was sent." in again.out
    assert len(live.accepted) == 6


def test_a_rehearsal_is_no_reason_not_to_send(send, mailer, live):
    assert mailer("send", "--issue", "2.6").code == 0
    assert send().code == 0
    assert len(recipients(live)) == 6


def test_a_sending_is_no_reason_not_to_rehearse(send, mailer, project):
    send()
    assert mailer("send", "--issue", "2.6").code == 0
    assert len([*(project / "outbox" / "2.6").iterdir()]) == 6


def test_a_limited_sending_goes_on_with_the_rest(send, live):
    first = send("--limit", "2")
    assert first.code == 75
    assert set(recipients(live)) == {AMELIA, KEN}
    assert len(live.accepted) == 2
    assert send().code == 0
    assert len(recipients(live)) == len(set(recipients(live))) == 6


def test_who_joins_later_gets_it_when_it_is_asked_for(send, live, project):
    send()
    with (project / LIST).open("a") as contacts:
        contacts.write("new@example.org\n")
    told = send()
    assert told.code == 0
    assert "1 person joined the lists since: mailer send --issue 2.6 --transport live --to-new" in told.out
    assert len(live.accepted) == 6
    assert send("--to-new").code == 0
    assert recipients(live)[6:] == ["new@example.org"]


def test_who_leaves_the_list_after_the_plan_was_planned_and_gets_it(send, live, project):
    send("--limit", "2")
    change(project / LIST, f"{LAST}\n", "")
    assert send().code == 0
    assert LAST in recipients(live)


def test_who_is_suppressed_after_the_plan_does_not_get_it(send, live, project):
    send("--limit", "2")
    with (project / SUPPRESSED).open("a") as suppressed:
        suppressed.write(f"{LAST},complaint,2023-04-01,feedback loop\n")
    assert send().code == 0
    assert LAST not in recipients(live)
    assert len(live.accepted) == 5


def test_a_sending_that_the_server_took_from_nobody_may_be_mended_and_sent(send, live, project):
    live.rcpt_replies = dict.fromkeys(EVERYBODY, "550 5.7.1 sender domain not verified")
    assert send().code == 69
    assert live.accepted == []
    change(project / "mailer.toml", "Digest <digest@example.org>", "Digest <news@example.org>")
    live.rcpt_replies = {}
    assert send().code == 0
    assert len(live.accepted) == 6


def test_who_joins_does_not_get_another_edition(send, live, project):
    send()
    change(project / "issues" / "2.6.md", "Every two weeks", "Every second week")
    with (project / LIST).open("a") as contacts:
        contacts.write("new@example.org\n")
    result = send("--to-new")
    assert result.code == 77
    assert "+Thank you for reading" in result.err
    assert len(live.accepted) == 6


def test_a_plan_is_finished_without_its_list(send, live, project):
    send("--limit", "2")
    (project / LIST).unlink()
    result = send()
    assert result.code == 0
    assert "who joined since is not known" in result.err
    assert len(live.accepted) == 6


def test_a_limit_of_the_server_leaves_everybody_for_later(send, live):
    live.data_replies = {AMELIA: "552 5.3.4 message too big"}
    assert send().code == 69
    live.data_replies = {}
    assert send().code == 0
    assert len(recipients(live)) == len(set(recipients(live))) == 6


def test_a_dry_run_tells_what_would_stop_the_sending(mailer, live, project, monkeypatch):
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    with (project / "mailer.toml").open("a") as config:
        config.write('user = "me"\npassword_env = "NO_SUCH_PASSWORD"\n')
    result = mailer(*LIVE, "--dry-run")
    assert result.code == 78
    assert "NO_SUCH_PASSWORD is not set" in result.err


def test_a_bounce_address_that_is_none_stops_the_sending(mailer, live, project):
    with (project / "mailer.toml").open("a") as config:
        config.write('bounce_address = "x> y"\n')
    assert mailer(*LIVE, "--yes").code == 78
    assert live.accepted == []


def receipt(project):
    return json.loads((project / "sends/2.6.json").read_text())


def test_an_unknown_rule_cannot_be_allowed(mailer, live):
    result = mailer(*LIVE, "--yes", "--allow", "L0001=why")
    assert result.code == 2
    assert 'there is no rule L0001 (did you mean "L001"?)' in result.err


# It asks ---------------------------------------------------------------------------------------------------------------


def test_without_a_terminal_and_without_yes_nothing_is_sent(mailer, live, project):
    result = mailer(*LIVE)
    assert result.code == 2
    assert "a live sending asks first, and there is no terminal" in result.err
    assert "try: mailer send --issue 2.6 --transport live --yes" in result.err
    assert live.accepted == []
    assert counts(mailer) == {}


def asked(typed):
    return at_a_terminal(*LIVE, "--limit", "2", asked="Type the issue's number (2.6): ", typed=typed)


def test_the_issues_number_typed_at_a_terminal_sends_it(live):
    code, screen = asked("2.6\n")
    assert code == 75  # two of them
    assert "Send it to 2 people?" in screen
    assert "(LIVE)" in screen
    assert "\x1b[1mIssue 2.6" in screen
    assert len(live.accepted) == 2


@pytest.mark.parametrize(("typed", "code"), [("y\n", 2), ("\x04", 2), ("\x03", 130)])
def test_anything_else_typed_sends_nothing(live, mailer, typed, code):
    found, screen = asked(typed)
    assert found == code
    assert ("interrupted; safe to run again" in screen) == (code == 130)
    assert live.accepted == []
    assert counts(mailer) == {}


def test_a_dry_run_asks_nobody_connects_to_nobody_and_writes_nothing(mailer, live, project):
    change(project / "mailer.toml", f"port = {live.port}", "port = 9")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    result = mailer(*LIVE, "--dry-run")
    assert result.code == 0
    assert "6 people (7 in contacts/subscribers.csv, 1 suppressed)" in result.out
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


# It refuses ---------------------------------------------------------------------------------------------------------


def test_an_issue_with_mistakes_does_not_leave_this_machine(send, mailer, live, project):
    change(project / ISSUE, "(https://www.mda.mil/)", "(#)")
    result = send()
    assert result.code == 1
    assert re.search(r"error: issues/2\.6\.md:\d+: the link “counts” leads nowhere \(#\) \[L001\]", result.err)
    assert "issue 2.6 is not sent: a mistake in it" in result.err
    assert 'try: mend that, or --allow L001="why"' in result.err
    assert live.accepted == []
    assert counts(mailer) == {}


def test_a_mistake_that_is_allowed_is_sent(send, live, project):
    change(project / ISSUE, "(https://www.mda.mil/)", "(#)")
    bare = send("--allow", "L001")
    assert bare.code == 2
    assert 'error: --allow L001 wants the reason, too: RULE=REASON\n  try: --allow L001="agreed with Ann"' in bare.err
    assert send("--allow", "A004=it is only a test").code == 1
    assert live.accepted == []
    allowed = ("--allow", "l001=out on Friday, says Ann", "--allow", "A004=not so")
    first = send("--limit", "2", *allowed)
    assert "  note     allowed: L001, out on Friday, says Ann\n" in first.out
    assert receipt(project)["allow"] == {"L001": "out on Friday, says Ann"}  # and not what was in order
    assert send("--allow", "L001=as before").code == 0
    assert receipt(project)["allow"] == {"L001": "as before"}
    assert len(live.accepted) == 6


def test_what_was_allowed_is_not_lost_from_the_command_that_is_named(mailer, live, project):
    change(project / ISSUE, "(https://www.mda.mil/)", "(#)")
    result = mailer(*LIVE, "--allow", "L001=it's out on Friday")
    assert result.code == 2
    assert """--allow L001='it'"'"'s out on Friday' --yes""" in result.err


def test_what_an_earlier_run_passed_over_stays_in_the_receipt(send, live, project):
    change(project / ISSUE, "(https://www.mda.mil/)", "(#)")
    assert send("--limit", "2", "--allow", "L001=out on Friday").code == 75
    change(project / "mailer.toml", "[check]\n", '[check]\nignore = [{ rule = "L001", reason = "known now" }]\n')
    assert send().code == 0
    assert receipt(project)["allow"] == {"L001": "out on Friday"}


def test_a_mistake_is_only_a_warning_at_a_rehearsal(mailer, project):
    change(project / ISSUE, "(https://www.mda.mil/)", "(#)")
    result = mailer("send", "--issue", "2.6")
    assert result.code == 0
    assert "warning: issues/2.6.md:" in result.err


def test_a_half_sent_issue_that_was_changed_is_refused_with_the_change(send, live, project):
    send("--limit", "2")
    change(project / ISSUE, "A month of drills", "Four weeks of drills")
    result = send()
    assert result.code == 77
    assert "issue 2.6 is half sent, and has changed since; 4 people left" in result.err
    assert "\n- 4. A month of drills shows US and Japanese forces acting as one\n" in result.err
    assert "\n+ 4. Four weeks of drills shows US and Japanese forces acting as one\n" in result.err
    assert "try: undo the change (git diff issues/2.6.md)" in result.err
    assert len(live.accepted) == 2
    change(project / ISSUE, "Four weeks of drills", "A month of drills")
    assert send().code == 0
    assert len(live.accepted) == 6


def test_a_half_sent_issue_whose_template_was_changed_is_refused(send, live, project):
    send("--limit", "2")
    change(project / "templates" / "digest" / "inline.css", "{", "{ letter-spacing: 0.1px;")
    result = send()
    assert result.code == 77
    assert "the words are the same: the template, a picture or a header differs" in result.err
    assert len(live.accepted) == 2


def test_an_issue_changed_after_everyone_has_it_is_not_sent_again(send, live, project):
    send()
    change(project / ISSUE, "A month of drills", "Four weeks of drills")
    result = send()
    assert result.code == 0
    assert "issues/2.6.md has changed since; what went out was edition" in result.out
    assert len(live.accepted) == 6


# What servers say --------------------------------------------------------------------------------------------------


def test_a_refused_person_is_told_and_everybody_else_gets_it(send, mailer, live):
    live.rcpt_replies[KEN] = "550 5.1.1 no such user"
    result = send()
    assert result.code == 1
    assert "5 accepted, 1 refused, 1 suppressed; nobody is left." in result.out
    assert "Who, and why: mailer status --issue 2.6 --failed" in result.out
    assert f"refused    {KEN}  550 5.1.1 no such user" in mailer("status", "--issue", "2.6", "--failed").out
    again = send()
    assert "Nobody is left: 5 accepted, 1 refused, 1 suppressed. Nothing was sent." in again.out
    assert len(live.accepted) == 5


def test_people_whom_the_server_put_off_are_left_for_later(send, mailer, live):
    live.data_replies[KEN] = "451 4.7.1 greylisted"
    result = send()
    assert result.code == 75
    said = r"1 person left \(they are to be tried again later\): run the same command again after [\d: -]+\."
    assert re.search(said, result.out)
    assert counts(mailer) == {"planned": 7, "accepted": 5, "suppressed": 1, "deferred": 1}
    live.data_replies.clear()
    assert send().code == 75  # it is not the time yet
    assert len(live.accepted) == 5


def test_a_rate_that_is_used_up_says_when_there_is_room_again(send, live, project):
    with (project / "mailer.toml").open("a") as config:
        config.write('rate = ["2/h"]\n')
    result = send()
    assert result.code == 75
    said = r"4 people left \(the rate is used up for now\): run the same command again after [\d: -]+\."
    assert re.search(said, result.out)
    assert len(live.accepted) == 2


def test_a_server_that_refuses_us_stops_the_run_and_nobody_is_refused(send, mailer, live, project):
    with (project / "mailer.toml").open("a") as config:
        config.write("connections = 1\n")
    live.rcpt_replies[KEN] = "550 5.7.1 your reputation"
    result = send()
    assert result.code == 69
    assert "error: 127.0.0.1 refuses us, not the person: 550 5.7.1 your reputation" in result.err
    assert "try: nobody is marked refused for it" in result.err
    assert counts(mailer) == {"planned": 7, "accepted": 1, "suppressed": 1, "waiting": 4, "deferred": 1}


def test_where_nobody_listens_nothing_is_planned(mailer, live, project):
    change(project / "mailer.toml", f"port = {live.port}", "port = 9")
    result = mailer(*LIVE, "--yes")
    assert result.code == 75
    assert "cannot connect to 127.0.0.1:9" in result.err
    assert counts(mailer) == {}


def test_a_password_that_is_not_set_is_a_mistake_in_the_settings(mailer, live, project, monkeypatch):
    monkeypatch.delenv("DIGEST_PASSWORD", raising=False)
    change(
        project / "mailer.toml", 'tls = "none"\n', 'tls = "none"\nuser = "digest"\npassword_env = "DIGEST_PASSWORD"\n'
    )
    result = mailer(*LIVE, "--yes")
    assert result.code == 78
    assert "try: export DIGEST_PASSWORD=…" in result.err
    monkeypatch.setenv("DIGEST_PASSWORD", "hunter2, in full")
    refused = mailer(*LIVE, "--yes", "-v")
    assert refused.code == 69  # this server has no AUTH
    assert "hunter2" not in result.out + result.err + refused.out + refused.err


def test_the_document_of_a_sending_and_of_an_error(send, live):
    live.rcpt_replies[KEN] = "550 5.1.1 no such user"
    sent = json.loads(send("--json").out)
    assert {state: sent[state] for state in ("rehearsal", "planned", "accepted", "refused", "suppressed")} == {
        "rehearsal": False, "planned": 7, "accepted": 5, "refused": 1, "suppressed": 1
    }  # fmt: skip
    assert sent["transport"] == f"smtp 127.0.0.1:{live.port} (LIVE)"


def test_a_run_that_was_stopped_says_why_as_a_document(send, live):
    live.rcpt_replies[KEN] = "550 5.7.1 your reputation"
    error = json.loads(send("--json").out)["error"]
    assert error["code"] == 69
    assert "your reputation" in error["message"]
    assert "run the same command again" in error["hint"]
