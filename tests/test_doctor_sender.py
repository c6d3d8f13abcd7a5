"""What `mailer doctor` says of the sender: a real DNS, and a real one-click endpoint, on this machine."""

import json
import ssl
import time
from pathlib import Path

import dns.resolver
import pytest
import trustme

from alliance_mailer.doctor import doctor
from alliance_mailer.report import Report
from checks.keys import RSA_1024, RSA_2048
from checks.site import site_on_this_machine
from conftest import change
from zone import zone_on_this_machine

HEAD = 'language = "en"'


def said(out: str) -> list[str]:
    """What the lines of the sender say, with their level."""
    lines = (line.split(maxsplit=2) for line in out.splitlines() if not line.startswith(" "))
    return [f"{level} {words}" for level, name, words in lines if name == "sender"]


@pytest.fixture
def zone(monkeypatch):
    """The DNS that this machine asks."""
    with zone_on_this_machine() as (zone, resolver):
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        yield zone


@pytest.fixture
def allies(project: Path, live) -> Path:
    """The example, at a domain that is nobody's example, with a transport that leaves this machine."""
    change(project / "mailer.toml", "@example.org", "@allies.org")
    return project


def publish(zone, *, key: str) -> None:
    zone["allies.org", "TXT"] = ['"v=spf1 mx -all"']
    zone["allies.org", "MX"] = ["10 mx.allies.org."]
    zone["_dmarc.allies.org", "TXT"] = ['"v=DMARC1; p=none"']
    zone["s1._domainkey.allies.org", "TXT"] = [f'"v=DKIM1; p={key[:200]}" "{key[200:]}"']


def test_names_for_examples_are_not_asked_for(project, mailer, live, monkeypatch):
    monkeypatch.setattr(dns.resolver.Resolver, "resolve", lambda *_, **__: pytest.fail("the DNS was asked"))
    change(project / "mailer.toml", HEAD, f'{HEAD}\nunsubscribe_url = "https://u.example.net/u"')
    result = mailer("doctor")
    assert result.code == 0
    assert said(result.out) == [
        "ok example.org is a name reserved for examples: the DNS is not asked",
        "ok https://u.example.net/u is at a name reserved for examples: it is not asked",
    ]


def test_who_only_rehearses_asks_nothing_unless_told_to(project, mailer, zone):
    change(project / "mailer.toml", "@example.org", "@allies.org")
    assert said(mailer("doctor").out) == []
    assert len(said(mailer("doctor", "--online").out)) == 4


def test_a_sender_whom_receivers_know_is_in_order(allies, mailer, zone):
    publish(zone, key=RSA_2048)
    result = mailer("doctor")
    assert result.code == 0
    assert said(result.out) == ["ok allies.org: SPF, DMARC, DKIM, MX in the DNS"]


def test_what_receivers_refuse_is_told_in_the_words_of_check(allies, mailer, zone):
    zone["allies.org", "MX"] = ["10 mx.allies.org."]
    result = mailer("doctor")
    assert result.code == 1
    assert said(result.out) == [
        "fail allies.org has no SPF records, expected one [U010]",
        "fail allies.org has no DMARC records, expected one [U011]",
        "warn no DKIM key of allies.org under the usual names [U012]",
    ]
    rules = ("--only", "U010", "--only", "U011", "--only", "U012")
    checked = mailer("check", "--issue", "2.6", "--online", "--json", *rules)
    words = [f"{each['message']} [{each['rule']}]" for each in json.loads(checked.out)["findings"]]
    assert words == [each.partition(" ")[2] for each in said(result.out)]


def test_what_check_ignores_doctor_ignores(allies, mailer, zone):
    publish(zone, key=RSA_1024)
    change(allies / "mailer.toml", "[check]\n", '[check]\nignore = [{ rule = "U009", reason = "changed in May" }]\n')
    change(allies / "mailer.toml", 'tls = "none"\n', 'tls = "none"\nbounce_address = "b@relay.net"\n')
    assert said(mailer("doctor").out) == [
        "warn bounces go to relay.net, so that SPF does not count for allies.org [U013]"
    ]


def test_a_dns_that_does_not_answer_is_a_warning_and_takes_seconds(allies, mailer, zone, monkeypatch):
    zone["allies.org", "TXT"] = ["broken"]
    result = mailer("doctor")
    assert (result.code, said(result.out)) == (0, ["warn the DNS of allies.org does not answer [U010]"])
    nobody = dns.resolver.Resolver(configure=False)
    nobody.nameservers, nobody.port = ["127.0.0.1"], 9
    monkeypatch.setattr(dns.resolver, "default_resolver", nobody)
    began = time.monotonic()
    assert said(mailer("doctor").out) == ["warn the DNS of allies.org does not answer [U010]"]
    assert time.monotonic() - began < 15


def test_the_one_click_endpoint_is_pressed(project, zone, tmp_path, monkeypatch, capsys):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with site_on_this_machine(context) as (base, asked):
        change(project / "mailer.toml", HEAD, f'{HEAD}\nunsubscribe_url = "{base}/press"')
        assert doctor(project, Report(), {}, online=True, public=lambda _: True) == 0
        assert said(capsys.readouterr().out)[1] == f"ok {base}/press answers as RFC 8058 asks"
        change(project / "mailer.toml", "/press", "/press/in")
        assert doctor(project, Report(), {}, online=True, public=lambda _: True) == 1
        assert said(capsys.readouterr().out)[0] == "fail the one-click endpoint redirects (302) [U014]"
        assert [line.split()[0] for line in asked] == ["POST", "POST"]
        # As it is when nobody says otherwise: an address inside is never connected to.
        assert doctor(project, Report(), {}, online=True) == 0
        assert "which is not on the open internet" in said(capsys.readouterr().out)[0]
        assert len(asked) == 2
