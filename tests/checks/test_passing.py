"""What looks like a mistake and is none: each rule knows where to stop."""

from pathlib import Path

import pytest

from alliance_mailer.checks import Proof
from alliance_mailer.outside import Visit

from .keys import RSA_3072
from .proofs import CLIENT, LIST, TEXT, TOML, Edit, Seed, found
from .seeds import bounces, front, inline, issue, outside, template

ALSO_RIGHT = [
    Seed("H002", (Edit(TOML, "digest@allies.org>", "digest@mail.allies.org>"),)),
    Seed("H009", front('subject: "Reports on a pact: minerals, drills, a spill"')),
    Seed("H010", front('subject: "US, EU and UN sign a pact on minerals!"')),
    Seed("H014", (Edit(TOML, 'language = "en"', 'reply_to = "editors@allies.org"\nlanguage = "en"'),)),
    Seed("H019", (Edit(LIST, "", "ann@münchen.example\n"),)),
    Seed("U003", (Edit(TOML, 'unsubscribe_url = "https://allies.org/u"\n', ""),)),
    Seed("U005", (Edit(TOML, 'unsubscribe_url = "https://allies.org/u"\n', ""),)),
    Seed("U006", template(">Unsubscribe</a>", ">Stop receiving this</a>")),
    Seed("U015", (Edit(TOML, "1000 Example Street NW, Suite 300, Washington", "1000  Example Street NW,  Suite 300, Washington"),)),
    Seed("M003", (Edit(TEXT, "", "{{ text }}\nA < B, and 5 > 3.\n"),)),
    Seed("M009", (Edit(TEXT, "", "{{ text }}\nhttps://allies.org/" + "a" * 100 + "\n"),)),
    Seed("M010", issue("contact.first_name", "contact.Last_Name")),
    Seed("M011", issue("Sasakawa", "Σειρά and Москва")),
    Seed("A004", template('<p class="org">', '<img src="https://allies.org/rule.png" alt="" width="20" /><p class="org">')),
    Seed("A005", template('<p class="org">', '<table><tr><th scope="col">Year</th></tr><tr><td>2023</td></tr></table><p class="org">')),
    Seed("A007", issue("[lays out]", "[more than one commitment]")),
    Seed("A008", inline("color: #5a5e66 }\n.pipe", "color: #767676 }\n.pipe")),
    Seed("A010", issue("Sasakawa USA", "NASA, NOAA and USAID")),
    Seed("A012", template('<p class="org">', '<a href="#">&#160;</a><p class="org">')),
    Seed("C002", (Edit(CLIENT, "", "@media screen and (min-width: 1px) { .a { color: #16181d } }\n"),)),
    Seed("C003", (Edit(CLIENT, "", ".a { color: rgba(22, 24, 29, 0.5) }\n"),)),
    Seed("C004", (Edit(CLIENT, "", "@media screen { .a { color: #16181d } }\n"),)),
    Seed("C005", inline("/* Masthead */", "/* Masthead, and more */")),
    Seed("C006", (Edit(CLIENT, "", ".a { -webkit-hyphens: none; mso-hide: all }\n"),)),
    Seed("C008", inline(".story { padding", ".story { border-radius: 4px; padding")),
    Seed("C008", (Edit(CLIENT, "", "@media screen { .a { display: flex } }\n"),)),
    Seed("C008", template('<p class="org">', '<!--[if !mso]><!--><span style="float:left">&#160;</span><!--<![endif]--><p class="org">')),
    Seed("C008", (Edit(TOML, "[check]\n", '[check]\nclients = ["apple-mail.*"]\n'), *inline(".story { padding", ".story { float: left; padding"))),
    Seed("C012", template('<p class="org">', '<img src="https://allies.org/a.png" alt="" width="20" height="20" /><p class="org">')),
    Seed("C012", template('style="max-width:{{ hero.width }}px;', 'style="display:inline;vertical-align:top;max-width:{{ hero.width }}px;')),
    Seed("C012", template('<p class="org">', '<table role="presentation"><tr><td><img src="https://allies.org/a.png" alt="a b" width="20" /><img src="https://allies.org/b.png" alt="c d" width="20" /></td></tr></table><p class="org">')),
    Seed("C012", issue("Thank you for reading", "![A bridge](2.6-hero.jpg) Thank you for reading")),
    Seed("C012", issue("Thank you for reading", "![A bridge](2.6-hero.jpg)\n\nThank you for reading")),
    Seed("C008", (*template('<p class="org">', '<img src="https://allies.org/a.webp" alt="" width="20" /><p class="org">'), Edit(TOML, "[check]\n", '[check]\nclients = ["apple-mail.ios"]\n'))),
    Seed("L001", issue("(https://ustr.gov/) to a pact", "(#item-2) to a pact")),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://orbit.ly/) to a pact")),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://яндекс.рф/) to a pact")),
    Seed("L003", issue("(https://ustr.gov/) to a pact", "(https://xn--mnchen-3ya.de/) to a pact")),
    Seed("L015", issue("Thank you for reading", "![A bridge](https://allies.org/a.png) Thank you for reading")),
    Seed("C018", (Edit(CLIENT, "", ".a { color: #16181d !important }\n"),)),
    Seed("C019", inline(".org { margin: 0px", ".org { border-top: 8px solid #16181d; margin: 0px")),
    Seed("T004", template('css-class="paper mast" background-color="#ffffff"', 'css-class="paper mast" background-color="transparent"')),
    Seed("L004", issue("[put their names](https://ustr.gov/)", "[ustr.gov](https://www.ustr.gov/pact)")),
    Seed("L005", issue("Thank you for reading", " ".join("[and](https://allies.org/)" for _ in range(5)) + " Thank you")),
    Seed("L009", issue("(mailto:digest@example.org)", "(mailto:digest@example.org?subject=Subscribe)")),
    Seed("L012", issue("Thank you for reading", "This is Vol. 2.6. Thank you for reading")),
    Seed("E002", issue("[warned](https://jp.usembassy.gov/)", "[warned](https://jp.usembassy.gov/a)")),
    Seed("E003", issue("by the [NEXT Alliance Initiative](https://spfusa.org/)", "by the [NEXT Alliance Initiative](https://talks.jp/osaka)")),
    Seed("E005", front("send_at: 2023-04-03 09:00")),
    Seed("E006", issue("All through March, the armed forces", "All through March, the Self-Defense Force (JSDF) and the armed forces")),
    Seed("E007", issue("Thank you for reading", "Thank you for reading [our archive](https://allies.org/digest), `TODO`")),
    Seed("E007", issue("Thank you for reading", "<!-- TODO: thank them -->Thank you for reading")),
    Seed("E008", template("<p>You are receiving this", "<p>© {{ issue.date.year }}</p><p>You are receiving this")),
    Seed("E009", issue("On March 28, Ambassador", "On Tuesday, March 28, Ambassador")),
    Seed("E010", issue("On March 28, Ambassador", "On April 28, Ambassador")),
    Seed("E012", issue("Thank you for reading", "They know that that had had a reason")),
    Seed("E013", issue("“La Perouse 23,”", "“La Perouse 23”, the ‘old’ one,")),
    Seed("E014", issue("Thank you for reading", "Write `[words](https://a b)`, and [sic] (as they do). Thank you for reading")),
    Seed("E014", issue("Thank you for reading", "A **bold** word, 2 ** 3 and [1] [2]. Thank you for reading")),
    Seed("T002", template('<mj-text css-class="read"', '<mj-text font-weight="400" css-class="read"')),
    Seed("T004", template('padding="38px 40px 30px 72px"', 'padding="38px 40px"')),
    Seed("T006", template('mj-class="label" css-class="read foot"', 'mj-class="label" css-class="read foot other"')),
    Seed("T007", template('css-class="paper mast" background-color="#ffffff"', 'css-class="paper mast" background-color="white"')),
    Seed("P004", (Edit(LIST, "", "ann@gmail.com\n"),)),
    Seed("P003", (Edit(LIST, "", "abuseless@allies.org\n"),)),
    Seed("L013", facts=outside(visits={"https://ustr.gov/": Visit(200)})),
    Seed("U009", facts=outside(domain={"dkim": {"s1": f"p={RSA_3072}", "s2": "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}})),
    Seed("U013", bounces("bounces.allies.org"), facts=outside(domain={"dkim": {}})),
    Seed("U013", bounces("allies.org"), facts=outside(domain={"dmarc": ("v=DMARC1; aspf=s",)})),
    Seed("U013", bounces("other.allies.org"), facts=outside(domain={"name": "news.allies.org"})),
    Seed("U014", facts=outside(one_click=Visit(200))),
    Seed("U010", facts=outside(domain={"spf_lookups": 10})),
    Seed("U011", facts=outside(domain={"dmarc": ("v=DMARC1; rua=mailto:d@allies.org",)})),
    Seed("U014", facts=outside(one_click=Visit(400))),
]  # fmt: skip


@pytest.mark.parametrize("seed", ALSO_RIGHT, ids=[f"{seed.rule}-{n}" for n, seed in enumerate(ALSO_RIGHT)])
def test_what_only_looks_like_a_mistake_is_none(seed: Seed, clean: Proof, tmp_path: Path) -> None:
    proof, _ = seed.proof(clean, tmp_path / "digest")
    assert found(proof, seed.rule) == []
