"""What each transport says of itself is there, and is said to people."""

import inspect
import tomllib
from pathlib import Path

import pytest

from alliance_mailer.errors import ConfigError
from alliance_mailer.transports import Traits, refuse_pictures, transport_module, transport_names

ROOT = Path(__file__).parents[2]
NAMES = transport_names()
KEPT = {"message_id": True, "date": True, "dkim": True, "headers": True, "pictures": True}


@pytest.mark.parametrize("name", NAMES)
def test_a_transport_is_a_file_that_explains_itself_with_a_test_of_its_own(name):
    module = transport_module(name)
    assert isinstance(module.TRAITS, Traits)
    assert 1 <= module.CONNECTIONS <= 10
    for part in ("describe", "check", "connect", "Options", "LOCAL"):
        assert hasattr(module, part)
    assert ("sandbox" in inspect.signature(module.connect).parameters) == bool(module.TRAITS.sandbox)
    assert (ROOT / "tests" / "transports" / f"test_{name}.py").exists()
    if "base_url" in module.Options.__dataclass_fields__:
        assert "\nhttps://" in module.__doc__


def test_each_is_among_those_that_must_not_know_of_each_other():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (strangers,) = [each["modules"] for each in contracts if each["type"] == "independence"]
    assert strangers == [f"alliance_mailer.transports.{name}" for name in NAMES]


@pytest.mark.parametrize(
    ("lost", "notes"),
    [
        ({}, []),
        ({"message_id": False, "date": False}, ["Message-ID and Date will be replaced by Acme"]),
        ({"date": False}, ["Date will be replaced by Acme"]),
        ({"dkim": False}, ["Acme takes the message apart and composes it anew"]),
    ],
)
def test_what_a_person_should_know_before_it_is_sent(lost, notes):
    assert Traits("Acme", "bytes", **KEPT | lost).notes == notes


def test_who_composes_it_is_said():
    (note,) = Traits("Acme", "fields", **KEPT | {"dkim": False}).notes
    assert note.startswith("Acme composes the message itself")


@pytest.mark.parametrize("name", NAMES)
def test_pictures_inside_a_mail_go_where_they_can(name, edition):
    if transport_module(name).TRAITS.pictures:
        refuse_pictures(name, edition)
        return
    with pytest.raises(ConfigError, match="this issue has 1") as refused:
        refuse_pictures(name, edition)
    assert "assets_url" in refused.value.hint
