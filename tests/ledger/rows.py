"""People, and what a run does with them, in a word each."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from alliance_mailer.contact import Contact
from alliance_mailer.ledger import Audience, Delivery, Ledger, Planned, Sending, Settled
from alliance_mailer.message import Outcome, Verdict

NOW = datetime(2023, 4, 3, 13, 0, tzinfo=UTC)
SENDING, REHEARSAL = Sending("2.6", rehearsal=False), Sending("2.6", rehearsal=True)
PLAN = Planned("a1b2", "smtp mail.example.org:587 (LIVE)", "Digest 2.6", "Hello\n")
ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"
PEOPLE = (ANN, BOB, EVE)


def contact(address: str, **fields: str) -> Contact:
    return Contact(address, {"email": address, **fields}, source="contacts/subscribers.csv:2")


def nobody_lacks_anything(contact: Contact) -> list[str]:
    return []


def stage(
    ledger: Ledger, people: Iterable[str | Contact] = PEOPLE, sending: Sending = SENDING, fields: Iterable[str] = ()
) -> Audience:
    contacts = [contact(each) if isinstance(each, str) else each for each in people]
    return ledger.stage(sending, contacts, fields, nobody_lacks_anything)


def plan(ledger: Ledger, people: Iterable[str | Contact] = PEOPLE, sending: Sending = SENDING) -> int:
    stage(ledger, people, sending)
    return ledger.plan(sending, PLAN, NOW)


def claim(ledger: Ledger, limit: int = 1, sending: Sending = SENDING, after: int = 0) -> Sequence[Delivery]:
    return ledger.exchange(sending, [], limit, NOW + timedelta(seconds=after))


def settle(ledger: Ledger, deliveries: Iterable[Delivery], verdict: Verdict, reply: str = "", *, due: int = 0) -> None:
    """A deferred one is due so many seconds after NOW."""
    outcome = Outcome(verdict, reply or f"the server says {verdict}", "id-1")
    at = int(NOW.timestamp()) + due if verdict is Verdict.DEFERRED else 0
    ledger.exchange(SENDING, [Settled(delivery, outcome, at) for delivery in deliveries], 0, NOW)


def addresses(deliveries: Iterable[Delivery]) -> list[str]:
    return [delivery.contact.address for delivery in deliveries]
