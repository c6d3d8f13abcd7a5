"""A list comes out of a spreadsheet: all of it is read, or what cannot be read is named with file and line."""

import csv
import io
import re
import subprocess
import sys
import tracemalloc
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import email_validator
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alliance_mailer.contact import (
    Contact,
    Suppression,
    canonical_address,
    read_contacts,
    read_lists,
    read_suppressions,
)
from alliance_mailer.errors import InputError, Problem


def contacts(folder: Path, data: bytes | str) -> list[Contact]:
    path = folder / "list.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(read_contacts(path, "contacts/list.csv"))


def mistake(folder: Path, data: bytes | str) -> Problem:
    with pytest.raises(InputError) as caught:
        contacts(folder, data)
    (problem,) = caught.value.problems
    assert problem.file == "contacts/list.csv"
    return problem


# Spreadsheets' ways of saving one table ------------------------------------------------------------------------------

TABLE = [
    ["email", "name", "city", "tags"],
    ["ken@example.org", "佐藤 健", "Kyōto", "policy;press"],
    ["bob@example.com", 'Robert "Bob", the; elder', "New\nYork", ""],
    ["zofia@example.net", "Zofia Łukasik", "", "europe"],
]


def saved(table: list[list[str]], *, encoding: str = "utf-8", delimiter: str = ",", end: str = "\n") -> bytes:
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(table)
    return text.getvalue().encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "bom utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_way_of_saving_a_table_is_read(tmp_path: Path, encoding: str, delimiter: str, end: str) -> None:
    bom = b"\xfe\xff" if encoding.startswith("bom") else b""
    data = bom + saved(TABLE, encoding=encoding.removeprefix("bom "), delimiter=delimiter, end=end)
    ken, bob, zofia = contacts(tmp_path, data)
    assert ken == Contact(
        "ken@example.org",
        {"email": "ken@example.org", "name": "佐藤 健", "city": "Kyōto"},
        ("policy", "press"),
        "contacts/list.csv:2",
    )
    assert (bob.fields["name"], bob.fields["city"], bob.tags) == ('Robert "Bob", the; elder', "New York", ())
    assert (bob.source, zofia.source) == ("contacts/list.csv:3", "contacts/list.csv:5")


CELLS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from('\n",;\t'))


@given(
    st.lists(st.tuples(CELLS, CELLS)),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8-sig", "utf-16"]),
)
def test_whatever_stands_in_the_cells_is_read_with_its_line(tmp_path_factory, rows, delimiter, end, encoding) -> None:
    table = [["email", "name", "city"], *([f"p{n}@example.org", *row] for n, row in enumerate(rows))]
    found = contacts(tmp_path_factory.getbasetemp(), saved(table, encoding=encoding, delimiter=delimiter, end=end))
    line = 2
    for contact, (name, city) in zip(found, rows, strict=True):
        assert contact.fields["name"] == re.sub(r"[\t\n]+ *", " ", name).strip()
        assert contact.fields["city"] == re.sub(r"[\t\n]+ *", " ", city).strip()
        assert contact.source == f"contacts/list.csv:{line}"
        line += 1 + name.count("\n") + city.count("\n")


@pytest.mark.parametrize(
    "heading",
    ["email,first_name", " E-mail Address , First Name", "EMAIL,Given-Name", '"Mail","firstname"', "e-mail,Forename",
     "Email  address,FIRST NAME"],
)  # fmt: skip
def test_the_usual_headings_are_understood(tmp_path: Path, heading: str) -> None:
    (ken,) = contacts(tmp_path, f"{heading}\nken@example.org,Ken\n")
    assert ken.fields == {"email": "ken@example.org", "first_name": "Ken"}


def test_separators_inside_a_quoted_heading_are_none(tmp_path: Path) -> None:
    (ken,) = contacts(tmp_path, 'email;"Last, First, Middle"\nken@example.org;Ken\n')
    assert ken.fields == {"email": "ken@example.org", "last,_first,_middle": "Ken"}


def test_all_aliases_lead_to_the_five_columns(tmp_path: Path) -> None:
    (ken,) = contacts(tmp_path, "e-mail,Full Name,Given name,Surname,Groups\na@e.org,K S,K,S,x; y ;;\n")
    assert ken.fields == {"email": "a@e.org", "name": "K S", "first_name": "K", "last_name": "S"}
    assert ken.tags == ("x", "y")


def test_empty_rows_are_passed_over_and_short_rows_filled_up(tmp_path: Path) -> None:
    one, two = contacts(tmp_path, "email,name,city\n\n,,\n  \na@e.org\n\nb@e.org,B,,\n")
    assert (one.fields, one.source) == ({"email": "a@e.org", "name": "", "city": ""}, "contacts/list.csv:5")
    assert (two.fields["name"], two.source) == ("B", "contacts/list.csv:7")


def test_a_column_without_a_heading_is_left_out(tmp_path: Path) -> None:
    (ken,) = contacts(tmp_path, "email,,name\nken@example.org,secret,Ken\n")
    assert ken.fields == {"email": "ken@example.org", "name": "Ken"}


def test_a_heading_alone_is_an_empty_list(tmp_path: Path) -> None:
    assert contacts(tmp_path, "email,name\n") == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"name": "A B", "first_name": "C"}, "A B"), ({"first_name": "C", "last_name": "D"}, "C D"),
     ({"last_name": "D"}, "D"), ({"email": "a.b@e.org"}, "")],
)  # fmt: skip
def test_a_name_is_never_guessed(fields: dict[str, str], name: str) -> None:
    assert Contact("a.b@e.org", fields).name == name


# What cannot be read ------------------------------------------------------------------------------------------------

MANY = "email,name\n" + "".join(f"p{n}@example.org,Person {n}\n" for n in range(3000))


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        ("", 1, 'no "email" column; it names: nothing'),
        ("name,city\nA,B\n", 1, 'no "email" column; it names: name, city'),
        ("ken@example.org,Ken\n", 1, 'no "email" column'),
        ("email,name,Name\na@e.org,A,B\n", 1, "two columns are called name"),
        ("E-mail,email\na@e.org,b@e.org\n", 1, "two columns are called email"),
        ("email,name\na@e.org,A\nb@e.org,B,C\n", 3, "3 cells, but the heading names 2 columns"),
        ('email,name\na@e.org,A\nb@e.org,"B\nc@e.org,C\n', 3, "no CSV row: unexpected end of data"),
        ('email,name\na@e.org,"A"B\n', 2, "no CSV row"),
        ('"email\n', 1, "no CSV row"),
        ("email,name\na@e.org,A\nb@e.org,B\0\n", 3, "a control character in name"),
        ('email,name\n"a@e.org","A\nA"\nb@e.org,B\x1b[31m\n', 4, "a control character in name"),
        ("email,name\na@e.org,A\N{LINE SEPARATOR}B\n", 2, "a control character in name"),
        ("email,name\na@e.org,\x92\n", 2, "a control character in name"),
        ("email,name\na@e.org," + "x" * 200_000, 2, "field larger than field limit"),
        ("email,name\na@e.org,Zoë\n".encode("cp1252"), 2, "byte 0xEB is not utf-8"),
        ("email,name\na@e.org,佐藤\n".encode("cp932"), 2, "byte 0x8D is not utf-8"),
        ("email,név\na@e.org,x\n".encode("cp1252"), 1, "byte 0xE9 is not utf-8"),
        (MANY.encode() + "z@e.org,Zoë\n".encode("cp1252"), 3002, "byte 0xEB is not utf-8"),
        ("email,name\na@e.org,ü".encode()[:-1], 2, "byte 0xC3 is not utf-8"),
        ("email,name\na@e.org,A\n".encode("utf-16")[:-1], None, "is not utf-16"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, data, line: int | None, words: str) -> None:
    problem = mistake(tmp_path, data)
    assert problem.line == line
    assert words in problem.message


@pytest.mark.parametrize("data", ["name\nA\n", "email\na@e.org,b\n", "email\nü\n".encode("cp1252")])
def test_a_mistake_in_a_list_says_what_to_do(tmp_path: Path, data) -> None:
    assert mistake(tmp_path, data).hint


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contacts/list.csv: cannot be read"):
        list(read_contacts(tmp_path, "contacts/list.csv"))


@given(st.binary(max_size=80) | st.text().map(lambda text: f"email,name\n{text}".encode("utf-8", "surrogatepass")))
@example(b"\xff\xfe\x00")
@example(b"e\0m\0a")
def test_no_bytes_are_too_odd_to_be_told(tmp_path_factory, data: bytes) -> None:
    try:
        told = [contact.source for contact in contacts(tmp_path_factory.getbasetemp(), data)]
    except InputError as error:
        told = [str(problem) for problem in error.problems]
    assert all(each.startswith("contacts/list.csv:") for each in told)


# Invalid addresses ----------------------------------------------------------------------------------------------------


def test_invalid_addresses_come_out_with_their_line_and_reason(tmp_path: Path) -> None:
    odd = ["no-at-sign", "a@b@e.org", "a b@e.org", ".a@e.org", "a@e", "a@-e.org", "ken@e..org", f"{'x' * 250}@e.org",
           "<a@e.org>", "a@e.org, b@e.org", "", "a\x01b@e.org"]  # fmt: skip
    found = contacts(tmp_path, saved([["email", "name"], *([address, "N"] for address in odd)]))
    assert [contact.source for contact in found] == [f"contacts/list.csv:{n}" for n in range(2, 2 + len(odd))]
    assert all(contact.invalid and not contact.invalid.endswith(".") for contact in found)
    assert [contact.fields["email"] for contact in found] == [*odd[:-1], "a\N{REPLACEMENT CHARACTER}b@e.org"]
    assert "@-sign" in found[0].invalid
    assert found[-2].invalid == "no address"
    assert "control character" in found[-1].invalid


def test_two_rows_without_an_address_are_not_one(tmp_path: Path) -> None:
    found = contacts(tmp_path, "email,name\n,A\n,B\n")
    assert [contact.address for contact in found] == [
        "(no address, contacts/list.csv:2)",
        "(no address, contacts/list.csv:3)",
    ]


# The canonical address ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (" Ken.Sato+News@Example.ORG ", "ken.sato+news@example.org"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("juergen@München.example.org", "juergen@xn--mnchen-3ya.example.org"),
        ("hanako@例え.example.org", "hanako@xn--r8jz45g.example.org"),
        ("Jose\N{COMBINING ACUTE ACCENT}@Example.org", "josé@example.org"),
        ("a_b-c@sub.domain.co.uk", "a_b-c@sub.domain.co.uk"),
        ("a@xn--MNCHEN-3ya.de", "a@xn--mnchen-3ya.de"),
        ("\N{KELVIN SIGN}en@example.org", "ken@example.org"),
        ("J\N{COMBINING CARON}@example.org", "\N{LATIN SMALL LETTER J WITH CARON}@example.org"),
        ("a@example.u\N{LATIN SMALL LETTER LONG S}", "a@example.us"),
    ],
)
def test_two_spellings_of_an_address_are_one(written: str, canonical: str) -> None:
    assert canonical_address(written) == canonical
    assert canonical_address(canonical) == canonical


ODD = "\N{KELVIN SIGN}\N{LATIN SMALL LETTER LONG S}ıßé例@' \u200d!#"
LETTERS = st.text(st.sampled_from("abcXYZ019.+-_") | st.sampled_from("a" * 40 + ODD), min_size=1, max_size=12)
ADDRESSES = st.builds(
    "{}@{}{}".format,
    LETTERS | st.just("x" * 64) | st.just("x" * 65),
    LETTERS | st.just("y" * 63) | st.just("y" * 64) | st.just("y." * 90),
    st.sampled_from([".org", ".COM", ".co.uk", ".example", ".u\N{LATIN SMALL LETTER LONG S}", ".", ""]),
)


@given(ADDRESSES)
@example("a@b--c.org")
@example("a@xn--c.org")
@example("a--b@c.org")
@example("a@b-.org")
@example("x" * 64 + "@" + "y" * 63 + "." + "z" * 63 + "." + "w" * 57 + ".org")
@example("x" * 64 + "@" + "y" * 63 + "." + "z" * 63 + "." + "w" * 58 + ".org")
def test_the_quick_way_agrees_with_email_validator(address: str) -> None:
    try:
        judged = email_validator.validate_email(address.strip(), check_deliverability=False)
    except email_validator.EmailNotValidError:
        with pytest.raises(ValueError):
            canonical_address(address)
    else:
        local = unicodedata.normalize("NFC", judged.local_part.lower())
        assert canonical_address(address) == f"{local}@{judged.ascii_domain.lower()}"


def test_plain_addresses_need_no_email_validator() -> None:
    program = "import sys; from alliance_mailer.contact import canonical_address as c; c('a.b+c@d-e.example.org')"
    program += "; print('email_validator' in sys.modules, end=' '); c('ü@example.org')"
    program += "; print('email_validator' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"


# Long lists -----------------------------------------------------------------------------------------------------------


def test_a_long_list_streams_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("w") as stream:
        stream.write("email,name,first_name,last_name,tags\n")
        stream.writelines(f"person.{n}@example.org,Person {n},Person,{n},a;b\n" for n in range(60_000))
    tracemalloc.start()
    count = sum(1 for _ in read_contacts(path, "long.csv"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 1_000_000 < path.stat().st_size


def test_lists_are_read_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("email\na@e.org\n")
    (tmp_path / "b.csv").write_text("email\nb@e.org\na@e.org\n")
    found = [(contact.address, contact.source) for contact in read_lists(tmp_path, ["b", "a"])]
    folder = tmp_path.name
    assert found == [
        ("b@e.org", f"{folder}/b.csv:2"),
        ("a@e.org", f"{folder}/b.csv:3"),
        ("a@e.org", f"{folder}/a.csv:2"),
    ]


def test_an_unknown_list_is_told_with_the_nearest_one(project: Path) -> None:
    (project / "contacts" / "other.csv").mkdir()
    with pytest.raises(InputError) as caught:
        list(read_lists(project / "contacts", ["subscriber"]))
    assert str(caught.value) == ('contacts/subscriber.csv: there is no list "subscriber" (did you mean "subscribers"?)')
    with pytest.raises(InputError, match='there is no list "other"'):
        list(read_lists(project / "contacts", ["other"]))
    with pytest.raises(InputError, match=r'there is no list "suppresed" \(known: subscribers\)'):
        list(read_lists(project / "contacts", ["suppresed"]))


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    lists = read_lists(tmp_path, ["missing"])
    assert isinstance(lists, Iterator)
    with pytest.raises(InputError):
        next(lists)


# Suppressions ---------------------------------------------------------------------------------------------------------


def suppressions(folder: Path, text: str) -> list[Suppression]:
    (folder / "suppressed.csv").write_text(text)
    return list(read_suppressions(folder / "suppressed.csv", "contacts/suppressed.csv"))


def test_suppressions_are_read_by_canonical_address(tmp_path: Path) -> None:
    found = suppressions(tmp_path, "E-Mail;reason;since;source\n Ken@MÜNCHEN.example;complaint;2023-03-02;reply\n;;;\n")
    assert found == [Suppression("ken@xn--mnchen-3ya.example", "complaint", "2023-03-02", "reply")]


def test_a_suppression_needs_an_address_and_nothing_else(tmp_path: Path) -> None:
    assert suppressions(tmp_path, "email\na@e.org\n") == [Suppression("a@e.org")]


@pytest.mark.parametrize("row", ["not an address,unsubscribe", ",unsubscribe", "@example.org,bounce"])
def test_a_suppression_that_nobody_can_be_kept_by_stops_us(tmp_path: Path, row: str) -> None:
    with pytest.raises(InputError, match=r"^contacts/suppressed.csv:3: .* is no address"):
        suppressions(tmp_path, f"email,reason\na@e.org,x\n{row}\n")


def test_no_file_is_no_suppression_but_a_broken_link_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "suppressed.csv"
    assert list(read_suppressions(path, "contacts/suppressed.csv")) == []
    path.symlink_to(tmp_path / "on-a-disk-that-is-not-mounted.csv")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_suppressions(path, "contacts/suppressed.csv"))
