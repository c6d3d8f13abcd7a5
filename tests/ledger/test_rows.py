"""A person's fields as a ledger keeps them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.contact import Contact
from alliance_mailer.ledger.rows import fields_writer

WORDS = st.text(max_size=20)


@given(st.dictionaries(st.sampled_from(["email", "name", "first_name", "städte", 'a "b"']), WORDS), st.sets(WORDS))
def test_what_is_written_of_a_person_is_what_the_edition_says_and_no_more(fields, others):
    contact = Contact("ann@example.org", {**fields, **dict.fromkeys(others, "not asked for")})
    kept = {"name", "email", "first_name", "städte", 'a "b"'}
    written = fields_writer(kept)(contact)
    said = {name: value for name in kept if (value := contact.name if name == "name" else contact.fields.get(name))}
    if said.get("email") == "ann@example.org":
        del said["email"]
    assert json.loads(written) == said
    assert written == json.dumps(said, ensure_ascii=False, sort_keys=True)  # two plans of the same are equal
