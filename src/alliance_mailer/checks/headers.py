"""The header fields, as they go over the wire."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime

from ._proof import Proof
from ._rule import Flaw, rule

_ONCE = ("From", "Date", "Message-ID", "Subject", "To", "MIME-Version", "Content-Type")
_ADDRESS = re.compile(r"[!-?A-~]+@(?=.{1,253}\Z)([a-z0-9-]+\.)+[a-z0-9-]{2,}", re.IGNORECASE)
_FREE = {"gmail.com", "googlemail.com", "yahoo.com", "hotmail.com", "outlook.com", "live.com", "msn.com", "icloud.com",
         "me.com", "aol.com", "gmx.com", "gmx.de", "gmx.net", "web.de", "mail.ru", "qq.com", "163.com", "proton.me",
         "protonmail.com"}  # fmt: skip
# RFC 2606 and 6761: names that never lead anywhere.
RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org)|(?:example|test|invalid|localhost))$")
_STRUCTURED = re.compile(r"List-.*|Message-ID|Feedback-ID|MIME-Version|Content-.*", re.IGNORECASE)
_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=")
_TOKEN = re.compile(r"\{\{|\{%|\*\||%recipient\.|\[\[|<<|%%[A-Z]")


def decoded(value: str) -> str:
    """A header's text as a reader sees it."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeDecodeError):
        return value


@rule("H001", "error", fix="report it: the program writes these fields itself", source="RFC 5322, 3.6")
def each_field_once(proof: Proof) -> Iterator[Flaw]:
    """A message has each of its fields once.

    Gmail and Amazon refuse a message with two From or two Subject fields, or without a Date or a Message-ID.
    """
    names = Counter(name.lower() for name, _ in proof.fields)
    for name in _ONCE:
        if names[name.lower()] != 1:
            yield Flaw(f"{names[name.lower()] or 'no'} {name} fields, expected one", proof.whole)
    for name, count in names.items():
        if count > 1 and (name in ("sender", "reply-to", "cc") or name.startswith("list-")):
            yield Flaw(f"{count} {name} fields, expected at most one", proof.whole)


@rule(
    "H002", "error", fix='from = "My Digest <digest@your-domain.org>", a domain of yours',
    source="Gmail, Email sender guidelines: do not impersonate gmail.com; RFC 5322, 3.6.2",
)  # fmt: skip
def from_is_a_mailbox_of_ours(proof: Proof) -> Iterator[Flaw]:
    """From is one mailbox, at a domain of ours.

    A newsletter from gmail.com that Gmail itself did not send is spam to every filter, whatever it says.
    """
    mailboxes = getaddresses([proof.header("From")])
    address = mailboxes[0][1] if len(mailboxes) == 1 else ""
    domain = address.rpartition("@")[2].lower()
    place = proof.setting("newsletter.from")
    if not _ADDRESS.fullmatch(address):
        yield Flaw(f"From is not one mailbox: {proof.header('From')!r}", place)
    elif domain in _FREE:
        yield Flaw(f"From is at {domain}, which lets nobody else send in its name", place)
    elif RESERVED.search(domain):
        message = f"the sender is at {domain}, a name reserved for examples"
        yield Flaw(message, place, "put your own address before a live sending", "info")


@rule("H003", "error", fix="report it: the program encodes these fields itself", source="RFC 5322, 2.2")
def header_is_ascii(proof: Proof) -> Iterator[Flaw]:
    """No header field holds a raw byte above 127.

    Servers without SMTPUTF8 refuse it or damage it.
    """
    for name, value in proof.fields:
        if not value.isascii():
            yield Flaw(f"{name} holds a byte that is not ASCII", proof.whole)


@rule("H004", "error", fix="report it: no value should get so far", source="RFC 5322, 2.2")
def header_holds_no_control_character(proof: Proof) -> Iterator[Flaw]:
    """No header value holds a line break or a control character.

    Who can put a line break into a subject can write header fields of their own.
    """
    for name, value in proof.fields:
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or not re.fullmatch(r"[!-9;-~]+", name):
            yield Flaw(f"a line break or control character in {name!r}", proof.whole)


@rule("H005", "error", fix="report it: the program writes these fields itself", source="RFC 2047, 5")
def structured_fields_are_plain(proof: Proof) -> Iterator[Flaw]:
    """No encoded-word stands where only tokens and addresses may.

    Python's own mail policy folds a long List-Unsubscribe so; Gmail and Outlook then show no button.
    """
    for name, value in proof.fields:
        words_allowed = name.lower() in ("from", "to", "reply-to", "list-id")  # before the angle brackets
        if words_allowed or _STRUCTURED.fullmatch(name):
            inside = re.findall(r"<[^<>]*>", value) if words_allowed else [value]
            if any("=?" in text for text in inside):
                yield Flaw(f"an encoded-word in {name}: {value[:60]}", proof.whole)


@rule("H006", "error", fix="report it: the program encodes these words itself", source="RFC 2047, 2")
def encoded_words_are_whole(proof: Proof) -> Iterator[Flaw]:
    """Each encoded-word has at most 75 characters, and splits no character.

    Yahoo refuses such a subject outright: 554 Invalid Subject header.
    """
    for name, value in proof.fields:
        for word in re.findall(r"=\?\S*\?=", value):
            long = len(word) > 75 or not _WORD.fullmatch(word)
            try:
                broken = "\ufffd" in str(make_header(decode_header(word)))
            except (HeaderParseError, LookupError, UnicodeDecodeError, ValueError):
                broken = True
            if long or broken:
                yield Flaw(f"{name} holds an encoded-word that readers cannot decode: {word[:80]}", proof.whole)


@rule("H007", "error", fix="report it: the program folds its lines itself", source="RFC 5322, 2.1.1")
def lines_are_short_enough(proof: Proof) -> Iterator[Flaw]:
    """No line is longer than 998 bytes.

    Servers cut longer ones, which breaks the message and its signature.
    """
    longest = max(map(len, proof.raw.split(b"\r\n")))
    if longest > 998:
        yield Flaw(f"a line of {longest} bytes", proof.whole)


@rule("H008", "error", fix="report it: the program ends its lines itself", source="RFC 5321, 2.3.8")
def lines_end_in_crlf(proof: Proof) -> Iterator[Flaw]:
    """Every line ends in CR LF, and neither stands alone.

    A bare one is how a second message is smuggled into a first; strict servers refuse it.
    """
    count = len(re.findall(rb"\r(?!\n)|(?<!\r)\n", proof.raw))
    if count:
        yield Flaw(f"{count} line ends that are not CR LF", proof.whole)


@rule(
    "H009", "warning", fix='subject: "…", 30 to 60 characters that say what is inside', source="CAN-SPAM; inbox widths"
)
def subject_fits(proof: Proof) -> Iterator[Flaw]:
    """A subject is there, is short enough to be read whole, and pretends nothing.

    A phone shows about 40 characters, a desktop 70 to 80. “Re:” where nothing was asked is deceptive by law.
    """
    subject = decoded(proof.header("Subject"))
    if not subject.strip():
        yield Flaw("the subject is empty", proof.subject)
    elif len(subject) > 100:
        yield Flaw(f"the subject has {len(subject)} characters; an inbox shows 40 to 80", proof.subject)
    if subject != subject.strip():
        yield Flaw("the subject begins or ends with a blank", proof.subject)
    if re.match(r"(?i)(re|fwd?|aw|sv)\s*:", subject):
        yield Flaw(f"the subject begins with {subject.split(':')[0]}:, but nobody wrote before", proof.subject)


@rule("H010", "warning", fix="write it as you would to a colleague", source="SpamAssassin: SUBJ_ALL_CAPS, PLING_PLING")
def subject_does_not_shout(proof: Proof) -> Iterator[Flaw]:
    """A subject does not shout.

    Capitals, several exclamation marks and $$$ each cost points with spam filters, and trust with readers.
    """
    subject = decoded(proof.header("Subject"))
    letters = [letter for letter in subject if letter.isalpha() and letter.upper() != letter.lower()]
    if len(letters) > 9 and sum(map(str.isupper, letters)) > len(letters) / 2:
        yield Flaw("most of the subject is in capitals", proof.subject)
    if subject.count("!") > 1 or "$$$" in subject:
        yield Flaw(f"the subject shouts: {subject}", proof.subject)


@rule("H011", "error", fix='write {{ contact.first_name | default("reader") }}', source="what it would look like")
def header_holds_no_token(proof: Proof) -> Iterator[Flaw]:
    """No header field shows an unfilled merge field.

    “Dear {{ first_name }}” in the inbox of everybody cannot be taken back.
    """
    for name, value in proof.fields:
        token = _TOKEN.search(decoded(value))
        if token and name.lower() != "feedback-id":
            yield Flaw(f"{name} holds {token[0]}, which nothing fills", proof.subject)


@rule(
    "H012",
    "error",
    fix="report it: the program dates its messages itself",
    source="RFC 5322, 3.6.1; rspamd: DATE_IN_PAST",
)
def date_is_the_sendings(proof: Proof) -> Iterator[Flaw]:
    """Date can be read, and is the day of the sending.

    In the proof that is send_at, or the issue's date; a sending puts its own instant.
    """
    due = proof.issue.send_at or datetime.combine(proof.issue.date, datetime.min.time())
    try:
        date = parsedate_to_datetime(proof.header("Date"))
    except (ValueError, TypeError):
        yield Flaw(f"Date cannot be read: {proof.header('Date')!r}", proof.whole)
        return
    if abs(date - due.replace(tzinfo=proof.publication.timezone)) > timedelta(days=1):
        yield Flaw(f"Date is {date:%Y-%m-%d}, the sending {due:%Y-%m-%d}", proof.whole)


@rule(
    "H013",
    "error",
    fix="report it: the program makes these itself",
    source="RFC 5322, 3.6.4; SpamAssassin: MSGID_SHORT",
)
def message_id_is_its_own(proof: Proof) -> Iterator[Flaw]:
    """Message-ID is long, at our domain, and another for each reader.

    Where two messages share one, mail systems keep only the first.
    """
    value = proof.header("Message-ID")
    if not re.fullmatch(r"<[!-;=?-~]{18,}>", value) or not value.endswith(f"@{proof.publication.domain}>"):
        yield Flaw(f"Message-ID {value!r} is not 20 characters or more at {proof.publication.domain}", proof.whole)
    elif value.encode() in proof.other:
        yield Flaw("two readers get the same Message-ID", proof.whole)


@rule(
    "H014", "warning", fix='reply_to = "editors@…", or leave it out', source="Microsoft, high-volume sender rules, 2025"
)
def answers_arrive(proof: Proof) -> Iterator[Flaw]:
    """Somebody reads what readers answer.

    Outlook.com asks for an address that can be replied to; “noreply” is counted against a sender.
    """
    key = "reply_to" if proof.publication.reply_to else "from"
    address = proof.publication.reply_to or proof.publication.sender
    if re.match(r"(?i)(no|do-?not|donot)[-_.]?reply", address):
        yield Flaw(f"answers go to {address}, where nobody reads them", proof.setting(f"newsletter.{key}"))


@rule(
    "H015",
    "warning",
    fix='from = "US-Japan Digest <digest@…>", always the same',
    source="Apple and Microsoft, sender advice",
)
def sender_has_a_name(proof: Proof) -> Iterator[Flaw]:
    """The sender has a name that readers know, and nothing else in it.

    An address inside a display name is how phishing looks, and filters treat it so.
    """
    name = proof.publication.sender_name
    place = proof.setting("newsletter.from")
    if "@" in name or re.search(r"(?i)\bhttps?:|\bwww\.", name):
        yield Flaw(f"the sender's name looks like an address: {name}", place)
    elif not re.search(r"\w", name):
        yield Flaw(f"the sender's name has no letter in it: {name!r}", place)


@rule("H016", "error", fix="report it: the program addresses one reader a message", source="privacy")
def one_reader_is_addressed(proof: Proof) -> Iterator[Flaw]:
    """A message shows one recipient, and neither Cc nor Bcc.

    A list in To is the mistake that makes the newspapers.
    """
    count = len(getaddresses([proof.header("To")]))
    if count != 1:
        yield Flaw(f"To shows {count} recipients", proof.whole)
    for name in ("Cc", "Bcc"):
        if proof.header(name):
            yield Flaw(f"the message has a {name} field", proof.whole)


@rule("H017", "warning", fix="leave it to the servers on the way", source="RFC 5321, 4.4; RFC 8601, 5")
def servers_fields_are_theirs(proof: Proof) -> Iterator[Flaw]:
    """No field stands there that only a receiving server may write.

    Servers delete such fields, or count them as a forgery.
    """
    for name, _ in proof.fields:
        if re.fullmatch(r"(?i)return-path|received|authentication-results|x-spam-.*", name):
            yield Flaw(f"{name} is written by servers on the way", proof.whole)
