"""An error says where, what, and what to type next."""

import pytest

from alliance_mailer import errors
from alliance_mailer.errors import InputError, MailerError, Problem, did_you_mean


def test_each_kind_of_error_has_the_exit_code_that_scripts_rely_on() -> None:
    kinds = (errors.UsageError, errors.CheckFailed, errors.InputError, errors.TransportRefused, errors.TryLater,
             errors.EditionChanged, errors.SentElsewhere, errors.ConfigError,
             errors.NotApproved, errors.TooLate)  # fmt: skip
    assert [kind.code for kind in kinds] == [2, 1, 65, 69, 75, 77, 77, 78, 77, 1]
    assert set(kinds) == set(MailerError.__subclasses__())


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Problem("a.md", 3, "is odd"), "a.md:3: is odd"),
        (Problem("a.md", None, "is odd"), "a.md: is odd"),
        (Problem("", None, "is odd"), "is odd"),
    ],
)
def test_a_problem_begins_with_its_place(problem: Problem, words: str) -> None:
    assert str(problem) == words


def test_an_error_tells_all_its_problems_and_the_first_hint() -> None:
    error = InputError([Problem("a", 1, "x"), Problem("a", 2, "y", "try z"), Problem("a", 3, "w", "try v")])
    assert str(error) == "a:1: x\na:2: y\na:3: w"
    assert error.hint == "try z"
    assert InputError("x", hint="try z").problems == (Problem("", None, "x", "try z"),)
    assert InputError("x").hint == ""


@pytest.mark.parametrize(
    ("word", "known", "words"),
    [
        ("titel", ["title", "date"], ' (did you mean "title"?)'),
        ("zzz", ["title", "date"], " (known: date, title)"),
        ("zzz", [], ""),
        ("zzz", map(str, range(20)), f" (known: {', '.join(sorted(map(str, range(20))))})"),
        ("zzz", map(str, range(21)), ""),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest_known_one(word: str, known: list[str], words: str) -> None:
    assert did_you_mean(word, known) == words
