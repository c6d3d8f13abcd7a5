"""What `mailer build` writes: the message as a neutral reader gets it, nothing secret in it, nothing asked of the network."""

import email
import email.policy
import json
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from alliance_mailer.build import build_files
from alliance_mailer.edition import compile_edition
from alliance_mailer.issue import Issue, load_issue
from alliance_mailer.publication import Publication
from alliance_mailer.render import render
from conftest import Result

Built = tuple[dict[str, bytes], dict[str, Any]]


@pytest.fixture
def built(project: Path, publication: Publication) -> Callable[..., Built]:
    """Build issue 2.6; `changes` are the publication's."""

    def build(issue: Issue | None = None, **changes: object) -> Built:
        issue = issue or load_issue(project, "2.6")
        changed = replace(publication, **changes)
        rendered = render(issue, changed, project / "templates")
        return build_files(issue, compile_edition(rendered, changed, issue.number, issue.file))

    return build


def test_the_manifest_tells_the_truth_about_every_file(built: Callable[..., Built]) -> None:
    files, manifest = built()
    assert json.loads(files["manifest.json"]) == manifest
    assert {"message.html", "message.txt", "message.eml"} <= set(manifest["files"])
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    for name, entry in manifest["files"].items():
        assert entry == {"bytes": len(files[name]), "sha256": sha256(files[name]).hexdigest()}
    assert (manifest["issue"], len(manifest["edition_sha256"])) == ("2.6", 64)


def test_the_same_input_builds_the_same_bytes(built: Callable[..., Built]) -> None:
    assert built() == built()


def test_message_eml_is_the_message_and_the_others_are_its_parts(built: Callable[..., Built]) -> None:
    files, _ = built()
    message = email.message_from_bytes(files["message.eml"], policy=email.policy.default)
    text, page = (
        part.get_payload(decode=True).replace(b"\r\n", b"\n")
        for part in message.walk()
        if part.get_content_maintype() == "text"
    )
    assert text == files["message.txt"]
    assert re.sub(rb"cid:([^@]*)@example\.org", rb"pictures/\1", page) == files["message.html"]


def test_the_reader_is_neutral_and_the_date_the_issues_own(built: Callable[..., Built], project: Path) -> None:
    message = email.message_from_bytes(built()[0]["message.eml"], policy=email.policy.default)
    assert message["To"] == "reader@example.org"
    assert message["Date"] == "Fri, 31 Mar 2023 00:00:00 -0400"
    assert message["Message-ID"] == f"<{'0' * 32}@example.org>"
    issue = load_issue(project, "2.6")
    planned = replace(issue, send_at=datetime(2023, 11, 6, 9))
    message = email.message_from_bytes(built(planned)[0]["message.eml"], policy=email.policy.default)
    assert message["Date"] == "Mon, 06 Nov 2023 09:00:00 -0500"


def test_the_page_shows_the_pictures_that_lie_beside_it(built: Callable[..., Built], project: Path) -> None:
    files, _ = built()
    (source,) = re.findall(rb'<img src="([^"]*)"', files["message.html"])
    assert files[source.decode()] == (project / "issues" / "2.6-hero.jpg").read_bytes()
    assert b"cid:" not in files["message.html"]


def test_pictures_for_a_server_are_laid_out_for_upload(built: Callable[..., Built], project: Path) -> None:
    files, _ = built(assets_url="https://cdn.example.org/digest/")
    (source,) = re.findall(rb'<img src="([^"]*)"', files["message.html"])
    name = source.decode().removeprefix("https://cdn.example.org/digest/")
    assert files[f"assets/{name}"] == (project / "issues" / "2.6-hero.jpg").read_bytes()
    assert not [file for file in files if file.startswith("pictures/")]
    assert b"image/jpeg" not in files["message.eml"]


def test_a_field_that_nobody_has_shows_its_name(built: Callable[..., Built], project: Path) -> None:
    path = project / "issues" / "2.6.md"
    path.write_text(
        path.read_text().replace('| default("friend") ', "") + " {{ contact.name }} [site]({{ contact.site }})"
    )
    text = built()[0]["message.txt"].decode()
    assert "for reading, [first_name]." in " ".join(text.split())
    assert "[name] site" in " ".join(text.split())
    assert "https://example.org/site" in text


def test_the_command_writes_the_files_and_needs_no_secret_and_no_network(
    project: Path, mailer: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, built: Callable[..., Built]
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    result = mailer("build", "--issue", "2.6")
    assert result.code == 0, result.err
    folder = project / "build" / "2.6"
    files, _ = built()
    assert {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    } == files
    assert not (project / ".mailer").exists()
