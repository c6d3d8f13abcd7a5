"""An edition: a rendered issue compiled to encoded bytes and gaps. One compilation, then a join per person.

`EmailMessage` encodes the whole body again for each person, 100 times the work (benchmarks/compile.py); here it is done
once, and the gaps alone are encoded per person, between soft line breaks, which decode to nothing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from . import mime
from .contact import Contact
from .errors import InputError, Problem
from .picture import Picture
from .publication import Publication
from .render import Rendered, content_id
from .slots import Field, Gap, MarkerError, Place, Segments
from .unsubscribe import header_fields, link, unsubscribe_token


@dataclass(frozen=True, slots=True)
class Link:
    """The unsubscribe link as it stands in a gap, encoded but for its token: encoding it took half of a message's time.

    That is possible because all tokens are equally long, and no character of theirs is encoded, anywhere.
    """

    before: str
    cut: int  # characters of the token before a soft break
    soft_break: str  # or nothing
    after: str

    def write(self, token: str) -> str:
        """The link of one person."""
        return f"{self.before}{token[: self.cut]}{self.soft_break}{token[self.cut :]}{self.after}"


@dataclass(frozen=True, slots=True)
class Edition:
    """One issue, ready to be addressed. `head` and `body` are what every copy shares."""

    issue: str
    sha256: str  # of all that is written and rendered, the gaps empty; no key, clock, machine or list member in it
    publication: Publication
    subject: Segments
    html: Segments
    text: Segments
    head: bytes  # the header fields that are the same for everybody, From to MIME-Version
    body: tuple[bytes, ...]  # always one more than order
    order: tuple[int, ...]  # which of the gaps stands between each two pieces of the body
    gaps: tuple[Gap, ...]  # each once
    links: tuple[Link | None, ...]  # for each gap, the unsubscribe link if that stands there
    risky: tuple[Gap, ...]  # those that not every person's data can fill: no fallback, or a whole link
    pictures: tuple[Picture, ...] = ()  # those in the body, for who does not take it as it is

    @property
    def merge_fields(self) -> tuple[Field, ...]:
        """The contact fields that it writes, each with its fallback."""
        gaps = (*self.subject.gaps, *self.gaps)
        return tuple(dict.fromkeys(gap.field for gap in gaps if gap.field.name != "unsubscribe_url"))

    @property
    def fields(self) -> frozenset[str]:
        """The names of the contact fields that it writes."""
        return frozenset(field.name for field in self.merge_fields)

    def body_for(self, values: Mapping[str, str], token: str) -> list[bytes]:
        """The pieces of the encoded body for one person, to be joined. Raises as `slots.Gap.write` does."""
        written = [
            (leave.write(token) if leave else _encoded(gap, values)).encode("ascii")
            for gap, leave in zip(self.gaps, self.links, strict=True)
        ]
        pieces = [b""] * (len(self.body) + len(self.order))
        pieces[::2] = self.body
        pieces[1::2] = [written[index] for index in self.order]
        return pieces

    @property
    def neutral_reader(self) -> Contact:
        """Whom `build` and `test` address: nobody on any list. A field without a fallback shows its own name."""
        needed = [gap for gap in (*self.subject.gaps, *self.gaps) if gap.field.fallback is None]
        words = {gap.field.name: f"[{gap.field.name}]" for gap in needed}
        links = {gap.field.name: f"https://example.org/{gap.field.name}" for gap in needed if gap.place is Place.URL}
        return Contact("reader@example.org", {**words, **links, "email": "reader@example.org"})

    def mistakes(self, contact: Contact) -> list[str]:
        """What keeps it from being addressed to a contact: a field that the person lacks, a link that is none."""
        if not self.risky:
            return []
        found, values = {}, values_of(contact)
        for gap in self.risky:
            try:
                gap.write(values)
            except KeyError:
                found[gap.field.name] = f"has no {gap.field.name}"
            except ValueError as error:
                found[gap.field.name] = f"{gap.field.name}: {error}"
        return list(found.values())


def values_of(contact: Contact) -> dict[str, str]:
    """What a contact's merge fields say; `email` as the person writes it, `name` as a To header shows it."""
    return {**contact.fields, "email": contact.fields.get("email") or contact.address, "name": contact.name}


def _encoded(gap: Gap, values: Mapping[str, str]) -> str:
    return mime.quoted_printable(gap.write(values)) + mime.SOFT_BREAK


def compile_edition(rendered: Rendered, publication: Publication, issue: str, file: str) -> Edition:
    """Compile. Raises InputError where a merge field stands in a place that no value can be written to safely.

    So it does for a fallback that cannot be written where it stands.
    """
    try:
        subject = rendered.markers.split(rendered.subject)
        html = rendered.markers.split_html(rendered.html)
        text = rendered.markers.split(rendered.text)
    except MarkerError as error:
        raise InputError(Problem(file, None, rendered.markers.shown(str(error)))) from None
    head = _head(publication, issue, subject)
    body, gaps = _body(text, html, rendered, publication)
    personal = header_fields(publication, token="")
    content = [head.decode(), personal, *map(bytes.decode, body), *subject.literals]
    written = [[gap.field.name, gap.field.fallback, gap.place] for gap in (*gaps, *subject.gaps)]
    digest = sha256(json.dumps([content, written]).encode()).hexdigest()
    risky = tuple(gap for gap in dict.fromkeys((*subject.gaps, *gaps)) if _is_risky(gap))
    distinct = tuple(dict.fromkeys(gaps))
    order = tuple(map(distinct.index, gaps))
    links = tuple(_link(gap, publication) for gap in distinct)
    edition = Edition(issue, digest, publication, subject, html, text, head, body, order, distinct, links, risky,
                      rendered.pictures)  # fmt: skip
    if mistakes := edition.mistakes(edition.neutral_reader):
        raise InputError([Problem(file, None, f"nobody can be written to: {mistake}") for mistake in mistakes])
    return edition


def _link(gap: Gap, publication: Publication) -> Link | None:
    if gap.field.name != "unsubscribe_url":
        return None
    nobodys = unsubscribe_token(b"", "", "")
    encoded = _encoded(gap, {"unsubscribe_url": link(publication, nobodys)})
    token = re.search(f"({mime.SOFT_BREAK})?".join(nobodys), encoded)
    assert token
    cut, soft_break, _ = token[0].partition(mime.SOFT_BREAK)
    return Link(encoded[: token.start()], len(cut), soft_break, encoded[token.end() :])


def _is_risky(gap: Gap) -> bool:
    if gap.field.name == "unsubscribe_url":
        return False
    return gap.place is Place.URL or (gap.field.fallback is None and gap.field.name != "email")


def _head(publication: Publication, issue: str, subject: Segments) -> bytes:
    label, domain = publication.list_id.partition(".")[0], publication.domain
    # Gmail's feedback loop, a:b:c:SenderId; the last has 5 to 15 characters and never changes.
    sender_id = "".join(filter(str.isalnum, domain))[:15].ljust(5, "0")
    fields = [mime.mailbox("From", publication.sender_name, publication.sender)]
    if publication.reply_to:
        fields.append(mime.mailbox("Reply-To", "", publication.reply_to))
    if not subject.gaps:
        fields.append(mime.header_text("Subject", subject.literals[0]))
    fields.append(mime.mailbox("List-Id", publication.name, publication.list_id))  # RFC 2919: the same shape
    if publication.help_url:
        fields.append(mime.structured("List-Help", f"<{publication.help_url}>"))
    if publication.archive_url:
        fields.append(mime.structured("List-Archive", f"<{publication.archive_url}>"))
    fields += [
        mime.structured("List-Post", "NO"),  # RFC 2369, 3.4: an announcement list
        mime.structured("Feedback-ID", f"{issue}:{label}:newsletter:{sender_id}"),
        mime.structured("MIME-Version", "1.0"),
    ]
    return "".join(fields).encode("ascii")


class _Pieces:
    """Encoded text under construction: literals, and gaps between them."""

    def __init__(self) -> None:
        self.literals = [""]
        self.gaps: list[Gap] = []

    def add(self, *encoded: str) -> None:
        self.literals[-1] += "".join(encoded)

    def add_text(self, segments: Segments) -> None:
        """Text with gaps, as quoted-printable; a soft break on both sides of each gap."""
        for literal, gap in zip(segments.literals, segments.gaps, strict=False):
            encoded = mime.quoted_printable(literal)
            self.add(encoded, mime.SOFT_BREAK if encoded and not encoded.endswith("\n") else "")
            self.gaps.append(gap)
            self.literals.append("")
        self.add(mime.quoted_printable(segments.literals[-1]))


def _body(
    text: Segments, html: Segments, rendered: Rendered, publication: Publication
) -> tuple[tuple[bytes, ...], tuple[Gap, ...]]:
    """multipart/alternative(text/plain, multipart/related(text/html, pictures)), encoded, cut at the gaps."""
    alternative = mime.boundary(*text.literals, *html.literals)
    related = mime.boundary(alternative)
    body = _Pieces()
    body.add(
        f'Content-Type: multipart/alternative;{mime.CRLF} boundary="{alternative}"',
        mime.CRLF,
        mime.delimiter(alternative),
    )
    body.add(mime.part("text/plain; charset=utf-8", "quoted-printable"))
    body.add_text(text)
    body.add(mime.delimiter(alternative))
    if rendered.pictures:
        body.add(f'Content-Type: multipart/related; type="text/html";{mime.CRLF} boundary="{related}"', mime.CRLF)
        body.add(mime.delimiter(related))
    body.add(mime.part("text/html; charset=utf-8", "quoted-printable"))
    body.add_text(html)
    for picture in rendered.pictures:
        identity = f"Content-ID: <{content_id(picture, publication)}>"
        disposition = f'Content-Disposition: inline; filename="{picture.name}"'
        encoded = mime.base64_body(picture.data)
        body.add(
            mime.delimiter(related),
            mime.part(f"image/{picture.subtype}", "base64", encoded, identity, disposition),
        )
    if rendered.pictures:
        body.add(mime.closing(related))
    body.add(mime.closing(alternative))
    return tuple(literal.encode("ascii") for literal in body.literals), tuple(body.gaps)
