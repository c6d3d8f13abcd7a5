"""The two tables that came from elsewhere: what mail programs show, what MJML knows."""

import json
import re
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

from alliance_mailer import checks
from alliance_mailer.checks.clients import support
from alliance_mailer.preferences import NONE

FOLDER = Path(checks.__file__).parent


def test_each_feature_has_a_letter_for_each_mail_program() -> None:
    data = support()
    assert date.fromisoformat(data.date) > date(2025, 1, 1)
    for name, (slug, letters) in data.features.items():
        assert re.fullmatch(r"(property|value|function|unit|element|attribute|image):.+", name)
        assert re.fullmatch("[a-z0-9-]+", slug)
        assert re.fullmatch(f"[ynau]{{{len(data.clients)}}}", letters), name
    for pattern in NONE.clients:
        assert any(fnmatch(client, pattern) for client in data.clients)


def test_what_the_snapshot_says_of_things_everybody_knows() -> None:
    assert support().without("value:display: flex", ("outlook.windows",)) == ["outlook.windows"]
    assert support().without("value:display: flex", ("apple-mail.*",)) == []
    assert support().without("image:webp", ("outlook.*",)) == ["outlook.windows"]
    assert support().without("property:background-color", ("*",)) == []


def test_the_readme_counts_the_rules() -> None:
    root = Path(__file__).parents[2]
    for page in ("README.md", "CHANGELOG.md"):
        assert f"{len(checks.RULES)} rules" in (root / page).read_text()


def test_mjml_s_tags_stand_in_one_another() -> None:
    components = json.loads((FOLDER / "_mjml.json").read_text())
    assert components["mj-text"]["in"] == ["mj-column", "mj-hero"]
    assert components["mj-column"]["in"] == ["mj-group", "mj-section"]
    for name, entry in components.items():
        assert set(entry["in"]) <= set(components), name
        assert entry["in"] or name in ("mjml", "mj-all", "mj-class"), name
