"""What is asked of the network, and what is not asked twice: against a real web server on this machine."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alliance_mailer.checks import Proof
from alliance_mailer.checks.online import look_outside

from .keys import RSA_512, RSA_1024, RSA_2048, RSA_3072
from .proofs import ISSUE, TOML, Edit, found, pulled
from .seeds import outside
from .site import site_on_this_machine

DAY = 24 * 3600


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    with site_on_this_machine() as (base, asked):
        yield base, asked


@pytest.fixture
def linked(site, clean: Proof, tmp_path: Path) -> Proof:
    """A proof whose links, and whose picture, are the site's; its sender is at a reserved name: no DNS is asked."""
    base, _ = site
    folder = tmp_path / "digest"
    shutil.copytree(clean.project, folder)
    Edit(TOML, "@allies.org", "@example.org", 2).make(folder)
    Edit(TOML, 'archive_url = "https://allies.org/digest"\nunsubscribe_url = "https://allies.org/u"\n', "").make(folder)
    (folder / ISSUE).write_text(
        f'---\nissue: "2.6"\ntitle: T\ndate: 2023-03-31\nimage: {{src: "{base}/picture.png", alt: A bridge}}\n---\n'
        f"[one]({base}/there), [two]({base}/moved), [three]({base}/gone), [four]({base}/shy)\n"
    )
    return pulled(folder)


def here(address: str) -> bool:
    return address == "127.0.0.1"


def test_links_are_asked_for_once_a_day(site, linked: Proof) -> None:
    base, asked = site
    outside = look_outside(linked, here, now=1000.0)
    assert {url.removeprefix(base): visit.status for url, visit in outside.visits.items()} == {
        "/there": 200, "/moved": 200, "/gone": 404, "/shy": 403, "/picture.png": 200,
    }  # fmt: skip
    assert (outside.domain, outside.one_click) == (None, None)
    asked.clear()
    assert look_outside(linked, here, now=1000.0 + DAY - 1).visits == outside.visits
    assert {line.split()[2] for line in asked} == {"/gone", "/shy"}  # only what did not answer is asked again
    asked.clear()
    look_outside(linked, here, now=1000.0 + DAY)
    assert "/there" in {line.split()[2] for line in asked}


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"x": 1}', '{"x": [1, {"y": 2}]}', "\xff"])
def test_a_damaged_memory_of_links_is_none(site, linked: Proof, kept: str) -> None:
    memory = linked.project / ".mailer" / "links.json"
    memory.parent.mkdir()
    memory.write_text(kept, "latin-1")
    look_outside(linked, here, now=1000.0)
    assert len(json.loads(memory.read_text())) == 3


def test_what_was_found_is_judged_with_its_line(site, linked: Proof) -> None:
    base, _ = site
    findings = found(replace(linked, outside=look_outside(linked, here)), "L013", "L014")
    assert [(finding.severity, finding.line, finding.message) for finding in findings] == [
        ("error", 7, f"{base}/gone answers 404"),
        ("info", 7, f"{base}/shy answers 403"),
    ]
    assert findings[0].excerpt[findings[0].column - 1 :].startswith("[three](")


def test_the_endpoint_is_pressed_with_nobody_s_token(site, linked: Proof) -> None:
    base, asked = site
    for end, message in (("/unsubscribe", None), ("/cookie", "sets a cookie"), ("/in", "redirects (302)")):
        asked.clear()
        pressing = replace(linked, publication=replace(linked.publication, unsubscribe_url=f"{base}/press{end}"))
        messages = [
            finding.message for finding in found(replace(pressing, outside=look_outside(pressing, here)), "U014")
        ]
        assert messages == ([f"the one-click endpoint {message}"] if message else [])
        (request,) = [line for line in asked if line.startswith("POST")]
        assert request.split()[2] == f"/press{end}/{'a' * 32}"


def test_the_command_asks_nothing_inside(site, linked: Proof, mailer, monkeypatch) -> None:
    _, asked = site
    monkeypatch.chdir(linked.project)
    result = mailer("check", "--issue", "2.6", "--online", "--only", "L013")
    assert result.code == 0
    assert result.out.count("127.0.0.1 is 127.0.0.1, which is not on the open internet") == 4
    assert asked == []


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (RSA_512, "512 bits"),
        (RSA_1024, "1024 bits"),
        (f"{RSA_1024[:100]} {RSA_1024[100:]}", "1024 bits"),  # blanks do not count (RFC 6376, 3.6.1)
        ("MIGf", "no bits"),
        ("?", "no bits"),
        (RSA_2048, None),
        (RSA_3072, None),
    ],
)
def test_the_length_of_a_key(record: str, said: str | None, clean: Proof) -> None:
    proof = outside(domain={"dkim": {"s1": f"v=DKIM1; k=rsa; p={record}"}})(clean)
    messages = [finding.message for finding in found(proof, "U009")]
    assert messages == ([f"the DKIM key s1._domainkey.allies.org has {said}"] if said else [])
