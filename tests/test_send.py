"""`mailer send` through the files transport: a rehearsal, which is complete and resumable in itself."""

import json
import re
from email import message_from_bytes, policy

import pytest

from conftest import change

ISSUE, LIST, SUPPRESSED = "issues/2.6.md", "contacts/subscribers.csv", "contacts/suppressed.csv"


@pytest.fixture
def outbox(project):
    return project / "outbox" / "2.6"


@pytest.fixture
def send(project, mailer):
    def send(*options):
        return mailer("send", "--issue", "2.6", *options)

    return send


def files_below(folder):
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def recipients(outbox):
    return sorted(each.name.removesuffix(".eml") for each in outbox.iterdir())


def append(path, line):
    path.write_text(path.read_text() + line + "\n")


# The run as a whole ---------------------------------------------------------------------------------------------------


def test_a_rehearsal_writes_one_message_a_subscriber_and_says_where_and_what_next(send, outbox):
    result = send()
    assert result.code == 0
    assert len(recipients(outbox)) == 24
    assert "thomas.ashdown@example.net" not in recipients(outbox)
    for said in (
        "24 people (25 in contacts/subscribers.csv, 1 suppressed)",
        "files → outbox/2.6 (nothing leaves this machine)",
        "US-Japan Alliance Digest <digest@example.org>",
        "24 accepted, 1 suppressed; nobody is left.",
        "Look at them: outbox/2.6/",
        "mailer test --issue 2.6 --to",
        "mailer send --issue 2.6 --transport live",
    ):
        assert said in result.out
    assert result.err == ""


def test_each_message_is_addressed_to_its_person(send, outbox):
    send()
    for path in outbox.iterdir():
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        assert message["To"].addresses[0].addr_spec == path.name.removesuffix(".eml")
        assert message["From"].addresses[0].addr_spec == "digest@example.org"


def test_a_second_rehearsal_says_that_it_is_complete_and_writes_nothing(send, project):
    send()
    before = files_below(project)
    result = send()
    assert result.code == 0
    assert "The rehearsal is complete: 24 accepted, 1 suppressed. Nothing was sent." in result.out
    assert "Look at them: outbox/2.6/" in result.out
    assert files_below(project) == before


def test_after_an_edit_the_rehearsal_starts_afresh_and_replaces_the_outbox(send, project, outbox):
    send()
    change(project / ISSUE, "a month of drills", "four weeks of drills")
    change(project / LIST, "library@example.com,Reading Room,,,academia\n", "")
    result = send()
    assert result.code == 0
    assert "23 accepted, 1 suppressed; nobody is left." in result.out
    assert len(recipients(outbox)) == 23
    assert all(b"four weeks of drills" in each.read_bytes() for each in outbox.iterdir())


def test_after_the_outbox_was_deleted_the_rehearsal_starts_afresh(send, outbox):
    send()
    for each in outbox.iterdir():
        each.unlink()
    assert "24 accepted, 1 suppressed; nobody is left." in send().out
    assert len(recipients(outbox)) == 24


def test_a_rehearsal_goes_on_where_a_limit_stopped_it(send, outbox):
    first = send("--limit", "5")
    assert first.code == 75
    assert "19 people left: run the same command again." in first.out
    assert "Look at them" not in first.out
    written = {each: each.stat().st_mtime_ns for each in outbox.iterdir()}
    assert len(written) == 5
    second = send()
    assert second.code == 0
    assert "19 people left of 25 planned; 5 have it" in second.out
    assert len(recipients(outbox)) == 24
    assert {each: each.stat().st_mtime_ns for each in written} == written


def test_a_full_disk_leaves_people_unsent_and_the_next_run_goes_on(send, outbox, small_disk):
    send("--limit", "2")
    with small_disk(min(each.stat().st_size for each in outbox.iterdir()) - 1000):
        full = send()
    assert full.code == 75
    assert "cannot be written: File too large" in full.err
    assert "run the same command again" in full.err
    assert "2 accepted, 1 suppressed, 22 waiting." in full.out
    assert len(recipients(outbox)) == 2
    assert send().code == 0
    assert len(recipients(outbox)) == 24


# A dry run --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
def test_a_dry_run_shows_the_plan_and_writes_nothing(send, project, begun):
    if begun:
        send("--limit", "3")
    before = files_below(project)
    result = send("--dry-run")
    assert result.code == 0
    assert f"{21 if begun else 24} people" in result.out
    assert "A dry run: nothing was written or sent." in result.out
    assert files_below(project) == before


def test_a_dry_run_finds_the_mistakes_that_a_run_would_find(send, project):
    change(project / ISSUE, ' | default("friend")', "")
    assert send("--dry-run").code == 65
    assert not (project / ".mailer").exists()


# The lists ------------------------------------------------------------------------------------------------------------


def test_a_bad_address_is_refused_by_name_and_keeps_nobody_else_from_it(send, mailer, project, outbox):
    append(project / LIST, "kate@@example.org,Kate,Kate,,press")
    result = send()
    assert result.code == 1
    assert re.search(r"warning: contacts/subscribers\.csv:27: kate@@example\.org: .*; recorded as refused", result.err)
    assert "24 accepted, 1 refused, 1 suppressed; nobody is left." in result.out
    assert "mailer status --issue 2.6 --failed" in result.out
    assert len(recipients(outbox)) == 24
    assert re.search(r"refused +kate@@example\.org", mailer("status", "--issue", "2.6", "--failed").out)
    assert send().code == 1  # everyone has it but her


def test_a_row_of_an_address_that_is_there_already_is_passed_over_and_told(send, project, outbox):
    append(project / LIST, "AMELIA.hartwell@example.org,Another Amelia,,,")
    result = send()
    place = "contacts/subscribers.csv:27: amelia.hartwell@example.org stands in contacts/subscribers.csv:2 already"
    assert f"warning: {place}; that row counts" in result.err
    assert b"To: Amelia Hartwell <" in (outbox / "amelia.hartwell@example.org.eml").read_bytes()


def test_a_long_list_of_odd_rows_is_cut_short(send, project):
    for number in range(13):
        append(project / LIST, f"nobody {number},,,,")
        append(project / LIST, "amelia.hartwell@example.org,,,,")
    said = send().err
    assert len(re.findall("recorded as refused", said)) == len(re.findall("that row counts", said)) == 10
    assert "… and 3 more invalid rows" in said
    assert "… and 3 more double rows" in said


def test_the_audience_is_the_union_of_its_lists(send, project, outbox):
    (project / "contacts" / "friends.csv").write_text("email\nfriend@example.org\nken.sato@example.com\n")
    change(project / ISSUE, "audience: [subscribers]", "audience: [friends, subscribers]")
    assert "25 people (26 in contacts/friends.csv, contacts/subscribers.csv, 1 suppressed)" in send().out
    assert len(recipients(outbox)) == 25


def test_who_is_suppressed_after_the_plan_gets_nothing(send, project, outbox):
    send("--limit", "5")
    append(project / SUPPRESSED, "library@example.com,complaint,2023-04-01,feedback loop")
    assert send().code == 0
    assert "library@example.com" not in recipients(outbox)
    assert len(recipients(outbox)) == 23


def test_a_suppression_that_cannot_be_read_stops_everything(send, project, outbox):
    append(project / SUPPRESSED, "no address,unsubscribe,,")
    result = send()
    assert result.code == 65
    assert "contacts/suppressed.csv:3: 'no address' is no address" in result.err
    assert not outbox.exists()


def test_a_person_without_a_field_that_the_issue_needs_is_named_before_anything_is_sent(send, project, outbox):
    change(project / ISSUE, ' | default("friend")', "")
    result = send()
    assert result.code == 65
    assert "contacts/subscribers.csv:9: desk@example.net has no first_name" in result.err
    assert "contacts/subscribers.csv:26: library@example.com has no first_name" in result.err
    assert 'try: give the field a fallback, {{ contact.first_name | default("reader") }}' in result.err
    assert not outbox.exists()


def test_many_people_without_a_field_are_counted_after_twenty(send, project):
    change(project / ISSUE, ' | default("friend")', "")
    for number in range(25):
        append(project / LIST, f"reader{number}@example.org,,,,")
    said = send().err
    assert len(re.findall("has no first_name", said)) == 20
    assert "… and 7 people more" in said


def test_somebody_suppressed_may_lack_a_field(send, project):
    change(project / ISSUE, ' | default("friend")', "")
    append(project / SUPPRESSED, "desk@example.net,unsubscribe,,")
    append(project / SUPPRESSED, "library@example.com,unsubscribe,,")
    assert send().code == 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "nobody stands in contacts/subscribers.csv"),
        ("thomas.ashdown@example.net\nno address\n", "none of the 2 in contacts/subscribers.csv can be mailed"),
    ],
)
def test_an_empty_audience_is_an_error(send, project, outbox, rows, said):
    (project / LIST).write_text(f"email\n{rows}")
    result = send()
    assert result.code == 65
    assert f"the audience is empty: {said}" in result.err
    assert "try: add people to contacts/subscribers.csv" in result.err
    assert not outbox.exists()


def test_an_unknown_list_is_an_error_with_the_nearest_name(send, project):
    change(project / ISSUE, "[subscribers]", "[subscriber]")
    result = send()
    assert result.code == 65
    assert 'contacts/subscriber.csv: there is no list "subscriber" (did you mean "subscribers"?)' in result.err


# What a program reads ------------------------------------------------------------------------------------------------


def test_the_document_has_the_keys_of_the_contract(send, mailer):
    sent = json.loads(send("--json").out)
    assert sent == {
        "issue": "2.6", "edition": sent["edition"], "transport": "files → outbox/2.6 (nothing leaves this machine)",
        "rehearsal": True, "planned": 25, "accepted": 24, "refused": 0, "suppressed": 1, "waiting": 0, "deferred": 0,
        "unknown": 0,
    }  # fmt: skip
    assert re.fullmatch("[0-9a-f]{64}", sent["edition"])
    assert json.loads(send("--json").out) == sent
    assert json.loads(mailer("status", "--issue", "2.6", "--json").out) == sent
    assert json.loads(mailer("status", "--json").out) == {"issues": [sent]}


def test_the_document_of_a_dry_run_says_who_would_get_it(send):
    document = json.loads(send("--dry-run", "--json").out)
    assert (document["planned"], document["waiting"], document["suppressed"]) == (25, 24, 1)


def test_for_a_program_stdout_is_the_document_and_words_go_to_stderr(send):
    result = send("--json")
    assert len(result.out.splitlines()) == 1
    assert "nobody is left" in result.err
