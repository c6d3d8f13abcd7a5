"""What the network says: a sender's records in the DNS, whether links answer, how a one-click endpoint behaves.

Only this module asks. What comes back are plain values, for the checks and `mailer doctor` to judge. An address that is
not public is never connected to, wherever a link or a redirect leads (server-side request forgery); the connection goes
to the very address that was looked at.
"""

import ipaddress
import re
import socket
import ssl
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

if TYPE_CHECKING:
    import dns.resolver
    import httpx

_TIMEOUT = 5.0  # seconds; a reader waits no longer either
_REDIRECTS = 5
_AT_ONCE = 8  # hosts; each is asked one thing at a time
_AGENT = "alliance-mailer (link check before a newsletter is sent)"

# Where the large senders publish their keys; there is no way to list them.
SELECTORS = (
    "default",
    "dkim",
    "mail",
    "google",
    "selector1",
    "selector2",
    "k1",
    "k2",
    "s1",
    "s2",
    "pm",
    "resend",
    "mte1",
    "brevo1",
    "mailgun",
    "smtp",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of asking for a URL: the last answer's status, or why there was none."""

    status: int = 0
    url: str = ""  # where redirects led
    bytes: int | None = None
    kind: str = ""  # Content-Type
    error: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """What the DNS says of a sender's domain. None: it could not be asked."""

    name: str
    spf: tuple[str, ...] | None = ()
    spf_lookups: int = 0  # that a receiver needs (RFC 7208, 4.6.4)
    dmarc: tuple[str, ...] | None = ()
    dmarc_at: str = ""  # the domain that has the record (RFC 9989: the walk up the tree)
    organisation: str = ""  # whose domains are aligned with each other, as that walk says
    dkim: Mapping[str, str] = field(default_factory=dict)  # the keys under the usual selectors; no revoked ones
    mx: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Outside:
    """All of it."""

    domain: Domain | None = None
    visits: Mapping[str, Visit] = field(default_factory=dict)  # links and pictures, by URL
    one_click: Visit | None = None
    sets_cookie: bool = False  # the one-click endpoint


# The DNS -------------------------------------------------------------------------------------------------------------


def ask_domain(name: str, resolver: "dns.resolver.Resolver | None" = None) -> Domain:
    """The records of a sender's domain."""
    import dns.resolver

    try:
        ask = _Asker(resolver or dns.resolver.get_default_resolver())
    except dns.resolver.NoResolverConfiguration:
        return Domain(name, None, dmarc=None, mx=None)
    spf = ask.texts(name, "v=spf1")
    if spf is None or not (spf or ask.knows_the_root):  # no use in waiting for each of the others
        return Domain(name, None, dmarc=None, mx=None)
    dmarc, at, organisation = ask.dmarc(name)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        keys = pool.map(lambda each: ask.texts(f"{each}._domainkey.{name}") or (), SELECTORS)
        # An empty p= is a key that was withdrawn (RFC 6376, 3.6.1).
        held = ((each, text) for each, texts in zip(SELECTORS, keys, strict=True) for text in texts)
        published = {each: text for each, text in held if tags(text).get("p")}
    lookups = ask.lookups(spf[0], {name}) if spf else 0
    return Domain(name, spf, lookups, dmarc, at, organisation, published, ask.records(name, "MX"))


def tags(record: str) -> dict[str, str]:
    """The tags of a DKIM or DMARC record: p=none is {"p": "none"}; blanks count for nothing."""
    pairs = (part.partition("=") for part in record.split(";") if "=" in part)
    return {name.strip(): re.sub(r"\s", "", value) for name, _, value in pairs}


class _Asker:
    """Asks a resolver; None where there is no answer to be had."""

    def __init__(self, resolver: "dns.resolver.Resolver") -> None:
        self._resolver = resolver

    def records(self, name: str, kind: str) -> tuple[str, ...] | None:
        import dns.exception
        import dns.resolver

        try:
            answer = self._resolver.resolve(name, kind, lifetime=_TIMEOUT, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError, ValueError):
            return None
        if kind == "TXT":
            return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer)
        return tuple(record.to_text() for record in answer)

    @property
    def knows_the_root(self) -> bool:
        """Whether this is the DNS of the internet; cut off from it, some resolvers deny every name."""
        return bool(self.records(".", "NS"))

    def texts(self, name: str, beginning: str = "") -> tuple[str, ...] | None:
        records = self.records(name, "TXT")
        if records is None:
            return None
        low = beginning.lower()
        return tuple(text for text in records if text.lower().split(" ")[0].split(";")[0].strip().startswith(low))

    def dmarc(self, name: str) -> tuple[tuple[str, ...] | None, str, str]:
        """The record that holds for a name, where it stands, and the organisation's domain (RFC 9989, 4.10)."""
        labels = name.split(".")
        records: tuple[str, ...] = ()
        at, organisation = "", name
        for start in range(max(0, len(labels) - 8), len(labels) - 1):
            here = ".".join(labels[start:])
            found = self.texts(f"_dmarc.{here}", "v=DMARC1")
            if found is None:
                return records or None, at, organisation
            if found:
                records, at = (records, at) if records else (found, here)
                suffix = tags(found[0]).get("psd", "u")
                organisation = ".".join(labels[max(0, start - 1) :]) if suffix == "y" else here
                if suffix != "u":
                    break
        return records, at, organisation

    def lookups(self, record: str, seen: set[str]) -> int:
        """How many queries evaluating an SPF record takes, those of what it includes as well."""
        count = 0
        for term in record.split()[1:]:
            word, _, value = term.lstrip("+-~?").partition(":") if "=" not in term else term.partition("=")
            mechanism = word.split("/")[0].lower()
            if mechanism in ("include", "a", "mx", "ptr", "exists", "redirect"):
                count += 1
            if mechanism in ("include", "redirect") and value not in seen and "%" not in value and len(seen) < 30:
                seen.add(value)
                inner = self.texts(value, "v=spf1")
                count += self.lookups(inner[0], seen) if inner else 0
        return count


# Links ---------------------------------------------------------------------------------------------------------------


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet."""
    ip = ipaddress.ip_address(address)
    return ip.is_global and not ip.is_multicast


Public = Callable[[str], bool]


def visit(urls: Iterable[str], public: Public = is_public) -> dict[str, Visit]:
    """Ask for each URL: HEAD, then GET where that is refused. Several hosts at once, each one thing at a time."""
    hosts: dict[str, list[str]] = defaultdict(list)
    for url in dict.fromkeys(urls):
        hosts["".join(re.findall(r"(?<=//)[^/?#]*", url)[:1]).lower()].append(url)

    def one_host(each: list[str]) -> list[tuple[str, Visit]]:
        with _client() as client:
            return [(url, _visit(client, url, public)) for url in each]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(pair for pairs in pool.map(one_host, hosts.values()) for pair in pairs)


def press(url: str, public: Public = is_public) -> tuple[Visit, bool]:
    """Press one-click unsubscribe (RFC 8058), as a mail program does, following nothing; whether a cookie came back."""
    with _client() as client:
        try:
            with _sent(client, "POST", url, public, data={"List-Unsubscribe": "One-Click"}) as answer:
                return Visit(answer.status_code, url), "set-cookie" in answer.headers
        except (ValueError, OSError) as error:
            return Visit(error=str(error) or type(error).__name__), False


@contextmanager
def _client() -> "Iterator[httpx.Client]":
    import httpx

    trusted = ssl.create_default_context()  # the system's authorities, as a reader's browser has them
    with httpx.Client(timeout=_TIMEOUT, headers={"User-Agent": _AGENT}, trust_env=False, verify=trusted) as client:
        yield client


def _visit(client: "httpx.Client", url: str, public: Public) -> Visit:
    found = Visit(error="not asked")
    for method in ("HEAD", "GET"):
        try:
            found = _followed(client, method, url, public)
        except (ValueError, OSError) as error:
            found = Visit(error=str(error) or type(error).__name__)
        if found.status and found.status < 400:
            break
    return found


def _followed(client: "httpx.Client", method: str, url: str, public: Public) -> Visit:
    for _ in range(_REDIRECTS + 1):
        with _sent(client, method, url, public) as answer:
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
                continue
            length = answer.headers.get("content-length", "")
            size = int(length) if length.isdigit() else None
            return Visit(answer.status_code, url, size, answer.headers.get("content-type", ""))
    raise ValueError(f"more than {_REDIRECTS} redirects")


@contextmanager
def _sent(client: "httpx.Client", method: str, url: str, public: Public, **content: Any) -> "Iterator[httpx.Response]":
    """One request to the address that was looked at. Raises ValueError or OSError with words for a person."""
    import httpx

    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"no address: {error}") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ValueError(f"leads to {target.scheme or 'nothing'}:, which is not asked")
    address = _address(target.host, target.port or {"http": 80, "https": 443}[target.scheme], public)
    headers = {"Host": target.netloc.decode("ascii")}
    request = client.build_request(
        method, target.copy_with(host=address), headers=headers, extensions={"sni_hostname": target.host}, **content
    )
    try:
        answer = client.send(request, stream=True)
    except httpx.TimeoutException:
        raise ValueError(f"no answer in {_TIMEOUT:g} seconds") from None
    except httpx.HTTPError as error:
        raise ValueError(str(error) or type(error).__name__) from None
    try:
        yield answer
    finally:
        answer.close()


def _has_dns() -> bool:
    import dns.resolver

    with suppress(dns.resolver.NoResolverConfiguration):
        return _Asker(dns.resolver.get_default_resolver()).knows_the_root
    return False


def _address(host: str, port: int, public: Public) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if getattr(error, "errno", None) in (socket.EAI_AGAIN, socket.EAI_FAIL) or not _has_dns():
            raise ValueError(f"{host} cannot be looked up: no network, or its DNS fails") from None
        raise ValueError(f"there is no host {host}") from None
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        if not public(address.partition("%")[0]):
            raise ValueError(f"{host} is {address}, which is not on the open internet")
    return addresses[0]
