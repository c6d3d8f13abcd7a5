"""Making a message fetches nothing and reads no file but the template's, whatever the template says."""

import importlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alliance_mailer import responsive
from alliance_mailer.errors import InputError
from alliance_mailer.issue import load_issue
from alliance_mailer.publication import Publication
from alliance_mailer.render import render
from alliance_mailer.responsive import compile_mjml, inline_css
from alliance_mailer.slots import Markers
from alliance_mailer.theme import Theme


def page_of(head: str, content: str = "<p>x</p>", before: str = "") -> str:
    body = f"<mj-section><mj-column><mj-text>{content}</mj-text></mj-column></mj-section>"
    source = f"{before}<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"
    return compile_mjml(source, lambda line: ("digest.mjml.j2", line))


class Listener:
    """A server and a file that would turn a page red."""

    RED = "p { color: #ff0102 }"

    def __init__(self, folder: Path) -> None:
        listener, self.found = self, []  # type: Listener, list[str]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.found.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/css")
                self.end_headers()
                self.wfile.write(listener.RED.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.file = folder / "red.css"
        self.file.write_text(self.RED)
        sys.addaudithook(self._hear)
        self.found.clear()
        self.urls = [f"http://127.0.0.1:{self.server.server_port}/red.css", self.file.as_uri()]

    def _hear(self, event: str, args: tuple[object, ...]) -> None:
        if event == "open" and str(args[0]) == str(self.file):
            self.found.append(str(self.file))


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    listening = Listener(tmp_path_factory.mktemp("listener"))
    thread = threading.Thread(target=listening.server.serve_forever, args=(0.01,))
    thread.start()
    yield listening
    listening.server.shutdown()
    thread.join()
    listening.server.server_close()


SPELLINGS = ["@import", "@IMPORT", r"@\69mport", r"@\69 mport", "@\\000069\r\nmport", r"@\i\mport", r"@\49MPORT", r"@im\70 ort",
             r"@\69\6d\70\6f\72\74"]  # fmt: skip
FORMS = ["{spelling} url({url});", '{spelling} "{url}" screen;', "/* x */ {spelling}\n url('{url}');"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("form", FORMS)
def test_an_import_is_refused_wherever_it_stands(spelling: str, form: str, listener: Listener, tmp_path: Path) -> None:
    for url in listener.urls:
        rule = form.format(spelling=spelling, url=url)
        for name in ("inline.css", "client.css"):
            (tmp_path / name).write_text(f"b {{ margin: 0 }}\n{rule}", newline="")
            with pytest.raises(InputError, match="@import") as error:
                Theme(tmp_path, "templates/x", Markers("0" * 8)).css(name)
            assert error.value.problems[0].file == f"templates/x/{name}"
            assert error.value.problems[0].line in (2, 3)
        for head in (
            f"<mj-style>\n{rule}</mj-style>",
            f"<mj-raw><style>\n{rule}</style></mj-raw>",
            f'<mj-raw><STYLE media="screen">\n{rule}</STYLE></mj-raw>',
            f"<mj-raw><!--[if mso]><style>\n{rule}<![endif]--></mj-raw>",
        ):
            with pytest.raises(InputError, match="@import is not available") as error:
                page_of(head)
            assert error.value.problems[0].line in (2, 3)
    assert listener.found == []


@pytest.mark.parametrize(
    "head",
    [
        '<mj-raw><link rel="stylesheet" href="{url}" /></mj-raw>',
        '<mj-raw><LINK rel="stylesheet" href="{url}" /></mj-raw>',
        '<mj-raw><!--[if mso]><link rel="stylesheet" href="{url}" /><![endif]--></mj-raw>',
        '<mj-font name="Georgia" href="{url}" />',
        '<mj-include path="{url}" />',
        '<mj-include path="{url}" type="css" css-inline="inline" />',
        '<mj-raw><script src="{url}"></script></mj-raw>',
        '<mj-style inline="inline">p {{ color: red }}</mj-style>',  # the compiler would ignore the inline
    ],
)  # fmt: skip
def test_what_would_be_fetched_is_refused(head: str, listener: Listener) -> None:
    for url in listener.urls:
        with pytest.raises(InputError, match="is not available: styles go into"):
            page_of(head.format(url=url))
    assert listener.found == []


def test_a_document_type_brings_nothing_in(listener: Listener) -> None:
    for url in listener.urls:
        for definition in (f'<!DOCTYPE mjml SYSTEM "{url}">', f'<!DOCTYPE mjml [<!ENTITY red SYSTEM "{url}">]>'):
            with pytest.raises(InputError, match="!DOCTYPE is not available"):
                page_of("", "<p>&red;</p>", definition)
    assert listener.found == []


def test_a_picture_elsewhere_is_not_fetched(listener: Listener, project: Path, publication: Publication) -> None:
    url = listener.urls[0]
    issue = project / "issues" / "2.6.md"
    issue.write_text(issue.read_text().replace("src: 2.6-hero.jpg", f"src: {url}") + f"\n![a picture]({url})\n")
    assert render(load_issue(project, "2.6"), publication, project / "templates").html.count(f'src="{url}"') == 2
    assert listener.found == []


def test_words_that_speak_of_an_import_are_words() -> None:
    assert "the @import rule" in page_of("", "<p>the @import rule</p>")


def fetched(url: str, comment: str) -> str:
    """What the inliner makes of what came past the gates. (It remembers what it has parsed: hence the comment.)"""
    rule = f"@import url({url}); /* {comment} */"
    page = page_of("").replace(
        "</head>", f'<link rel="stylesheet" href="{url}"><style media="screen">{rule}</style></head>'
    )
    return inline_css(page, rule, rule)


def test_even_what_comes_past_the_gates_is_not_followed(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in listener.urls:
        assert "ff0102" not in fetched(url, "with the belt")
    assert listener.found == []
    # So that this proves something: without the belt, the parser goes out, and reads.
    monkeypatch.setattr(responsive, "_fetch_nothing", importlib.import_module("cssutils._fetch")._defaultFetcher)
    for url in listener.urls:
        fetched(url, "without the belt")
    assert set(listener.found) == {"/red.css", str(listener.file)}
    listener.found.clear()


def test_premailer_has_nothing_to_fetch_with():
    script = (
        "import sys\nfrom alliance_mailer.responsive import inline_css\n"
        "inline_css('<!doctype html><html><head></head><body><p>x</p></body></html>', 'p { color: red }', '')\n"
        "import premailer.premailer\n"
        "without = 'urllib3' not in sys.modules\n"
        "import requests\n"
        "print(without, requests.get.__name__, hasattr(premailer.premailer.requests, 'get'))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "get", "False"]  # whoever else wants requests gets the real one
