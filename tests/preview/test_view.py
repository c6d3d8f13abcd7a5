"""The page's address says all that the page shows."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.preview.view import CHOICES, View, read_view, second

views = st.builds(
    View,
    issue=st.from_regex(r"[0-9]\.[0-9]{1,3}", fullmatch=True),
    to=st.text(max_size=40),
    w=st.just(0) | st.integers(240, 2000),
    **{key: st.sampled_from(values) for key, values in CHOICES.items()},
)


def read(url: str) -> View:
    return read_view(dict(parse_qsl(url.removeprefix("?"), keep_blank_values=True)))


@given(views)
def test_an_address_is_read_as_the_view_that_wrote_it(view):
    assert read(view.url()) == view


@given(views, st.sampled_from(sorted(CHOICES)), st.data())
def test_a_toggle_changes_one_thing(view, key, data):
    value = data.draw(st.sampled_from(CHOICES[key]))
    changed = read(view.url(**{key: value}))
    assert getattr(changed, key) == value
    assert read(changed.url(**{key: getattr(view, key)})) == view


@given(st.dictionaries(st.sampled_from([*CHOICES, "w", "to", "issue", "x"]), st.text(max_size=500)))
def test_any_address_is_a_view(query):
    view = read_view(query)
    assert all(getattr(view, key) in values for key, values in CHOICES.items())
    assert view.w == 0 or 240 <= view.w <= 2000


def test_what_is_as_usual_is_not_said():
    assert View(issue="2.6").url() == "?issue=2.6"


@pytest.mark.parametrize(
    ("beside", "differs"),
    [("width", {"w": 375}), ("theme", {"theme": "dark"}), ("previous", {"issue": "2.5"}), ("nobody", {"to": ""})],
)
def test_what_stands_beside_differs_in_that_alone(beside, differs):
    view = View(issue="2.6", to="a@example.org", beside=beside)
    other = second(view, "2.5")
    assert other == View(**{**{f: getattr(view, f) for f in View.__dataclass_fields__}, **differs})


def test_nothing_stands_beside_the_first_issue():
    assert second(View(issue="1", beside="previous"), "") is None
    assert second(View(issue="1"), "") is None
