"""What is seen is what is sent: the preview's bytes beside those that `mailer send` has written."""

import re

import pytest

from alliance_mailer.preview.desk import Desk
from alliance_mailer.preview.people import listed


def without_date(raw: bytes) -> bytes:
    """The moment of planning is not known before."""
    dated = re.compile(rb"^Date: .*\r\n", re.MULTILINE)
    assert len(dated.findall(raw.partition(b"\r\n\r\n")[0] + b"\r\n")) == 1
    return dated.sub(b"", raw, count=1)


@pytest.fixture
def sent(project, mailer):
    assert mailer("send", "--issue", "2.6").code == 0
    return {path.name.removesuffix(".eml"): path.read_bytes() for path in (project / "outbox" / "2.6").glob("*.eml")}


def test_every_person_s_message_is_byte_for_byte_what_the_preview_shows(project, sent):
    desk = Desk(project, {})
    look = desk.look("2.6")
    seen = {
        person.key: desk.mail(look, person.contact)[0].raw
        for person in listed(project / "contacts", look.loaded.issue.audience)
    }
    del seen["thomas.ashdown@example.net"]  # who must not be mailed
    assert {key: without_date(raw) for key, raw in seen.items()} == {
        key: without_date(raw) for key, raw in sent.items()
    }


def test_the_page_gives_them_out_as_they_are(served):
    status, headers, body = served.ask("/part?issue=2.6&to=ken.sato@example.com&part=eml")
    assert status == 200
    assert headers["content-type"] == "message/rfc822"
    assert headers["content-disposition"] == "attachment; filename*=utf-8''2.6.eml"
    assert b"\r\n" in body
    assert not re.search(rb"(?<!\r)\n", body)
    frame = served.ask("/frame?issue=2.6&to=ken.sato@example.com")[2].decode()
    html = served.ask("/part?issue=2.6&to=ken.sato@example.com&part=html")[2].decode()
    assert "reading, 健." in frame
    # Beside the picture's address and the scheme, the frame has the message's own HTML.
    mended = re.sub(r'src="picture\?[^"]*"', 'src="…"', frame).replace(
        "<style>:root{color-scheme:only light !important}</style>", ""
    )
    mended = mended.replace("(max-width:0px)", "(prefers-color-scheme: dark)")
    assert mended == re.sub(r'src="cid:[^"]*"', 'src="…"', html)
