"""A template: a folder with message.mjml.j2 and its style sheets, rendered in Jinja's sandbox.

Errors name the template's own file and line, also those that show only in the finished text.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.filters
import jinja2.sandbox

from .disk import read_text
from .errors import InputError, Problem
from .slots import Field, Markers


class MergeField:
    """A contact's field in a template: prints a marker, and refuses all that would need the person's value now."""

    def __init__(self, markers: Markers, field: Field) -> None:
        self._markers, self._field = markers, field

    def __str__(self) -> str:
        return self._markers.mark(self._field)

    __html__ = __str__

    def or_else(self, fallback: str) -> "MergeField":
        """The same field with a fallback."""
        return MergeField(self._markers, Field(self._field.name, fallback))

    def _refuse(self, *_: object) -> NoReturn:
        message = f"contact.{self._field.name} has no value yet: an issue is compiled once, for everybody"
        raise jinja2.TemplateRuntimeError(message)

    __bool__ = __len__ = __iter__ = __eq__ = __lt__ = __gt__ = __contains__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class ContactFields:
    """`contact` in a template: any name is a field."""

    def __init__(self, markers: Markers) -> None:
        self._markers = markers

    def __getattr__(self, name: str) -> MergeField:
        if name.startswith("_"):
            raise AttributeError(name)
        return MergeField(self._markers, Field(name.lower()))


def _default(value: Any, fallback: Any = "", boolean: bool = False) -> Any:
    if isinstance(value, MergeField):
        return value.or_else(str(fallback))
    return jinja2.filters.do_default(value, fallback, boolean)


# The folder ------------------------------------------------------------------------------------------------------

_MARK = re.compile("\ue000([0-9]+):([0-9]+)\ue001")


class _LineMarks(jinja2.ext.Extension):
    """Marks where each line of template text came from, so that an error in the result names the template's line."""

    def filter_stream(self, stream: Any) -> Any:
        files: list[str] = self.environment.mailer_files  # type: ignore[attr-defined]
        name = stream.name or "?"
        if name not in files:
            files.append(name)
        for token in stream:
            lines = enumerate(token.value.split("\n"), token.lineno) if token.type == "data" else ()
            marked = "\n".join(f"\ue000{files.index(name)}:{n}\ue001{line}" for n, line in lines)
            yield jinja2.lexer.Token(token.lineno, token.type, marked or token.value)


class Theme:
    """A template's folder."""

    def __init__(self, folder: Path, name: str, markers: Markers) -> None:
        self._folder, self._name = folder, name
        self._env = jinja2.sandbox.SandboxedEnvironment(
            loader=jinja2.FileSystemLoader(folder),
            autoescape=lambda template: template is None or not template.endswith(".txt.j2"),
            undefined=jinja2.StrictUndefined,
            extensions=[_LineMarks],
            keep_trailing_newline=True,
        )
        self._env.mailer_files = []  # type: ignore[attr-defined]
        self._env.filters["default"] = self._env.filters["d"] = _default

    def render(self, name: str, context: Mapping[str, Any]) -> tuple[str, list[tuple[str, int]]]:
        """The text, and for each of its lines the template's file and line. Raises InputError."""
        try:
            marked = self._env.get_template(name).render(context)
        except jinja2.TemplateSyntaxError as error:
            raise self._error(error.name or name, error.lineno, error.message or "syntax error") from None
        except jinja2.TemplateNotFound as error:
            raise self._error(
                *self._raised_in(error, name), f"there is no {error.name!r} in the template's folder"
            ) from None
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 (a template may raise anything; the line is what helps)
            raise self._error(*self._raised_in(error, name), str(error) or type(error).__name__) from None
        lines: list[tuple[str, int]] = []
        here = (f"{self._name}/{name}", 1)
        files = self._env.mailer_files  # type: ignore[attr-defined]
        for line in marked.split("\n"):
            marks = _MARK.findall(line)
            starts_here = _MARK.match(line)
            first = marks[0] if marks else None
            if first:
                place = (f"{self._name}/{files[int(first[0])]}", int(first[1]))
                here = place if starts_here or not lines else here
            lines.append(here)
            if marks:
                here = (f"{self._name}/{files[int(marks[-1][0])]}", int(marks[-1][1]))
        return _MARK.sub("", marked), lines

    def css(self, name: str) -> str:
        """A style sheet of the folder, empty where there is none. Raises InputError for what would fetch something."""
        path = self._folder / name
        if not path.is_file():
            return ""
        css = read_text(path, f"{self._name}/{name}")
        for number, line in enumerate(css.split("\n"), 1):
            # cssutils would fetch it, even file:// and in spite of allow_network=False; mail clients would too.
            if re.search(r"@import|</", line, re.IGNORECASE):
                raise self._error(name, number, "@import and </ have no place in a message's style sheet")
        return css

    def _raised_in(self, error: Exception, name: str) -> tuple[str, int]:
        trace, place = error.__traceback__, (name, 1)
        while trace:
            file = Path(trace.tb_frame.f_code.co_filename)
            if file.is_relative_to(self._folder):
                place = (file.relative_to(self._folder).as_posix(), trace.tb_lineno)
            trace = trace.tb_next
        return place

    def _error(self, file: str, line: int, message: str) -> InputError:
        return InputError(Problem(f"{self._name}/{file}", line, message))
