"""`mailer dispatch`: what cron calls sends what is approved and due, once, and says each refusal once."""

import json
import re
import signal
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from alliance_mailer.ledger import Sending
from alliance_mailer.ledger.sqlite import open_ledger
from conftest import change, start
from ticks import ANN, NEW_YORK, Desk, settings, wall

SEND_AT, DUE, BEFORE = "2026-04-03 09:00", wall("2026-04-03 09:00"), wall("2026-04-02 16:00")
MINUTE = timedelta(minutes=1)
SILENT = (0, "", "")
SIX = ["ann@example.org", "bob@example.net", "eve@example.org", "ken@example.com", "mia@example.org", "zoe@example.net"]


@pytest.fixture
def desk(live, project):
    """The example's issue 2.6, due on a Friday at nine in Washington, to six people."""
    desk = Desk(project)
    desk.write("2.6", SEND_AT)
    (project / "contacts" / "subscribers.csv").write_text("email\n" + "".join(f"{address}\n" for address in SIX))
    return desk


def said(result):
    return (result.code, result.out, result.err)


def recipients(server):
    return [to for _, to, _ in server.accepted]


# When -------------------------------------------------------------------------------------------------------------


def test_it_is_silent_until_the_minute_and_sends_then_and_is_silent_ever_after(desk, live):
    desk.approve("2.6", BEFORE)
    assert said(desk.tick(DUE - MINUTE)) == SILENT
    assert recipients(live) == []
    sent = desk.tick(DUE)
    assert (sent.code, sent.err) == (0, "")
    assert sent.out.startswith("Issue 2.6 is sent: 6 accepted\n")
    assert "(LIVE)" in sent.out
    assert sorted(recipients(live)) == SIX
    assert [said(desk.tick(DUE + n * MINUTE)) for n in (5, 600, 60000)] == [SILENT] * 3
    assert len(recipients(live)) == 6


@pytest.mark.parametrize(
    ("zone", "send_at", "instant"),
    [
        ("America/New_York", "2026-03-07 09:00", "2026-03-07 14:00"),
        ("America/New_York", "2026-03-08 09:00", "2026-03-08 13:00"),
        ("America/New_York", "2026-03-08 03:00", "2026-03-08 07:00"),  # the first minute after the gap
        ("America/New_York", "2026-11-01 01:30 -04:00", "2026-11-01 05:30"),
        ("America/New_York", "2026-11-01 01:30 -05:00", "2026-11-01 06:30"),
        ("America/New_York", "2026-11-02 09:00", "2026-11-02 14:00"),
        ("Asia/Tokyo", "2026-03-08 02:30", "2026-03-07 17:30"),
        ("Asia/Tokyo", "2026-11-01 01:30", "2026-10-31 16:30"),
        ("Australia/Lord_Howe", "2026-10-04 02:30", "2026-10-03 15:30"),  # half an hour is skipped there
        ("Australia/Lord_Howe", "2026-04-05 01:45 +11:00", "2026-04-04 14:45"),
        ("Australia/Lord_Howe", "2026-04-05 01:45 +10:30", "2026-04-04 15:15"),
    ],
)
def test_on_both_sides_of_a_clock_change_it_goes_at_the_instant_that_was_meant(desk, live, zone, send_at, instant):
    change(desk.project / "mailer.toml", 'timezone = "America/New_York"', f'timezone = "{zone}"')
    desk.write("2.6", send_at)
    due = datetime.fromisoformat(f"{instant}+00:00")
    desk.approve("2.6", due - timedelta(days=1))
    assert said(desk.tick(due - MINUTE)) == SILENT
    assert desk.tick(due).code == 0
    assert sorted(recipients(live)) == SIX


def test_after_max_late_it_is_told_once_and_not_sent(desk, live):
    desk.approve("2.6", BEFORE)
    late = desk.tick(DUE + 6 * 60 * MINUTE + MINUTE)
    assert (late.code, late.out) == (1, "")
    assert late.err == (
        "error: issue 2.6 was due Fri 3 Apr 2026 09:00 EDT Washington, 22:00 JST Tokyo; more than 6 hours have passed, and it is not sent "
        "any more\n  try: write another send_at and mailer approve --issue 2.6, or send it by hand: mailer send --issue "
        "2.6\n"
    )
    assert said(desk.tick(DUE + 400 * MINUTE)) == SILENT
    assert recipients(live) == []


def test_max_late_is_a_setting(desk, live):
    settings(desk.project, '[schedule]\nmax_late = "15m"')
    desk.approve("2.6", BEFORE)
    assert "more than 15 minutes have passed" in desk.tick(DUE + 16 * MINUTE).err
    assert recipients(live) == []


def test_just_within_max_late_it_still_goes(desk, live):
    desk.approve("2.6", BEFORE)
    assert desk.tick(DUE + 6 * 60 * MINUTE).code == 0
    assert sorted(recipients(live)) == SIX


# Only what was approved --------------------------------------------------------------------------------------------


def test_due_and_not_approved_is_told_once(desk, live):
    assert said(desk.tick(DUE - MINUTE)) == SILENT
    first = desk.tick(DUE)
    assert (first.code, first.out) == (77, "")
    assert first.err == (
        "error: issue 2.6 was due Fri 3 Apr 2026 09:00 EDT Washington, 22:00 JST Tokyo, and is not approved\n"
        "  try: mailer approve --issue 2.6\n"
    )
    assert said(desk.tick(DUE + MINUTE)) == SILENT
    desk.approve("2.6", DUE + 2 * MINUTE)
    assert desk.tick(DUE + 3 * MINUTE).code == 0
    assert sorted(recipients(live)) == SIX


def test_what_the_approval_allows_is_sent_and_recorded(desk, live):
    change(desk.project / "issues/2.6.md", "[put their names](https://ustr.gov/)", "[put their names](#)")
    desk.approve("2.6", BEFORE, allow={"L001": "the report is out on Friday"})
    sent = desk.tick(DUE)
    assert sent.code == 0
    assert "allowed: L001, the report is out on Friday" in sent.out
    assert len(recipients(live)) == 6
    assert json.loads((desk.project / "sends/2.6.json").read_text())["allow"] == {"L001": "the report is out on Friday"}


def test_a_change_after_the_approval_is_told_once_with_old_and_new_text(desk, live):
    desk.approve("2.6", BEFORE)
    change(desk.project / "issues" / "2.6.md", "an oil spill near Naujan", "an oil slick near Naujan")
    result = desk.tick(DUE)
    assert (result.code, result.out) == (77, "")
    assert result.err == (
        f"error: issue 2.6 has changed since its approval ({ANN}, Thu 2 Apr 2026 16:00 EDT)\n"
        "  issues/2.6.md: changed\n"
        "    Details 5:\n"
        "      - … Japan to keep an oil spill near Naujan from spreading. By …\n"
        "      + … Japan to keep an oil slick near Naujan from spreading. By …\n"
        "  try: undo that, or look again and mailer approve --issue 2.6\n"
    )
    assert said(desk.tick(DUE + MINUTE)) == SILENT
    change(desk.project / "issues" / "2.6.md", "an oil slick near Naujan", "an oil leak near Naujan")
    assert "an oil leak near Naujan" in desk.tick(DUE + 2 * MINUTE).err  # another cause, so it is news
    change(desk.project / "issues" / "2.6.md", "an oil leak near Naujan", "an oil spill near Naujan")
    assert desk.tick(DUE + 3 * MINUTE).code == 0  # as it was approved
    assert sorted(recipients(live)) == SIX


def test_a_time_moved_after_the_approval_is_refused_at_the_earlier_of_both(desk, live):
    desk.approve("2.6", BEFORE)
    change(desk.project / "issues" / "2.6.md", SEND_AT, "2026-04-10 09:00")
    result = desk.tick(DUE)
    assert result.code == 77
    assert "  send_at: 2026-04-03 09:00 America/New_York → 2026-04-10 09:00 America/New_York\n" in result.err
    assert said(desk.tick(wall("2026-04-10 09:00"))) == SILENT
    desk.approve("2.6", wall("2026-04-10 10:00"))
    assert desk.tick(wall("2026-04-10 10:05")).code == 0
    assert sorted(recipients(live)) == SIX


def test_withdrawn_is_told_once_and_stays_told_however_late_it_gets(desk, live, mailer):
    desk.approve("2.6", BEFORE)
    assert mailer("approve", "--issue", "2.6", "--withdraw", "--by", "Bob Boss").code == 0
    result = desk.tick(DUE)
    assert result.code == 77
    assert "error: the approval of issue 2.6 was withdrawn (Bob Boss, " in result.err
    assert "try: mailer approve --issue 2.6" in result.err
    assert [said(desk.tick(DUE + n * MINUTE)) for n in (1, 1000)] == [SILENT] * 2
    assert recipients(live) == []


def test_people_who_join_do_not_matter_until_they_are_many(desk, live):
    contacts = desk.project / "contacts" / "subscribers.csv"
    desk.approve("2.6", BEFORE)
    contacts.write_text(contacts.read_text() + "one@example.org\ntwo@example.org\n")
    result = desk.tick(DUE)
    assert result.code == 77
    assert "error: issue 2.6 was approved for 6 people, and now goes to 8\n" in result.err
    assert "try: look at the lists, and mailer approve --issue 2.6" in result.err
    contacts.write_text(contacts.read_text().replace("two@example.org\n", ""))
    assert desk.tick(DUE + MINUTE).code == 0
    assert sorted(recipients(live)) == sorted([*SIX, "one@example.org"])


def test_a_draft_that_cannot_be_read_is_its_authors_business_until_it_was_approved(desk, live):
    draft = desk.project / "issues" / "2.7.md"
    draft.write_text("---\nissue: 2.7\n")
    assert said(desk.tick(DUE - MINUTE)) == SILENT
    desk.approve("2.6", BEFORE)
    change(desk.project / "issues" / "2.6.md", "title:", "titel:")
    result = desk.tick(DUE)
    assert result.code == 65
    assert "issues/2.6.md:3: unknown key 'titel' (did you mean \"title\"?)" in result.err
    assert said(desk.tick(DUE)) == SILENT


def test_a_damaged_approval_is_told_with_its_line(desk, live):
    desk.approve("2.6", BEFORE)
    change(desk.project / "issues" / "2.6.approval.toml", 'issue = "2.6"', "issue = 2.6.1")
    result = desk.tick(DUE)
    assert result.code == 65
    assert "issues/2.6.approval.toml:2: this is no TOML" in result.err
    assert "try: git checkout issues/2.6.approval.toml, or mailer approve --issue 2.6" in result.err


def test_an_issue_that_was_sent_by_hand_is_done(desk, live, mailer):
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes").code == 0
    assert said(desk.tick(DUE)) == SILENT
    assert len(recipients(live)) == 6


def test_broken_settings_are_told_once(desk, live):
    change(desk.project / "mailer.toml", 'language = "en"', 'langauge = "en"')
    first = desk.tick(DUE)
    assert first.code == 78
    assert 'mailer.toml:8: unknown key "langauge" (did you mean "language"?)' in first.err
    assert said(desk.tick(DUE + MINUTE)) == SILENT


def test_a_ledger_that_is_none_is_told_once(desk, live):
    desk.approve("2.6", BEFORE)
    ledger = desk.project / ".mailer" / "ledger.db"
    whole = ledger.read_bytes()
    ledger.write_bytes(b"no database at all, but a file of another program" * 100)
    first = desk.tick(DUE)
    assert (first.code, first.out) == (78, "")
    assert "ledger.db is no ledger" in first.err
    assert said(desk.tick(DUE + MINUTE)) == SILENT
    ledger.write_bytes(whole)
    assert desk.tick(DUE + 2 * MINUTE).code == 0


# Once, whatever happens -------------------------------------------------------------------------------------------


def test_people_whom_the_server_put_off_are_tried_again_when_they_are_due(desk, live):
    change(desk.project / "mailer.toml", "[transport]\n", '[delivery]\nretry = ["20m"]\nwait = "0s"\n\n[transport]\n')
    desk.approve("2.6", BEFORE)
    live.data_replies[SIX[0]] = "450 4.2.1 busy"
    first = desk.tick(DUE)
    assert first.code == 75
    assert "Issue 2.6 is not finished: 5 accepted, 1 deferred" in first.out
    assert said(desk.tick(DUE + 5 * MINUTE)) == SILENT  # not due yet
    still = desk.tick(DUE + 21 * MINUTE)
    assert (still.code, still.out) == (75, "")  # as before; nobody is told again
    live.data_replies.clear()
    done = desk.tick(DUE + 60 * MINUTE)
    assert (done.code, done.out.splitlines()[0]) == (0, "Issue 2.6 is sent: 6 accepted")
    assert sorted(recipients(live)) == SIX


def test_a_sending_that_was_begun_goes_on_however_late_it_is(desk, live, mailer):
    desk.approve("2.6", BEFORE)
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes", "--limit", "2").code == 75
    assert said(desk.tick(DUE - MINUTE)) == SILENT  # five people first, the rest in its time
    assert desk.tick(DUE + timedelta(days=2)).code == 0
    assert sorted(recipients(live)) == SIX


class Killed(BaseException):
    """The process ends here."""


# A process that ends closes its sockets; an exception in its place leaves that to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_sending_that_died_before_anybody_got_it_is_too_late_like_any_other(desk, live):
    desk.approve("2.6", BEFORE)
    sending, ledger = Sending("2.6", rehearsal=False), desk.project / ".mailer" / "ledger.db"

    def planned_and_no_more():
        """The clock is read when everybody is planned; and once more, for the first claim."""
        with closing(open_ledger(ledger)) as seen:
            if seen.planned(sending):
                raise Killed
        return DUE

    with pytest.raises(Killed):
        desk.tick(DUE, planned_and_no_more)
    late = desk.tick(DUE + timedelta(hours=7))
    assert (late.code, "it is not sent any more" in late.err) == (1, True)
    assert recipients(live) == []


def test_one_list_never_gets_two_at_once_and_the_oldest_goes_first(desk, live):
    desk.write("2.7", "2026-04-03 08:55")
    desk.write("2.8", "2026-04-03 09:00", audience="press")
    (desk.project / "contacts" / "press.csv").write_text("email\npress@example.org\n")
    for number in ("2.6", "2.7", "2.8"):
        desk.approve(number, BEFORE)
    assert desk.tick(DUE).code == 0
    subjects = [re.search(rb"Digest (2\.\d)", message)[1].decode() for _, _, message in live.accepted]
    assert subjects == ["2.7"] * 6 + ["2.8"]
    assert desk.tick(DUE + 5 * MINUTE).code == 0
    assert len(live.accepted) == 13
    assert said(desk.tick(DUE + 10 * MINUTE)) == SILENT


def test_a_newer_issue_waits_while_somebody_is_left_of_an_older_one(desk, live):
    change(desk.project / "mailer.toml", "[transport]\n", '[delivery]\nretry = ["20m"]\nwait = "0s"\n\n[transport]\n')
    desk.write("2.7", "2026-04-03 09:10")
    desk.approve("2.6", BEFORE)
    desk.approve("2.7", BEFORE)
    live.data_replies[SIX[0]] = "450 4.2.1 busy"
    assert desk.tick(DUE).code == 75
    assert said(desk.tick(DUE + 11 * MINUTE)) == SILENT
    live.data_replies.clear()
    assert "2.6 is sent" in desk.tick(DUE + 25 * MINUTE).out
    assert "2.7 is sent" in desk.tick(DUE + 30 * MINUTE).out


def test_no_way_out_is_told_once_and_stays_the_exit_code(desk, live):
    change(desk.project / "mailer.toml", f"port = {live.port}", "port = 1")
    desk.approve("2.6", BEFORE)
    first = desk.tick(DUE)
    assert first.code == 75
    assert "127.0.0.1:1" in first.err
    again = desk.tick(DUE + 5 * MINUTE)
    assert (again.code, again.err) == (75, "")
    change(desk.project / "mailer.toml", "port = 1", f"port = {live.port}")
    assert desk.tick(DUE + 10 * MINUTE).code == 0
    assert sorted(recipients(live)) == SIX


def test_a_mistake_that_check_finds_now_is_told_with_its_place(desk, live):
    desk.approve("2.6", BEFORE)
    change(desk.project / "contacts" / "subscribers.csv", "zoe@example.net", "zoe@example.net\nzoe")
    assert desk.tick(DUE).code == 1  # sent; an invalid row is recorded as refused, and a person should look
    assert sorted(recipients(live)) == SIX


def test_the_files_transport_is_rehearsed_once(desk, live):
    desk.approve("2.6", BEFORE, transport=None)
    result = desk.tick(DUE)
    assert result.code == 0
    assert result.out.startswith("Issue 2.6 is rehearsed: 6 accepted\n")
    assert "files → outbox/2.6 (nothing leaves this machine)" in result.out
    assert len([*(desk.project / "outbox" / "2.6").glob("*.eml")]) == 6
    assert said(desk.tick(DUE + MINUTE)) == SILENT


# Another machine, or a backup --------------------------------------------------------------------------------------


def lose_the_ledger(desk):
    for file in (desk.project / ".mailer").glob("ledger.db*"):
        file.unlink()
    (desk.project / ".mailer" / "said.json").unlink()


@pytest.mark.parametrize("hours", [1, 1000])
@pytest.mark.parametrize("with_key", [True, False])
def test_a_fresh_clone_does_not_send_again_and_is_silent(desk, live, hours, with_key):
    desk.approve("2.6", BEFORE)
    assert desk.tick(DUE).code == 0
    lose_the_ledger(desk)
    if not with_key:
        (desk.project / ".mailer" / "key").unlink()
    assert said(desk.tick(DUE + timedelta(hours=hours))) == SILENT
    assert sorted(recipients(live)) == SIX


def test_a_fresh_clone_without_an_approval_is_silent_about_what_was_sent(desk, live, mailer):
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes").code == 0
    lose_the_ledger_of_a_sending_by_hand(desk)
    assert said(desk.tick(DUE)) == SILENT


def lose_the_ledger_of_a_sending_by_hand(desk):
    (desk.project / ".mailer" / "said.json").write_text("{}")
    lose_the_ledger(desk)


def test_a_restored_ledger_does_not_send_again(desk, live):
    desk.approve("2.6", BEFORE)
    ledger = desk.project / ".mailer" / "ledger.db"
    backup = ledger.read_bytes()  # of the night before
    assert desk.tick(DUE).code == 0
    lose_the_ledger(desk)
    ledger.write_bytes(backup)
    assert said(desk.tick(DUE + timedelta(hours=5))) == SILENT
    assert sorted(recipients(live)) == SIX


def test_a_fresh_clone_finishes_what_was_begun_and_says_so(desk, live, mailer):
    desk.approve("2.6", BEFORE)
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes", "--limit", "2").code == 75
    lose_the_ledger_of_a_sending_by_hand(desk)
    result = desk.tick(DUE + timedelta(hours=30))
    assert (result.code, sorted(recipients(live))) == (0, SIX)


# In processes of their own ----------------------------------------------------------------------------------------


@pytest.fixture
def due_now(desk):
    """Issue 2.6 is due at this minute, as the machine's clock has it."""
    now = datetime.now(UTC)
    desk.write("2.6", f"{now.astimezone(NEW_YORK):%Y-%m-%d %H:%M}")
    desk.approve("2.6", now)
    return desk


def test_ten_at_once_send_once(due_now, live):
    runs = [start("dispatch") for _ in range(10)]
    ended = [(run.communicate(timeout=60), run.returncode) for run in runs]
    assert [code for _, code in ended] == [0] * 10
    assert len([out for (out, _), _ in ended if out]) == 1  # nine had nothing to say
    assert {err for (_, err), _ in ended} == {""}
    assert sorted(recipients(live)) == SIX


def test_after_kill_9_the_next_tick_finishes(due_now, live):
    settings(due_now.project, "connections = 1")  # of [transports.live]
    live.silent_after = 3
    run = start("dispatch")
    try:
        while len(live.accepted) < 3:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.005)
        assert start("dispatch").communicate(timeout=60) == ("", "")  # another holds it
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    live.silent_after = None
    after = start("dispatch")
    out, err = after.communicate(timeout=60)
    assert (after.returncode, err) == (1, "")
    # What was on the wire, and the one claimed behind it, are never sent again unasked; all others have it.
    assert re.match(r"Issue 2\.6 is sent: (5 accepted, 1|4 accepted, 2) unknown\n", out)
    assert len(recipients(live)) == len({*recipients(live)}) >= 5
    assert start("dispatch").communicate(timeout=60) == ("", "")


def test_while_somebody_sends_it_by_hand_it_is_silent(due_now, live):
    live.silent_after = 1
    run = start("send", "--issue", "2.6", "--transport", "live", "--yes")
    try:
        while not live.accepted:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.005)
        assert start("dispatch").communicate(timeout=60) == ("", "")
    finally:
        live.silent_after = None
        run.communicate(timeout=60)
    assert sorted(recipients(live)) == SIX


def test_json_is_one_document(due_now, live):
    run = start("dispatch", "--json")
    out, _ = run.communicate(timeout=60)
    document = json.loads(out)
    assert document["issues"] == [
        {"issue": "2.6", "code": 0, "planned": 6, "accepted": 6, "refused": 0, "suppressed": 0, "waiting": 0,
         "deferred": 0, "unknown": 0}
    ]  # fmt: skip
    quiet = start("dispatch", "--json")
    assert json.loads(quiet.communicate(timeout=60)[0]) == {"issues": []}
