"""What only the network knows; with `mailer check --online`."""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..disk import write_atomically
from ..outside import Outside, Public, Visit, ask_domain, is_public, press, tags, visit
from ..publication import Publication
from ._proof import Proof
from ._rule import Finding, Flaw, Place, rule
from .headers import RESERVED
from .links import parts

_FRESH = 24 * 3600  # seconds that a link which answered is believed
_MOST = 200  # links that are asked for


def look_outside(proof: Proof, public: Public = is_public, now: float | None = None) -> Outside:
    """Ask for the links and pictures of an issue, its sender's domain, its one-click endpoint.

    Links that answered within a day are not asked again: they are kept in .mailer/links.json.
    """
    now = time.time() if now is None else now
    cache = proof.project / ".mailer" / "links.json"
    known = _read(cache, now)
    urls = [url for url in _urls(proof) if url not in known][:_MOST]
    visits = visit(urls, public)
    kept = known | {url: (now, found) for url, found in visits.items() if 200 <= found.status < 300}
    if visits:
        write_atomically(
            cache, json.dumps({url: [when, asdict(found)] for url, (when, found) in kept.items()}).encode()
        )
    return replace(
        look_at_sender(proof.publication, public), visits={url: found for url, (_, found) in known.items()} | visits
    )


def look_at_sender(publication: Publication, public: Public = is_public) -> Outside:
    """Ask the DNS for the sender's domain, and press its one-click endpoint; neither at a name for examples."""
    domain = None if RESERVED.search(publication.domain) else ask_domain(publication.domain)
    pressed, cookie, endpoint = None, False, parts(publication.unsubscribe_url or "")
    if endpoint and endpoint.hostname and not RESERVED.search(endpoint.hostname):
        token = "a" * 32  # nobody's, and not genuine: an endpoint may refuse it, but has to answer
        pressed, cookie = press(f"{endpoint.geturl().rstrip('/')}/{token}", public)
    return Outside(domain, one_click=pressed, sets_cookie=cookie)


@dataclass(frozen=True)
class Sender:
    """As much of a proof as the rules of the sender look at, where there is no issue: in `mailer doctor`."""

    publication: Publication
    outside: Outside
    bounce_addresses: Mapping[str, str]

    def setting(self, path: str) -> Place:
        """A key of mailer.toml."""
        return Place("mailer.toml")


def sender_findings(sender: Sender) -> Iterator[Finding]:
    """What the rules of this file say of a sender."""
    for each in (dkim_key_is_long, spf_is_published, dmarc_is_published, dkim_key_is_published, spf_is_aligned):
        yield from each.findings(sender)
    yield from one_click_answers.findings(sender)


def _urls(proof: Proof) -> list[str]:
    """What a reader can click on or is shown, of the web; no reader's own link."""
    own = {url for each in ("unsubscribe_url",) if (url := getattr(proof.publication, each))}
    found = [element.get(name) or "" for element in proof.elements for name in ("href", "src")]
    return [
        url
        for url in dict.fromkeys(found)
        if url.startswith(("http://", "https://")) and not any(url.startswith(each) for each in own)
    ]


def _read(cache: Path, now: float) -> dict[str, tuple[float, Visit]]:
    try:
        kept: Mapping[str, tuple[float, Mapping[str, object]]] = json.loads(cache.read_bytes())
        return {url: (when, Visit(**found)) for url, (when, found) in kept.items() if 0 <= now - when < _FRESH}  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


@rule("L013", "error", fix="mend the address", source="asked just now: HEAD, then GET")
def links_answer(proof: Proof) -> Iterator[Flaw]:
    """Every link answers.

    A page that is gone is the author's to mend before the sending. Sites that refuse programs (403, 429) are remarks.
    """
    visits = proof.outside.visits if proof.outside else {}
    for link, place in proof.links():
        found = visits.get(link.href)
        if found is None or 200 <= found.status < 400:
            continue
        words = f"{link.href} answers {found.status}" if found.status else f"{link.href}: {found.error}"
        gone = found.status in (404, 410) or "no host" in found.error
        shy = found.status in (401, 403, 405, 429, 451, 503, 999)
        yield Flaw(
            words, place, "open it in a browser" if not gone else "", "info" if shy else None if gone else "warning"
        )


@rule(
    "L014", "warning", fix="put the picture where it is linked from, at most 1280 pixels wide", source="asked just now"
)
def linked_pictures_answer(proof: Proof) -> Iterator[Flaw]:
    """Every picture that is linked is there, and light.

    A missing one is a broken frame in each of the mails that went out.
    """
    visits = proof.outside.visits if proof.outside else {}
    for element in proof.elements:
        found = visits.get(element.get("src") or "") if element.tag == "img" else None
        if found is None:
            continue
        if not 200 <= found.status < 300:
            yield Flaw(
                f"{element.get('src')} answers {found.status or found.error}", proof.of(element), severity="error"
            )
        elif found.kind and not found.kind.startswith("image/"):
            yield Flaw(f"{element.get('src')} is {found.kind}", proof.of(element), severity="error")
        elif (found.bytes or 0) > 2**20:
            yield Flaw(f"{element.get('src')} weighs {(found.bytes or 0) / 2**20:.1f} MB", proof.of(element))


@rule(
    "U010",
    "error",
    fix="v=spf1 include:_spf.your-provider.example ~all, one record",
    source="RFC 7208, 3.2, 4.6.4; Gmail and Yahoo, sender rules of 2024",
)
def spf_is_published(proof: Proof | Sender) -> Iterator[Flaw]:
    """The sender's domain has one SPF record, which takes at most ten lookups and does not let everybody in.

    Gmail refuses mail from domains with neither SPF nor DKIM; with two records, or eleven lookups, there is none.
    """
    domain, place = proof.outside and proof.outside.domain, proof.setting("newsletter.from")
    if not domain:
        return
    if domain.spf is None or domain.mx is None or domain.dmarc is None:
        yield Flaw(f"the DNS of {domain.name} does not answer", place, "try again later", "warning")
    elif len(domain.spf) != 1:
        yield Flaw(f"{domain.name} has {len(domain.spf) or 'no'} SPF records, expected one", place)
    elif domain.spf_lookups > 10:
        yield Flaw(f"the SPF record of {domain.name} takes {domain.spf_lookups} lookups, more than 10", place)
    elif any(term in ("+all", "all") for term in domain.spf[0].split()):
        yield Flaw(f"the SPF record of {domain.name} lets everybody in: {domain.spf[0]}", place)
    if domain.mx == ():
        yield Flaw(
            f"{domain.name} receives no mail: it has no MX", place, "answers and bounces have to arrive", "warning"
        )


@rule(
    "U011",
    "error",
    fix='_dmarc TXT "v=DMARC1; p=none; rua=mailto:dmarc@your-domain"',
    source="RFC 9989; Gmail, Yahoo and Outlook.com, sender rules",
)
def dmarc_is_published(proof: Proof | Sender) -> Iterator[Flaw]:
    """The sender's domain has a DMARC record.

    Bulk mail without one is refused by Gmail, Yahoo and Outlook.com: 550 5.7.515.
    """
    domain, place = proof.outside and proof.outside.domain, proof.setting("newsletter.from")
    if not domain or domain.dmarc is None:
        return
    if len(domain.dmarc) != 1:
        yield Flaw(f"{domain.name} has {len(domain.dmarc) or 'no'} DMARC records, expected one", place)
        return
    policy = tags(domain.dmarc[0])
    if policy.get("p", "none") not in ("none", "quarantine", "reject"):
        yield Flaw(f"the DMARC record at {domain.dmarc_at} asks for p={policy['p']}", place)
    for name in sorted(policy.keys() & {"pct", "rf", "ri"}):
        yield Flaw(
            f"the DMARC record at {domain.dmarc_at} has {name}=, which RFC 9989 has removed",
            place,
            f"delete {name}=",
            "info",
        )


@rule(
    "U012",
    "info",
    fix="let the server or provider that sends sign with a key of your domain",
    source="RFC 6376; Gmail and Yahoo, sender rules of 2024",
)
def dkim_key_is_published(proof: Proof | Sender) -> Iterator[Flaw]:
    """A DKIM key of the sender's domain is found under one of the usual names.

    Keys cannot be listed, so that none found is only a remark. Bulk mail has to be signed.
    """
    domain = proof.outside and proof.outside.domain
    if domain and domain.spf is not None and not domain.dkim:
        yield Flaw(f"no DKIM key of {domain.name} under the usual names", proof.setting("newsletter.from"))


@rule(
    "U009",
    "warning",
    fix="make a key of 2048 bits, and have whoever signs use it",
    source="RFC 8301, 3.2; Gmail, Email sender guidelines",
)
def dkim_key_is_long(proof: Proof | Sender) -> Iterator[Flaw]:
    """A DKIM key of the sender's domain has 2048 bits or more.

    Below 1024 a signature counts as none, and Gmail advises 2048. What the signature covers, whoever signs decides.
    """
    domain, place = proof.outside and proof.outside.domain, proof.setting("newsletter.from")
    for selector, record in domain.dkim.items() if domain else ():
        bits = _rsa_bits(record)
        if domain and bits is not None and bits < 2048:
            yield Flaw(
                f"the DKIM key {selector}._domainkey.{domain.name} has {bits or 'no'} bits",
                place,
                severity="error" if bits < 1024 else None,
            )


def _rsa_bits(record: str) -> int | None:
    """The length of an RSA key in a DKIM record, 0 for one that cannot be read; None for another kind of key."""
    about = tags(record)
    if about.get("k", "rsa") != "rsa":
        return None
    try:
        key = base64.b64decode(about["p"], validate=True)
    except ValueError:
        return 0
    # The first long INTEGER is the modulus (RFC 8017, A.1.1). In DER: 02, its length in one or two bytes, a zero, it.
    found = re.search(rb"\x02(?:\x81(.)|\x82(..)|([\x20-\x7f]))", key, re.DOTALL)
    length = next((int.from_bytes(each) for each in found.groups() if each), 0) if found else 0
    return length // 8 * 64


@rule(
    "U013",
    "warning",
    fix="take a bounce_address at the sender's own domain, or see that whoever sends signs with a key of it (DKIM)",
    source="RFC 9989, 5.1; RFC 7208, 2.4",
)
def spf_is_aligned(proof: Proof | Sender) -> Iterator[Flaw]:
    """Bounces come back to the sender's own domain, or a DKIM key makes up for it.

    SPF is asked of the bounce address. At another organisation's domain it does not count for the sender's, and DMARC
    then rests on the signature alone. Where a mail API chooses that address, only its own pages can tell.
    """
    domain = proof.outside and proof.outside.domain
    if not domain or not domain.dmarc:
        return
    strict, ours = tags(domain.dmarc[0]).get("aspf") == "s", domain.organisation or domain.name
    for path, address in proof.bounce_addresses.items():
        host = address.rpartition("@")[2].lower()
        if host != domain.name and (strict or not f".{host}".endswith(f".{ours}")):
            yield Flaw(
                f"bounces go to {host}, so that SPF does not count for {domain.name}",
                proof.setting(path),
                severity="info" if domain.dkim else None,
            )


@rule(
    "U014",
    "error",
    fix="see RFC 8058, 3: answer the POST itself, without cookie, redirect or question",
    source="RFC 8058, 3; asked just now",
)
def one_click_answers(proof: Proof | Sender) -> Iterator[Flaw]:
    """The one-click endpoint answers a POST as RFC 8058 asks: no redirect, no cookie, no log-in.

    Gmail presses it in its reader's name. Asked with nobody's token, which it may refuse with 400, 404 or 410.
    """
    found, place = proof.outside and proof.outside.one_click, proof.setting("newsletter.unsubscribe_url")
    if not found:
        return
    if found.error:
        # Without a network, or while its server is away, nothing is known of how it answers.
        gone = "no host" in found.error
        yield Flaw(
            f"the one-click endpoint: {found.error}",
            place,
            "" if gone else "try again later",
            None if gone else "warning",
        )
    elif 300 <= found.status < 400:
        yield Flaw(f"the one-click endpoint redirects ({found.status})", place)
    elif not 200 <= found.status < 300 and found.status not in (400, 404, 410, 422):
        yield Flaw(f"the one-click endpoint answers {found.status}", place)
    elif proof.outside and proof.outside.sets_cookie:
        yield Flaw("the one-click endpoint sets a cookie", place)
