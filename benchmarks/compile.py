"""One person's message: ours, EmailMessage with the same content, and the limit, a join of bytes.

Prints the median microseconds a message and the ratios, taken round by round in one run: machines are noisy, ratios are
steadier. `python benchmarks/compile.py [ROUNDS]`
"""

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from alliance_mailer.config import load_config
from alliance_mailer.contact import Contact, read_lists
from alliance_mailer.edition import Edition, compile_edition
from alliance_mailer.issue import load_issue
from alliance_mailer.message import Message, address
from alliance_mailer.render import render

ROOT = Path(__file__).parents[1]
NOW = datetime(2023, 4, 3, 13, 0, tzinfo=UTC)


def main(rounds: int = 15) -> None:
    publication = load_config(ROOT).publication
    issue = load_issue(ROOT, "2.6")
    rendered = render(issue, publication, ROOT / "templates")
    edition = compile_edition(rendered, publication, issue.number, issue.file)
    contacts = list(read_lists(ROOT / "contacts", issue.audience))
    picture = rendered.pictures[0].data

    def ours(contact: Contact) -> bytes:
        return _address(edition, contact).as_bytes()

    def email_message(contact: Contact) -> bytes:
        return _compose(_address(edition, contact), picture)

    first = _address(edition, contacts[0])
    pieces = edition.body_for(first.values, first.token)

    def limit(_: Contact) -> bytes:
        return b"".join((edition.head, *pieces))

    contestants = {"EmailMessage": (email_message, 1), "ours": (ours, 40), "a join of bytes": (limit, 40)}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, (build, repeats) in contestants.items():
            times[name].append(_microseconds(build, contacts, repeats))
    size = len(ours(contacts[0]))
    print(f"issue 2.6, {len(contacts)} people, {size:,} bytes a message, medians of {rounds} rounds")
    for name, values in times.items():
        print(f"  {name:16} {statistics.median(values):10.1f} µs")
    for name in ("EmailMessage", "a join of bytes"):
        ratios = [other / own for other, own in zip(times[name], times["ours"], strict=True)]
        print(f"  {name} / ours: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def _address(edition: Edition, contact: Contact) -> Message:
    return address(edition, contact, date=NOW, key=b"benchmark")


def _compose(message: Message, picture: bytes) -> bytes:
    """The same headers, texts and picture, as the standard library's documentation builds them."""
    built = EmailMessage(policy=SMTP)
    built["From"] = message.edition.publication.sender
    built["To"] = message.contact.address
    built["Subject"] = message.subject
    built["Message-ID"] = f"<{message.message_id}>"
    built.set_content(message.text)
    built.add_alternative(message.html, subtype="html")
    built.get_payload()[1].add_related(picture, "image", "jpeg", cid="<hero@example.org>")
    return built.as_bytes()


def _microseconds(build: Callable[[Contact], bytes], contacts: list[Contact], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        for contact in contacts:
            build(contact)
    return (time.perf_counter() - began) / repeats / len(contacts) * 1e6


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
