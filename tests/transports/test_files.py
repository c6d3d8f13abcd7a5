"""Messages as files: names that no address can break out of, files that are whole, folders that are ours."""

from email import message_from_bytes, policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance_mailer.errors import ConfigError, TryLater
from alliance_mailer.transports.files import Files, Options, connect, describe, file_name, written

from .contract import TransportContract
from .letters import letter, send, small


def opened(project: Path, *, folder: str = "outbox", issue: str = "2.6", fresh: bool = False) -> Files:
    return connect(Options(folder), project=project, issue=issue, environ={}, fresh=fresh)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


class TestContract(TransportContract):
    @pytest.fixture
    def transport(self, tmp_path):
        self.folder = tmp_path / "outbox" / "2.6"
        return opened(tmp_path)

    def arrived(self, transport):
        return [each.read_bytes() for each in self.folder.glob("*")]


# Names ----------------------------------------------------------------------------------------------------------------

_LETTERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(
    _LETTERS
    | st.sampled_from(["../../etc/passwd", "/etc/passwd", ".", "..", ".hidden", "a/b@example.org", "a\0b", "%2e%2e%2f"])
)
def test_a_files_name_is_one_name_in_its_folder_whatever_the_address(address):
    name = file_name(address)
    assert (Path("/outbox") / name).resolve().parent == Path("/outbox")
    assert name.endswith(".eml")
    assert not name.startswith(".")
    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= 255


@given(_LETTERS, _LETTERS)
def test_no_two_addresses_share_a_file(one, other):
    assert (file_name(one) == file_name(other)) == (one == other)


def test_addresses_that_differ_only_at_the_end_do_not_share_a_file():
    one, other = "ü" * 60 + "a@example.org", "ü" * 60 + "b@example.org"
    assert file_name(one) != file_name(other)


def test_a_plain_address_is_its_own_name():
    assert file_name("o'brien+digest@example.org") == "o'brien+digest@example.org.eml"


@pytest.mark.parametrize(
    "address", ["../../../escaped@example.org", ".hidden@example.org", "a/b@example.org", "ü" * 64 + "@example.org"]
)
def test_a_hostile_address_gets_a_file_in_the_folder_like_everybody(tmp_path, edition, address):
    send(opened(tmp_path), [letter(small(edition), address)])
    assert names(tmp_path) == ["outbox"]
    written = tmp_path / "outbox" / "2.6" / file_name(address)
    assert [*tmp_path.rglob("*.eml")] == [written]
    assert message_from_bytes(written.read_bytes(), policy=policy.default)["Subject"]


# Whole or not at all ----------------------------------------------------------------------------------------------


def test_sending_again_replaces_the_file_and_leaves_no_draft(tmp_path, edition):
    transport = opened(tmp_path)
    send(transport, [letter(edition, name="Ann")])
    send(transport, [letter(edition, name="Anna")])
    assert names(tmp_path / "outbox" / "2.6") == ["ann@example.org.eml"]
    assert b"To: Anna <ann@example.org>" in (tmp_path / "outbox" / "2.6" / "ann@example.org.eml").read_bytes()


def test_a_full_disk_is_a_reason_to_try_later_and_leaves_what_was_there(tmp_path, edition, small_disk):
    transport, path = opened(tmp_path), tmp_path / "outbox" / "2.6" / "ann@example.org.eml"
    send(transport, [letter(small(edition))])
    before = path.read_bytes()
    with small_disk(50_000), pytest.raises(TryLater, match="cannot be written: File too large") as full:
        send(transport, [letter(edition)])
    assert "run the same command again" in full.value.hint
    assert names(path.parent) == ["ann@example.org.eml"]
    assert path.read_bytes() == before


def test_a_file_where_the_folder_should_be_is_a_reason_to_try_later(tmp_path, edition):
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(TryLater, match="cannot be written"):
        send(opened(tmp_path), [letter(edition)])


# The folder -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["..", "../elsewhere", "/tmp", "", ".", "outbox/..", "link/inside"])
def test_a_folder_outside_the_publication_or_the_publication_itself_is_refused(tmp_path, folder):
    project = tmp_path / "digest"
    project.mkdir()
    (project / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"transport\.folder"):
        opened(project, folder=folder)
    assert names(tmp_path) == ["digest"]


def test_an_issue_does_not_lead_out_of_the_publication(tmp_path):
    with pytest.raises(ConfigError, match=r"transport\.folder"):
        opened(tmp_path, issue="../../elsewhere")


def test_another_folder_in_the_publication_will_do(tmp_path, edition):
    send(opened(tmp_path, folder="letters/out box"), [letter(edition)])
    assert names(tmp_path / "letters" / "out box" / "2.6") == ["ann@example.org.eml"]
    assert describe(Options("letters/out box"), "2.6") == "files → letters/out box/2.6 (nothing leaves this machine)"


def test_a_fresh_rehearsal_removes_the_last_ones_messages_and_nothing_else(tmp_path, edition):
    send(opened(tmp_path), [letter(edition)])
    send(opened(tmp_path, issue="2.7"), [letter(edition)])
    folder = tmp_path / "outbox" / "2.6"
    (folder / "notes.txt").write_text("mine")
    (folder / ".ann@example.org.eml.part").write_text("half")
    opened(tmp_path)
    assert len(names(folder)) == 3
    opened(tmp_path, fresh=True)
    assert names(folder) == ["notes.txt"]
    assert names(tmp_path / "outbox" / "2.7") == ["ann@example.org.eml"]


def test_a_message_that_cannot_be_removed_is_a_reason_to_try_later(tmp_path):
    (tmp_path / "outbox" / "2.6" / "a folder.eml").mkdir(parents=True)
    with pytest.raises(TryLater, match=r"outbox/2\.6 cannot be emptied"):
        opened(tmp_path, fresh=True)


def test_a_rehearsal_remains_as_long_as_its_messages_do(tmp_path, edition):
    assert written(Options(), tmp_path, "2.6") == 0
    send(opened(tmp_path), [letter(edition)])
    assert written(Options(), tmp_path, "2.6") == 1
