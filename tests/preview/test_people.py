"""Whom a message can be shown to."""

import pytest

from alliance_mailer.errors import InputError
from alliance_mailer.preview.people import find, listed, synthetic
from conftest import change

LISTS = ("subscribers",)


@pytest.fixture
def compiled(desk):
    return desk.look("2.6").loaded.edition


def test_three_are_on_no_list(compiled):
    people = synthetic(compiled)
    assert [person.key for person in people] == ["", "~long", "~japanese"]
    assert people[0].contact.name == ""
    assert len(people[1].contact.name) > 60
    assert not people[2].contact.name.isascii()
    assert all(compiled.mistakes(person.contact) == [] for person in people)


def test_who_lacks_everything_is_there_where_that_matters(desk, project):
    change(project / "issues" / "2.6.md", 'first_name | default("friend")', "member_id")
    edition = desk.look("2.6").loaded.edition
    assert synthetic(edition)[-1].key == "~bare"
    assert edition.mistakes(synthetic(edition)[-1].contact) == ["has no member_id"]


def test_a_search_looks_into_names_addresses_and_tags(project):
    contacts = project / "contacts"
    assert [person.label for person in listed(contacts, LISTS, "SATO")] == ["佐藤 健"]
    assert [person.label for person in listed(contacts, LISTS, "佐藤")] == ["佐藤 健"]
    assert [person.label for person in listed(contacts, LISTS, "japan press")] == ["鈴木 花子"]
    assert list(listed(contacts, LISTS, "nobody at all")) == []


def test_invalid_and_double_rows_are_nobody_to_look_as(project):
    with (project / "contacts" / "subscribers.csv").open("a") as rows:
        rows.write("not an address,X,,,\nken.sato@example.com,Ken again,,,\n")
    assert sum(1 for _ in listed(project / "contacts", LISTS)) == 25


def test_stepping_goes_through_all_of_them_and_back(compiled, project):
    contacts, key, seen = project / "contacts", "", []
    while key not in seen:
        seen.append(key)
        key = find(key, compiled, contacts, LISTS)[2]
    assert len(seen) == 3 + 25
    back = [seen[-1]]
    while back[-1]:
        back.append(find(back[-1], compiled, contacts, LISTS)[1])
    assert back[::-1] == seen


def test_a_changed_list_is_read_again(compiled, project):
    contacts = project / "contacts"
    assert find("ken.sato@example.com", compiled, contacts, LISTS)[0].contact.fields["first_name"] == "健"
    change(contacts / "subscribers.csv", "佐藤 健,健", "佐藤 健,けん")
    assert find("ken.sato@example.com", compiled, contacts, LISTS)[0].contact.fields["first_name"] == "けん"


def test_who_is_on_no_list_is_told(compiled, project):
    with pytest.raises(
        InputError, match=r"x@example\.org stands in no list of this issue \(contacts/subscribers\.csv\)"
    ):
        find("x@example.org", compiled, project / "contacts", LISTS)


def test_in_a_fresh_clone_without_lists_there_are_still_the_three(compiled, project):
    (project / "contacts" / "subscribers.csv").unlink()
    person, before, after = find("~long", compiled, project / "contacts", LISTS)
    assert (person.key, before, after) == ("~long", "", "~japanese")
