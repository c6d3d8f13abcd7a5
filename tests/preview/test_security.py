"""Who may look, and what an answer allows. A real server, asked byte by byte."""

import re

import pytest

from alliance_mailer.preview.view import View


def test_the_page_is_there_for_who_has_the_address(served):
    status, headers, body = served.ask("/?issue=2.6")
    assert status == 200
    assert b"US-Japan Alliance Digest" in body
    assert headers["cache-control"] == "no-store"


def test_it_listens_on_this_machine_alone_on_no_port_of_another_tool(served):
    host, port = served.host.split(":")
    assert host == "127.0.0.1"
    assert int(port) not in (8025, 1025)


def test_the_token_cannot_be_guessed(served):
    assert len(served.root) >= 1 + 22  # 128 bits in base64


@pytest.mark.parametrize(
    "path",
    ["/", "/?issue=2.6", "/page.css", "/x/", "/events", "{root}", "{root}x/", "{prefix}/", "//", "/{root}/../", "*"],
)
def test_without_the_token_nothing_is_there(served, path):
    raw = path.replace("{root}", served.root).replace("{prefix}", served.root[:-1])
    status, _, body = served.ask("", raw=raw)
    assert status in (400, 404)
    assert b"Alliance" not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}",
             "[::1]:{port}", "0.0.0.0:{port}", ""]
)  # fmt: skip
@pytest.mark.parametrize("path", ["/?issue=2.6", "/frame?issue=2.6", "/events", "/page.js"])
def test_a_foreign_host_is_refused(served, host, path):
    port = served.host.split(":")[1]
    status, _, body = served.ask(path, Host=host.replace("{port}", port))
    assert status in (400, 421)
    assert b"Alliance" not in body


def test_this_machine_goes_by_its_usual_name_too(served):
    assert served.ask("/", Host=served.host.replace("127.0.0.1", "localhost"))[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://{host}", "http://{host}.evil.example", ""])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/?issue=2.6"), ("GET", "/events"), ("POST", "/rebuild"), ("POST", "/send")]
)
def test_a_foreign_origin_is_refused(served, method, path, origin):
    status, _, body = served.ask(
        path, method, body="" if method == "POST" else None, Origin=origin.replace("{host}", served.host)
    )
    assert status == 403
    assert b"Alliance" not in body


@pytest.mark.parametrize("path", ["/rebuild", "/send"])
def test_what_changes_something_wants_the_page_itself(served, path):
    assert served.ask(path, "POST", body="")[0] == 403  # no Origin: no page asked
    assert served.ask(path, "GET", Origin=f"http://{served.host}")[0] == 405
    assert served.ask("/rebuild", "POST", body="", Origin=f"http://{served.host}")[0] == 204


@pytest.mark.parametrize(
    "name",
    ["../mailer.toml", "..%2fmailer.toml", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "page.css/../server.py", "server.py",
     "%00", "....//mailer.toml", "..\\mailer.toml", "__init__.py", "page.html.j2"],
)  # fmt: skip
def test_no_path_leads_to_another_file(served, name):
    for raw in (f"{served.root}/{name}", f"{served.root}/picture?issue=2.6&name={name}", f"{served.root}/?issue={name}",
                f"{served.root}/frame?issue={name}", f"{served.root}/part?issue={name}"):  # fmt: skip
        status, _, body = served.ask("", raw=raw)
        assert status in (200, 400, 404)
        for secret in (b"unsubscribe_mailto", b"root:", b"import asyncio", b"{#-"):
            assert secret not in body, raw


def test_a_picture_of_the_issue_and_no_other_is_given_out(served):
    frame = served.ask("/frame?issue=2.6")[2].decode()
    src = re.search(r'src="(picture\?issue=2\.6&amp;name=[0-9a-f]{16}\.jpg)"', frame)[1].replace("&amp;", "&")
    status, headers, body = served.ask(f"/{src}")
    assert (status, headers["content-type"], body[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    assert served.ask("/picture?issue=2.6&name=x.jpg")[0] == 404


def directives(headers: dict[str, str]) -> dict[str, str]:
    return dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))


def test_the_page_runs_and_fetches_only_its_own(served):
    policy = directives(served.ask("/?issue=2.6")[1])
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    for kind in ("script-src", "style-src", "connect-src", "frame-src", "img-src", "form-action"):
        assert policy[kind] == "'self'"


def test_the_message_runs_nothing_and_fetches_nothing(served):
    policy = directives(served.ask("/frame?issue=2.6")[1])
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["img-src"] == "'self' data:"
    assert policy["sandbox"] == "allow-same-origin"
    assert "script-src" not in policy
    assert directives(served.ask("/frame?issue=2.6&img=remote")[1])["img-src"] == "'self' data: https: http:"


def test_every_frame_on_the_page_is_a_sandbox_without_scripts(served):
    page = served.ask("/?issue=2.6&beside=theme")[2].decode()
    assert re.findall(r'<iframe [^>]*sandbox="([^"]*)"', page) == ["allow-same-origin"] * 2
    assert page.count("<iframe") == 2


@pytest.mark.parametrize("path", ["/", "/frame?issue=2.6", "/page.js", "/nothing", "/part?issue=2.6"])
def test_every_answer_keeps_the_address_to_itself(served, path):
    headers = served.ask(path)[1]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "words", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "%0d%0aX: y"]
)
def test_what_the_address_says_is_text_on_the_page(served, words):
    for query in ({"issue": words}, {"to": words}):
        page = served.ask(f"/{View(**{'issue': '2.6', **query}).url()}")[2].decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert ">49<" not in page


def test_what_contacts_are_called_is_text_too(served, served_project):
    csv = served_project / "contacts" / "subscribers.csv"
    csv.write_text(csv.read_text() + 'x@example.org,"<script>alert(1)</script>","<b>x</b>",,\n')
    for path in (
        "/people?issue=2.6&q=x@example.org",
        "/?issue=2.6&to=x@example.org&panel=reader&mark=on",
        "/frame?issue=2.6&to=x@example.org&mark=on",
    ):
        body = served.ask(path)[2].decode()
        assert "&lt;" in body
        assert "<script>alert" not in body
