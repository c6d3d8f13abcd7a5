"""A ledger moved from SQLite to PostgreSQL and back."""

import json
from contextlib import closing

import pytest

from alliance_mailer.contact import Suppression
from alliance_mailer.errors import ConfigError, TryLater
from alliance_mailer.ledger import Spent, open_ledger
from alliance_mailer.ledger.copying import copy_ledger
from alliance_mailer.message import Verdict

from .rows import ANN, BOB, EVE, NOW, REHEARSAL, SENDING, claim, plan, settle


def everything(store) -> dict:
    with closing(open_ledger(store)) as ledger:
        states = ["accepted", "refused", "suppressed", "waiting", "deferred", "unknown", "sending"]
        return {
            "rows": [list(ledger.deliveries(sending, states)) for sending in (SENDING, REHEARSAL)],
            "planned": [ledger.planned(sending) for sending in (SENDING, REHEARSAL)],
            "tallies": [ledger.tally(sending) for sending in ledger.sendings()],
            "suppressions": list(ledger.suppressions()),
            "spent": ledger.spent_since("smtp", 0),
            "serial": ledger.has_serial("2.6", "s1"),
            "left": ledger.left(SENDING),
        }


@pytest.fixture
def lived_in(tmp_path):
    path = tmp_path / "ledger.db"
    with closing(open_ledger(path)) as ledger:
        ledger.suppress([Suppression(BOB, "unsubscribe", "2023-03-02", "reply")])
        plan(ledger, [ANN, BOB, EVE, *(f"reader{n}@example.org" for n in range(20))])
        plan(ledger, sending=REHEARSAL)
        for verdict in (Verdict.ACCEPTED, Verdict.REFUSED, Verdict.DEFERRED, Verdict.UNKNOWN):
            settle(ledger, claim(ledger), verdict, "250 2.0.0 Ōkī", due=60)
        ledger.resolve(SENDING, resend=False)
        claim(ledger, 2)  # of a run that died
        ledger.exchange(SENDING, [], 0, NOW, spent=[Spent("smtp", "", 100, 2), Spent("smtp", "example.org", 100, 1)])
        ledger.add_serial("2.6", "s1")
    return path


def test_there_and_back_every_row_is_what_it_was(lived_in, server, tmp_path):
    before = everything(lived_in)
    url, back = server.new_database("copy"), tmp_path / "back.db"
    assert copy_ledger(lived_in, url) == {("2.6", False): 23, ("2.6", True): 3}
    assert everything(url) == before
    copy_ledger(url, back)
    assert everything(back) == before


def test_a_copied_ledger_goes_on_where_it_was(lived_in, server):
    url = server.new_database("copy")
    copy_ledger(lived_in, url)
    with closing(open_ledger(url)) as ledger:
        assert plan(ledger, [ANN, "new@example.org"]) == 1
        assert ledger.recover(SENDING, repeat=False) == 2
        assert len(claim(ledger, 99)) == 17


def test_a_ledger_with_anything_in_it_is_not_copied_over(lived_in, server):
    url = server.new_database("copy")
    copy_ledger(lived_in, url)
    before = everything(url)
    with pytest.raises(ConfigError, match="is not empty"):
        copy_ledger(lived_in, url)
    assert everything(url) == before


def test_a_ledger_that_is_being_used_is_not_copied(lived_in, server):
    with closing(open_ledger(lived_in)) as run, run.hold("2.6"), pytest.raises(TryLater, match=r"2\.6 is being sent"):
        copy_ledger(lived_in, server.new_database("copy"))


def test_the_command_says_what_to_write_into_the_settings(project, mailer, server):
    mailer("send", "--issue", "2.6")
    url = server.new_database("command")
    result = mailer("ledger", "copy", url)
    assert result.code == 0
    assert "2.6 rehearsal: 25 planned" in result.out
    assert f'[ledger]  url = "{url}"' in result.out
    with (project / "mailer.toml").open("a") as settings:
        settings.write(f'\n[ledger]\nurl = "{url}"\n')
    status = json.loads(mailer("status", "--issue", "2.6", "--json").out)
    assert (status["planned"], status["accepted"]) == (25, 24)
    assert mailer("ledger", "upgrade").out == "the ledger is up to date\n"
    again = mailer("ledger", "copy", url)
    assert (again.code, "onto itself" in again.err) == (78, True)


def test_a_rehearsal_in_postgresql_is_one_on_this_machine(project, mailer, server):
    with (project / "mailer.toml").open("a") as settings:
        settings.write(f'\n[ledger]\nurl = "{server.new_database("rehearsal")}"\n')
    result = mailer("send", "--issue", "2.6", "--dry-run")
    assert result.code == 0
    assert not list(project.glob("outbox/**/*.eml"))
    result = mailer("send", "--issue", "2.6")
    assert result.code == 0, result.err
    assert "24 accepted, 1 suppressed; nobody is left." in result.out
    assert len(list(project.glob("outbox/2.6/*.eml"))) == 24
    assert "The rehearsal is complete" in mailer("send", "--issue", "2.6").out
