"""What is traced is the page itself, and each mark names the file and the line where its author finds it."""

import re
from pathlib import Path

import pytest

from alliance_mailer.issue import parse_issue
from alliance_mailer.publication import Publication
from alliance_mailer.render import render, trace

ISSUE = """---
issue: "1"
title: T
date: 2024-01-01
---
A [lead](https://allies.org/),
and _more_ ![of it](https://allies.org/a.png) here.

## News

- first
- second, with
  a [link](https://allies.org/b)

  and a paragraph
"""

TEMPLATE = """\
<mjml lang="en">
  <mj-head>
    <mj-attributes>{attributes}<mj-all font-family="serif" /></mj-attributes>
  </mj-head>
  <mj-body>
    {{%- if lead %}}
    <mj-section css-class="top"><mj-column><mj-text mj-class="a">{{{{ lead }}}}</mj-text></mj-column></mj-section>
    {{%- endif %}}
    {{% include "part.j2" %}}
  </mj-body>
</mjml>
"""

PART = """\
<mj-section
    css-class="list"><mj-column><mj-text>
{% for section in sections %}
  <h2
     class="title">{{ section.title }}</h2>
  {% for entry in section.entries %}<div>{{ entry.html }}</div>{% endfor %}
{% endfor %}
</mj-text></mj-column></mj-section>
"""


@pytest.mark.parametrize("attributes", ["", '<mj-class name="a" css-class="dressed" />', '<mj-text css-class="all" />'])
def test_marks_change_nothing_and_name_their_places(tmp_path: Path, publication: Publication, attributes: str) -> None:
    folder = tmp_path / "templates" / "t"
    folder.mkdir(parents=True)
    (folder / "message.mjml.j2").write_text(TEMPLATE.format(attributes=attributes))
    (folder / "part.j2").write_text(PART)
    text = ISSUE.replace("title: T\n", "title: T\ntemplate: t\n")
    issue = parse_issue(text, file="issues/1.md", number="1", folder=tmp_path, project=tmp_path)
    page = render(issue, publication, tmp_path / "templates").html
    traced = trace(issue, publication, tmp_path / "templates").html
    assert re.sub(r' data-at="[^"]*"|<!--at [^>]*-->', "", traced) == page
    places = re.findall(r'<(a|em|img|h2|div|p)\b(?=[^>]*data-at="([^"]*)")', traced)
    for tag, place in (
        ("a", "issues/1.md:7"),
        ("img", "issues/1.md:8"),
        ("a", "issues/1.md:14"),
        ("p", "issues/1.md:16"),
        ("h2", "templates/t/part.j2:4"),
        ("div", "templates/t/part.j2:6"),
    ):
        assert (tag, place) in places, (tag, place, places)
    assert 'class="top" data-at="templates/t/message.mjml.j2:7"' in traced
    assert 'class="list" data-at="templates/t/part.j2:1"' in traced
