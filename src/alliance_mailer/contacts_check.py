"""What `mailer contacts check` does: look through the lists for what will not arrive, or should not be sent."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .checks import Finding
from .checks.audience import MEANT, NEVER
from .contact import FORGOTTEN, Contact, list_names, read_lists, read_suppressions
from .errors import InputError
from .forgotten import identities
from .report import Report, people
from .suppressed import NAME

# Mailboxes of several people (RFC 2142).
_ROLES = {"info", "admin", "sales", "support", "contact", "office", "help", "marketing", "billing", "security", "news"}

_RUNS = re.compile(r"\s*(=|[+@-].*[(!|])")  # not a telephone number, an @name or a dash


def check_contacts(project: Path, report: Report, lists: Sequence[str], key: bytes | None) -> int:
    """Name what is wrong, with file and line. Returns the exit code: 1 where somebody cannot be mailed.

    Raises InputError for a list that cannot be read at all.
    """
    folder = project / "contacts"
    names = list(lists) or list_names(folder)
    if not names:
        raise InputError("there is no list in contacts/", hint="mailer contacts import FILE --list subscribers --apply")
    suppressed = {each.address: each.reason for each in read_suppressions(project / NAME, NAME)}
    identity = identities(key) if key else str.encode
    forgotten = {identity(each) for each in suppressed if each.startswith(FORGOTTEN)}
    findings, counts = list[Finding](), Counter[str]()
    for name in names:
        first_seen = dict[str, str]()
        for contact in read_lists(folder, [name]):
            counts["people"] += 1
            found = list(_findings(contact, first_seen, suppressed))
            if forgotten and identity(contact.address) in forgotten:
                found.append(_finding("P005", "warning", contact, "was forgotten, and stands on a list again"))
            report.findings(found, as_warnings=False, result=True, fixes=False)
            findings += found if report.as_json else []
            counts.update(finding.severity for finding in found)
            counts.update({finding.rule: 1 for finding in found})
    for rule in sorted(RULES.keys() & counts.keys()):
        report.say(f"  {rule}: {RULES[rule]}")
    kinds = [
        f"{counts[kind]} {kind}{'' if counts[kind] == 1 else 's'}" for kind in ("error", "warning") if counts[kind]
    ]
    read = ", ".join(f"contacts/{name}.csv" for name in names)
    report.say(f"{read}: {people(counts['people'])}; {' and '.join(kinds) or 'nothing found'}")
    report.document({"findings": [asdict(finding) for finding in findings], "people": counts["people"]})
    return 1 if counts["error"] else 0


RULES = {
    "P001": "mend the address, or delete the row: it is recorded as refused",
    "P002": "delete one of the rows: the first counts",
    "P003": "ask whether a person there wants it; noreply@ and its kind bounce, or complain",
    "P004": "ask the person, or look where the address came from",
    "P005": "delete the row: nothing is sent there, whatever the list says",
    "P006": "look where the list came from: a spreadsheet runs it when the list is opened",
}


def _findings(contact: Contact, first_seen: dict[str, str], suppressed: dict[str, str]) -> Iterator[Finding]:
    if contact.invalid:
        yield _finding("P001", "error", contact, contact.invalid)
        return
    local, _, domain = contact.address.rpartition("@")
    if winner := first_seen.get(contact.address):
        yield _finding("P002", "warning", contact, f"stands in {winner} already")
    first_seen.setdefault(contact.address, contact.source)
    if local.partition("+")[0] in NEVER:
        yield _finding("P003", "warning", contact, f"{local}@ reads no newsletter")
    elif local in _ROLES:
        yield _finding("P003", "warning", contact, f"{local}@ is read by several people, or by none")
    if domain in MEANT:
        yield _finding("P004", "warning", contact, f"is {domain} meant to be {MEANT[domain]}?")
    if contact.address in suppressed:
        why = suppressed[contact.address]
        yield _finding("P005", "warning", contact, f"is suppressed{f': {why}' if why else ''}")
    for column, cell in contact.fields.items():
        if column != "email" and _RUNS.match(cell):
            yield _finding("P006", "warning", contact, f"{column} is a formula to a spreadsheet: {cell[:40]}")


def _finding(rule: str, severity: str, contact: Contact, message: str) -> Finding:
    file, _, line = contact.source.rpartition(":")
    shown = contact.fields.get("email") or "an empty address"
    return Finding(rule, severity, file, int(line), f"{shown}: {message}", RULES[rule])
