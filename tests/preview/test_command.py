"""`mailer preview` on the command line, as files, and the test that the page sends."""

import json
import re
import subprocess
import sys

import pytest

from alliance_mailer.errors import UsageError
from alliance_mailer.preview import show
from alliance_mailer.preview.sheet import VIEWS
from alliance_mailer.report import Report
from conftest import change, start

from .served import Served


def test_it_says_where_the_page_is_and_ends_quietly(project):
    with start("preview", "--issue", "2.6") as process:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{22}/\?issue=2\.6", url)
        page = Served(url).ask("/?issue=2.6")[2]
        assert re.search(rb"\d+ passed<", page)
        assert b"checking" not in page
        process.send_signal(2)
        assert process.wait(10) == 0
        assert "Ctrl-C ends it" in process.stdout.read()
        assert process.stderr.read() == ""


def test_what_a_provider_makes_of_the_message_is_said(project, mailer):
    with (project / "mailer.toml").open("a") as config:
        config.write('\n[transports.amazon]\nuse = "ses"\nregion = "eu-west-1"\n')
        config.write('\n[transports.api]\nuse = "resend"\napi_key_env = "RESEND_KEY"\n')
    said = "Message-ID and Date will be replaced by Amazon SES"
    with start("preview", "--issue", "2.6") as process:
        page = Served(process.stdout.readline().strip()).ask("/?issue=2.6&v=headers")[2].decode()
        process.terminate()
        process.communicate()
    assert mailer("preview", "--issue", "2.6", "--once", "--out", "look").code == 0
    for text in (page, (project / "look" / "index.html").read_text()):
        assert "through amazon (ses)" in text
        assert said in text
        assert "carries no pictures inside a mail" in text
        assert "through default (files)" not in text


def test_two_at_once_have_a_port_each(project):
    with start("--json", "preview") as one, start("--json", "preview") as two:
        urls = [json.loads(each.stdout.readline())["url"] for each in (one, two)]
        for each in (one, two):
            each.terminate()
            each.communicate(timeout=10)
    assert len({url.split("/")[2] for url in urls}) == 2
    assert len({url.split("/")[3] for url in urls}) == 2


def test_an_issue_that_is_not_there_is_an_error_at_once(project, mailer):
    result = mailer("preview", "--issue", "9")
    assert result.code == 65
    assert "there are: 2.6" in result.err


def test_without_an_issue_it_says_what_to_do(project, mailer):
    (project / "issues" / "2.6.md").unlink()
    for argv in (["preview"], ["preview", "--once"]):
        result = mailer(*argv)
        assert result.code == 65
        assert "mailer import" in result.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--host", "0.0.0.0"], "there is no terminal here"),
        (["--out", "x"], "belong to --once"),
        (["--screenshot"], "belong to --once"),
        (["--once", "--host", "0.0.0.0"], "listens nowhere"),
    ],
)
def test_what_does_not_go_together_is_told(project, mailer, argv, says):
    result = mailer("preview", *argv)
    assert result.code == 2
    assert says in result.err


def ask(answers: list[str], reply: bool):
    def asked(words: str) -> bool:
        answers.append(words)
        return reply

    return asked


def test_the_network_is_asked_about_and_no_is_no(project):
    asked: list[str] = []
    with pytest.raises(UsageError, match="not opened to the network"):
        show(project, Report(), None, host="127.0.0.1", browse=False, environ={}, ask=ask(asked, reply=False))
    assert "can read the issues and the lists" in asked[0]


def test_an_address_of_another_machine_is_refused(project):
    with pytest.raises(UsageError, match=r"--host 192\.0\.2\.1"):
        show(project, Report(), None, host="192.0.2.1", browse=False, environ={}, ask=ask([], reply=True))


def test_on_the_network_nobody_sends(project):
    """As a telephone would ask: the page is there, the test is not."""
    script = (
        "import os, sys; from pathlib import Path; from alliance_mailer.preview import show; "
        "from alliance_mailer.report import Report; "
        "show(Path('.').resolve(), Report(as_json=True), None, host='127.0.0.1', browse=False, environ=os.environ, ask=lambda w: True)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=project, stdout=subprocess.PIPE, text=True) as process:
        served = Served(json.loads(process.stdout.readline())["url"])
        assert b"send-button" not in served.ask("/")[2]
        origin = {"Origin": f"http://{served.host}"}
        assert served.ask("/send", "POST", body="issue=2.6&to=a@example.org", **origin)[0] == 403
        process.terminate()
        process.wait(10)
    assert not (project / "outbox").exists()


def test_when_the_last_issue_is_gone_the_page_says_what_to_do(project):
    with start("--json", "preview") as process:
        served = Served(json.loads(process.stdout.readline())["url"])
        (project / "issues" / "2.6.md").unlink()
        for path in ("/", "/frame", "/part", "/people"):
            status, _, body = served.ask(path)
            assert status == 404
            assert b"mailer import MANUSCRIPT.md" in body
        process.terminate()
        assert "Traceback" not in process.communicate(timeout=10)[1]


# As files ------------------------------------------------------------------------------------------------------------


def test_the_sheet_is_one_file_that_needs_no_other_and_leads_nowhere(project, mailer):
    assert mailer("preview", "--once", "--out", "look").code == 0
    index = (project / "look" / "index.html").read_text()
    assert "script" not in re.sub(r'srcdoc="[^"]*"', "", index).replace("script-src", "")
    assert index.count('<iframe sandbox=""') == len(VIEWS)
    assert re.findall(r'(?:src|href)="(?!data:)', re.sub(r'srcdoc="[^"]*"', "", index)) == []
    assert "default-src 'none'" in index
    assert "cid:" not in index
    assert (project / "look" / "message.eml").is_file()


def test_the_same_publication_gives_the_same_sheet(project, mailer):
    mailer("preview", "--once", "--out", "one")
    (project / ".mailer").mkdir()
    (project / ".mailer" / "key").write_text("k" * 64)
    mailer("preview", "--once", "--out", "two")
    assert "0" * 32 in (project / "two" / "index.html").read_text()  # the token is a stand-in, whatever key there is
    for path in (project / "one").rglob("*.*"):
        assert path.read_bytes() == (project / "two" / path.relative_to(project / "one")).read_bytes()


def test_the_message_beside_it_is_what_build_writes(project, mailer):
    mailer("preview", "--once")
    mailer("build", "--issue", "2.6")
    for name in ("message.html", "message.txt", "message.eml"):
        assert (project / "build/2.6/preview" / name).read_bytes() == (project / "build/2.6" / name).read_bytes()


def test_findings_stand_on_the_sheet(project, mailer):
    change(project / "issues" / "2.6.md", "[lays out](https://www.meti.go.jp/english/)", "[lays out](#)")
    assert mailer("preview", "--once", "--out", "look").code == 0
    assert "leads nowhere" in (project / "look" / "index.html").read_text()


def test_json(project, mailer):
    document = json.loads(mailer("--json", "preview", "--once", "--out", "look").out)
    assert document["issue"] == "2.6"
    assert "index.html" in document["files"]
