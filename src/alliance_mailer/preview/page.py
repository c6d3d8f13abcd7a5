"""The page: what the desk holds, as the view asks for it, in HTML."""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

import jinja2

from ..errors import InputError, MailerError
from ..issue import Issue, issue_numbers
from ..message import Message
from . import listing
from .desk import Desk, Look
from .editor import editor_link
from .excerpt import card
from .findings import counts, grouped
from .frame import Shown, as_outlook, marked, shown
from .mail import CLIP, WARN, Mail, snippet, stories
from .people import SHOWN, Person, find, listed, synthetic
from .shelf import shelf
from .view import CHOICES, PHONE, View, second
from .ways import ways

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_WORDS_A_MINUTE = 230


@dataclass(frozen=True, slots=True)
class Subject:
    """A message under the eyes: whose, from which issue, its bytes taken apart."""

    look: Look
    person: Person
    mail: Mail
    message: Message

    @property
    def issue(self) -> Issue:
        """What was written."""
        assert self.look.loaded
        return self.look.loaded.issue


def subject_of(desk: Desk, view: View) -> tuple[Subject | None, str, str, MailerError | None]:
    """The message that the view shows, the keys of the persons beside, and what is wrong.

    Where the issue is wrong now, it is the last good one; where the person cannot be written to, it is nobody's.
    """
    look = desk.look(view.issue)
    if look.loaded is None:
        return None, "", "", look.error
    edition, lists = look.loaded.edition, look.loaded.issue.audience
    person, before, after, error = synthetic(edition)[0], "", "", look.error
    try:
        person, before, after = find(view.to, edition, desk.project / "contacts", lists)
        mail, message = desk.mail(look, person.contact)
    except MailerError as wrong:
        error = error or wrong
        mail, message = desk.mail(look, edition.neutral_reader)
    return Subject(look, person, mail, message), before, after, error


# What the frame gets ------------------------------------------------------------------------------------------------


def pictures(issue: Issue, mail: Mail, assets_url: str | None) -> dict[str, str]:
    """Where the frame finds each picture: by its src in the message, the address here."""
    addresses = {picture.name: "picture?" + urlencode({"issue": issue.number, "name": picture.name})
                 for picture in issue.pictures.values()}  # fmt: skip
    found = {f"cid:{name}": addresses[name.split("@")[0]] for name in mail.pictures if name.split("@")[0] in addresses}
    if assets_url:
        found |= {f"{assets_url.rstrip('/')}/{name}": address for name, address in addresses.items()}
    return found


def frame(subject: Subject, view: View) -> Shown:
    """The message's HTML as the view asks for it."""
    page = subject.mail.html
    if view.mark:
        page = marked(subject.message.edition.html, subject.message.values)
    if view.v == "outlook":
        page = as_outlook(page)
    publication = subject.message.edition.publication
    found = pictures(subject.issue, subject.mail, publication.assets_url)
    return shown(page, theme=view.theme, img=view.img, pictures=found)


# What the page gets -------------------------------------------------------------------------------------------------


def render_page(desk: Desk, view: View, banners: Callable[[str], Mapping[str, str]]) -> str:
    """The page. `banners` says what a test of an issue can go through; nothing, for somebody who must not send."""
    desk.turn_to(view.issue)
    subject, before, after, error = subject_of(desk, view)
    look, now = desk.look(view.issue), datetime.now(UTC)
    config = look.config
    entries = shelf(desk.project, config.ledger if config else None, now,
                    config.publication.timezone, desk.editions()) if config else []  # fmt: skip
    problems = error.problems if error else ()
    link = editor_link(desk.project, desk.environ)
    context: dict[str, Any] = {
        "view": view,
        "choices": CHOICES,
        "phone": PHONE,
        "publication": config.publication.name if config else desk.project.name,
        "shelf": entries,
        "entry": next((entry for entry in entries if entry.number == view.issue), None),
        "cards": [card(problem, desk.project) for problem in problems],
        "unreadable": error is not look.error,  # not for this person; the issue itself is good
        "editor": link,
        "before": before,
        "after": after,
        "version": desk.version,
        "changed": desk.changed,
        "banners": {} if error else banners(view.issue),
        "subject": subject,
        "milliseconds": look.milliseconds,
        "archive": (config.publication.archive_url or "") if config else "",
        "kilobytes": kilobytes,
        "ways": ways(config, look.loaded.edition) if config and look.loaded else [],
        "message_from": config.publication.sender_name or config.publication.sender if config else "",
    }
    if subject:
        context |= _about(desk, view, subject)
    return TEMPLATES.get_template("page.html.j2").render(context)


def _about(desk: Desk, view: View, subject: Subject) -> dict[str, Any]:
    issue, mail, edition = subject.issue, subject.mail, subject.message.edition
    assert subject.look.loaded
    numbers = issue_numbers(desk.project)
    at = numbers.index(view.issue) if view.issue in numbers else 0
    beside = second(view, numbers[at - 1] if at else "")
    views = [view, beside] if beside and view.v in ("html", "outlook", "text") else [view]
    blocked = frame(subject, replace(view, img="on")).blocked if view.v in ("html", "outlook") else ()
    found = pictures(issue, mail, edition.publication.assets_url)
    files = {src: found.get(f"cid:{picture.name}@{edition.publication.domain}", src)
             for src, picture in issue.pictures.items()}  # fmt: skip
    findings = subject.look.loaded.findings
    return {
        "issue": issue,
        "mail": mail,
        "snippet": snippet(mail.html),
        "panes": [_pane(desk, each, subject, first=each is view) for each in views],
        "blocked": blocked,
        "groups": grouped(findings, issue, files),
        "counts": counts(findings),
        "stories": stories(mail),
        "clip": CLIP,
        "warn": WARN,
        "fields": _fields(subject),
        "synthetic": synthetic(edition),
        "people": _people(desk, issue, ""),
        "outline": _outline(mail),
        "minutes": max(1, round(len(mail.text.split()) / _WORDS_A_MINUTE)),
        "links": len(set(re.findall(r'href="(?!#)([^"]+)"', mail.html))),
        "picture_bytes": sum(part.encoded for part in mail.pictures.values()),
        "notes": _header_notes(subject),
        "source": listing.source(mail.html) if view.v == "source" else [],
        "raw": listing.raw(mail.raw) if view.v == "raw" else "",
        "edition": edition.sha256,
    }


def _pane(desk: Desk, view: View, subject: Subject, *, first: bool) -> dict[str, Any]:
    """One of the one or two things on the stage. The frame's address names the edition, so that a change reloads it."""
    other, error = (subject, None) if first else subject_of(desk, view)[::3]
    words = {"light": "light", "dark": "dark", "forced": "forced dark"}
    title = [f"issue {view.issue}", f"{view.w} px" if view.w else "desktop", words[view.theme]]
    if not view.to:
        title.append("no name")
    pane = {"view": view, "title": " · ".join(title), "width": view.w, "src": "", "text": ""}
    if other is None or (error and not first):
        return pane | {"title": f"issue {view.issue} cannot be shown"}
    stamp = f"{other.message.edition.sha256[:12]}-{crc32(repr(other.message.values).encode()):08x}"
    return pane | {"src": f"frame{view.url(panel='checks', beside='', w=0)}&at={stamp}", "text": other.mail.text}


def _fields(subject: Subject) -> list[dict[str, str]]:
    """The merge fields, and what this person gets in them."""
    values = subject.message.values
    return [
        {"name": field.name, "fallback": field.fallback or "", "value": values.get(field.name) or ""}
        for field in subject.message.edition.merge_fields
    ]


def _people(desk: Desk, issue: Issue, words: str) -> dict[str, Any]:
    """Contacts for the picker; with what is wrong, where a list cannot be read."""
    try:
        found = list(islice(listed(desk.project / "contacts", issue.audience, words), SHOWN + 1))
    except InputError as error:
        return {"people": [], "more": False, "wrong": str(error)}
    return {"people": found[:SHOWN], "more": len(found) > SHOWN, "wrong": ""}


def render_people(desk: Desk, view: View, words: str) -> str:
    """The part of the picker that a search changes."""
    look = desk.look(view.issue)
    found = _people(desk, look.loaded.issue, words) if look.loaded else {"people": [], "more": False, "wrong": ""}
    return TEMPLATES.get_template("people.html.j2").render(view=view, found=found, words=words)


def _outline(mail: Mail) -> list[dict[str, str]]:
    """The headings of the message; `level` 1 to 3."""
    found = re.findall(r"<h([1-3])\b[^>]*>(.*?)</h\1>", mail.html, re.DOTALL)
    return [{"level": level, "text": html.unescape(re.sub(r"<[^>]+>", "", text)).strip()} for level, text in found]


def _header_notes(subject: Subject) -> dict[str, str]:
    """What a header field means for the reader, where that is no matter of course."""
    one_click = bool(subject.mail.header("List-Unsubscribe-Post"))
    unsubscribe = (
        "One click: mail programs show their own button (RFC 8058)."
        if one_click
        else "By mail only. Gmail and Yahoo want one click (RFC 8058) from who sends many: set unsubscribe_url."
    )
    stand_in = "0" * 32 in subject.message.message_id
    return {
        "List-Unsubscribe": unsubscribe + (" The token is a stand-in: there is no key yet." if stand_in else ""),
        "Date": "The day of the issue; when it is sent, the moment of planning.",
        "Message-ID": "A stand-in: there is no key yet; the first send makes it."
        if stand_in
        else "The same for this person and issue on every try.",
        "Subject": f"{len(subject.message.subject)} characters.",
    }


def kilobytes(count: int) -> str:
    """So many bytes as people read it."""
    return f"{count / 1024:.1f} KB" if count < 100 * 1024 else f"{count / 1024:.0f} KB"
