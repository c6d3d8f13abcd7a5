"""An account at a mail API: the keys of mailer.toml that all of them have, its secrets, the way to it."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from . import is_loopback
from ._http import Http
from ._http_api import Api
from ._http_wire import Wire


def through_an_account(
    use: str, api: Callable[..., Api]
) -> tuple[Callable[[Any, str], str], Callable[..., None], Callable[..., Http]]:
    """`describe`, `check` and `connect` of a transport that needs no more than a key.

    `api(options, environ, sandbox=…)` describes the provider, and may raise ConfigError.
    """

    def describe(options: Any, issue: str) -> str:
        """For the line that names the transport."""
        return describe_api(use, options.base_url)

    def check(options: Any, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
        """Raise ConfigError."""
        check_account(options, environ)

    def connect(
        options: Any,
        *,
        project: Path,
        issue: str,
        environ: Mapping[str, str],
        fresh: bool = False,
        sandbox: bool = False,
    ) -> Http:
        """Open it. Raises ConfigError, TryLater or TransportRefused."""
        check_account(options, environ)
        return open_http(api(options, environ, sandbox=sandbox), options.base_url, options.timeout)

    return describe, check, connect


def describe_api(use: str, base_url: str) -> str:
    """For the line that names the transport."""
    return f"{use} {urlsplit(base_url).netloc} (LIVE)"


def check_account(options: Any, environ: Mapping[str, str]) -> None:
    """Raise ConfigError for a URL, a timeout, or a variable that holds no secret."""
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name.endswith("_url"):
            _check_url(field.name, value)
        elif field.name.endswith("_env"):
            secret(value, environ)
    if not 0 < options.timeout <= 3600:
        raise ConfigError(
            f"transport.timeout: found {options.timeout}, expected seconds, up to 3600", hint="timeout = 60"
        )


def _check_url(key: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    hint = f'{key} = "https://api.example.org"'
    if "@" in parts.netloc:
        raise ConfigError(f"transport.{key}: a user or password in it", hint=hint)
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or re.search(r"[\s\\]", url):
        raise ConfigError(f'transport.{key}: found "{url}", expected https://HOST', hint=hint)
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(f"transport.{key}: a key goes over TLS only", hint=hint)


def secret(variable: str, environ: Mapping[str, str]) -> str:
    """What an environment variable holds. Raises ConfigError, which does not show it."""
    value = environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {variable} is not set", hint=f"export {variable}=…")
    if not re.fullmatch(r"[!-~]+", value):
        raise ConfigError(
            f"the environment variable {variable} holds no key: a blank, a line break or a non-ASCII letter is in it",
            hint=f"export {variable}=…, copied once more",
        )
    return value


def basic(user: str, password: str) -> str:
    """The value of an Authorization field (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def open_http(api: Api, base_url: str, timeout: float) -> Http:
    """A connection to it; no key is tried yet. Raises TryLater, or TransportRefused for its TLS."""
    secrets = {each for each in api.secrets if each}
    api.secrets.update(base64.b64encode(each.encode()).decode() for each in secrets)
    api.secrets.update(value.removeprefix("Basic ") for value in api.headers.values() if value.startswith("Basic "))
    headers = {"User-Agent": "alliance-mailer", "Accept": "application/json", **api.headers}
    wire = Wire(headers, timeout)
    wire.open(base_url)
    return Http(api, wire)
