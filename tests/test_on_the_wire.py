"""What a mail server gets is what a rehearsal wrote and what a person saw."""

import re


def undated(message):
    return re.sub(rb"\r\nDate: [^\r]*\r\n", b"\r\n", message)


def test_the_same_bytes_go_over_the_wire_as_into_the_files_but_for_the_date(live, project, mailer):
    assert mailer("send", "--issue", "2.6").code == 0
    assert mailer("send", "--issue", "2.6", "--transport", "live", "--yes").code == 0
    on_disk = {path.name.removesuffix(".eml"): path.read_bytes() for path in (project / "outbox" / "2.6").iterdir()}
    on_the_wire = {to: message for _, to, message in live.accepted}
    assert len(on_the_wire) == 24
    assert on_the_wire.keys() == on_disk.keys()
    for to, message in on_the_wire.items():
        assert undated(message) == undated(on_disk[to])
        assert undated(message) != message
