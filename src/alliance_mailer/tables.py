"""The tables of a TOML file, read key by key: a key is named by its path, and each mistake stands at its line."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from .errors import Problem, did_you_mean
from .setting import STRING, TABLE, Setting, found

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Tables:
    """Reads tables and gathers what is wrong in them. A key's path is such as transports.live.host."""

    def __init__(self, file: str, text: str) -> None:
        self.lines = _key_lines(text)
        self.problems: list[Problem] = []
        self._file = file

    def problem(self, path: str, message: str, hint: str = "") -> None:
        """Write down what is wrong with a key. One that is missing is missed where its table begins."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        message = re.sub(r"//\S*@", "//…@", message)  # a password in a URL
        self.problems.append(Problem(self._file, self.lines.get(path), message, hint))

    def table(self, path: str, value: Any) -> dict[str, Any]:
        """A table; nothing where it is none, and that is a problem."""
        if isinstance(value, dict):
            return value
        self.problem(path, f"{path}: found {found(value)}, expected {TABLE}", f"[{path}]")
        return {}

    def settings(self, name: str, table: dict[str, Any], known: Mapping[str, Setting]) -> dict[str, Any]:
        """The values of a table, each as its setting reads it."""
        values: dict[str, Any] = {}
        for key, value in table.items():
            path = f"{name}.{key}"
            if self.is_secret(path, key, value, known):
                continue
            if key in known:
                values |= self.setting(path, key, value, known[key])
            else:
                self.problem(path, f'unknown key "{key}"{did_you_mean(key, known)}')
        return values

    def setting(self, path: str, key: str, value: Any, about: Setting) -> dict[str, Any]:
        """One value as its setting reads it, by its key; nothing where it cannot."""
        try:
            return {key: about.read(value)}
        except ValueError as error:
            self.problem(path, f"{path}: {error}", f"{key} = {about.example or about.default}")
            return {}

    def strings(self, name: str, table: dict[str, Any], known: Collection[str]) -> dict[str, str]:
        """The values of a table of texts."""
        values = {}
        for key, value in table.items():
            path = f"{name}.{key}"
            if self.is_secret(path, key, value, known):
                continue
            if key not in known:
                self.problem(path, f'unknown key "{key}"{did_you_mean(key, known)}')
            elif not isinstance(value, str):
                self.problem(path, f"{path}: found {found(value)}, expected {STRING}")
            elif CONTROL.search(value.replace("\n", "") if key == "postal_address" else value):
                self.problem(path, f"{path}: a control character or line break in it")
            else:
                values[key] = value.strip()
        return values

    def is_secret(self, path: str, key: str, value: object, known: Collection[str]) -> bool:
        """Whether a value must not be read, and is a problem: a secret itself, never printed, or no variable's name."""
        if re.search(r"(password|passwd|secret|token|api_?key)$", key, re.IGNORECASE) and key not in known:
            self.problem(path, f"{path} is a secret; the file names an environment variable instead",
                          f'{key}_env = "MAILER_{key.upper()}", and change the secret: git remembers it')  # fmt: skip
            return True
        named = isinstance(value, str) and re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", value)
        if key.endswith("_env") and not named:
            self.problem(path, f"{path} is the name of an environment variable: letters, digits and underscores",
                          f'{key} = "MAILER_{key.removesuffix("_env").upper()}"')  # fmt: skip
            return True
        return False


def _key_lines(text: str) -> dict[str, int]:
    """The line of each table and key, by its path; tomllib does not tell."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        path = ""
        if heading := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            path = table = re.sub(r"[\s\"']", "", heading[1])
        elif key := re.match(r"""\s*([\w.\s"'-]+?)\s*=""", line):
            path = ".".join(filter(None, (table, re.sub(r"[\s\"']", "", key[1]))))
        while path and path not in lines:  # a.b.c stands also for a.b, and for a
            lines[path] = number
            path = path.rpartition(".")[0]
    return lines
