"""Whom the page can show a message to: the contacts of the issue's lists, and three persons who are on none."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from ..contact import Contact, read_lists
from ..edition import Edition
from ..errors import InputError, Problem

SHOWN = 40  # of a list, in the picker; a search finds the others

# Who breaks a layout: a name that needs two lines, and one that needs another font.
_LONG = ("Maximiliana", "Featherstonehaugh-Wolfeschlegelsteinhausen y Villavicencio de la Vega")
_JAPANESE = ("千代子", "長谷川")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to look as. `key` is what the page's address calls them."""

    key: str
    contact: Contact
    label: str  # who it is, in the picker
    note: str = ""

    @property
    def synthetic(self) -> bool:
        """Whether they are on no list."""
        return not self.key or self.key.startswith("~")


def synthetic(edition: Edition) -> list[Person]:
    """Persons who are on no list: no name, the longest name, a Japanese one, and one who lacks all, if that matters."""
    nobody = edition.neutral_reader
    people = [Person("", nobody, "No name", "as build writes it")]
    for key, label, (given, family), name in (
        ("~long", "Longest name", _LONG, " ".join(_LONG)),
        ("~japanese", "Japanese name", _JAPANESE, f"{_JAPANESE[1]} {_JAPANESE[0]}"),
    ):
        named = {"name": name, "first_name": given, "last_name": family}
        people.append(Person(key, Contact(nobody.address, {**nobody.fields, **named}), label, name))
    bare = Contact(nobody.address, {"email": nobody.address})
    if edition.mistakes(bare):
        people.append(Person("~bare", bare, "Missing fields", "an address and nothing else"))
    return people


def listed(contacts: Path, lists: Sequence[str], words: str = "") -> Iterator[Person]:
    """The valid contacts of the lists whose name, address or tags hold all of the words. Raises InputError."""
    wanted = words.casefold().split()
    seen: set[str] = set()
    for contact in read_lists(contacts, lists):
        text = " ".join((contact.name, contact.address, *contact.tags)).casefold()
        if not contact.invalid and contact.address not in seen and all(word in text for word in wanted):
            seen.add(contact.address)
            yield Person(
                contact.address, contact, contact.name or contact.address, contact.address if contact.name else ""
            )


def find(key: str, edition: Edition, contacts: Path, lists: Sequence[str]) -> tuple[Person, str, str]:
    """A person, and the keys of those before and after. Raises InputError for somebody who is on no list."""
    there = tuple(each for each in lists if (contacts / f"{each}.csv").is_file())  # in a fresh clone there may be none
    made = synthetic(edition)
    keys = [person.key for person in made]
    if key in keys:
        at = keys.index(key)
        with suppress(InputError):  # a list with a mistake; the checks tell
            keys += [person.key for person in islice(listed(contacts, there), 1)]
        return made[at], keys[max(at - 1, 0)], keys[min(at + 1, len(keys) - 1)]
    stamp = tuple((contacts / f"{each}.csv").stat().st_mtime_ns for each in there)
    found = _neighbours(key, contacts, there, stamp)
    if found is None:
        files = ", ".join(f"contacts/{each}.csv" for each in lists)
        raise InputError(Problem("", None, f"{key} stands in no list of this issue ({files})"))
    before, person, after = found
    return person, keys[-1] if before is None else before, key if after is None else after


@lru_cache(maxsize=64)
def _neighbours(
    key: str, contacts: Path, lists: tuple[str, ...], stamp: tuple[int, ...]
) -> tuple[str | None, Person, str | None] | None:
    """Somebody on a list, and the keys beside. Of a million it takes seconds: kept while `stamp` is the same."""
    before = here = None
    for person in listed(contacts, lists):
        if here:
            return before, here, person.key
        if person.key == key:
            here = person
        else:
            before = person.key
    return (before, here, None) if here else None
