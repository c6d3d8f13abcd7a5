"""`mailer contacts`: what is found, what an import changes, who stays suppressed, and what is left of who was forgotten."""

import csv
import json
import re
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.contact import read_contacts
from alliance_mailer.errors import ConfigError
from alliance_mailer.forgotten import identities, pseudonym, refuse_other_keys
from alliance_mailer.sheet import read_rows, with_changes
from conftest import change

LIST, SUPPRESSED = "contacts/subscribers.csv", "contacts/suppressed.csv"
KEN, THOMAS = "ken.sato@example.com", "thomas.ashdown@example.net"
LIVE = ("send", "--issue", "2.6", "--transport", "live", "--yes")


def emails(path):
    with path.open(newline="") as stream:
        return [row["email"] for row in csv.DictReader(stream)]


# check -----------------------------------------------------------------------------------------------------------------


def test_a_check_names_what_is_wrong_with_file_and_line(project, mailer):
    rows = ["bob@@example.org,Bob", "ann@gmial.com,Ann", "info@example.org,", "noreply@example.org,",
            "ANN@gmial.com,Ann", f"{THOMAS},", 'eve@example.org,"=HYPERLINK(""https://evil.example"")"',
            "dan@example.org,+81 3 1234"]  # fmt: skip
    (project / LIST).write_text("email,name\n" + "\n".join(rows) + "\n")
    result = mailer("contacts", "check")
    assert result.code == 1
    found = re.findall(r"(error|warning): contacts/subscribers\.csv:(\d+): .* \[(P\d+)\]", result.out)
    assert found == [
        ("error", "2", "P001"), ("warning", "3", "P004"), ("warning", "4", "P003"), ("warning", "5", "P003"),
        ("warning", "6", "P002"), ("warning", "6", "P004"), ("warning", "7", "P005"), ("warning", "8", "P006"),
    ]  # fmt: skip
    assert "is gmial.com meant to be gmail.com?" in result.out
    assert "stands in contacts/subscribers.csv:3 already" in result.out
    assert "is suppressed: unsubscribe" in result.out
    assert "contacts/subscribers.csv: 8 people; 1 error and 7 warnings" in result.out
    document = json.loads(mailer("contacts", "check", "--json").out)
    assert document["people"] == 8
    assert [(each["rule"], each["line"]) for each in document["findings"]] == [(rule, int(n)) for _, n, rule in found]


def test_a_check_of_a_good_list_finds_nothing(project, mailer):
    (project / LIST).write_text(f"email\n{KEN}\n")
    result = mailer("contacts", "check", "subscribers")
    assert (result.code, result.out) == (0, "contacts/subscribers.csv: 1 person; nothing found\n")


def test_an_unknown_list_is_named(project, mailer):
    assert mailer("contacts", "check", "subscriber").code == 65
    (project / LIST).unlink()
    result = mailer("contacts", "check")
    assert result.code == 65
    assert "there is no list in contacts/" in result.err


# import ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def export(project):
    (project / LIST).write_text('email,name,tags\nKen.Sato@example.com,"Ken",press\nold@example.org,Old,\n')
    file = project / "export.csv"
    rows = ["ken.sato@example.com;Ken Satō;", f"{THOMAS};Thomas;", "new@example.org;New;Kyōto", "nobody;N;",
            "new@example.org;Again;"]  # fmt: skip
    file.write_text("E-mail Address;Name;City\n" + "\n".join(rows) + "\n")
    return file


def test_an_import_shows_what_it_would_change_and_writes_nothing(project, mailer, export):
    before = (project / LIST).read_bytes()
    result = mailer("contacts", "import", "export.csv")
    assert result.code == 1  # an address is none
    assert "  + new@example.org  New, Kyōto\n" in result.out
    assert '  ~ ken.sato@example.com  name "Ken" → "Ken Satō"\n' in result.out
    assert f"  ! export.csv:3: {THOMAS} is not imported: suppressed since 2023-03-02: unsubscribe\n" in result.out
    assert "  ! export.csv:5: nobody is not imported: no address" in result.out
    assert "  ! export.csv:6: new@example.org is not imported: stands in the file already" in result.out
    assert "1 added, 1 changed, 0 as they are, 3 not imported; 1 person only on the list, and kept." in result.out
    assert "To write it: mailer contacts import export.csv --apply" in result.out
    assert (project / LIST).read_bytes() == before


def test_an_applied_import_changes_only_what_it_showed(project, mailer, export):
    mailer("contacts", "import", "export.csv", "--apply")
    assert (project / LIST).read_text() == (
        "email,name,tags,city\nKen.Sato@example.com,Ken Satō,press,\nold@example.org,Old,\nnew@example.org,New,,Kyōto\n"
    )
    again = mailer("contacts", "import", "export.csv", "--apply")
    assert "0 added, 0 changed, 1 as they are" in again.out.replace("2 as they are", "1 as they are")
    assert "There is nothing to write." in again.out


def test_an_import_makes_a_list_that_is_not_there(project, mailer, export):
    document = json.loads(mailer("contacts", "import", "export.csv", "--list", "press", "--apply", "--json").out)
    assert document["applied"] is True
    assert document["added"] == [KEN, "new@example.org"]
    assert [each["line"] for each in document["skipped"]] == [3, 5, 6]
    assert (project / "contacts/press.csv").read_text().splitlines()[0] == "email,name,city"
    assert [each.address for each in read_contacts(project / "contacts/press.csv", "x")] == [KEN, "new@example.org"]


@pytest.mark.parametrize("name", ["suppressed", "../mailer", "a/b", ""])
def test_an_import_goes_into_lists_only(project, mailer, export, name):
    assert mailer("contacts", "import", "export.csv", "--list", name, "--apply").code == 2


def test_a_file_that_cannot_be_read_changes_nothing(project, mailer):
    (project / "export.csv").write_text('email,name\nnew@example.org,N\n"broken\n')
    before = (project / LIST).read_bytes()
    result = mailer("contacts", "import", "export.csv", "--apply")
    assert result.code == 65
    assert "export.csv:3" in result.err
    assert (project / LIST).read_bytes() == before
    assert mailer("contacts", "import", "absent.csv").code == 65
    assert mailer("contacts", "import", LIST, "--apply").code == 2


# suppress --------------------------------------------------------------------------------------------------------------


def test_who_is_suppressed_gets_nothing_and_no_import_takes_it_back(project, mailer, live):
    assert mailer("contacts", "suppress", "KEN.Sato@example.com", "--reason", "=asked").code == 0
    assert (project / SUPPRESSED).read_text().splitlines()[-1].startswith(f"{KEN},'=asked,2")
    assert mailer("contacts", "suppress", KEN).out.startswith("0 people suppressed")
    (project / "export.csv").write_text(f"email\n{KEN}\n")
    change(project / LIST, f"{KEN},", f"x{KEN},")
    assert "is not imported: suppressed since" in mailer("contacts", "import", "export.csv", "--apply").out
    assert KEN not in emails(project / LIST)
    # Nor does deleting the row, or the file.
    (project / SUPPRESSED).write_text("email,reason\n")
    change(project / LIST, f"x{KEN},", f"{KEN},")
    mailer(*LIVE)
    assert KEN not in [to for _, to, _ in live.accepted]


def test_one_bad_address_suppresses_nobody(project, mailer):
    before = (project / SUPPRESSED).read_bytes()
    result = mailer("contacts", "suppress", KEN, "nobody")
    assert result.code == 65
    assert "'nobody' is no address" in result.err
    assert (project / SUPPRESSED).read_bytes() == before


def test_a_hard_bounce_is_written_into_the_file(project, mailer, live):
    live.rcpt_replies[KEN] = "550 5.1.1 no such user"
    mailer(*LIVE)
    row = (project / SUPPRESSED).read_text().splitlines()[-1]
    assert row.startswith(f"{KEN},hard bounce: 550 5.1.1 no such user,")
    assert row.endswith(",issue 2.6")


# forget ----------------------------------------------------------------------------------------------------------------


def everything(project):
    """All bytes of the publication but the issue and its pictures."""
    return b"".join(path.read_bytes() for path in project.rglob("*") if path.is_file() and "issues" not in path.parts)


def test_who_is_forgotten_leaves_no_address_and_no_name(project, mailer, live):
    change(project / LIST, "佐藤 健,健,佐藤", "Kenzaburo Sato,Kenzaburo,Sato")
    live.rcpt_replies[KEN] = f"550 5.1.1 <{KEN}> unknown"
    mailer("send", "--issue", "2.6")
    mailer(*LIVE)
    assert b"ken.sato" in everything(project)
    assert b"Kenzaburo" in everything(project)
    result = mailer("contacts", "forget", "Ken.Sato@example.com")
    assert result.code == 0
    assert "ledger      2 rows" in result.out
    assert f"outbox/2.6/{KEN}.eml" in result.out
    assert b"ken.sato" not in everything(project)
    assert b"Kenzaburo" not in everything(project)
    assert re.search(r"\nforgotten:[a-z2-7]{32},forgotten,2", (project / SUPPRESSED).read_text())
    assert mailer("audit", "--issue", "2.6").code == 0  # the receipt knows the person under either name
    assert "refused" in mailer("explain", "--issue", "2.6", KEN).out


def test_who_is_forgotten_stays_so_wherever_the_address_turns_up(project, mailer, live):
    mailer("contacts", "forget", KEN)
    (project / "export.csv").write_text(f"email\n{KEN}\n")
    imported = mailer("contacts", "import", "export.csv", "--apply")
    assert f"{KEN} is not imported: forgotten" in imported.out
    with (project / LIST).open("a") as rows:  # by hand
        rows.write(f"{KEN},Ken\n")
    assert "was forgotten, and stands on a list again" in mailer("contacts", "check").out
    assert mailer(*LIVE).code == 0
    assert KEN not in [to for _, to, _ in live.accepted]
    assert "23 accepted, 2 suppressed" in mailer("status", "--issue", "2.6").out
    assert b"ken.sato" not in (project / ".mailer/ledger.db").read_bytes()
    assert mailer("test", "--issue", "2.6", "--to", KEN).code == 65


def test_who_waits_and_is_forgotten_gets_nothing(project, mailer, live):
    mailer(*LIVE, "--limit", "1")
    waiting = "library@example.com"
    mailer("contacts", "forget", waiting)
    assert mailer(*LIVE).code == 0
    assert waiting not in [to for _, to, _ in live.accepted]
    assert mailer("audit", "--issue", "2.6").code == 0


def test_who_was_forgotten_elsewhere_is_forgotten_in_this_ledger(project, mailer, live, tmp_path):
    from elsewhere import at, clone

    mailer(*LIVE, "--limit", "1")
    waiting = "library@example.com"
    with at(clone(project, tmp_path / "clone", key=True, ledger=True)) as there:
        mailer("contacts", "forget", waiting)
        text = (there / SUPPRESSED).read_bytes()
    (project / SUPPRESSED).write_bytes(text)
    assert mailer(*LIVE).code == 0
    assert waiting not in [to for _, to, _ in live.accepted]
    with closing(sqlite3.connect(project / ".mailer/ledger.db")) as db:
        assert db.execute("select count(*) from delivery where address = ?", (waiting,)).fetchone() == (0,)


def test_without_the_key_that_forgot_nothing_is_sent(project, mailer, live):
    mailer("contacts", "forget", KEN)
    (project / ".mailer/key").unlink()
    for argv in (LIVE, ("contacts", "import", LIST, "--list", "press")):
        result = mailer(*argv)
        assert result.code == 78
        assert "the key that recognises them is not here" in result.err
    assert live.accepted == []


KEYS = st.binary(min_size=16, max_size=40)


@given(KEYS, KEYS, st.emails())
def test_a_pseudonym_is_known_to_its_key_alone_and_is_one_person(key, other, address):
    name = pseudonym(key, address)
    assert pseudonym(key, name) == name
    assert identities(key)(name) == identities(key)(address)
    refuse_other_keys(key, [name])
    if other != key:
        with pytest.raises(ConfigError):
            refuse_other_keys(other, [name])


# A file that is changed ------------------------------------------------------------------------------------------------


CELL = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('\n",;'), max_size=8)


@given(
    st.lists(st.tuples(CELL, CELL), max_size=5), st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sets(st.integers(0, 4)), st.booleans(),
)  # fmt: skip
def test_a_change_leaves_all_else_as_it_is(tmp_path_factory, rows, delimiter, end, encoding, chosen, grows):
    path = tmp_path_factory.getbasetemp() / "list.csv"
    table = [["email", "name", "city"], *([f"p{n}@example.org", *row] for n, row in enumerate(rows))]
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter, lineterminator=end).writerows(table)
    before = [row for _, row in read_rows(path, "list.csv", required="email")]
    wanted = {f"p{n}@example.org" for n in chosen}

    def mend(row):
        return {**row, "name": "X;Y,\n"} if row["email"] in wanted else row

    assert with_changes(path, "list.csv", required="email") == path.read_bytes()
    more, columns = ([{"email": "new@example.org", "tags": "a"}], ["tags"]) if grows else ([], [])
    path.write_bytes(with_changes(path, "list.csv", required="email", change=mend, more=more, columns=columns))
    after = [row for _, row in read_rows(path, "list.csv", required="email")]
    added = {"tags": ""} if grows else {}
    expected = [{**mend(row), **added} for row in before]
    if grows:
        expected.append({"email": "new@example.org", "name": "", "city": "", "tags": "a"})
    assert after == expected
