"""The preview in a real browser: what it shows, what each toggle changes, live reload, mistakes, and what it refuses."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, FrameLocator, Page, expect, sync_playwright

from alliance_mailer.example import copy_example
from conftest import change, start

AXE = Path(__import__("axe_playwright_python").__file__).with_name("axe.min.js")
MARK = "an extraordinary thing"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    binary = shutil.which("chromium")
    assert binary, "there is no Chromium here: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield launched
        launched.close()


def make_publication(folder: Path) -> Path:
    """The example, and an issue before it."""
    copy_example(folder)
    issue = (folder / "issues" / "2.6.md").read_text()
    older = issue.replace('"2.6"', '"2.5"').replace("2023-03-31", "2023-03-17").replace("critical minerals", "steel")
    (folder / "issues" / "2.5.md").write_text(older)
    return folder


@contextmanager
def preview(folder: Path) -> Iterator[str]:
    """The command in a process of its own; gives the page's address."""
    with start("--json", "preview", cwd=folder) as process:
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def publication_folder(tmp_path: Path) -> Path:
    return make_publication(tmp_path / "digest")


@pytest.fixture
def address(publication_folder: Path) -> Iterator[str]:
    with preview(publication_folder) as address:
        yield address


@pytest.fixture(scope="module")
def still_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a publication that no test changes."""
    with preview(make_publication(tmp_path_factory.mktemp("still") / "digest")) as address:
        yield address


class Watched:
    """A page, and all that it asked for and complained of."""

    def __init__(self, browser: Browser, address: str, **options: object) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        self.page: Page = self.context.new_page()
        self.address = address
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, query: str = "?issue=2.6") -> Page:
        self.page.goto(self.address + query)
        return self.page

    @property
    def frame(self) -> Frame:
        return frame_of(self.page)


def frame_of(page: Page, number: int = 1) -> Frame:
    found = page.locator(f"#screen-{number} iframe:not(.coming)").element_handle().content_frame()
    assert found
    return found


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    looking = Watched(browser, address)
    yield looking
    looking.context.close()


@pytest.fixture
def still(browser: Browser, still_address: str) -> Iterator[Watched]:
    looking = Watched(browser, still_address)
    yield looking
    looking.context.close()


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.open()


def shown(page: Page) -> str:
    return frame_of(page).locator("body").inner_text()


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait for what no locator can say. (Playwright's own wait_for_function needs eval, which the page forbids.)"""
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def message(page: Page) -> FrameLocator:
    """The frame that is shown; another may be coming."""
    return page.frame_locator("#screen-1 iframe:not(.coming)")


def save_by_renaming(path: Path, text: str) -> None:
    """As most editors save: a new file takes the old one's place."""
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(text)
    fresh.replace(path)


# What it shows -----------------------------------------------------------------------------------------------------


def test_it_loads_without_a_complaint_and_asks_nobody_else(still):
    page = still.open()
    expect(page).to_have_title("2.6 · US-Japan Alliance Digest")
    expect(frame_of(page).locator("h1")).to_have_text("US-Japan Alliance Digest")
    assert frame_of(page).evaluate("document.images[0].naturalWidth") == 1280
    for query in ("?v=outlook", "?v=text", "?v=source", "?v=headers", "?v=raw", "?theme=forced&beside=previous"):
        still.open(f"{query}&issue=2.6")
    assert still.complaints == []
    assert {re.match(r"https?://[^/]+/[^/]+/", url)[0] for url in still.asked} == {address_root(still.address)}


def address_root(address: str) -> str:
    return re.match(r"http://[^/]+/[^/]+/", address)[0]


def test_the_newest_issue_is_shown_where_none_is_named(still):
    expect(still.open("").locator(".issues [aria-current]")).to_contain_text("2.6")


def test_it_works_without_its_script(browser, still_address):
    looking = Watched(browser, still_address, java_script_enabled=False)
    page = looking.open()
    page.get_by_role("link", name="Dark", exact=True).click()
    expect(page.get_by_role("link", name="Dark", exact=True)).to_have_attribute("aria-current", "true")
    looking.context.close()


def test_the_frame_holds_the_message_that_a_person_gets(still):
    page = still.open("?issue=2.6&to=ken.sato@example.com&v=raw")
    raw = page.request.get(still.address + "part?issue=2.6&to=ken.sato@example.com&part=html").text()
    assert "健" in raw
    still.open("?issue=2.6&to=ken.sato@example.com")
    assert "Thank you for reading, 健." in shown(page)


TOGGLES = [
    ("theme=dark", "getComputedStyle(document.querySelector('.paper')).backgroundColor", "rgb(23, 25, 29)"),
    ("theme=light", "getComputedStyle(document.querySelector('.paper')).backgroundColor", "rgb(255, 255, 255)"),
    ("img=off", "document.images[0].naturalWidth", 0),
    ("w=375", "innerWidth", 375),
    ("w=333", "innerWidth", 333),
    ("mark=on", "document.querySelector('mark').textContent", "friend"),
    ("to=~japanese", "document.body.innerText.includes('reading, 千代子.')", True),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("query", "script", "says"), TOGGLES, ids=[toggle[0] for toggle in TOGGLES])
def test_each_toggle_changes_what_it_says_whatever_the_machine_prefers(
    browser, still_address, scheme, query, script, says
):
    looking = Watched(browser, still_address, color_scheme=scheme)
    looking.open(f"?issue=2.6&{query}")
    assert looking.frame.evaluate(script) == says
    looking.context.close()


def test_forced_dark_is_dark_and_readable(still):
    still.open("?issue=2.6&theme=forced")
    paper, words = still.frame.evaluate(
        "[getComputedStyle(document.querySelector('.paper')).backgroundColor, getComputedStyle(document.querySelector('h1')).color]"
    )
    assert max(map(int, re.findall(r"\d+", paper))) < 60
    assert min(map(int, re.findall(r"\d+", words))) > 180


def test_outlook_gets_its_own_branch_at_its_own_width(still):
    still.open("?issue=2.6&v=outlook")
    assert still.frame.evaluate(
        "[...document.querySelectorAll('table[width]')].some(t => t.getAttribute('width') == 640)"
    )
    assert "96" not in shown(still.page).split()[:1]


def test_a_click_says_the_same_in_the_address_and_back_undoes_it(still):
    page = still.open()
    page.get_by_role("link", name="Phone", exact=True).click()
    page.wait_for_url(re.compile("w=375"))
    page.get_by_role("link", name="Forced dark").click()
    page.wait_for_url(re.compile("theme=forced"))
    assert "w=375" in page.url
    page.go_back()
    expect(page.get_by_role("link", name="Light", exact=True)).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("link", name="Phone", exact=True)).to_have_attribute("aria-current", "true")


def test_side_by_side_scrolls_together(still):
    page = still.open("?issue=2.6&beside=theme&w=375")
    one, other = frame_of(page, 1), frame_of(page, 2)
    assert other.evaluate("getComputedStyle(document.querySelector('.paper')).backgroundColor") == "rgb(23, 25, 29)"
    one.evaluate("scrollTo(0, 900)")
    until(page, lambda: other.evaluate("scrollY") > 800)


def test_the_issue_before_stands_beside_this_one(still):
    page = still.open("?issue=2.6&beside=previous")
    assert "steel" in frame_of(page, 2).locator("body").inner_text()


# Keys ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "says"),
    [("3", "v=text"), ("o", "v=outlook"), ("s", "v=source"), ("m", "w=375"), ("d", "theme=dark"), ("i", "img=off"),
     ("f", "mark=on"), ("\\", "beside=width"), ("c", "panel=none"), ("g", "panel=outline"), ("]", "to=~long")],
)  # fmt: skip
@pytest.mark.parametrize("inside", [False, True], ids=["page", "frame"])
def test_keys_work_on_the_page_and_in_the_frame(still, key, says, inside):
    page = still.open()
    if inside:
        frame_of(page).locator("h1").click()
    page.keyboard.press(key)
    expect(page).to_have_url(re.compile(re.escape(says).replace("\\~", "~")))


def test_keys_are_letters_in_a_field(still):
    page = still.open()
    page.click("#people summary")
    expect(page.locator("#people-search")).to_be_focused()
    page.keyboard.type("md")
    expect(page.locator("#people-search")).to_have_value("md")
    assert "w=375" not in page.url


def test_a_person_is_found_and_stepped_from(still):
    page = still.open()
    page.click("#people summary")
    expect(page.locator("#people-search")).to_be_focused()
    page.keyboard.type("sato")
    expect(page.locator("#people-found .option")).to_have_count(1)
    page.locator("#people-found .option").click()
    expect(message(page).get_by_text("reading, 健")).to_be_attached()
    page.keyboard.press("]")
    expect(message(page).get_by_text("reading, 美")).to_be_attached()


def test_anything_can_be_gone_to(still):
    page = still.open()
    page.keyboard.press("Control+k")
    page.keyboard.type("issue 2.5")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("^2.5"))


def test_help_opens_and_closes(still):
    page = still.open()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


# Live ---------------------------------------------------------------------------------------------------------------


def test_a_save_is_shown_and_the_scroll_position_kept(page, publication_folder):
    frame_of(page).evaluate("scrollTo(0, 700)")
    issue = publication_folder / "issues" / "2.6.md"
    change(issue, "a pact on critical minerals supply", MARK)
    expect(message(page).get_by_text(MARK)).to_be_visible()
    assert frame_of(page).evaluate("scrollY") == 700


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("issues/2.6.md", "critical minerals supply", MARK, MARK),
        ("templates/digest/message.mjml.j2", "Back to headlines", MARK, MARK),
        ("mailer.toml", "Alliance Studies Institute", MARK, MARK),
    ],
)
def test_each_file_is_followed_also_when_it_is_saved_by_renaming(page, publication_folder, file, old, new, says):
    path = publication_folder / file
    for _ in range(2):  # the second time, the folder holds another file than the one that was there at the start
        text = path.read_text()
        save_by_renaming(path, text.replace(old, new))
        expect(message(page).get_by_text(says).first).to_be_attached()
        save_by_renaming(path, text)
        expect(message(page).get_by_text(says)).to_have_count(0)


def test_a_style_sheet_is_followed(page, publication_folder):
    change(publication_folder / "templates" / "digest" / "inline.css", "letter-spacing: -0.5px", "letter-spacing: 3px")
    expect(message(page).locator("h1")).to_have_css("letter-spacing", "3px")


def test_a_list_is_followed(watched, publication_folder):
    page = watched.open("?issue=2.6&to=ken.sato@example.com")
    change(publication_folder / "contacts" / "subscribers.csv", "佐藤 健,健", "佐藤 健,けん")
    expect(message(page).get_by_text("reading, けん.")).to_be_attached()


def test_the_frame_is_not_loaded_again_when_nothing_in_it_has_changed(page, publication_folder):
    frame_of(page).evaluate("document.body.dataset.mine = 'yes'")
    change(publication_folder / "contacts" / "subscribers.csv", "policy;press", "policy")
    expect(page.locator("body")).not_to_have_attribute("data-version", "0")
    assert frame_of(page).evaluate("document.body.dataset.mine") == "yes"


def test_a_mistake_is_shown_over_the_last_good_message_and_goes_away_by_itself(page, publication_folder):
    issue = publication_folder / "issues" / "2.6.md"
    text = issue.read_text()
    issue.write_text(text.replace("audience:", "audiense:"))
    card = page.get_by_role("alert")
    expect(card).to_contain_text("unknown key 'audiense'")
    expect(card.get_by_role("link", name="issues/2.6.md:11")).to_have_attribute(
        "href", re.compile(r"^vscode://file/.*:11:1$")
    )
    expect(card.locator("pre mark")).to_have_text("audiense")
    expect(card.locator(".caret b")).to_have_text("^" * len("audiense"))
    assert "critical minerals" in shown(page)
    assert float(page.locator(".panes").evaluate("e => getComputedStyle(e).opacity")) < 1
    expect(page).to_have_title(re.compile("^✖"))
    issue.write_text(text)
    expect(card).to_have_count(0)
    assert "critical minerals" in shown(page)


@pytest.mark.parametrize(
    ("file", "line", "old", "new", "says"),
    [
        ("templates/digest/message.mjml.j2", None, "{%- if hero %}", "{%- if heroo %}", "'heroo' is undefined"),
        ("mailer.toml", 4, "name = ", "nam = ", "nam"),
        ("contacts/subscribers.csv", 1, "email,", "mejl,", 'names no "email" column'),
    ],
)
def test_a_mistake_in_any_file_is_told_with_its_place(watched, publication_folder, file, line, old, new, says):
    page = watched.open("?issue=2.6&to=ken.sato@example.com")
    change(publication_folder / file, old, new)
    card = page.get_by_role("alert")
    expect(card).to_contain_text(says)
    expect(card).to_contain_text(f"{file}:{line}" if line else f"{file}:")


def test_an_issue_that_was_never_good_is_a_card_and_no_blank_page(browser, publication_folder, address):
    (publication_folder / "issues" / "2.7.md").write_text("nothing")
    looking = Watched(browser, address)
    page = looking.open("?issue=2.7")
    expect(page.get_by_role("alert")).to_contain_text("the file begins with front matter")
    expect(page.locator(".issues")).to_contain_text("2.7")
    assert looking.complaints == []
    looking.context.close()


def test_what_stands_in_the_checks_is_shown_in_the_message(page, publication_folder):
    change(publication_folder / "issues" / "2.6.md", "[lays out](https://www.meti.go.jp/english/)", "[lays out](#)")
    finding = page.locator(".finding.error").filter(has_text="leads nowhere")
    finding.get_by_role("button", name="show").click()
    link = message(page).get_by_text("lays out")
    expect(link).to_be_in_viewport()
    assert "outline" in link.get_attribute("style")
    expect(finding.locator(".place")).to_have_text("issues/2.6.md:25")


def test_when_the_preview_ends_the_page_says_so(browser, publication_folder):
    with start("--json", "preview", cwd=publication_folder) as process:
        looking = Watched(browser, json.loads(process.stdout.readline())["url"])
        page = looking.open()
        process.terminate()
        process.communicate(timeout=10)
        expect(page.locator("#live")).to_contain_text("stopped")
        looking.context.close()


# A test ---------------------------------------------------------------------------------------------------------------


def test_a_link_is_named_before_it_is_followed_and_unsubscribing_is_not(still):
    page = still.open()
    frame_of(page).get_by_text("put their names").click()
    expect(page.locator("#bubble")).to_contain_text("https://ustr.gov/")
    expect(page.locator("#bubble a")).to_have_attribute("rel", "noopener noreferrer")
    frame_of(page).get_by_text("Unsubscribe").click()
    expect(page.locator("#bubble")).to_contain_text("would unsubscribe")
    expect(page.locator("#bubble a")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#bubble")).to_be_hidden()


def test_a_test_is_sent_from_the_page(page, publication_folder):
    page.click("#send-button")
    page.keyboard.type("me@example.org")
    page.keyboard.press("Enter")
    expect(page.locator("#send .answer.good")).to_contain_text("accepted: [TEST] US-Japan Alliance Digest")
    assert (publication_folder / "outbox" / "test" / "2.6" / "me@example.org.eml").is_file()
    page.locator("#send input[name=to]").fill("thomas.ashdown@example.net")
    page.keyboard.press("Enter")
    expect(page.locator("#send .answer.bad")).to_contain_text("must never be mailed")


def test_any_width_is_dragged_to(still):
    page = still.open("?issue=2.6&w=375")
    handle = page.locator(".drag").bounding_box()
    page.mouse.move(handle["x"] + 6, handle["y"] + 200)
    page.mouse.down()
    page.mouse.move(handle["x"] + 56, handle["y"] + 200, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("w=475"))
    until(page, lambda: frame_of(page).evaluate("innerWidth") == 475)


def test_a_part_is_copied(still):
    still.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = still.open("?issue=2.6&v=source")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#toast")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("<!DOCTYPE html>")


def test_everything_can_be_built_again(still):
    page = still.open()
    page.keyboard.press("r")
    expect(page.locator("#toast")).to_have_text("Read and built again")
    expect(page.locator("body")).not_to_have_attribute("data-version", "0")


def test_in_a_narrow_pane_a_desk_is_shown_smaller_and_not_as_a_telephone(still):
    page = still.open("?issue=2.6&beside=width")
    until(page, lambda: frame_of(page).evaluate("innerWidth") == 680)
    assert frame_of(page, 2).evaluate("innerWidth") == 375


# What it refuses ------------------------------------------------------------------------------------------------------

HOSTILE = """<mj-raw>
<base href="https://evil.example/" />
<meta http-equiv="refresh" content="0;url=https://evil.example/gone" />
<img src="https://evil.example/pixel.png" alt="a pixel" onerror="parent.evil = 1" />
<img src="x" alt="" onerror="parent.evil = 2" />
<svg onload="parent.evil = 3"></svg>
<a id="script" href="javascript:parent.evil=4">script</a>
<form id="form" action="https://evil.example/form"><button id="button">go</button></form>
<iframe src="https://evil.example/frame"></iframe>
<object data="https://evil.example/object"></object>
<div style="background-image: url(https://evil.example/background.png)">ground</div>
</mj-raw></mj-body>"""


def test_a_hostile_message_runs_nothing_fetches_nothing_and_leads_nowhere(watched, publication_folder):
    change(publication_folder / "templates" / "digest" / "message.mjml.j2", "</mj-body>", HOSTILE)
    page = watched.open()
    expect(page.locator(".blocked")).to_contain_text("2 pictures from elsewhere are not fetched")
    frame = frame_of(page)
    assert frame.evaluate("document.baseURI").startswith(watched.address)
    frame.locator("#script").click()
    expect(page.locator("#bubble")).to_contain_text("No mail program opens this.")
    frame.locator("#button").click()
    page.wait_for_timeout(300)  # what it might do by itself, it does within
    assert page.evaluate("window.evil") is None
    assert frame_of(page).url.startswith(watched.address)
    assert page.url.startswith(watched.address)
    assert [url for url in watched.asked if "evil" in url and "frame" not in url and "object" not in url] == []


def test_a_frame_opened_by_itself_runs_nothing_either(watched, publication_folder):
    script = "<mj-raw><img src='x' alt='' onerror='document.title = 1' /></mj-raw></mj-body>"
    change(publication_folder / "templates" / "digest" / "message.mjml.j2", "</mj-body>", script)
    page = watched.open("frame?issue=2.6")
    page.wait_for_timeout(200)
    assert page.title() != "1"


def test_another_page_can_neither_read_nor_frame_nor_post(browser, still_address):
    """A page of another origin, in the same browser, that even knows the token."""
    page = browser.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="<body>evil</body>", content_type="text/html"))
    page.goto("http://evil.example/")
    for method in ("GET", "POST"):
        script = f"fetch('{still_address}rebuild', {{method: '{method}', mode: 'no-cors'}}).then(r => r.type, e => 'refused')"
        assert page.evaluate(script) in ("opaque", "refused")
        readable = f"fetch('{still_address}part?issue=2.6').then(r => r.text(), e => 'refused')"
        assert page.evaluate(readable) == "refused"
    page.evaluate(f"document.body.innerHTML = '<iframe src=\"{still_address}\"></iframe>'")
    page.wait_for_timeout(300)
    assert all(frame.locator(".top").count() == 0 for frame in page.frames)
    page.close()


# Everybody ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "query",
    [
        "?issue=2.6",
        "?issue=2.6&v=headers&panel=reader",
        "?issue=2.6&v=source&panel=size",
        "?issue=2.6&v=text&panel=outline",
    ],
)
def test_axe_finds_nothing_serious_on_the_page(browser, address, publication_folder, scheme, query):
    change(publication_folder / "issues" / "2.6.md", "[lays out](https://www.meti.go.jp/english/)", "[lays out](#)")
    for width in (1440, 390):
        looking = Watched(browser, address, color_scheme=scheme)
        page = looking.open(query)
        page.set_viewport_size({"width": width, "height": 844})
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run({exclude: [['iframe']]}, {iframes: false})")
        serious = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in serious] == []
        looking.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_a_mistake_or_in_a_dialog(browser, address, publication_folder, scheme):
    looking = Watched(browser, address, color_scheme=scheme)
    page = looking.open()
    page.keyboard.press("/")
    change(publication_folder / "issues" / "2.6.md", "audience:", "audiense:")
    expect(page.get_by_role("alert")).to_be_visible()
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({exclude: [['iframe']]}, {iframes: false})")
    serious = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in serious] == []
    looking.context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_sticks_out_at_any_width_with_many_issues_and_a_long_subject(watched, publication_folder, width):
    issue = (publication_folder / "issues" / "2.6.md").read_text()
    for number in range(200):
        (publication_folder / "issues" / f"1.{number}.md").write_text(issue.replace('"2.6"', f'"1.{number}"'))
    change(
        publication_folder / "issues" / "2.6.md",
        "title: US-Japan Alliance Digest",
        f"title: {'A very long title ' * 12}",
    )
    watched.page.set_viewport_size({"width": width, "height": 800})
    page = watched.open()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator(".issues li")).to_have_count(202)


# As files ---------------------------------------------------------------------------------------------------------------


def test_the_sheet_stands_alone_and_the_pictures_are_of_it(browser, publication_folder, tmp_path):
    out = tmp_path / "look"
    done = start("preview", "--once", "--screenshot", "--issue", "2.6", "--out", str(out), cwd=publication_folder)
    _, errors = done.communicate(timeout=60)
    assert done.returncode == 0, errors
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert pictures == [
        "dark.png",
        "desktop.png",
        "images-off.png",
        "outlook.png",
        "phone-dark.png",
        "phone-forced-dark.png",
        "phone.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.glob("*.png"))
    alone = tmp_path / "elsewhere" / "index.html"
    alone.parent.mkdir()
    shutil.copyfile(out / "index.html", alone)
    page = browser.new_page()
    complaints, asked = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(alone.as_uri())
    expect(page.locator("iframe")).to_have_count(7)
    for name in ("Desktop", "Phone", "Desktop, dark", "Pictures off"):
        expect(page.frame_locator(f"iframe[title='{name}']").locator("h1")).to_have_text("US-Japan Alliance Digest")
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
    page.close()


def test_without_chromium_a_picture_says_what_to_install(publication_folder, tmp_path):
    done = start(
        "preview",
        "--once",
        "--screenshot",
        "--out",
        str(tmp_path / "look"),
        cwd=publication_folder,
        env={"PATH": str(tmp_path)},
    )
    _, errors = done.communicate(timeout=30)
    assert done.returncode == 2
    assert "there is none here" in errors
    assert "apt-get install chromium" in errors
    assert not (tmp_path / "look").exists()
