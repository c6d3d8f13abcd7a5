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
import jinja2.tests

from .disk import read_text
from .errors import InputError, Problem
from .responsive import AT_IMPORT
from .slots import Field, Markers


class MergeField:
    """A contact's field in a template: prints a marker, and refuses all that would need the person's value now."""

    def __init__(self, markers: Markers, field: Field) -> None:
        self._markers, self._field = markers, field

    def __str__(self) -> str:
        return self._markers.mark(self._field)

    __html__ = __str__

    def or_else(self, fallback: Any) -> "MergeField":
        """The same field with a fallback, which is the same for everybody."""
        if isinstance(fallback, MergeField) or self._markers.split(str(fallback)).gaps:
            raise jinja2.TemplateRuntimeError(f"the fallback of contact.{self._field.name} is itself a field")
        return MergeField(self._markers, Field(self._field.name, str(fallback)))

    def _refuse(self, *_: object) -> NoReturn:
        message = f"contact.{self._field.name} has no value yet: an issue is compiled once, for everybody"
        raise jinja2.TemplateRuntimeError(message)

    __bool__ = __len__ = __iter__ = __eq__ = __lt__ = __gt__ = __contains__ = __int__ = __float__ = _refuse
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
        return value.or_else(fallback)
    return jinja2.filters.do_default(value, fallback, boolean)


def _defined(value: Any) -> bool:
    # True for every field, of a person who has it or not: `{% if contact.x is defined %}` would mislead.
    return bool(value) if isinstance(value, MergeField) else jinja2.tests.test_defined(value)


# The folder ------------------------------------------------------------------------------------------------------

_MARK = re.compile("\ue000([0-9]+):([0-9]+)\ue001(?!\ue000)")  # of several on one spot, the innermost


_ANY_MARK = re.compile("\ue000[0-9]+:[0-9]+\ue001")

Origins = list[tuple[int, str, int]]  # of one line of a text: from which column on, the template's file and line


class _LineMarks(jinja2.ext.Extension):
    """Marks where each line of template text came from, so that an error in the result names the template's line."""

    def filter_stream(self, stream: Any) -> Any:
        files: list[str] = self.environment.mailer_files  # type: ignore[attr-defined]
        if stream.name not in files:
            files.append(stream.name)
        for token in stream:
            lines = enumerate(token.value.split("\n"), token.lineno) if token.type == "data" else ()
            marked = "\n".join(f"\ue000{files.index(stream.name)}:{n}\ue001{line}" for n, line in lines)
            yield jinja2.lexer.Token(token.lineno, token.type, marked or token.value)


class _Compiled(jinja2.BytecodeCache):
    """The templates that this process has compiled: `preview` renders them again at each save, in 21 ms instead of 33.

    Jinja itself looks whether the source is still the same.
    """

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if kept := self._kept.get(bucket.key):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Theme:
    """A template's folder."""

    def __init__(self, folder: Path, name: str, markers: Markers) -> None:
        self._folder, self._name = folder, name
        self._env = jinja2.sandbox.SandboxedEnvironment(
            loader=jinja2.FunctionLoader(self._load),
            autoescape=lambda template: template is None or not template.endswith(".txt.j2"),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            bytecode_cache=_COMPILED,
        )
        self._env.filters["default"] = self._env.filters["d"] = _default
        self._env.tests["defined"] = _defined
        self._marking = self._env.overlay(
            extensions=[_LineMarks], bytecode_cache=None
        )  # other code from the same source
        self._marking.mailer_files = []  # type: ignore[attr-defined]

    def _load(self, name: str) -> tuple[str, str, None] | None:
        path = self._folder / name
        if not path.resolve().is_relative_to(self._folder.resolve()) or not path.is_file():
            return None
        return read_text(path, f"{self._name}/{name}"), str(path), None

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """The text. Raises InputError with the template's file and line."""
        return self._render(self._env, name, context)

    def origin(self, name: str, context: Mapping[str, Any], line: int) -> tuple[str, int]:
        """The template's file and line that a line of the text comes from."""
        origins = self.origins(name, context)
        _, file, at = origins[min(line, len(origins)) - 1][0]
        return file, at

    def origins(self, name: str, context: Mapping[str, Any]) -> list[Origins]:
        """The same for every line of the text, and for each part of it: a line can have come from several.

        The text is rendered again, with marks in it: in the first rendering, a filter over it would have met them.
        """
        marked = self._render(self._marking, name, context)
        files = self._marking.mailer_files  # type: ignore[attr-defined]
        origins: list[Origins] = []
        last = (f"{self._name}/{name}", 1)
        for text in marked.split("\n"):
            found: Origins = []
            for mark in _MARK.finditer(text):
                last = (f"{self._name}/{files[int(mark[1])]}", int(mark[2]))
                found.append((len(_ANY_MARK.sub("", text[: mark.start()])), *last))
            origins.append(found or [(0, *last)])
        return origins

    def _render(self, env: jinja2.Environment, name: str, context: Mapping[str, Any]) -> str:
        try:
            return env.get_template(name).render(context)
        except InputError:
            raise
        except jinja2.TemplateSyntaxError as error:
            raise self._error(error.name or name, error.lineno, error.message or "syntax error") from None
        except jinja2.TemplateNotFound as error:
            message = f"there is no {error.name!r} in the template's folder"
            raise self._error(*self._raised_in(error, name), message) from None
        except Exception as error:  # noqa: BLE001 (a template may raise anything; the line is what helps)
            # "'alliance_mailer.render._IssueView object' has no …": the author knows it as issue.
            known = re.sub(r"'alliance_mailer\.\w+\._?(\w+?)(?:View)? object'", lambda at: at[1].lower(), str(error))
            raise self._error(*self._raised_in(error, name), known or type(error).__name__) from None

    def css(self, name: str) -> str:
        """A style sheet of the folder, empty where there is none. Raises InputError for what would fetch something."""
        path = self._folder / name
        if not path.is_file():
            return ""
        css = read_text(path, f"{self._name}/{name}")
        if match := re.search(f"{AT_IMPORT}|</", css):
            line = css.count("\n", 0, match.start()) + 1
            raise self._error(name, line, "@import and </ have no place in a message's style sheet")
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
