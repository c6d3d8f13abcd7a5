"""What the network says: a real DNS server, a real web server, and addresses that must not be connected to."""

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import dns.resolver
import pytest
import trustme

from alliance_mailer.outside import Domain, Visit, ask_domain, is_public, press, visit
from checks.site import Pages, site_on_this_machine
from zone import Zone, zone_on_this_machine


@pytest.fixture
def dns_server() -> Iterator[tuple[Zone, dns.resolver.Resolver]]:
    with zone_on_this_machine() as served:
        yield served


def test_a_domain_s_records(dns_server) -> None:
    zone, resolver = dns_server
    zone["mail.allies.org", "TXT"] = ['"v=spf1 include:_spf.relay.org a mx -all"', '"something else"']
    zone["_spf.relay.org", "TXT"] = ['"v=spf1 ip4:192.0.2.1 include:_a.relay.org " "redirect=_b.relay.org"']
    zone["_a.relay.org", "TXT"] = ['"v=spf1 include:_spf.relay.org exists:%{i}.relay.org -all"']
    zone["_b.relay.org", "TXT"] = ['"v=spf1 ptr ?all"']
    zone["_dmarc.allies.org", "TXT"] = ['"v=DMARC1; p=none"']
    zone["s1._domainkey.mail.allies.org", "TXT"] = ['"v=DKIM1; k=rsa; p=MIGf"']
    zone["s2._domainkey.mail.allies.org", "TXT"] = ['"v=DKIM1; p= "']  # withdrawn
    zone["mail.allies.org", "MX"] = ["10 mx.allies.org."]
    found = ask_domain("mail.allies.org", resolver)
    assert found.spf == ("v=spf1 include:_spf.relay.org a mx -all",)
    assert found.spf_lookups == 3 + 2 + 2 + 1  # its own; the relay's; a loop and exists; ptr
    assert (found.dmarc, found.dmarc_at) == (("v=DMARC1; p=none",), "allies.org")
    assert found.dkim == {"s1": "v=DKIM1; k=rsa; p=MIGf"}
    assert found.mx == ("10 mx.allies.org.",)


def test_a_domain_without_records_and_one_that_cannot_be_asked(dns_server) -> None:
    zone, resolver = dns_server
    found = ask_domain("allies.org", resolver)
    assert (found.spf, found.spf_lookups, found.dmarc, found.dkim, found.mx) == ((), 0, (), {}, ())
    zone["allies.org", "TXT"] = ["broken"]
    zone["allies.org", "MX"] = ["broken"]
    found = ask_domain("allies.org", resolver)
    assert (found.spf, found.dmarc, found.mx) == (None, None, None)


@pytest.mark.parametrize(
    ("records", "at", "organisation"),
    [
        ({"mail.allies.org": "p=none", "allies.org": "p=none"}, "mail.allies.org", "allies.org"),
        ({"mail.allies.org": "p=none; psd=n", "allies.org": "p=none"}, "mail.allies.org", "mail.allies.org"),
        ({"allies.org": "p=none; psd=y"}, "allies.org", "mail.allies.org"),
        ({}, "", "news.mail.allies.org"),
    ],
)
def test_the_walk_up_to_the_organisation(dns_server, records: dict[str, str], at: str, organisation: str) -> None:
    zone, resolver = dns_server
    for domain, record in records.items():
        zone[f"_dmarc.{domain}", "TXT"] = [f'"v=DMARC1; {record}"']
    found = ask_domain("news.mail.allies.org", resolver)
    assert (found.dmarc_at, found.organisation) == (at, organisation)


def test_a_machine_without_a_dns_is_told(monkeypatch) -> None:
    def none() -> dns.resolver.Resolver:
        raise dns.resolver.NoResolverConfiguration("cannot open /etc/resolv.conf")

    monkeypatch.setattr(dns.resolver, "get_default_resolver", none)
    assert ask_domain("allies.org") == Domain("allies.org", None, dmarc=None, mx=None)


NO_NETWORK = "allies.invalid cannot be looked up: no network, or its DNS fails"


def test_where_the_root_is_unknown_nothing_is_known_of_a_name(dns_server, monkeypatch) -> None:
    zone, resolver = dns_server
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    url = "https://allies.invalid/"
    assert visit([url])[url].error == "there is no host allies.invalid"
    assert ask_domain("allies.invalid").spf == ()
    del zone[".", "NS"]
    assert visit([url])[url].error == NO_NETWORK
    assert ask_domain("allies.invalid") == Domain("allies.invalid", None, dmarc=None, mx=None)


def test_a_name_that_cannot_be_looked_up_just_now_is_not_gone(monkeypatch) -> None:
    def again(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", again)
    assert visit(["https://allies.invalid/"])["https://allies.invalid/"].error == NO_NETWORK


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    """The site's address, and what it was asked."""
    with site_on_this_machine() as (base, asked):
        yield base, asked


def here(address: str) -> bool:
    return address == "127.0.0.1"


def test_links_are_asked_for_and_redirects_followed(site) -> None:
    base, asked = site
    found = visit(
        [f"{base}/{page}" for page in ("there", "moved", "gone", "shy", "no-head", "picture.png", "there")], here
    )
    assert found[f"{base}/there"] == Visit(200, f"{base}/there")
    assert found[f"{base}/moved"] == Visit(200, f"{base}/there")
    assert (found[f"{base}/gone"].status, found[f"{base}/shy"].status) == (404, 403)
    assert found[f"{base}/no-head"].status == 200
    assert found[f"{base}/picture.png"] == Visit(200, f"{base}/picture.png", 2000, "image/png")
    assert asked.count("HEAD 127.0.0.1 /there") == 2  # once for itself, once behind /moved
    assert "GET 127.0.0.1 /no-head" in asked


@pytest.mark.parametrize(
    ("page", "error"),
    [
        ("/round", "more than 5 redirects"),
        ("/inside", "127.0.0.2 is 127.0.0.2, which is not on the open internet"),
        ("/file", "leads to file:, which is not asked"),
    ],
)
def test_a_redirect_cannot_lead_inside(site, page: str, error: str) -> None:
    base, _ = site
    assert visit([base + page], here)[base + page] == Visit(error=error)


def test_what_is_not_public_is_never_connected_to(site) -> None:
    base, asked = site
    for url in (f"{base}/there", base.replace("127.0.0.1", "localhost"), base.replace("127.0.0.1", "[::1]")):
        assert "which is not on the open internet" in visit([url])[url].error
        assert "which is not on the open internet" in press(url)[0].error
    assert asked == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1", "fe80::1", "fd00::1",
     "::ffff:127.0.0.1", "224.0.0.1"],
)  # fmt: skip
def test_addresses_inside(address: str) -> None:
    assert not is_public(address)


def test_addresses_outside() -> None:
    assert is_public("198.41.0.4")
    assert is_public("2001:503:ba3e::2:30")


@pytest.mark.parametrize("url", ["https://there-is-no-such-host.invalid/", "http://", "https://[/", "http://a b/"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    assert visit([url], here)[url].error


def test_one_click_is_pressed_as_a_mail_program_does(site) -> None:
    base, asked = site
    assert press(f"{base}/unsubscribe", here) == (Visit(200, f"{base}/unsubscribe"), False)
    assert press(f"{base}/unsubscribe/in", here)[0].status == 302  # not followed
    assert press(f"{base}/unsubscribe/cookie", here)[1]
    assert asked == [f"POST 127.0.0.1 /unsubscribe{end}" for end in ("", "/in", "/cookie")]


def test_a_certificate_is_looked_at_under_the_host_s_name(tmp_path, monkeypatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    handler = type("Site", (Pages,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        found = visit([f"https://localhost:{port}/there", f"https://127.0.0.1:{port}/there"], lambda _: True)
        server.shutdown()
        thread.join()
    assert found[f"https://localhost:{port}/there"].status == 200
    assert "certificate" in found[f"https://127.0.0.1:{port}/there"].error.lower()
    assert handler.asked == ["HEAD localhost /there"]
