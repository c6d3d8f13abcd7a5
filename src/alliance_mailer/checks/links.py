"""Links: that they lead somewhere, and where they say."""

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

from ..contact import canonical_address
from ..slots import MARKER
from ._proof import Proof
from ._rule import Flaw, rule
from ._styles import declared

_KNOWN = ("https", "http", "mailto", "tel")
_LEADS = re.compile(rf"(?i)https?://(?=[^/?#]*(\.|{MARKER.pattern}))[^/?#.]|(mailto|tel):[^/?]")
_SHORT = "bit.ly buff.ly cutt.ly goo.gl is.gd lnkd.in ow.ly rb.gy rebrand.ly shorturl.at t.co t.ly tiny.cc tinyurl.com"
_SHORTENERS = frozenset(_SHORT.split())
_HERE = re.compile(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:.]*|0x[0-9a-f]+|[^.]*|.*\.(localhost|local|invalid|internal|lan|test)")
# Letters of Cyrillic and Greek that cannot be told from Latin ones (Unicode, TR 39: confusables).
_ALIKE = re.compile(
    "[\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u04cf\u043e\u0440\u051b\u0455\u0443\u0445\u051d\u03bf\u03bd\u03b1\u03c1\u03b9-]+"
)
_FOREIGN = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_TOKEN = re.compile(r"\{\{|\}\}|\{%|%7B%7B|\*\||\|\*|\[\[|%%[A-Za-z]", re.IGNORECASE)


def parts(href: str) -> SplitResult | None:
    """A web address taken apart; None for any other, and for one that cannot be."""
    try:
        return urlsplit(href) if href.lower().startswith(("http://", "https://")) else None
    except ValueError:  # https://[
        return None


@rule(
    "L001",
    "error",
    fix="write the address: [words](https://…)",
    source="RFC 3986, 4.2: a mail has no base; the placeholder # of word processors",
)
def links_lead_somewhere(proof: Proof) -> Iterator[Flaw]:
    """A link has an address that a reader's mail program can open.

    “#” and an empty address do nothing; a relative one has nothing to be relative to.
    """
    for link, place in proof.links():
        words = proof.issue.markers().shown(link.text)
        if mistake := _mistake(link.href):
            yield Flaw(proof.issue.markers().shown(f"the link “{words}” {mistake}"), place)
        elif link.href.lower().startswith("http:"):
            yield Flaw(
                f"the link “{words}” goes over http, where anybody can read along",
                place,
                "write https:// where the site has it",
                "info",
            )
    known = {link.href for link in proof.issue.links}
    for element in proof.elements:
        href, file = element.get("href"), (element.get("data-at") or "").rpartition(":")[0]
        if element.tag != "a" or href is None or file == proof.issue.file or href in known:
            continue
        if proof.publication.unsubscribe_url and href.startswith(proof.publication.unsubscribe_url):  # U003 judges it
            continue
        if mistake := _mistake(href.strip()):
            yield Flaw(f"the link “{element.text_content().strip()}” {mistake}", proof.of(element, "href="))


def _mistake(href: str) -> str:
    if not href:
        return "is empty"
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", href)
    if scheme and scheme[1].lower() not in _KNOWN:
        return f"has the scheme {scheme[1]}:, which mail programs do not open"
    if href == "#" or (scheme and not _LEADS.match(href)):
        return f"leads nowhere ({href})"
    if not scheme and not href.startswith("#") and not MARKER.match(href):  # an anchor, or a person's own link
        return f"is relative ({href}); a mail has no base"
    return ""


@rule(
    "L002",
    "error",
    fix="write {{ contact.page }} for a reader's own link; take the rest out",
    source="what a reader would see in the address bar",
)
def links_hold_no_token(proof: Proof) -> Iterator[Flaw]:
    """No address holds a placeholder that nothing fills.

    Compilers percent-encode the braces, and the link leads to a page that is not there.
    """
    for element in proof.elements:
        for name in ("href", "src"):
            value = element.get(name) or ""
            if token := _TOKEN.search(value):
                yield Flaw(f"{name} holds {token[0]}, which nothing fills: {value[:60]}", proof.of(element, f"{name}="))


@rule(
    "L003",
    "error",
    fix="link to the page itself, by its name",
    source="SpamAssassin: NUMERIC_HTTP_ADDR; rspamd: URL_USER_PASSWORD, URI shorteners",
)
def hosts_have_names(proof: Proof) -> Iterator[Flaw]:
    """A link leads to a host by its name: no number, no user, nothing of this machine, no shortener, no look-alike.

    Each is how phishing hides where it leads; a shortener's domain is on block lists half of the time.
    """
    for link, place in proof.links():
        split = parts(MARKER.sub("x", link.href))
        host = ((split.hostname if split else "") or "").rstrip(".")
        if not split or not host:
            continue
        if "@" in split.netloc:
            yield Flaw(f"the link “{link.text}” names a user: {split.netloc}", place)
        elif re.fullmatch(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:.]*|0x[0-9a-f]+", host):
            yield Flaw(f"the link “{link.text}” leads to a number: {host}", place)
        elif re.search(r"\.(localhost|local|invalid|internal|lan|test)$", host):
            yield Flaw(f"the link “{link.text}” leads to {host}, which is on no network but ours", place)
        elif seen := _looks_latin(host):
            yield Flaw(f"the link “{link.text}” leads to {host}: {seen}, in letters that only look Latin", place)
        elif host in _SHORTENERS:
            yield Flaw(f"the link “{link.text}” hides behind {host}", place, severity="warning")
        elif re.search(r"(?:^|\.)example\.(com|net|org)$", host):
            yield Flaw(
                f"the link “{link.text}” leads to {host}, a name reserved for examples",
                place,
                "write the real address",
                "info",
            )


def _looks_latin(host: str) -> str:
    """A host whose Cyrillic or Greek letters pass for Latin ones, as it is shown; else nothing."""
    try:
        labels = [each.encode().decode("idna") for each in host.split(".")]
    except UnicodeError:
        return ""
    for label in labels:
        if _FOREIGN.search(label) and (_ALIKE.fullmatch(label) or re.search("[a-z]", label)):
            return ".".join(labels)
    return ""


@rule("L004", "error", fix="write the address that it leads to, or words", source="rspamd: PHISHING")
def addresses_shown_are_true(proof: Proof) -> Iterator[Flaw]:
    """Where a link's words are an address, it leads there.

    The other thing is what phishing does, and filters count it as that.
    """
    for link, place in proof.links():
        said = re.fullmatch(r"\s*(?:https?://)?((?:[\w-]+\.)+[a-z]{2,})(?:[/?#]\S*)?\s*", link.text, re.IGNORECASE)
        if said and (split := parts(link.href)):
            host, shown = (split.hostname or "").lower(), said[1].lower()
            if host.removeprefix("www.") != shown.removeprefix("www."):
                yield Flaw(f"the link says {shown} and leads to {host}", place)
        elif (
            "@" in link.text
            and link.href.lower().startswith("mailto:")
            and re.fullmatch(r"\S+@\S+\.\S+", link.text.strip())
        ):
            address = unquote(link.href[7:].partition("?")[0])
            if address.lower() != link.text.strip().lower():
                yield Flaw(f"the link says {link.text} and writes to {address}", place)


@rule("L005", "warning", fix="keep the ones that a reader needs", source="SpamAssassin; rspamd: URI_COUNT")
def links_are_few_enough(proof: Proof) -> Iterator[Flaw]:
    """The issue has at most 100 links, fewer than one in eight words, none of them six times.

    A wall of links reads like spam, to people and to filters.
    """
    words = sum(len(line.split()) for _, line in proof.prose)
    count = len(proof.issue.links)
    if count > 100:
        yield Flaw(f"{count} links", proof.whole)
    elif count > 10 and count > words / 8:
        yield Flaw(f"{count} links in {words} words", proof.whole)
    often = Counter(link.href for link in proof.issue.links if link.href not in ("", "#"))
    for link, place in proof.links():
        if often[link.href] > 5:
            yield Flaw(f"{link.href} is linked {often[link.href]} times", place)
            often[link.href] = 0


@rule("L009", "warning", fix="[editors@example.org](mailto:editors@example.org)", source="RFC 6068")
def mail_links_are_addresses(proof: Proof) -> Iterator[Flaw]:
    """A mailto link holds one valid address, and no text that would be put into a reader's mouth.

    Some programs send a body as it is; others drop the whole link for it.
    """
    for link, place in proof.links():
        if not link.href.lower().startswith("mailto:") or MARKER.search(link.href):
            continue
        address, _, query = link.href[7:].partition("?")
        try:
            canonical_address(unquote(address))
        except ValueError as error:
            yield Flaw(f"mailto:{address[:40]}: {error}", place)
        if re.search(r"(?i)(^|&)(body|cc|bcc|attach)=", query):
            yield Flaw(f"the link “{link.text}” writes more than an address and a subject", place)


@rule(
    "L010",
    "info",
    fix="leave it out, or say so in the privacy notice",
    source="GDPR, Art. 6; Apple Mail Privacy Protection",
)
def nothing_tracks(proof: Proof) -> Iterator[Flaw]:
    """Nothing watches readers: no picture of one pixel, no campaign parameters.

    Consent is needed for it in Europe, and half of the figures are made by Apple's proxy anyway.
    """
    for element in proof.elements:
        sizes = {declared(element).get(side) or element.get(side, "") for side in ("width", "height")}
        if element.tag == "img" and sizes <= {"0", "1", "0px", "1px"}:
            yield Flaw("a picture of one pixel", proof.of(element))
    for link, place in proof.links():
        if found := re.search(r"[?&](utm_[a-z]+|fbclid|gclid|mc_[ce]id|_hsenc)=", link.href):
            yield Flaw(f"the link “{link.text}” carries {found[1]}", place)


@rule(
    "L015",
    "error",
    fix="link to it with https://; or name a file beside the issue, which travels inside the mail",
    source="RFC 3986, 4.2; RFC 2392; Gmail's image proxy",
)
def pictures_can_be_fetched(proof: Proof) -> Iterator[Flaw]:
    """A picture that does not travel in the mail has an address that every reader's program can fetch.

    A relative one, or one on this machine, is a broken frame in each of the mails that went out.
    """
    for element in proof.elements:
        if element.tag != "img":
            continue
        src = (element.get("src") or "").strip()
        named = (proof.picture(image) for image in proof.issue.images if image.src == src)
        place = next(named, proof.of(element, "src="))
        split = parts(src)
        host = ((split.hostname if split else "") or "").rstrip(".")
        if src.startswith(("cid:", "data:image/")) or MARKER.search(src):
            continue
        if not src:
            yield Flaw("a picture has no address", place)
        elif not split:
            yield Flaw(f"the address of a picture is relative, or of a kind that is not fetched: {src[:60]}", place)
        elif _HERE.fullmatch(host):
            yield Flaw(f"readers cannot reach a picture at {split.netloc}", place)
        elif split.scheme == "http":
            yield Flaw(f"a picture goes over http, which many programs do not show: {src[:60]}", place, "", "warning")
