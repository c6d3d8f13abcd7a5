"""Who will get it: the lists of the audience, and what the issue asks of them."""

import re
from collections.abc import Iterator

from ..contact import read_columns
from ..errors import InputError, did_you_mean
from ._proof import Proof
from ._rule import Flaw, Place, rule

# Mailboxes of a function, not of a person (RFC 2142): nobody there has subscribed, and complaints come easily.
NEVER = {"abuse", "postmaster", "mailer-daemon", "hostmaster", "webmaster", "noreply", "no-reply", "root", "spam"}

# One slip of the finger away from where half of all mail goes; some of these are traps that ruin a reputation.
_TYPOS = {
    "gmail.com": "gmial.com gmai.com gmal.com gmil.com gamil.com gnail.com gmaill.com gmail.co gmail.con gmail.cm"
    " gmali.com ggmail.com gmail.comm",
    "hotmail.com": "hotmial.com hotmal.com hotmil.com hotamil.com homail.com hotmail.co hotmail.con hormail.com",
    "outlook.com": "outlok.com outloo.com outlook.co outlook.con oulook.com outllok.com",
    "yahoo.com": "yaho.com yahooo.com yhaoo.com yhoo.com yahoo.co yahoo.con",
    "yahoo.co.jp": "yahoo.co.jo yaho.co.jp yahoo.cp.jp yahoo.co.jpp",
    "icloud.com": "iclod.com icloud.co icloud.con icoud.com",
}
MEANT = {typo: meant for meant, typos in _TYPOS.items() for typo in typos.split()}


@rule(
    "M010",
    "error",
    fix='write the field as the list names it, or give it a fallback: {{ contact.city | default("your city") }}',
    source="the first send to a list that lacks it",
)
def lists_have_the_fields(proof: Proof) -> Iterator[Flaw]:
    """The lists of the audience are there, and have a column for each merge field.

    A field without a fallback that somebody lacks stops a sending; one with a fallback shows it to everybody.
    """
    columns: set[str] = set()
    for name in proof.issue.audience:
        try:
            columns |= read_columns(proof.project / "contacts", name)
        except InputError as error:  # in a fresh clone, for instance: `send` needs the list, `build` does not
            yield Flaw(str(error), proof.key("audience"), "name a list that is in contacts/: audience: […]", "warning")
            return
    for each in proof.merge_fields:
        if each.name not in columns:
            # With a fallback everybody would get that: a typo, perhaps.
            message = f"no list of the audience has a column {each.name}{did_you_mean(each.name, columns)}"
            yield Flaw(message, _place(proof, each.name), severity="error" if each.fallback is None else "warning")


def _place(proof: Proof, name: str) -> Place:
    """Where a field is written: in the issue, else in the template."""
    for file in (
        proof.issue.file,
        f"templates/{proof.issue.template}/message.mjml.j2",
        f"templates/{proof.issue.template}/message.txt.j2",
    ):
        for number, line in enumerate(proof.lines(file), 1):
            if found := re.search(rf"(?i)contact\.{re.escape(name)}\b", line):
                return proof.at(file, number, found[0])
    return proof.whole


def _of(source: str, proof: Proof, needle: str) -> Place:
    file, _, line = source.rpartition(":")
    return proof.at(file, int(line), needle)


@rule("P001", "warning", fix="mend the address, or delete the row", source="RFC 5321, 4.1.2; RFC 5891")
def addresses_can_be_mailed(proof: Proof) -> Iterator[Flaw]:
    """Each address is one.

    A sending records the others as refused; mended before, they get the issue.
    """
    for person in proof.contacts:
        if person.invalid:
            written = person.fields.get("email") or "empty"
            yield Flaw(f"{written}: {person.invalid}", _of(person.source, proof, written))


@rule(
    "P004",
    "warning",
    fix="ask the person, and mend the address",
    source="the domains of the big providers, mistyped; some of them are spam traps",
)
def domains_are_no_typos(proof: Proof) -> Iterator[Flaw]:
    """No address is at a domain that is a well-known one, mistyped.

    The person never gets an issue, and such domains collect mail to put its senders on block lists.
    """
    for person in proof.contacts:
        domain = person.address.rpartition("@")[2]
        if meant := MEANT.get(domain):
            yield Flaw(f"{person.address}: {meant} was meant, perhaps", _of(person.source, proof, domain))


@rule("P003", "warning", fix="delete the row", source="RFC 2142")
def addresses_belong_to_readers(proof: Proof) -> Iterator[Flaw]:
    """No address belongs to a machine, or to whoever fights spam.

    Nobody has subscribed abuse@ or noreply@; a mail to it is a complaint already.
    """
    for person in proof.contacts:
        if person.address.partition("@")[0] in NEVER:
            yield Flaw(f"{person.address} is no reader's", _of(person.source, proof, person.address))


@rule(
    "H019",
    "warning",
    fix="ask the person for another address, or send through a server with SMTPUTF8",
    source="RFC 6531; Amazon SES, Mailgun, Resend: not supported",
)
def addresses_are_ascii(proof: Proof) -> Iterator[Flaw]:
    """What stands before the @ is ASCII.

    Other letters need SMTPUTF8 on every server on the way, which many providers do not have.
    """
    for person in proof.contacts:
        if not person.invalid and not person.address.isascii():
            yield Flaw(f"{person.address} needs SMTPUTF8", _of(person.source, proof, person.fields.get("email", "")))
