"""A receipt between two machines: whoever sends on, with the key, sends to nobody twice; without it, to nobody."""

import json
import shutil
import signal
import time
from contextlib import closing

import pytest

from alliance_mailer.ledger.sqlite import open_ledger
from conftest import change, start
from elsewhere import at, clone

LIST, RECEIPT = "contacts/subscribers.csv", "sends/2.6.json"
PEOPLE = [f"reader{n}@example.org" for n in range(6)]
LIVE = ("send", "--issue", "2.6", "--transport", "live", "--yes")


@pytest.fixture(autouse=True)
def few(live, project):
    (project / LIST).write_text("email\n" + "".join(f"{address}\n" for address in PEOPLE))
    with (project / "mailer.toml").open("a") as config:
        config.write('connections = 1\n\n[delivery]\nwait = "0s"\n')


@pytest.fixture
def send(mailer):
    def send(*options):
        return mailer(*LIVE, *options)

    return send


def recipients(server):
    return [to for _, to, _ in server.accepted]


def receipt(folder):
    return json.loads((folder / RECEIPT).read_text())


def letters(folder):
    return "".join(states for _, states in receipt(folder)["people"])


def nobody_twice(server):
    return len(recipients(server)) == len(set(recipients(server)))


def status(mailer):
    return json.loads(mailer("status", "--issue", "2.6", "--json").out)


# What it says -------------------------------------------------------------------------------------------------------


def test_a_receipt_has_counts_and_hashes_and_no_address(send, mailer, project):
    assert send().code == 0
    found, text = receipt(project), (project / RECEIPT).read_text()
    counts = {state: found[state] for state in ("planned", "accepted", "refused", "suppressed", "waiting", "unknown")}
    assert counts == {"planned": 6, "accepted": 6, "refused": 0, "suppressed": 0, "waiting": 0, "unknown": 0}
    assert found["finished"] is True
    assert found["edition"] == status(mailer)["edition"]
    assert found["transport"].endswith("(LIVE)")
    assert "@" not in text
    assert "reader" not in text


def test_a_rehearsal_and_a_dry_run_write_none(send, mailer, project):
    mailer("send", "--issue", "2.6")
    send("--dry-run")
    assert not (project / "sends").exists()


def test_a_person_is_another_number_in_another_issue(send, mailer, project):
    shutil.copy(project / "issues" / "2.6.md", project / "issues" / "2.7.md")
    change(project / "issues" / "2.7.md", '"2.6"', '"2.7"')
    send()
    mailer("send", "--issue", "2.7", "--transport", "live", "--yes")
    other = json.loads((project / "sends" / "2.7.json").read_text())
    assert other["people"][0][0] != receipt(project)["people"][0][0]
    assert other["key"] == receipt(project)["key"]


def test_the_command_for_git_is_printed_where_there_is_git(send, project):
    assert "git add" not in send("--limit", "2").out
    (project / ".git").mkdir()
    assert 'git add sends/2.6.json && git commit -m "Issue 2.6: 6 accepted" sends/2.6.json' in send().out


def test_before_the_first_message_it_says_who_is_planned(live, project):
    live.silent_after = 1
    with start(*LIVE) as run:
        while not live.accepted:
            assert run.poll() is None
            time.sleep(0.005)
        found = receipt(project)
        run.kill()
    live.silent_after = None
    assert (found["planned"], found["accepted"], found["finished"]) == (6, 0, False)


def test_where_it_cannot_be_written_nothing_is_sent(send, live, project):
    (project / "sends").write_text("in the way")
    result = send()
    assert result.code == 75
    assert "cannot be written" in result.err
    assert live.accepted == []
    (project / "sends").unlink()
    assert send().code == 0
    assert len(live.accepted) == 6


# A fresh clone --------------------------------------------------------------------------------------------------------


def test_a_fresh_clone_with_the_key_finishes_the_issue_and_resends_to_nobody(send, mailer, live, project, tmp_path):
    assert send("--limit", "2").code == 75
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        result = send()
        assert result.code == 0
        assert "sends/2.6.json knows who has it: 2 accepted, 4 waiting." in result.out
        assert sorted(recipients(live)) == PEOPLE
        assert letters(there) == "aaaaaa"
        assert mailer("audit", "--issue", "2.6").code == 0


def test_a_fresh_clone_with_the_key_knows_that_everyone_has_it(send, live, project, tmp_path):
    send()
    before = (project / RECEIPT).read_bytes()
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        result = send()
        assert result.code == 0
        assert "Everyone has it: 6 accepted. Nothing was sent." in result.out
        assert (there / RECEIPT).read_bytes() == before  # nothing to commit
    assert len(live.accepted) == 6


def test_a_fresh_clone_without_the_key_is_refused_and_makes_none(send, mailer, live, project, tmp_path):
    send("--limit", "2")
    with at(clone(project, tmp_path / "clone", key=False)) as there:
        for options in ((), ("--dry-run",), ("--to-new",)):
            result = send(*options)
            assert result.code == 77
            assert "issue 2.6 was sent from elsewhere: sends/2.6.json" in result.err
            assert "says 2 accepted, 0 unknown" in result.err
            assert "the key is not here" in result.err
            assert "try: copy .mailer/key from the machine that sent" in result.err
        assert not (there / ".mailer" / "key").exists()
        assert mailer("send", "--issue", "2.6").code == 0  # a rehearsal makes one
        assert "the key here is another one" in send().err
        assert "2.6 sending, as sends/2.6.json says: 6 planned = 2 accepted, 4 waiting" in mailer("status").out
        shutil.copy(project / ".mailer" / "key", there / ".mailer" / "key")
        assert send().code == 0
    assert sorted(recipients(live)) == PEOPLE


def test_the_key_may_come_from_the_environment(send, live, project, tmp_path, monkeypatch):
    send("--limit", "2")
    monkeypatch.setenv("DIGEST_KEY", (project / ".mailer" / "key").read_text().strip())
    with at(clone(project, tmp_path / "clone", key=False)) as there:
        change(there / "mailer.toml", 'language = "en"', 'language = "en"\nsecret_env = "DIGEST_KEY"')
        assert send().code == 0
    assert sorted(recipients(live)) == PEOPLE


def test_who_joined_since_waits_for_to_new_in_a_clone_too(send, live, project, tmp_path):
    send("--limit", "2")
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        with (there / LIST).open("a") as rows:
            rows.write("new@example.org\n")
        assert "1 joined since: --to-new" in send().out
        assert sorted(recipients(live)) == PEOPLE
        assert send("--to-new").code == 0
    assert sorted(recipients(live)) == ["new@example.org", *PEOPLE]


def test_who_is_on_no_list_of_the_clone_is_told_and_carried_on(send, mailer, live, project, tmp_path):
    send("--limit", "2")
    lost, waiting = recipients(live)[0], PEOPLE[-1]
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        change(there / LIST, f"{lost}\n", "")
        change(there / LIST, f"{waiting}\n", "")
        result = send()
        assert "2 people of it on no list here, and not sent to: 1 accepted, 1 waiting" in result.err
        assert len(live.accepted) == 5
        assert sorted(letters(there)) == sorted("aaaaAW")
        assert "also names 2 people who were on no list here" in mailer("audit", "--issue", "2.6").out
        # The list is mended: who has it has it, and who waits gets it.
        with (there / LIST).open("a") as rows:
            rows.write(f"{lost}\n{waiting}\n")
        assert send().code == 0
        assert sorted(recipients(live)) == PEOPLE
        assert letters(there) == "aaaaaa"


def test_a_clone_with_other_lists_altogether_sends_to_nobody_unasked(send, live, project, tmp_path):
    send()
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        (there / LIST).write_text("email\nstranger@example.org\n")
        result = send()
        assert result.code == 77
        assert "to other people than stand in contacts/subscribers.csv" in result.err
        assert len(live.accepted) == 6
        assert send("--to-new").code == 0
    assert recipients(live)[6:] == ["stranger@example.org"]


def test_a_clone_with_a_changed_issue_does_not_finish_it(send, live, project, tmp_path):
    send("--limit", "2")
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        change(there / "issues" / "2.6.md", "A month of drills", "Four weeks of drills")
        result = send()
        assert result.code == 77
        assert "issue 2.6 is half sent, and has changed since; 4 people left" in result.err
    assert len(live.accepted) == 2


def test_a_changed_issue_that_nobody_has_got_is_planned_afresh_in_a_clone(send, live, project, tmp_path):
    live.rcpt_replies = dict.fromkeys(PEOPLE, "451 4.3.0 later")
    assert send().code == 75
    live.rcpt_replies = {}
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        change(there / "issues" / "2.6.md", "A month of drills", "Four weeks of drills")
        assert send().code == 0
        assert letters(there) == "aaaaaa"
    assert sorted(recipients(live)) == PEOPLE


def test_who_is_suppressed_there_gets_nothing_here(send, live, project, tmp_path):
    (project / "contacts" / "suppressed.csv").write_text(f"email,reason\n{PEOPLE[3]},unsubscribe\n")
    send("--limit", "2")
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        (there / "contacts" / "suppressed.csv").write_text("email,reason\n")
        assert send().code == 0
    assert sorted(recipients(live)) == sorted({*PEOPLE} - {PEOPLE[3]})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2}', "<<<<<<< HEAD\n", '{"version": 1, "issue": "2.6", "people": [["!", "a"]]}'],
)
def test_a_receipt_that_cannot_be_understood_closes_the_issue(send, live, project, text):
    (project / "sends").mkdir()
    (project / RECEIPT).write_text(text)
    result = send()
    assert result.code == 77
    assert "sends/2.6.json" in result.err
    assert "try: " in result.err
    assert live.accepted == []


def test_people_and_states_that_do_not_fit_together_close_the_issue(send, live, project):
    send("--limit", "2")
    change(project / RECEIPT, '"people": [\n    ["', '"people": [\n    ["AAAAAAAAAAA=", ""],\n    ["')
    result = send()
    assert result.code == 77
    assert "do not fit together" in result.err
    assert len(live.accepted) == 2


# A restored ledger ----------------------------------------------------------------------------------------------------


def test_a_restored_older_ledger_learns_what_the_receipt_knows(send, mailer, live, project, tmp_path):
    send("--limit", "2")
    clone(project, tmp_path / "backup", key=True, ledger=True)
    live.rcpt_replies[PEOPLE[4]] = "550 5.1.1 gone"
    assert send("--limit", "3").code == 75
    with at(clone(project, tmp_path / "restored", key=True)) as there:
        shutil.rmtree(there / ".mailer")
        shutil.copytree(tmp_path / "backup" / ".mailer", there / ".mailer")
        assert send().code == 1
        tally = status(mailer)
        assert (tally["planned"], tally["accepted"], tally["refused"]) == (6, 5, 1)
        assert mailer("audit", "--issue", "2.6").code == 0
    assert sorted(recipients(live)) == sorted({*PEOPLE} - {PEOPLE[4]})


def test_an_older_receipt_changes_nothing_in_a_newer_ledger(send, live, project):
    send("--limit", "2")
    older = (project / RECEIPT).read_bytes()
    send("--limit", "2")
    (project / RECEIPT).write_bytes(older)
    assert send().code == 0
    assert sorted(recipients(live)) == PEOPLE


def test_two_machines_may_take_turns(send, live, project, tmp_path):
    send("--limit", "2")
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        send("--limit", "2")
    shutil.copy(there / RECEIPT, project / RECEIPT)
    assert send("--limit", "1").code == 75
    shutil.copy(project / RECEIPT, there / RECEIPT)
    with at(there):
        assert send().code == 0
    assert sorted(recipients(live)) == PEOPLE


def test_resolving_in_an_older_ledger_does_not_unlearn_what_the_receipt_knows(send, mailer, live, project, tmp_path):
    send("--limit", "2")
    clone(project, tmp_path / "backup", key=True, ledger=True)
    send("--limit", "2")
    shutil.copy(project / RECEIPT, tmp_path / "backup" / RECEIPT)
    with at(tmp_path / "backup"):
        left = [a for a in PEOPLE if a not in recipients(live)]
        with closing(open_ledger(tmp_path / "backup/.mailer/ledger.db")) as ledger:
            ledger._db.execute("update delivery set state = 'unknown' where address = ?", (left[0],))
        assert mailer("resolve", "--issue", "2.6", "--resend").code == 0
        assert send().code == 0
    assert sorted(recipients(live)) == PEOPLE


# A run that nobody has heard the end of ------------------------------------------------------------------------------


@pytest.fixture
def killed(live, project):
    """A run that was killed when the server had three messages; it had written the receipt before the first."""
    live.silent_after = 3
    with start(*LIVE) as run:
        while len(live.accepted) < 3:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
    live.silent_after = None


@pytest.mark.usefixtures("killed")
def test_where_the_ledger_is_a_killed_run_is_gone_on_with(send, live, project):
    assert send().code == 1
    assert nobody_twice(live)
    assert sorted(letters(project)) in (sorted("aaaaau"), sorted("aaaauu"))  # what was on the wire, and next


@pytest.mark.usefixtures("killed")
def test_where_it_is_not_everybody_whom_the_run_may_have_reached_is_unknown(send, mailer, live, project, tmp_path):
    with at(clone(project, tmp_path / "clone", key=True)):
        result = send()
        assert result.code == 1
        assert "Nothing was sent." in result.out
        assert status(mailer)["unknown"] == 6
        assert len(live.accepted) == 3
        # A person knows better.
        left = [address for address in PEOPLE if address not in recipients(live)]
        assert mailer("resolve", "--issue", "2.6", "--resend", *left).code == 0
        assert send().code == 1
    assert sorted(recipients(live)) == PEOPLE


def test_a_run_killed_after_its_last_message_writes_the_receipt_the_next_time(send, mailer, live, project):
    live.silent_after = 6
    with start(*LIVE) as run:
        while len(live.accepted) < 6:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.005)
        run.kill()
    live.silent_after = None
    assert receipt(project)["finished"] is False
    assert "people since: sends/2.6.json was under way" in mailer("audit", "--issue", "2.6").out
    assert send().code == 1
    assert receipt(project)["finished"] is True
    assert sorted(letters(project)) == sorted("aaaaau")
    assert "and sends/2.6.json says the same" in mailer("audit", "--issue", "2.6").out


def test_killed_between_two_receipts_again_and_again_and_nobody_gets_it_twice(send, live, project):
    for _ in range(2):
        live.silent_after = len(live.accepted) + 2
        with start(*LIVE) as run:
            while len(live.accepted) < live.silent_after:
                assert run.poll() is None, run.stderr.read()
                time.sleep(0.005)
            run.kill()
    live.silent_after = None
    assert send().code == 1
    assert nobody_twice(live)
    assert receipt(project)["accepted"] + receipt(project)["unknown"] == 6
    assert receipt(project)["unknown"] <= 4


def test_as_the_run_goes_on_the_receipt_is_written_anew(send, live, project, monkeypatch):
    monkeypatch.setattr("alliance_mailer.handover._INTERVAL", 0)
    monkeypatch.setattr("alliance_mailer.handover._SHARE", 0)
    send()
    with closing(open_ledger(project / ".mailer/ledger.db")) as ledger:
        written = ledger._db.execute("select count(*) from receipt").fetchone()[0]
    assert written > 2  # before the first message, at the end, and in between


def test_a_person_who_cannot_be_addressed_in_the_clone_is_told_before_anything_is_sent(send, live, project, tmp_path):
    change(project / "issues/2.6.md", "Thank you for reading", "Thank you for reading, {{ contact.city }},")
    (project / LIST).write_text("email,city\n" + "".join(f"{address},Kyōto\n" for address in PEOPLE))
    assert send("--limit", "2").code == 75
    with at(clone(project, tmp_path / "clone", key=True)) as there:
        change(there / LIST, f"{PEOPLE[0]},Kyōto", f"{PEOPLE[0]},")  # has it already
        change(there / LIST, f"{PEOPLE[5]},Kyōto", f"{PEOPLE[5]},")
        result = send()
        assert result.code == 65
        assert f"contacts/subscribers.csv:7: {PEOPLE[5]} has no city" in result.err
        assert PEOPLE[0] not in result.err
        assert len(live.accepted) == 2
        change(there / LIST, f"{PEOPLE[5]},\n", f"{PEOPLE[5]},Nara\n")
        assert send().code == 0
    assert sorted(recipients(live)) == PEOPLE


def test_a_few_more_people_mend_the_receipt_person_by_person(send, mailer, live, project):
    live.rcpt_replies[PEOPLE[3]] = "550 5.2.1 disabled"
    send("--limit", "2")
    before = [hashes for hashes, _ in receipt(project)["people"]]
    send("--limit", "2")
    assert sorted(letters(project)) == sorted("aaarww")
    assert [hashes for hashes, _ in receipt(project)["people"]] == before  # a diff shows what became of whom
    assert "and sends/2.6.json says the same" in mailer("audit", "--issue", "2.6").out
