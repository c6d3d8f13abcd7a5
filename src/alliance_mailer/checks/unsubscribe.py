"""Unsubscribing, and the identity of the list: what the law and the mailbox providers ask for."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

import lxml.html

from ..unsubscribe import is_genuine
from ._colour import contrast_of
from ._proof import KEY, READERS, Proof
from ._rule import Flaw, rule
from ._styles import size_of
from .headers import RESERVED
from .links import parts

_WORDS = {
    "en": r"unsubscribe|opt[ -]?out|stop receiving|leave this list",
    "de": r"abbestell|abmeld|austragen",
    "fr": r"désabonn|désinscri|se désabonner",
    "es": r"darse de baja|cancelar (la )?suscripci|desuscrib",
    "it": r"disiscri|cancella(re)? (l')?iscrizione",
    "pt": r"cancelar (a )?(inscri|subscri|assinatura)|descadastr",
    "nl": r"uitschrijven|afmelden",
    "ja": r"配信停止|購読(を)?(解除|停止|中止)|登録解除|退会",
    "ko": r"수신\s?거부|구독\s?(취소|해지)",
    "zh": r"退订|退訂|取消订阅|取消訂閱",
}
_WHY = re.compile(
    r"(?i)receiv|(?<!un)subscri|signed up|mailing list|erhalten|abonn|recib|suscri|ricev|receb|ontvang"
    r"|購読|配信|お届け|구독|수신|订阅|訂閱"
)


def _uris(proof: Proof) -> list[str]:
    return re.findall(r"<([^<>]*)>", proof.header("List-Unsubscribe"))


def _links(proof: Proof) -> list[lxml.html.HtmlElement]:
    """Where the page offers to unsubscribe: links that lead where the header does."""
    targets = {unquote(uri) for uri in _uris(proof)}
    return [each for each in proof.elements if each.tag == "a" and unquote(each.get("href", "")) in targets]


@rule("U001", "error", fix="report it: the program writes this field itself", source="RFC 2369; RFC 8058, 3.1")
def list_unsubscribe_is_there(proof: Proof) -> Iterator[Flaw]:
    """List-Unsubscribe holds a mail address, and one https address where there is an endpoint.

    Without it, mail programs show no button, and readers press the one that says spam.
    """
    uris = _uris(proof)
    mail = [uri for uri in uris if uri.startswith("mailto:")]
    web = [uri for uri in uris if uri.startswith("https://")]
    if len(mail) > 1 or len(web) > 1 or len(mail) + len(web) != len(uris) or not uris:
        yield Flaw(f"List-Unsubscribe is {proof.header('List-Unsubscribe')!r}", proof.whole)
    elif proof.publication.unsubscribe_url and not web:
        yield Flaw("List-Unsubscribe does not name the endpoint", proof.setting("newsletter.unsubscribe_url"))


@rule("U002", "error", fix="report it: the program writes this field itself", source="RFC 8058, 5")
def one_click_is_promised(proof: Proof) -> Iterator[Flaw]:
    """List-Unsubscribe-Post stands beside an https address, and only there.

    Gmail and Yahoo ask bulk senders for exactly this field.
    """
    value, web = proof.header("List-Unsubscribe-Post"), any(uri.startswith("https:") for uri in _uris(proof))
    if value != ("List-Unsubscribe=One-Click" if web else ""):
        yield Flaw(f"List-Unsubscribe-Post is {value!r}", proof.whole)


@rule("U003", "error", fix='unsubscribe_url = "https://…", where the endpoint answers', source="RFC 8058, 3.1")
def unsubscribe_link_is_a_readers_own(proof: Proof) -> Iterator[Flaw]:
    """The link to unsubscribe is public, and each reader's own.

    A link that is the same for all cannot know whom to take off the list.
    """
    place = proof.setting("newsletter.unsubscribe_url")
    for uri in _uris(proof):
        token = re.search(r"[a-z2-7]{32}(?=$|[^a-z2-7])", uri)
        if not token or not is_genuine(KEY, token[0]):
            yield Flaw(f"no reader's token in {uri[:60]}", proof.whole, "report it: the program adds the token itself")
        elif token[0].encode() in proof.other.replace(b"=\r\n", b""):
            yield Flaw("two readers get the same link to unsubscribe", proof.whole, "report it")
        if uri.startswith("https:"):
            host = (split.hostname if (split := parts(uri)) else None) or ""
            if re.fullmatch(r"[0-9.]+|\[.*|[^.]+|.*\.(local|localhost|internal|lan)", host):
                yield Flaw(f"readers cannot reach {host}", place)
            elif RESERVED.search(host):
                yield Flaw(f"{host} is a name reserved for examples", place, severity="info")


@rule("U004", "error", fix="report it: the program's tokens hold no address", source="privacy")
def unsubscribe_link_holds_no_address(proof: Proof) -> Iterator[Flaw]:
    """The link to unsubscribe does not show the reader's address.

    It lands in the logs of every proxy on the way, and whoever forwards the mail gives it away.
    """
    for uri in _uris(proof):
        if READERS[0] in unquote(uri):
            yield Flaw("the reader's address stands in the link to unsubscribe", proof.whole)


@rule(
    "U005",
    "error",
    fix='put <a href="{{ unsubscribe_url }}">Unsubscribe</a> into the template',
    source="Gmail, Email sender guidelines; CAN-SPAM",
)
def unsubscribe_link_is_visible(proof: Proof) -> Iterator[Flaw]:
    """A link to unsubscribe stands in the page and in the text part.

    The header is not enough: Gmail asks for a visible link, too, and so does the law.
    """
    where = f"templates/{proof.issue.template}/message"
    if not _links(proof):
        yield Flaw("no link to unsubscribe in the page", proof.at(f"{where}.mjml.j2", None))
    text = re.sub(r"\s", "", proof.text)
    if not any(uri in text or unquote(uri) in text for uri in _uris(proof)):
        yield Flaw("no link to unsubscribe in the text part", proof.at(f"{where}.txt.j2", None))


@rule(
    "U006",
    "warning",
    fix="call it “Unsubscribe”, 10 px or more, in a colour that can be read",
    source="CAN-SPAM: clear and conspicuous",
)
def unsubscribe_link_is_clear(proof: Proof) -> Iterator[Flaw]:
    """The link to unsubscribe says what it is, and can be read.

    Who does not find it reports the mail as spam, and that hurts more than a reader lost.
    """
    words = "|".join((_WORDS["en"], _WORDS.get(proof.publication.language.lower().split("-")[0], "")))
    words = words.rstrip("|")
    for each in _links(proof):
        if not re.search(words, each.text_content(), re.IGNORECASE):
            yield Flaw(f"the link to unsubscribe says “{each.text_content().strip()}”", proof.of(each))
        if size_of(each) < 10:
            yield Flaw(f"the link to unsubscribe is {size_of(each):g} px high", proof.of(each))
        if (ratio := contrast_of(each)) < 4.5:
            yield Flaw(f"the link to unsubscribe has a contrast of {ratio:.1f}, 4.5 can be read", proof.of(each))


@rule("U007", "error", fix='list_id = "my-digest.your-domain.org"', source="RFC 2919; Gmail, sender FAQ")
def list_id_is_ours(proof: Proof) -> Iterator[Flaw]:
    """List-Id is a name at a domain of ours, with words for people before it.

    Readers' filters go by it, and Gmail tells lists of one sender apart by it.
    """
    value = proof.header("List-Id")
    identity = re.search(r"<([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+)>$", value)
    place = proof.setting("newsletter.list_id")
    if not identity or len(value) > 255:
        yield Flaw(f"List-Id is {value!r}", place)
        return
    ours = proof.publication.domain.split(".")[-2:]
    if identity[1].lower().split(".")[-2:] != ours:
        yield Flaw(f"List-Id is at another domain than the sender's: {identity[1]}", place, severity="warning")
    if value.startswith("<"):
        yield Flaw("List-Id has no words for people before it", place, severity="warning")


@rule("U008", "warning", fix="report it: the program writes this field itself", source="Gmail, Feedback Loop")
def feedback_id_is_well_formed(proof: Proof) -> Iterator[Flaw]:
    """Feedback-ID has up to four parts, the last of 5 to 15 characters.

    Gmail groups complaints by it, so that one bad issue can be told from a bad list.
    """
    value = proof.header("Feedback-ID")
    parts = value.split(":")
    if not 1 <= len(parts) <= 4 or not 5 <= len(parts[-1]) <= 15 or len(set(parts)) < len(parts) or "@" in value:
        yield Flaw(f"Feedback-ID is {value!r}", proof.whole)


@rule(
    "U015",
    "error",
    fix="put {{ publication.postal_address }} into the template",
    source="CAN-SPAM, 15 U.S.C. 7704(a)(5)",
)
def postal_address_is_there(proof: Proof) -> Iterator[Flaw]:
    """The postal address of who answers for it stands in the page and in the text part.

    The law of the United States asks for it in every commercial mail, and others for an imprint.
    """
    where = f"templates/{proof.issue.template}/message"
    for words, file in ((proof.tree.text_content(), f"{where}.mjml.j2"), (proof.text, f"{where}.txt.j2")):
        squeezed = re.sub(r"\s+", "", words)
        if any(re.sub(r"\s+", "", line) not in squeezed for line in proof.publication.postal_address.splitlines()):
            part = "page" if "mjml" in file else "text part"
            yield Flaw(f"the postal address is not in the {part}", proof.at(file, None))


@rule(
    "U016",
    "warning",
    fix="say it in the foot: You are receiving this because …",
    source="M3AAWG, Sender Best Practices; GDPR, Art. 13",
)
def reader_knows_why(proof: Proof) -> Iterator[Flaw]:
    """A reader can see why this came, and from whom.

    Who has forgotten subscribing is the one who complains.
    """
    words = re.sub(r"\s+", " ", proof.text)
    place = proof.text_template
    if not _WHY.search(words):
        yield Flaw("nothing says why the reader gets this", place)
    if re.sub(r"\s+", " ", proof.publication.organisation) not in words:
        yield Flaw("nothing says which organisation sends this", place)
