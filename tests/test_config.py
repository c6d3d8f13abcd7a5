"""mailer.toml is read into plain values."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alliance_mailer.config import Config, find_project, load_config
from alliance_mailer.errors import ConfigError
from alliance_mailer.publication import default_list_id
from alliance_mailer.transports import files, smtp

ROOT = Path(__file__).parents[1]
NEWSLETTER = """[newsletter]
name = "My Digest"
from = "My Digest <digest@example.org>"
organisation = "An Institute"
postal_address = "1 Example Street"
unsubscribe_mailto = "unsubscribe@example.org"
"""  # lines 1 to 6


def config(folder: Path, text: str | bytes) -> Config:
    (folder / "mailer.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(folder)


def replaced(key: str, value: str) -> str:
    return re.sub(rf"(?m)^{key} = .*$", lambda _: f"{key} = {value}", NEWSLETTER)


# What is read -----------------------------------------------------------------------------------------------------


def test_the_example() -> None:
    read = load_config(ROOT)
    assert read.publication.name == "US-Japan Alliance Digest"
    assert read.publication.timezone == ZoneInfo("America/New_York")
    assert (read.transport(None).use, read.ledger, read.secret_env) == ("files", ROOT / ".mailer/ledger.db", "")


def test_every_key(tmp_path: Path) -> None:
    read = config(
        tmp_path,
        NEWSLETTER
        + """language = "pt-BR"
timezone = "Asia/Tokyo"
reply_to = "Editors@Example.org"
list_id = "digest.example.org"
help_url = "https://example.org/help"
archive_url = "http://example.org:8080/a?b=c#d"
assets_url = "https://example.org"
unsubscribe_url = "https://example.org/u"
secret_env = "MAILER_SECRET"
[transport]
use = "files"
folder = "out"
[transports.live]
use = "smtp"
host = "mail.example.org"
port = 2525
tls = "implicit"
ca_file = "ca.pem"
user = "me"
password_env = "SMTP_PASSWORD"
timeout = 5
bounce_address = "bounce@example.org"
[ledger]
url = "sqlite:///somewhere/else.db"
""",
    )
    publication = read.publication
    assert (publication.sender_name, publication.sender, publication.domain) == (
        "My Digest",
        "digest@example.org",
        "example.org",
    )
    assert (publication.organisation, publication.postal_address) == ("An Institute", "1 Example Street")
    assert (publication.language, publication.timezone) == ("pt-BR", ZoneInfo("Asia/Tokyo"))
    assert (publication.reply_to, publication.list_id) == ("editors@example.org", "digest.example.org")
    assert (publication.help_url, publication.archive_url) == (
        "https://example.org/help",
        "http://example.org:8080/a?b=c#d",
    )
    assert (publication.assets_url, publication.unsubscribe_url) == ("https://example.org", "https://example.org/u")
    assert publication.unsubscribe_mailto == "unsubscribe@example.org"
    assert read.secret_env == "MAILER_SECRET"
    assert read.ledger == tmp_path / "somewhere/else.db"
    assert read.transport(None).options == files.Options(folder="out")
    live = read.transport("live")
    assert (live.name, live.use) == ("live", "smtp")
    assert live.options == smtp.Options(
        host="mail.example.org", port=2525, tls="implicit", ca_file="ca.pem", user="me", password_env="SMTP_PASSWORD",
        timeout=5, bounce_address="bounce@example.org",
    )  # fmt: skip


def test_what_is_left_out(tmp_path: Path) -> None:
    read = config(tmp_path, NEWSLETTER)
    publication = read.publication
    assert (publication.language, publication.timezone) == ("en", ZoneInfo("UTC"))
    assert publication.list_id == "my-digest.example.org"
    optional = (
        publication.reply_to,
        publication.help_url,
        publication.archive_url,
        publication.assets_url,
        publication.unsubscribe_url,
    )
    assert optional == (None,) * 5
    assert (read.transport(None).use, read.ledger, read.secret_env) == ("files", tmp_path / ".mailer/ledger.db", "")


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ('"digest@example.org"', "My Digest", "digest@example.org"),
        ('"<Digest@Example.ORG>"', "My Digest", "digest@example.org"),
        ("'\" Jo \" <d@example.org>'", "Jo", "d@example.org"),
        ('"Sato, Jones & Co <d@example.org>"', "Sato, Jones & Co", "d@example.org"),
        ('\'"Sato, \\"Jo\\" Jones" <d@example.org>\'', 'Sato, "Jo" Jones', "d@example.org"),
        ('"日米 通信 <d@例え.jp>"', "日米 通信", "d@xn--r8jz45g.jp"),
    ],
)
def test_the_sender_is_a_name_and_an_address(tmp_path: Path, written: str, name: str, address: str) -> None:
    publication = config(tmp_path, replaced("from", written)).publication
    assert (publication.sender_name, publication.sender) == (name, address)


def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    text = replaced("postal_address", '"""\n1 Example Street\nWashington"""')
    assert config(tmp_path, text) == config(tmp_path, text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert config(tmp_path, text).publication.postal_address == "1 Example Street\nWashington"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("US-Japan  Digest!", "us-japan-digest"),
        ("日米通信", "newsletter"),
        ("é", "newsletter"),
        ("x" * 99, "x" * 60),
        ("--", "newsletter"),
    ],
)
def test_a_list_id_derives_from_any_name(name: str, label: str) -> None:
    assert default_list_id(name, "example.org") == f"{label}.example.org"


def test_the_publication_is_the_nearest_folder_upwards(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "mailer.toml").touch()
    (tmp_path / "a" / "mailer.toml").mkdir()
    assert find_project(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "mailer.toml").unlink()
    with pytest.raises(ConfigError, match=r"there is no mailer.toml in .*a/b or above it") as caught:
        find_project(tmp_path / "a" / "b")
    assert caught.value.hint == "mailer init my-digest"
