"""mailer.toml: every mistake is named with its line, all at once; a secret is never printed."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alliance_mailer.config import Config, load_config
from alliance_mailer.errors import ConfigError, Problem

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


def problems(folder: Path, text: str | bytes) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        config(folder, text)
    assert all(problem.file == "mailer.toml" for problem in caught.value.problems)
    return list(caught.value.problems)


def only(folder: Path, text: str | bytes) -> Problem:
    found = problems(folder, text)
    assert len(found) == 1, found
    return found[0]


def replaced(key: str, value: str) -> str:
    return re.sub(rf"(?m)^{key} = .*$", lambda _: f"{key} = {value}", NEWSLETTER)


# Mistakes ---------------------------------------------------------------------------------------------------------


def test_all_missing_keys_are_named_at_once(tmp_path: Path) -> None:
    keys = ("name", "from", "organisation", "postal_address", "unsubscribe_mailto")
    for text, line in (("", None), ("[transport]\nuse = 'files'\n[newsletter]\n", 3)):
        found = problems(tmp_path, text)
        assert [problem.message for problem in found] == [f"newsletter.{key} is missing" for key in keys]
        assert all(problem.line == line and problem.hint for problem in found)


@pytest.mark.parametrize("key", ["name", "from", "organisation", "postal_address", "unsubscribe_mailto"])
@pytest.mark.parametrize("empty", ['""', '"  "'])
def test_an_empty_key_is_a_missing_one(tmp_path: Path, key: str, empty: str) -> None:
    problem = only(tmp_path, replaced(key, empty))
    assert problem.message == f"newsletter.{key} is missing"
    assert NEWSLETTER.splitlines()[problem.line - 1].startswith(key)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reply-to = 'x'", 'unknown key "reply-to" (did you mean "reply_to"?)'),
        ("'list.id' = 'x'", 'unknown key "list.id" (did you mean "list_id"?)'),
        ("zzz = 1", 'unknown key "zzz"'),
        ("language = 5", "newsletter.language: found a number, expected text in quotes"),
        ("language = true", "newsletter.language: found true or false, expected text in quotes"),
        ("language = ['en']", "newsletter.language: found a list, expected text in quotes"),
        ("language = {a = 1}", "newsletter.language: found a table, expected text in quotes"),
        ("language = 2023-03-31", "newsletter.language: found date, expected text in quotes"),
        ("language = 'english'", "newsletter.language: found 'english': expected a language tag (BCP 47)"),
        ("timezone = 'America/New York'", "newsletter.timezone: found 'America/New York': there is no such zone (did you mean \"America/New_York\"?)"),
        ("timezone = '../../etc/passwd'", "newsletter.timezone: found '../../etc/passwd': there is no such zone"),
        ("timezone = 'America'", "newsletter.timezone: found 'America': there is no such zone"),
        ("reply_to = 'nobody'", "newsletter.reply_to: found 'nobody': An email address must have an @-sign"),
        ("reply_to = 'größe@example.org'", "newsletter.reply_to: found 'größe@example.org': expected an address that every mail server"),
        ("list_id = 'digest'", "newsletter.list_id: found 'digest': expected a label and a domain of yours"),
        ("list_id = 'a b.example.org'", "newsletter.list_id: found 'a b.example.org': expected a label"),
        ("help_url = 'example.org'", "newsletter.help_url: found 'example.org': expected an address that begins with https://"),
        ("help_url = 'https://example.org/<x>'", "newsletter.help_url: found 'https://example.org/<x>': expected"),
        ("archive_url = 'https://example.org/a b'", "newsletter.archive_url: found"),
        ("archive_url = 'javascript:alert(1)'", "newsletter.archive_url: found"),
        ("assets_url = 'https://例え.jp/'", "newsletter.assets_url: found"),
        (f"assets_url = 'https://example.org/{'x' * 900}'", "newsletter.assets_url: found"),
        ("unsubscribe_url = 'http://example.org/u'", "newsletter.unsubscribe_url: found 'http://example.org/u': expected an address that begins with https:// (RFC 8058)"),
        ("unsubscribe_url = 'https://example.org/u?list=a'", "newsletter.unsubscribe_url: found 'https://example.org/u?list=a': expected a path"),
        ('language = "e\\nn"', "newsletter.language: a control character or line break in it"),
        ('language = "e\\u0085n"', "newsletter.language: a control character or line break in it"),
        ("secret_env = 'not a name'", "newsletter.secret_env is the name of an environment variable"),
    ],
)  # fmt: skip
def test_a_mistake_in_newsletter_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    problem = only(tmp_path, f"{NEWSLETTER}\n# a comment\n{line}\n")
    assert problem.line == 9
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", '"a\\tb"'), ("from", '"My Digest"'), ("from", '"My Digest <>"'), ("from", '"A <d@example.org> B"'), ("from", '"ü@example.org"'), ("from", "5"),
     ("unsubscribe_mailto", '"https://example.org"'), ("organisation", '"a\\nb"'), ("postal_address", '"a\\u0000b"')],
)  # fmt: skip
def test_a_mistake_in_a_needed_key_is_told_once(tmp_path: Path, key: str, value: str) -> None:
    problem = only(tmp_path, replaced(key, value))
    assert problem.message.startswith(f"newsletter.{key}: ")
    assert NEWSLETTER.splitlines()[problem.line - 1].startswith(key)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[transport]\nuse = 'smpt'", 9, 'transport.use names a file in transports/; found "smpt" (did you mean "smtp"?)'),
        ("[transport]\nhost = 'x'", 8, "transport.use names a file in transports/; it is missing (known: "),
        ("[transport]\nuse = 5", 9, "transport.use names a file in transports/; found 5 (known: "),
        ("[transport]\nuse = 'smtp'", 8, "transport.host is missing"),
        ("[transports.live]\nuse = 'smtp'\nhsot = 'x'\nhost = 'x'", 10, 'unknown key "hsot" for smtp (did you mean "host"?)'),
        ("[transports.live]\nuse = 'smtp'\nhost = 5", 10, "transports.live.host: found 5, expected text in quotes"),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\nport = '25'", 11, 'transports.live.port: found "25", expected a whole number'),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\nport = true", 11, "transports.live.port: found true, expected a whole number"),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\ntimeout = '5'", 11, 'transports.live.timeout: found "5", expected a number'),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\ntimeout = true", 11, "transports.live.timeout: found true, expected a number"),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\ntimeout = 1e300", 11, "transports.live.timeout: found 1e+300, expected a number"),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\ntimeout = -inf", 11, "transports.live.timeout: found -inf, expected a number"),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\ntimeout = nan", 11, "transports.live.timeout: found nan, expected a number"),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\ntls = 'ssl'", 11, 'transports.live.tls: found "ssl", expected "starttls" or "implicit" or "none"'),
        ("[transports.live]\nuse = 'smtp'\nhost = 'x'\ntls = false", 11, "transports.live.tls: found false, expected"),
        ('[transports.live]\nuse = "smtp"\nhost = "x\\r\\ny"', 10, "transports.live.host: a control character or line break in it"),
        ("[transports.live]", 8, "transports.live.use names a file in transports/; it is missing"),
        ("[transports]\nlive = 'smtp'", 9, "transports.live: found text, expected a table"),
        ("transports.live.use = 'smpt'", 8, 'unknown key "transports"'),
        ("[transports.default]\nuse = 'files'", 8, 'transports.default: "default" is [transport] itself'),
        ("[[transport]]\nuse = 'files'", 8, "transport: found a list, expected a table"),
        ("[transprot]\nuse = 'files'", 8, 'unknown table "transprot" (did you mean "transport"?)'),
        ("[ledger]\nurl = 'postgresql://db'", 9, "ledger.url: it names no database"),
        ("[ledger]\nurl = 'mysql://db/x'", 9, "ledger.url: found 'mysql://db/x', expected sqlite:///PATH or postgresql://…"),
        ("[ledger]\nurl = 'postgresql://me:hush@db/x'", 9, "ledger.url: a password in it"),
        ("[ledger]\nurl = 'postgresql://db/x?password=hush'", 9, "ledger.url: a password in it"),
        ("[ledger]\nurl = 'sqlite:///'", 9, "ledger.url: found 'sqlite:///', expected sqlite:///PATH"),
        ("[ledger]\npath = 'x'", 9, 'unknown key "path" (known: url)'),
    ],
)  # fmt: skip
def test_a_mistake_in_another_table_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    problem = only(tmp_path, f"{NEWSLETTER}\n{text}\n")
    assert (problem.line, problem.message[: len(message)]) == (line, message)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("ledger = 5\n", 1, "ledger: found a number, expected a table"),
        ("sender = 'x'\n", 1, 'unknown key "sender"'),
        ("transport.use = 'smpt'\n", 1, 'transport.use names a file in transports/; found "smpt"'),
        ("transport = {use = 'smpt'}\n", 1, 'transport.use names a file in transports/; found "smpt"'),
        ("\ntransports.live = {use = 'smtp'}\n", 2, "transports.live.host is missing"),
    ],
)
def test_a_mistake_above_all_tables_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    problem = only(tmp_path, f"{text}{NEWSLETTER}")
    assert problem.line == line
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[newsletter]\nname = My Digest\n", 2),
        ("[newsletter\n", 1),
        ("a = 1\na = 2\n", 2),
        ('a = "x\n', 1),
        ("\n\n=\n", 3),
    ],
)
def test_broken_toml_is_named_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    problem = only(tmp_path, text)
    assert problem.line == line
    assert problem.message.startswith("this is no TOML: ")
    assert "line" not in problem.message
    assert problem.hint == 'text goes in quotes: key = "…"'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'name = "caf\xe9"\n', "is not UTF-8"),
        (("a = " + "[" * 5000).encode(), "this is no TOML: "),
        (("a = " + "9" * 5000).encode(), "this is no TOML: "),
    ],
)
def test_a_file_that_is_no_toml_at_all_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    assert only(tmp_path, data).message.startswith(message)


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^mailer.toml: cannot be read: No such file"):
        load_config(tmp_path)


def test_mistakes_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "[transport]\nuse = 'x'\n[newsletter]\nlanguage = 5\n[ledger]\nurl = 'x'\nuri = 'y'\n"
    lines = [problem.line for problem in problems(tmp_path, text)]
    assert lines == [2, 3, 3, 3, 3, 3, 4, 6, 7]


def test_an_unknown_transport_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    read = config(tmp_path, f"{NEWSLETTER}[transports.live]\nuse = 'files'\n[transports.backup]\nuse = 'files'\n")
    with pytest.raises(ConfigError) as caught:
        read.transport("liev")
    assert str(caught.value) == 'mailer.toml: there is no transport "liev" (did you mean "live"?)'
    with pytest.raises(ConfigError, match=r"\(known: backup, live\)"):
        read.transport("zzzzzz")


# Secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "secret = 'hunter2!'",
        "secret_env = 'hunter2!'",
        "archive_url = 'https://me:hunter2!@example.org/'",
        "[transport]\nuse = 'smtp'\nhost = 'x'\npassword = 'hunter2!'",
        "[transport]\nuse = 'smtp'\nhost = 'x'\nAPI_KEY = 'hunter2!'",
        "[transport]\nuse = 'files'\ntoken = ['hunter2!']",
        "[transport]\nuse = 'smtp'\nhost = 'x'\npassword_env = ['hunter2']",
        "[transport]\nuse = 'smtp'\nhost = 'x'\npassword_env = 271828",
        "[transport]\npassword = 'hunter2!'",
        "[transport]\npassword = hunter2!",
        "[transport]\npassword = 'hunter2!",
        "[transports.a]\nuse = 'smtp'\nhost = 'x'\npassword_env = 'hunter2!'",
        "[ledger]\nurl = 'postgresql://me:hunter2!@db/x'",
        "[ledger]\npassword = 'hunter2!'",
    ],
)
def test_a_secret_in_the_file_is_an_error_and_is_not_printed(tmp_path: Path, text: str) -> None:
    problem = only(tmp_path, NEWSLETTER + text)
    assert problem.line
    assert not re.search("hunter2|271828", f"{problem} {problem.hint}")


@pytest.mark.parametrize("key", ["password", "smtp_passwd", "secret", "token", "api_key", "apikey", "API_KEY"])
@pytest.mark.parametrize("table", ["[transport]\nuse = 'smtp'\nhost = 'x'\n", "[ledger]\n", ""])
def test_what_is_called_a_secret_is_one(tmp_path: Path, table: str, key: str) -> None:
    assert f"{key} is a secret" in only(tmp_path, f"{NEWSLETTER}{table}{key} = 'x'\n").message


def test_a_secret_is_told_how_to_leave_the_file(tmp_path: Path) -> None:
    problem = only(tmp_path, f"{NEWSLETTER}[transport]\nuse = 'smtp'\nhost = 'x'\npassword = 'hunter2'\n")
    assert (
        str(problem) == "mailer.toml:10: transport.password is a secret; the file names an environment variable instead"
    )
    assert problem.hint == 'password_env = "MAILER_PASSWORD", and change the secret: git remembers it'


# Whatever is written ----------------------------------------------------------------------------------------------

EXAMPLE = (ROOT / "mailer.toml").read_text(encoding="utf-8")
VALUES = st.recursive(
    st.sampled_from(
        [
            "1",
            "-1.5",
            "nan",
            "true",
            "2023-03-31",
            '"x"',
            '"a@e.org"',
            '"https://e.org"',
            '"smtp"',
            '"files"',
            '"\\u0000"',
            "''",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda each: f"[{', '.join(each)}]") | inner.map("{{use = {}}}".format)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(
    [
        "name",
        "from",
        "organisation",
        "list_id",
        "language",
        "timezone",
        "secret_env",
        "password",
        "token",
        "use",
        "host",
        "port",
        "tls",
        "url",
        "x",
        "default",
    ]
)
LINES = st.one_of(
    st.sampled_from(
        ["newsletter", "transport", "transports", "transports.live", "transports.default", "ledger", "x"]
    ).map("[{}]".format),
    st.builds("{} = {}".format, KEYS, VALUES),
    st.builds("{}.{} = {}".format, st.sampled_from(["newsletter", "transports", "transport"]), KEYS, VALUES),
    st.text(max_size=5),
)


CUTS = st.tuples(st.integers(0, 2000), st.integers(0, 30)).map(lambda cut: EXAMPLE[: cut[0]] + EXAMPLE[sum(cut) :])


@given(st.lists(LINES).map("\n".join) | st.text() | CUTS)
@example("transports = {default = 1}")
def test_any_file_is_read_or_its_mistakes_are_told(tmp_path_factory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    for each in (text, f"{text}\n{NEWSLETTER}", f"{NEWSLETTER}{text}"):
        try:
            told = [config(folder, each.encode("utf-8", "surrogatepass")).transport(None).name]
        except ConfigError as error:
            told = [str(problem) for problem in error.problems]
        assert all(words == "default" or words.startswith("mailer.toml") for words in told)
