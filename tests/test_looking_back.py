"""`mailer explain`, `resolve` and `audit`: one person's story, a decision on the unknown, the proof of all."""

import json
import re
import sqlite3
from contextlib import closing

import pytest

from conftest import change
from terminal import at_a_terminal

LIST = "contacts/subscribers.csv"
ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"
LIVE = ("send", "--issue", "2.6", "--transport", "live", "--yes")


@pytest.fixture
def sent(project, mailer, live):
    """Ann has it, Bob was refused, of Eve nobody knows."""
    (project / LIST).write_text(f"email,name,tags\n{ANN},Ann Lee,press;tokyo\n{BOB},Bob,\n{EVE},Eve,\n")
    live.rcpt_replies[BOB] = "550 5.2.1 disabled"
    assert mailer(*LIVE).code == 1
    unknown(project, EVE)
    return live


def unknown(project, *addresses):
    """As a run leaves them that was killed while they were on the wire."""
    with closing(sqlite3.connect(project / ".mailer/ledger.db")) as db, db:
        for address in addresses:
            words = ("connection lost after the final dot", address)
            db.execute("update delivery set state = 'unknown', reply = ? where address = ?", words)


def recipients(server):
    return [to for _, to, _ in server.accepted]


# explain ---------------------------------------------------------------------------------------------------------------


def test_a_persons_story_goes_from_the_list_to_the_servers_words(sent, mailer):
    said = mailer("explain", "--issue", "2.6", "Ann@Example.org").out
    assert said.startswith(f"{ANN}\n  list        contacts/subscribers.csv:2  (Ann Lee, press, tokyo)\n")
    assert "  2.6 sending accepted\n" in said
    assert "words       250 OK queued\n" in said
    assert "receipt     sends/2.6.json: accepted" in said
    message_id = re.search(r"Message-ID  (\S+)", said)[1]
    assert message_id in next(data for _, to, data in sent.accepted if to == ANN).decode()


def test_a_story_for_a_program(sent, mailer, project):
    (project / "contacts/suppressed.csv").write_text(f"email,reason,since,source\n{BOB},complaint,2023-03-02,reply\n")
    story = json.loads(mailer("explain", BOB, "--json").out)
    assert story["suppressed"] == {"reason": "complaint", "since": "2023-03-02", "source": "reply"}
    assert [each["source"] for each in story["lists"]] == ["contacts/subscribers.csv:3"]
    (delivery,) = story["deliveries"]
    assert (delivery["state"], delivery["reply"], delivery["attempts"]) == ("refused", "550 5.2.1 disabled", 1)
    assert story["receipts"][0]["state"] == "refused"


def test_who_is_on_a_list_and_was_never_planned_is_told_so(project, mailer):
    said = mailer("explain", "--issue", "2.6", "library@example.com").out
    assert "not in the plan of it, as this ledger knows" in said
    assert not (project / ".mailer").exists()


def test_an_address_that_nobody_knows_is_an_error_with_the_nearest(sent, mailer):
    result = mailer("explain", "--issue", "2.6", "anne@example.org")
    assert result.code == 65
    assert f'no list and no issue 2.6 knows anne@example.org (did you mean "{ANN}"?)' in result.err
    assert mailer("explain", "--issue", "2.7", ANN).code == 65


@pytest.mark.parametrize("written", ["", " \t"])
def test_whom_to_explain_has_to_be_said(sent, mailer, written):
    result = mailer("explain", "--issue", "2.6", written)
    assert result.code == 2
    assert result.err == "error: whom? The address is empty\n  try: mailer explain --issue 2.6 reader@example.org\n"


def test_an_address_that_is_none_has_a_story(project, mailer, live):
    (project / LIST).write_text(f"email\n{ANN}\nbob@@example.org\n")
    mailer(*LIVE)
    assert "2.6 sending refused" in mailer("explain", "bob@@example.org").out


# resolve ---------------------------------------------------------------------------------------------------------------


def test_without_a_decision_the_unknown_are_listed_with_what_to_look_for(sent, mailer):
    assert "Decide: mailer resolve --issue 2.6" in mailer("status").out
    result = mailer("resolve", "--issue", "2.6")
    assert result.code == 1
    assert f"  {EVE}  connection lost after the final dot\n" in result.out
    message_id = re.search(r"Message-ID (\S+)", result.out)[1]
    assert message_id.encode() in next(data for _, to, data in sent.accepted if to == EVE)
    document = json.loads(mailer("resolve", "--issue", "2.6", "--json").out)
    assert [row["address"] for row in document["unknown"]] == [EVE]


def test_whom_a_person_resends_to_gets_it_with_the_same_message_id(sent, mailer, project):
    result = mailer("resolve", "--issue", "2.6", "--resend")
    assert result.code == 0
    assert "1 person will get it" in result.out
    assert mailer("audit", "--issue", "2.6").code == 0
    assert mailer(*LIVE).code == 1  # Bob
    first, second = (data for _, to, data in sent.accepted if to == EVE)
    assert re.search(rb"Message-ID: (\S+)", first)[1] == re.search(rb"Message-ID: (\S+)", second)[1]


def test_whom_a_person_leaves_is_never_sent_to_nor_asked_about_again(sent, mailer):
    assert mailer("resolve", "--issue", "2.6", "--leave").code == 0
    assert mailer(*LIVE).code == 1
    assert recipients(sent).count(EVE) == 1
    assert "Decide:" not in mailer("status").out
    again = mailer("resolve", "--issue", "2.6")
    assert (again.code, again.out) == (0, "Nobody of issue 2.6 waits for a decision.\n")
    assert "unknown, left so" in mailer("explain", EVE).out
    left = mailer("resolve", "--issue", "2.6", "--leave")
    assert (left.code, left.out) == (0, "Nobody of issue 2.6 waits for a decision.\n")
    # They may change their mind, by name.
    all_again = mailer("resolve", "--issue", "2.6", "--resend")
    assert all_again.out == left.out + "Left before, 1 person: mailer resolve --issue 2.6 --resend ADDRESS …\n"
    assert mailer("resolve", "--issue", "2.6", "--resend", EVE).code == 0
    mailer(*LIVE)
    assert recipients(sent).count(EVE) == 2


def test_only_whom_the_decision_names(sent, mailer, project):
    unknown(project, ANN)
    assert mailer("resolve", "--issue", "2.6", "--resend", EVE).code == 0
    mailer(*LIVE)
    assert (recipients(sent).count(ANN), recipients(sent).count(EVE)) == (1, 2)
    result = mailer("resolve", "--issue", "2.6", "--resend", BOB)
    assert result.code == 65
    assert f"try: mailer explain --issue 2.6 {BOB}" in result.err


def test_a_decision_that_cannot_be_followed(project, mailer, live):
    assert mailer("resolve", "--issue", "2.6", "--resend").code == 65
    mailer("send", "--issue", "2.6")
    result = mailer("resolve", "--issue", "2.6", "--resend")
    assert result.code == 65  # a rehearsal knows no unknown
    assert "issue 2.6 was not sent from here, so nobody of it is unknown\n  try: mailer status\n" in result.err
    assert mailer("resolve", "--issue", "2.6", "--resend", "--leave").code == 2


# audit -----------------------------------------------------------------------------------------------------------------


def test_the_equation_and_the_receipt_are_proved(sent, mailer, project):
    mailer("resolve", "--issue", "2.6", "--resend")
    mailer(*LIVE)
    result = mailer("audit", "--issue", "2.6")
    assert result.code == 0
    equation = "3 planned = 2 accepted + 1 refused + 0 suppressed + 0 waiting + 0 deferred + 0 unknown"
    assert result.out == f"issue 2.6: {equation}\nEverybody is accounted for, once, and sends/2.6.json says the same.\n"
    document = json.loads(mailer("audit", "--issue", "2.6", "--json").out)
    assert (document["receipt"], document["problems"], document["accepted"]) == ("sends/2.6.json", [], 2)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"update delivery set state = 'waiting' where address = '{ANN}'", f"says something else: {ANN}"),
        (f"delete from delivery where address = '{ANN}'", "names 1 person whom the ledger does not know"),
        (f"update delivery set address = 'new@example.org' where address = '{ANN}'", "not in sends/2.6.json: new@"),
    ],
)
def test_a_ledger_that_somebody_changed_is_found_out(sent, mailer, project, statement, said):
    with closing(sqlite3.connect(project / ".mailer/ledger.db")) as db, db:
        db.execute(statement)
    result = mailer("audit", "--issue", "2.6")
    assert result.code == 1
    assert said in result.out


def test_one_person_under_two_names_is_found_out(sent, mailer, project):
    mailer("contacts", "forget", ANN)
    with closing(sqlite3.connect(project / ".mailer/ledger.db")) as db, db:
        db.execute(f"update delivery set address = '{ANN}' where address = '{BOB}'")
    result = mailer("audit", "--issue", "2.6")
    assert result.code == 1
    assert "1 person stand in the plan twice" in result.out or "1 person stands in the plan twice" in result.out


def test_a_receipt_that_is_gone_or_another_ledgers_is_a_problem(sent, mailer, project):
    receipt = project / "sends/2.6.json"
    change(receipt, '"serial": "', '"serial": "0')
    assert "was written by another ledger" in mailer("audit", "--issue", "2.6").out
    receipt.unlink()
    assert "there is no receipt sends/2.6.json" in mailer("audit", "--issue", "2.6").out


def test_an_issue_that_was_not_sent_cannot_be_audited(project, mailer):
    assert mailer("audit", "--issue", "2.6").code == 65
    mailer("send", "--issue", "2.6")  # a rehearsal
    assert mailer("audit", "--issue", "2.6").code == 65


def test_a_damaged_ledger_is_told(sent, mailer, project):
    path = project / ".mailer/ledger.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("pragma wal_checkpoint(truncate)")
        db.execute("pragma writable_schema = on")
        db.execute("delete from sqlite_master where name = 'delivery_open'")
    assert mailer("audit", "--issue", "2.6").code == 1


# doctor ----------------------------------------------------------------------------------------------------------------


def lines(result):
    return [line.split(maxsplit=1) for line in result.out.splitlines() if not line.startswith(" ")]


def test_a_publication_that_could_send_is_told_so(project, mailer, live):
    result = mailer("doctor")
    assert result.code == 0
    assert (
        f"transport live     smtp 127.0.0.1:{live.port} (LIVE): connected, without TLS; nothing was sent" in result.out
    )
    assert "a relay on this machine" in result.out
    assert live.accepted == []
    assert not (project / ".mailer").exists()
    checks = json.loads(mailer("doctor", "--json").out)["checks"]
    assert {"level", "name", "message", "hint", "code"} == set(checks[0])
    assert {each["level"] for each in checks} <= {"ok", "warn"}


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ('use = "files"', 'use = "flies"', 78, "transport.use names a file in transports/"),
        ('tls = "none"', 'tls = "starttls"', 69, "STARTTLS extension not supported"),
        ('tls = "none"', 'tls = "none"\nuser = "d"\npassword_env = "NOT_SET"', 78, "NOT_SET is not set"),
        ('language = "en"', 'language = "en"\nsecret_env = "NOT_SET"', 78, "NOT_SET is not set"),
    ],
)
def test_what_would_stop_a_sending_is_told_with_its_code(project, mailer, live, old, new, code, said):
    change(project / "mailer.toml", old, new)
    result = mailer("doctor")
    assert result.code == code
    assert any(level == "fail" and said in words for level, words in lines(result))


def test_a_server_that_is_not_there_does_not_end_the_visit(project, mailer, live):
    change(project / "mailer.toml", f"port = {live.port}", "port = 9")
    with (project / "mailer.toml").open("a") as config:
        config.write('\n[transports.other]\nuse = "files"\n')
    result = mailer("doctor")
    assert result.code == 75
    assert "transport other" in result.out


def test_what_should_not_be_so_is_told(project, mailer, sent):
    (project / ".mailer/key").chmod(0o644)
    (project / "contacts/suppressed.csv").unlink()
    with (project / LIST).open("a") as rows:
        rows.write("nobody,N,\n")
    said = mailer("doctor").out
    assert "may be read by others (mode 644)\n" in said
    assert "try: chmod 600 .mailer/key" in said
    assert "there is no contacts/suppressed.csv" in said
    assert "1 of 4 rows are no address" in said
    assert "issue 2.6: 1 unknown, and nobody has decided" in said


def test_a_ledger_that_is_none_fails(project, mailer):
    (project / ".mailer").mkdir()
    (project / ".mailer/ledger.db").write_text("Dear diary, " * 100)
    result = mailer("doctor")
    assert result.code == 78
    assert "is no ledger" in result.out


def test_on_a_terminal_the_words_are_coloured(project):
    code, screen = at_a_terminal("doctor")
    assert code == 0
    assert "\x1b[32mok  \x1b[0m  mailer.toml" in screen
