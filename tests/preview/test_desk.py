"""What lies on the desk: compiled when it is looked at, kept, and the last good one kept longest."""

import pytest

from alliance_mailer.errors import InputError
from alliance_mailer.preview.desk import Desk
from alliance_mailer.preview.people import find
from conftest import change


def test_what_has_not_changed_is_not_compiled_again(desk):
    assert desk.look("2.6") is desk.look("2.6")


def test_a_change_is_seen_after_a_refresh(desk, project):
    before = desk.look("2.6").loaded.edition.sha256
    change(project / "issues" / "2.6.md", "critical minerals", "steel")
    assert desk.refresh()
    assert desk.look("2.6").loaded.edition.sha256 != before
    assert desk.looked_at() == f"2.6 {desk.look('2.6').loaded.edition.sha256[:12]}"


def test_two_side_by_side_keep_their_last_good_ones_each(desk, project):
    text = (project / "issues" / "2.6.md").read_text()
    (project / "issues" / "2.5.md").write_text(text.replace('"2.6"', '"2.5"'))
    for number in ("2.6", "2.5", "2.6"):
        assert desk.look(number).loaded
    change(project / "issues" / "2.6.md", "audience:", "audiense:")
    change(project / "issues" / "2.5.md", "audience:", "audiense:")
    assert not desk.refresh()
    for number in ("2.5", "2.6"):
        assert desk.look(number).error
        assert desk.look(number).loaded.issue.number == number


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("issues/2.6.md", "audience:", "audiense:"),
        ("mailer.toml", "name =", "nam ="),
        ("templates/digest/message.mjml.j2", "<mjml ", "<mjm "),
    ],
)
def test_a_mistake_leaves_the_last_good_one_and_goes_away_with_its_cause(desk, project, file, old, new):
    good = desk.look("2.6")
    text = (project / file).read_text()
    change(project / file, old, new)
    assert not desk.refresh()
    look = desk.look("2.6")
    assert look.error
    assert look.error.problems[0].file.startswith(file.split("/")[0])
    assert look.loaded is good.loaded
    (project / file).write_text(text)
    assert desk.refresh()
    assert desk.look("2.6").error is None


def test_what_was_never_good_is_an_error_alone(desk, project):
    (project / "issues" / "3.md").write_text("nothing")
    look = desk.look("3")
    assert look.loaded is None
    assert "front matter" in str(look.error)


def test_an_issue_that_is_not_there_is_an_error_that_names_those_that_are(desk):
    assert "there are: 2.6" in str(desk.look("../../etc/passwd").error)


def test_findings_follow_the_message_and_are_never_those_of_another_state(desk, project):
    assert desk.look("2.6").checked
    change(project / "issues" / "2.6.md", "[lays out](https://www.meti.go.jp/english/)", "[lays out](#)")
    desk.refresh()
    assert not desk.look("2.6").checked
    assert desk.check()
    assert desk.look("2.6").checked
    assert "L001" in [finding.rule for finding in desk.look("2.6").loaded.findings]
    assert not desk.check()
    desk.refresh()
    desk.turn_to("2.5")  # somebody goes elsewhere before the checks have begun
    assert desk.check()
    assert desk.look("2.6").checked


def test_to_look_makes_no_key_and_no_file(desk, project):
    before = sorted(path.relative_to(project).as_posix() for path in project.rglob("*"))
    look = desk.look("2.6")
    mail, message = desk.mail(look, look.loaded.edition.neutral_reader)
    assert message.token == "0" * 32
    assert mail.raw
    assert sorted(path.relative_to(project).as_posix() for path in project.rglob("*")) == before


def test_with_the_key_it_is_the_message_that_will_be_sent(project, mailer):
    change(project / "mailer.toml", "# secret_env", "secret_env")
    desk = Desk(project, {"MAILER_SECRET": "a secret of thirty-two characters"})
    look = desk.look("2.6")
    _, message = desk.mail(look, look.loaded.edition.neutral_reader)
    assert message.token != "0" * 32
    assert desk.mail(look, look.loaded.edition.neutral_reader)[1] is message


def test_somebody_who_lacks_a_field_is_told_with_the_row(desk, project):
    change(project / "issues" / "2.6.md", 'first_name | default("friend")', "first_name")
    look = desk.look("2.6")
    person = find("desk@example.net", look.loaded.edition, project / "contacts", ("subscribers",))[0]
    with pytest.raises(InputError, match=r"contacts/subscribers\.csv:9: desk@example\.net has no first_name"):
        desk.mail(look, person.contact)
