"""One mistake for each rule, made in a publication that is in order."""

import re
from dataclasses import replace

from alliance_mailer.checks import Proof
from alliance_mailer.outside import Domain, Outside, Visit
from alliance_mailer.picture import Picture

from .keys import RSA_512, RSA_1024, RSA_2048
from .proofs import BEFORE, CLIENT, INLINE, ISSUE, LIST, PAGE, TEXT, TOML, Edit, Seed


def issue(old: str, new: str) -> tuple[Edit]:
    return (Edit(ISSUE, old, new),)


def front(line: str) -> tuple[Edit]:
    return (Edit(ISSUE, "audience: [subscribers]\n", f"{line}\naudience: [subscribers]\n"),)


def template(old: str, new: str) -> tuple[Edit]:
    return (Edit(PAGE, old, new),)


def client(more: str) -> tuple[Edit]:
    return (Edit(CLIENT, "", more),)


def inline(old: str, new: str) -> tuple[Edit]:
    return (Edit(INLINE, old, new),)


def toml(old: str, new: str) -> tuple[Edit]:
    return (Edit(TOML, old, new),)


def bounces(domain: str) -> tuple[Edit]:
    transport = f'[transports.live]\nuse = "smtp"\nhost = "relay.net"\nbounce_address = "b+{{key}}@{domain}"\n'
    return toml("[check]\n", f"{transport}\n[check]\n")


def text_part(template: str) -> tuple[Edit]:
    return (Edit(TEXT, "", template),)


def before(field: str, value: str):
    """A header field put before the others."""
    return lambda raw: f"{field}: {value}\r\n".encode("latin-1") + raw


def swap(old: bytes, new: bytes):
    def swapped(raw: bytes) -> bytes:
        assert old in raw
        return raw.replace(old, new, 1)

    return swapped


def _no_word_tables(page: str) -> str:
    return re.sub(r"<!--\[if mso \| IE\]>.*?<!\[endif\]-->", "", page, flags=re.DOTALL)


def _long_boundary(raw: bytes) -> bytes:
    limit = re.search(rb'boundary="([^"]*)"', raw)[1]
    return raw.replace(limit, limit + b"x" * 40)


def outside(**facts):
    known = Domain(
        "allies.org", ("v=spf1 -all",), 0, ("v=DMARC1; p=none",), "allies.org", "allies.org",
        {"mail": f"v=DKIM1; p={RSA_2048}"}, ("10 mx.allies.org.",),
    )  # fmt: skip
    domain = replace(known, **facts.pop("domain", {}))
    return lambda proof: replace(proof, outside=Outside(domain, **facts))


def _transparent(proof: Proof) -> Proof:
    (name,) = proof.issue.pictures
    png = Picture(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0", "png", 1, 1)
    return replace(proof, issue=replace(proof.issue, pictures={name: png}))


def _huge(proof: Proof) -> Proof:
    (name,) = proof.issue.pictures
    photograph = replace(proof.issue.pictures[name], width=4000, height=3000)
    return replace(proof, issue=replace(proof.issue, pictures={name: photograph}))


def _same_story(proof: Proof) -> Proof:
    return replace(proof, previous=replace(proof.issue, number="2.5", date=proof.previous.date))


LONG = "\n  ".join(f"Sentence number {n} of a very long story has a few words and says little. " for n in range(1600))
BODY = "## Details\n\n- "

SEEDS = [
    # headers
    Seed("H001", raw=before("Subject", "another"), at=""),
    Seed("H002", toml("digest@allies.org>", "digest@gmail.com>")),
    Seed("H002", toml("digest@allies.org>", "digest@example.org>"), severity="info"),
    Seed("H003", raw=before("X-Place", "M\xfcnchen"), at=""),
    Seed("H004", raw=before("X-Note", "a\0b"), at=""),
    Seed("H005", raw=swap(b"Feedback-ID: 2.6", b"Feedback-ID: =?utf-8?q?2=2E6?="), at=""),
    Seed("H006", raw=before("X-Note", f"=?utf-8?b?{'QUJD' * 20}?="), at=""),
    Seed("H006", raw=before("X-Note", "=?utf-8?b?w7w=?= =?utf-8?b?ww==?="), at=""),
    Seed("H007", raw=before("X-Note", "a" * 999), at=""),
    Seed("H008", raw=lambda raw: raw.replace(b"\r\n\r\n", b"\r\n\n", 1).replace(b"\r\n", b"\n", 1).replace(b"\r\n\n", b"\r\n\r\n", 1), at=""),
    Seed("H009", front('subject: "Re: a pact on minerals, drills, a spill"')),
    Seed("H009", front(f'subject: "{"A pact on minerals, and drills. " * 4}"')),
    Seed("H010", front('subject: "A PACT ON MINERALS, and drills"')),
    Seed("H010", front('subject: "A pact on minerals! And drills!"')),
    Seed("H011", front('subject: "For *|FNAME|*: a pact on minerals"')),
    Seed("H012", raw=lambda raw: re.sub(rb"Date: [^\r]*", b"Date: Sat, 25 Mar 2023 00:00:00 -0400", raw), at=""),
    Seed("H012", raw=lambda raw: re.sub(rb"Date: [^\r]*", b"Date: tomorrow", raw), at=""),
    Seed("H013", raw=lambda raw: re.sub(rb"Message-ID: [^\r]*", b"Message-ID: <1@allies.org>", raw), at=""),
    Seed("H013", facts=lambda proof: replace(proof, other=proof.raw), also=("U003",), at=""),
    Seed("H014", toml('language = "en"', 'reply_to = "no-reply@allies.org"\nlanguage = "en"')),
    Seed("H015", toml("Digest <digest@", "Digest (digest@allies.org) <digest@")),
    Seed("H016", raw=before("Bcc", "someone@allies.org"), at=""),
    Seed("H016", raw=swap(b"To: ", b"To: someone@allies.org, "), at=""),
    Seed("H017", raw=before("Return-Path", "<digest@allies.org>"), at=""),
    # unsubscribe
    Seed("U001", raw=swap(b"List-Unsubscribe: ", b"X-Dropped: "), also=("U002", "U005"), at=""),
    Seed("U001", raw=swap(b",\r\n <mailto:", b",\r\n <ftp:"), at=""),
    Seed("U002", raw=swap(b"=One-Click", b"=Once"), at=""),
    Seed("U003", toml("https://allies.org/u", "https://intranet/u")),
    Seed("U003", toml("https://allies.org/u", "https://example.org/u"), severity="info"),
    Seed("U004", raw=swap(b"?subject=unsubscribe%20", b"?subject=reader@example.org%20"), at=""),
    Seed("U005", template('<a href="{{ unsubscribe_url }}">Unsubscribe</a>', ""), at=""),
    Seed("U005", text_part("{{ text | replace('Unsubscribe: ', 'Unsubscribe: https://allies.org/all ') | replace('x/', 'x') | truncate(5600, True, '') }}"), also=("U015", "U016"), at=""),
    Seed("U006", template(">Unsubscribe</a>", ">Good-bye</a>")),
    Seed("U006", template(">Unsubscribe</a>", ' style="font-size:9px">Unsubscribe</a>'), also=("A009",)),
    Seed("U006", template(">Unsubscribe</a>", ' style="color:#b0b0b0">Unsubscribe</a>'), also=("A008",)),
    Seed("U007", toml('language = "en"', 'list_id = "digest.other.org"\nlanguage = "en"'), severity="warning"),
    Seed("U007", raw=lambda raw: re.sub(rb"List-Id: [^\r]*", b"List-Id: US-Japan Alliance Digest", raw), at="[newsletter]"),
    Seed("U008", raw=swap(b"Feedback-ID: ", b"Feedback-ID: a:b:"), at=""),
    Seed("U015", template("<br/>{{ line }}", ""), at=""),
    Seed("U016", text_part("{{ text | replace('You are receiving this at', 'Hello to') }}"), at=""),
    # the message's parts
    Seed("M001", raw=swap(b"multipart/alternative", b"multipart/mixed"), at=""),
    Seed("M002", raw=swap(b"text/plain; charset=utf-8", b"text/plain; charset=iso-8859-1"), at=""),
    Seed("M003", text_part("{{ text }}<p>Read on</p>\n"), at=""),
    Seed("M004", issue(BODY, f"{BODY}{LONG}\n  "), at="Sentence number"),
    Seed("M004", issue(BODY, f"{BODY}{LONG[:63000]}\n  "), at="", severity="warning"),
    Seed("M006", raw=swap(b"Content-Disposition: inline", b"Content-Disposition: attachment"), at=""),
    Seed("M007", raw=swap(b"Content-ID: <", b"Content-ID: <x"), at="", severity="error"),
    Seed("M008", raw=_long_boundary, at=""),
    Seed("M009", text_part("{{ text }}\n" + "word " * 20), at=""),
    Seed("M010", issue("contact.first_name | default", "contact.fist_name | default"), severity="warning"),
    Seed("M010", issue('contact.first_name | default("friend")', "contact.city")),
    Seed("M011", issue("Sasakawa", "Sasa\u200bkawa")),
    Seed("M011", issue("Sasakawa USA", "S\u0430sakawa USA")),
    Seed("M012", template('<p class="org">', '<p class="org">\u0092')),
    # structure
    Seed("A001", raw=swap(b"<!DOCTYPE html>", b""), at=""),
    Seed("A002", template(' lang="{{ publication.language }}"', "")),
    Seed("A003", template("<mj-title>{{ issue.subject }}</mj-title>", ""), at=""),
    Seed("A012", template('href="#headlines"', 'href="#headline"')),
    Seed("A012", template('<p class="org">', '<p class="org" id="headlines">')),
    Seed("A012", template('<a name="{{ anchor }}" id="{{ anchor }}"></a>', '<b id="{{ anchor }}"></b>'), at='href="#headlines"', severity="warning"),
    Seed("A014", template('<p class="org">', '<form></form><p class="org">')),
    Seed("A014", template('<p class="org">', '<p class="org" onclick="alert(1)">')),
    Seed("A014", template('<a href="#headlines">', '<a href="javascript:alert(1)">'), also=("L001",)),
    # who does not see it, or not well
    Seed("A004", issue('  alt: "Two islands of crystal rise from a navy sea, joined by a suspension bridge in front of a vermilion sun."\n', ""), at="src: 2.6-hero.jpg"),
    Seed("A004", issue('alt: "Two', 'alt: "Image of two'), at="src: 2.6-hero.jpg", severity="warning"),
    Seed("A004", issue('alt: "Two islands of crystal rise from a navy sea, joined by a suspension bridge in front of a vermilion sun."', 'alt: "image1"'), at="src: 2.6-hero.jpg", severity="warning"),
    Seed("A004", template('<p class="org">', '<img src="https://allies.org/a.png" width="20" /><p class="org">')),
    Seed("A005", template('<table role="presentation" class="full"', '<table class="full"')),
    Seed("A006", template("<h1>{{ issue.title }}</h1>", "<h2>{{ issue.title }}</h2>"), at=""),
    Seed("A006", template('<p class="org">', '<h2> </h2><p class="org">')),
    Seed("A007", issue("[lays out]", "[here]")),
    Seed("A008", inline(".folio { margin: 0px; font-size: 14px; line-height: 20px; color: #5a5e66 }", ".folio { margin: 0px; font-size: 14px; line-height: 20px; color: #b0b0b0 }")),
    Seed("A008", (Edit(CLIENT, ".paper h4, .paper .org, .tint h3, .tint h4 { color: #f2efe8", ".paper h4, .paper .org, .tint h3, .tint h4 { color: #34373d"),)),
    Seed("A009", inline(".story { padding: 28px 0px 18px; font-size: 17px;", ".story { padding: 28px 0px 18px; font-size: 12px;")),
    Seed("A009", inline("font-size: 17px; line-height: 28px }\nh3", "font-size: 17px; line-height: 20px }\nh3")),
    Seed("A010", inline(".story { padding", ".story { text-align: justify; padding"), at=".story { text-align: justify"),
    Seed("A010", issue("Sasakawa USA", "SASAKAWA USA THANKS EVERYBODY WHO READS THIS LETTER TODAY")),
    Seed("A011", template('<p><a href="{{ unsubscribe_url }}">', '<p aria-hidden="true"><a href="{{ unsubscribe_url }}">')),
    Seed("A013", issue("Tokyo University", "Tokyo University (東京大学本郷)")),
    # style sheets
    Seed("C001", client("".join(f".a{n} {{ color: #16181d; padding: 0px }}\n" for n in range(400))), at=""),
    Seed("C002", client("@media screen {\n@media (min-width: 1px) {\n.a { color: #16181d }\n}\n}\n"), at="@media (min-width: 1px)"),
    Seed("C003", client(".a { color: rgb(255 0 0) }\n")),
    Seed("C004", client("@media screen {\n.a { color: #16181d }}\n"), at="}}"),
    Seed("C005", client("/* the phone */\n")),
    Seed("C006", client(".a { color red }\n")),
    Seed("C006", client(".a { color: #16181d\n"), at=""),
    Seed("C007", client(".a { font-family: Freight }\n")),
    Seed("C007", client("@font-face { font-family: serif }\n")),
    Seed("C010", page=lambda page: page.replace("<![endif]-->", "", 1), at=""),
    Seed("C010", page=lambda page: page.replace("<!--[if mso | IE]><td ", "<!--[if mso | IE]><td><td ", 1), at=""),
    Seed("C011", page=lambda page: page.replace("<!--[if mso | IE]>", "<!--[if mso | IE]><v:rect></v:rect>", 1).replace("xmlns:v=", "xmlns:w="), at=""),
    Seed("C014", template('<p class="org">', '<p class="org" style="background-color:#ffffff;background-image:url(https://allies.org/a.png)">'), also=("A008",)),
    Seed("C015", inline(".org { margin: 0px", ".org { color: #16181d !important; margin: 0px")),
    Seed("C016", client(".größe { color: #16181d }\n")),
    Seed("C018", client(".a { color: #16181d!important }\n")),
    Seed("C018", client(".a { color: #16181d !IMPORTANT }\n")),
    Seed("C019", inline(".org { margin: 0px", ".org { border-top: 10px solid #16181d; margin: 0px")),
    # mail programs
    Seed("C008", inline(".story { padding", ".story { float: left; padding"), at=".story { float"),
    Seed("C008", template('<p class="org">', '<video src="https://allies.org/a.mp4"></video><p class="org">')),
    Seed("C008", template('<p class="org">', '<img src="https://allies.org/a.webp" alt="" width="20" /><p class="org">')),
    Seed("C008", template('<p class="org">', '<img src="https://allies.org/a.avif?v=2" alt="" width="20" /><p class="org">')),
    Seed("C008", template('<p class="org">', '<img src="https://allies.org/a.svg" alt="" width="20" /><p class="org">')),
    Seed("C009", page=_no_word_tables, at="mj-section"),
    Seed("C009", page=lambda page: re.sub('(<!--.if mso[^>]*><table[^>]*width=")640', r"\g<1>800", page, count=1), at=""),
    Seed("C012", template(' width="{{ hero.width }}"', "")),
    Seed("C012", template('<p class="org">', '<img src="https://allies.org/a.png" alt="" width="20" height="20px" /><p class="org">')),
    Seed("C012", template('width="{{ hero.width }}"{% if', 'width="1280"{% if')),
    Seed("C012", template('style="max-width:{{ hero.width }}px;', 'style="height:320px;max-width:{{ hero.width }}px;')),
    Seed("C012", template('style="max-width:{{ hero.width }}px;', 'style="display:inline;max-width:{{ hero.width }}px;')),
    Seed("C012", facts=_huge, at="src: 2.6-hero.jpg"),
    Seed("C013", template('<meta name="color-scheme" content="light dark" />', ""), at=""),
    Seed("C017", facts=_transparent, at="2.6-hero.jpg"),
    # links
    Seed("L001", issue("(https://ustr.gov/) to a pact", "(#) to a pact")),
    Seed("L001", template('href="#headlines"', 'href="headlines.html"')),
    Seed("L001", issue("(https://ustr.gov/) to a pact", "(http://ustr.gov/) to a pact"), severity="info"),
    Seed("L002", template('href="#headlines"', 'href="https://allies.org/*|ID|*"')),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://192.0.2.7/pact) to a pact")),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://me@ustr.gov/) to a pact")),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://bit.ly/3xyz) to a pact"), severity="warning"),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://example.com/pact) to a pact"), severity="info"),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://\u0430\u0440\u0440\u04cf\u0435.com/) to a pact")),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://xn--pple-43d.com/) to a pact")),
    Seed("L004", issue("[put their names](https://ustr.gov/)", "[www.ustr.gov/pact](https://ustr.evil.org/)")),
    Seed("L004", issue("[digest@example.org](mailto:digest@example.org)", "[digest@allies.org](mailto:other@allies.org)")),
    Seed("L005", issue("Thank you for reading", " ".join("[and](https://allies.org/)" for _ in range(6)) + " Thank you for reading")),
    Seed("L009", issue("(mailto:digest@example.org)", "(mailto:digest@example.org?body=Hello)")),
    Seed("L009", issue("[digest@example.org](mailto:digest@example.org)", "[us](mailto:digest)")),
    Seed("L010", issue("(https://ustr.gov/) to a pact", "(https://ustr.gov/?utm_source=digest) to a pact")),
    Seed("L010", template('<p class="org">', '<img src="https://allies.org/a.gif" alt="" width="1" height="1" /><p class="org">')),
    Seed("L010", template('<p class="org">', '<img src="https://allies.org/a.gif" alt="" width="9" style="width:1px;height:1px" /><p class="org">')),
    Seed("L015", template('<p class="org">', '<img src="a.png" alt="A bridge" width="20" /><p class="org">')),
    Seed("L015", template('<p class="org">', '<img src="" alt="A bridge" width="20" /><p class="org">')),
    Seed("L015", template('<p class="org">', '<img src="https://127.0.0.1:8000/a.png" alt="A bridge" width="20" /><p class="org">')),
    Seed("L015", template('<p class="org">', '<img src="http://allies.org/a.png" alt="A bridge" width="20" /><p class="org">'), severity="warning"),
    Seed("L015", issue("Thank you for reading", "![A bridge](https://intranet/a.png) Thank you for reading"), also=("C012",)),
    # what it says
    Seed("L006", page=lambda page: page.replace("</body>", '<img src="https://allies.org/a.png" alt="a" width="9">' * 30 + "</body>"), at=""),
    Seed("L007", issue("Thank you for reading", "Act now and thank you for reading")),
    Seed("L008", toml("https://allies.org/digest", "http://allies.org/digest")),
    Seed("L011", issue('preheader: "Also inside: a speech on coercion, a missile interceptor, a month of drills, and an oil spill."\n', ""), at="title:"),
    Seed("L011", issue('preheader: "Also inside: a speech on coercion, a missile interceptor, a month of drills, and an oil spill."', 'preheader: "Also inside: a speech"')),
    Seed("L011", inline("mso-hide: all", "mso-hide: none"), at='class="preheader"'),
    Seed("L012", issue("Thank you for reading", "This is vol. 2.4. Thank you for reading")),
    Seed("L012", facts=_same_story, also=("E003",), at=""),
    # what an editor looks for
    Seed("E001", (Edit(ISSUE, "- Washington and Tokyo help", "- A sixth\n- Washington and Tokyo help"), Edit(ISSUE, "- On March 20", "- Nobody knows.\n- On March 20")), at="- Nobody knows."),
    Seed("E002", issue("[warned](https://jp.usembassy.gov/), Beijing", "[warned](https://jp.usembassy.gov/a), [Beijing](https://jp.usembassy.gov/a)")),
    Seed("E003", issue("[address](https://www.u-tokyo.ac.jp/en/)", "[address](https://talks.jp/osaka)")),
    Seed("E004", (Edit(BEFORE, "date: 2023-03-17", "date: 2023-03-31"),), at="date: 2023-03-31"),
    Seed("E004", facts=lambda proof: replace(proof, previous=replace(proof.previous, number="2.4")), at='issue: "2.6"'),
    Seed("E005", front("send_at: 2023-04-14 09:00")),
    Seed("E006", issue("All through March, the armed forces", "All through March, the JMSDF and the armed forces")),
    Seed("E007", issue("Thank you for reading", "TK Thank you for reading")),
    Seed("E007", issue("Thank you for reading", "Thank you for reading [insert name]")),
    Seed("E008", template("<p>You are receiving this", "<p>© 2019</p><p>You are receiving this")),
    Seed("E009", issue("On March 28, Ambassador", "On Friday, March 28, Ambassador")),
    Seed("E009", issue("The next day, March 21,", "On March 32,")),
    Seed("E010", issue("On March 28, Ambassador", "On January 28, Ambassador")),
    Seed("E011", (Edit(ISSUE, "Thank you for reading", "Send an e-mail. Thank you for reading"), Edit(TOML, "", '\n[check.terms]\n"e-mail" = "email"\n'))),
    Seed("E012", issue("Thank you for reading", "Thank you you for reading")),
    Seed("E013", issue("“La Perouse 23,”", '"La Perouse 23,"')),
    Seed("E014", issue("(https://ustr.gov/) to a pact", "(javascript:alert(1)) to a pact")),
    Seed("E014", issue("(https://ustr.gov/) to a pact", "(https://ustr.gov/the pact) to a pact")),
    Seed("E014", issue("(https://ustr.gov/) to a pact", " (https://ustr.gov/) to a pact")),
    Seed("E014", issue("(https://ustr.gov/) to a pact", "[pact] to a pact")),
    Seed("E014", issue("Thank you for reading", "** Thank you** for reading"), severity="warning"),
    # the template
    Seed("T001", template("<mj-text>\n          <table", "<mj-foo></mj-foo><mj-text>\n          <table")),
    Seed("T002", template('<mj-text css-class="read"', '<mj-text colour="#16181d" css-class="read"')),
    Seed("T003", template('<mj-section css-class="paper mast"', '<mj-text>Hello</mj-text><mj-section css-class="paper mast"'), also=("A008",)),
    Seed("T003", template('<mj-text css-class="read" padding="38px', '<p>Hello</p><mj-text css-class="read" padding="38px'), also=("A009",)),
    Seed("T004", template('padding="38px 40px 30px 72px"', 'padding="38px 40px 30px 72"')),
    Seed("T004", template('css-class="paper mast" background-color="#ffffff"', 'css-class="paper mast" background-color="snowhite"')),
    Seed("T004", template('align="right"', 'align="start"')),
    Seed("T005", template('<mj-section css-class="paper mast"', '<mj-section gutter="4px" css-class="paper mast"')),
    Seed("T006", template('mj-class="label" css-class="read foot"', 'mj-class="lable" css-class="read foot"')),
    Seed("T007", template('css-class="paper mast" background-color="#ffffff"', 'css-class="paper mast" background-color="#fff"')),
    Seed("T008", template('<mj-all font-family="{{ serif }}" />', ""), at=""),
    # the lists
    Seed("P001", (Edit(LIST, "", "nobody\n"),)),
    Seed("P004", (Edit(LIST, "", "ann@gmial.com\n"),)),
    Seed("P003", (Edit(LIST, "", "abuse@allies.org\n"),)),
    Seed("H019", (Edit(LIST, "", "jörg@allies.org\n"),)),
    # the network
    Seed("L013", facts=outside(visits={"https://ustr.gov/": Visit(404)}), at="href: https://ustr.gov/"),
    Seed("L013", facts=outside(visits={"https://www.meti.go.jp/english/": Visit(403)}), at="[lays out]", severity="info"),
    Seed("L013", facts=outside(visits={"https://www.meti.go.jp/english/": Visit(error="no answer")}), at="[lays out]", severity="warning"),
    Seed("L014", page=lambda page: page.replace("</body>", '<img src="https://allies.org/a.png" alt="a" width="9"></body>'),
         facts=outside(visits={"https://allies.org/a.png": Visit(200, bytes=2_000_000, kind="image/png")}), at=""),
    Seed("U010", facts=outside(domain={"spf": ()}), at="from ="),
    Seed("U010", facts=outside(domain={"spf_lookups": 11}), at="from ="),
    Seed("U010", facts=outside(domain={"spf": ("v=spf1 +all",)}), at="from ="),
    Seed("U010", facts=outside(domain={"mx": ()}), at="from =", severity="warning"),
    Seed("U011", facts=outside(domain={"dmarc": ()}), at="from ="),
    Seed("U011", facts=outside(domain={"dmarc": ("v=DMARC1; p=none; pct=100",)}), at="from =", severity="info"),
    Seed("U012", facts=outside(domain={"dkim": {}}), at="from ="),
    Seed("U009", facts=outside(domain={"dkim": {"s1": f"k=rsa; p={RSA_1024}"}}), at="from ="),
    Seed("U009", facts=outside(domain={"dkim": {"s1": f"p={RSA_512}"}}), at="from =", severity="error"),
    Seed("U013", bounces("relay.net"), facts=outside(domain={"dkim": {}}), also=("U012",), at="bounce_address ="),
    Seed("U013", bounces("relay.net"), facts=outside(), at="bounce_address =", severity="info"),
    Seed("U013", bounces("bounces.allies.org"), facts=outside(domain={"dmarc": ("v=DMARC1; aspf=s",)}), at="bounce_address =", severity="info"),
    Seed("U014", facts=outside(one_click=Visit(error="there is no host u.allies.org")), at="unsubscribe_url ="),
    Seed("U014", facts=outside(one_click=Visit(error="no answer in 5 seconds")), at="unsubscribe_url =", severity="warning"),
    Seed("U010", facts=outside(domain={"dmarc": None}), at="from =", severity="warning"),
    Seed("U014", facts=outside(one_click=Visit(302)), at="unsubscribe_url ="),
    Seed("U014", facts=outside(one_click=Visit(200), sets_cookie=True), at="unsubscribe_url ="),
]  # fmt: skip
