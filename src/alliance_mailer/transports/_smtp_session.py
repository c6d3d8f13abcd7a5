"""A session with a mail server up to where mail can be sent: connected, EHLO, TLS, EHLO again, logged in.

All of it is the standard library's (`smtplib`, `ssl`). The certificate and the host's name are checked, nothing older
than TLS 1.2 is spoken, and what a server said before TLS is forgotten (RFC 3207, 4.2): extensions that it named, and
replies that somebody put behind the one to STARTTLS.
"""

import ipaddress
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from ..contact import canonical_address
from ..errors import ConfigError, MailerError, TransportRefused, TryLater
from . import is_loopback
from ._smtp_auth import log_in, token_from
from ._smtp_codes import meaning
from ._smtp_presets import PRESETS
from ._smtp_wire import Reply

__all__ = ["PRESETS", "Options", "check", "describe", "open_session"]

_AGAIN = "run the same command again later"
_KEY = "a" * 32  # as long as a delivery's key


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    host: str  # the server's name, as in its certificate
    port: int = 0  # 0: 465 for implicit TLS, 587 for starttls, 25 for none
    tls: Literal["starttls", "implicit", "none"] = "starttls"  # or "implicit"; "none" for a relay on this machine
    ca_file: str = ""  # PEM; certificates to trust instead of the system's
    user: str = ""  # for AUTH; without one nothing is authenticated
    password_env: str = ""  # the environment variable that holds the password
    auth: Literal["", "plain", "login", "xoauth2"] = ""  # empty: "plain" or "login", as offered; "xoauth2" has a token
    token_env: str = ""  # the environment variable that holds the token
    token_command: tuple[str, ...] = ()  # or the command that prints it, asked anew for each connection
    timeout: float = 60  # seconds for each reply, and for token_command; after the final dot it is ten minutes
    bounce_address: str = ""  # the reverse-path; `{key}` in it is each message's own; empty: the sender's address
    messages_per_connection: int = 1000  # then a new connection is made; 0: as many as the server likes
    chunking_window: int = 0  # messages on the wire at once (BDAT); so many more are in doubt if it breaks


def _port(options: Options) -> int:
    return options.port or {"implicit": 465, "starttls": 587, "none": 25}[options.tls]


def _where(options: Options) -> str:
    return f"{options.host}:{_port(options)}"


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return f"smtp {_where(options)} (LIVE)"


# What can be known without a connection -----------------------------------------------------------------------------


def check(options: Options, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError for settings that no session can be opened with."""
    if not _is_host(options.host):
        raise ConfigError(
            f'transport.host: found "{options.host}", expected a server\'s name', hint='host = "mail.example.org"'
        )
    if not 0 <= options.port <= 65535 or options.timeout <= 0:
        found = f"port = {options.port}, timeout = {options.timeout:g}"
        raise ConfigError(f"transport: found {found}, expected 1 to 65535 and seconds", hint="port = 587")
    for key in ("messages_per_connection", "chunking_window"):
        if (number := getattr(options, key)) < 0:
            raise ConfigError(f"transport.{key}: found {number}, expected 0 or more", hint=f"{key} = 0")
    _check_bounce_address(options.bounce_address)
    _check_login(options, environ)
    if options.tls != "none":
        _context(options, project)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            return bool(re.fullmatch(rb"[\w-]+(\.[\w-]+)*\.?", host.encode("idna")))
        except UnicodeError:
            return False
    return True


def _check_bounce_address(address: str) -> None:
    written = address.replace("{key}", _KEY)
    local = written.partition("@")[0]
    hint = 'bounce_address = "bounces+{key}@example.org"'
    try:
        if not address.isascii():
            raise ValueError("not every server knows an address with non-ASCII letters")
        if "{" in written or "}" in written or "{key}" in address.partition("@")[2]:
            raise ValueError("only {key} is filled in, and only before the @")
        if address and canonical_address(written) != written.lower():
            raise ValueError("blanks around it")
        if len(local) > 64:  # RFC 5321, 4.5.3.1.1
            raise ValueError(f"{len(local)} characters before the @ with a key of {len(_KEY)}, at most 64 are allowed")
    except ValueError as error:
        raise ConfigError(f'transport.bounce_address: found "{address}": {error}', hint=hint) from None


def _check_login(options: Options, environ: Mapping[str, str]) -> None:
    by_token = options.auth == "xoauth2"
    others = ("password_env",) if by_token else ("token_env", "token_command")
    if wrong := [key for key in others if getattr(options, key)]:
        other = "is for a password" if by_token else "is for a token"
        raise ConfigError(
            f'transport.{wrong[0]} {other}, and auth is "{options.auth}"',
            hint='auth = "xoauth2" takes token_env or token_command; the others take password_env',
        )
    if options.token_env and options.token_command:
        raise ConfigError("transport: both token_env and token_command", hint="delete one of the two")
    variable = options.token_env if by_token else options.password_env
    if not options.user:
        if variable or options.token_command or options.auth:
            raise ConfigError("transport.user is missing: who logs in?", hint='user = "digest@example.org"')
        return
    if options.tls == "none" and not is_loopback(options.host):
        raise ConfigError("transport: a password goes over TLS only", hint='tls = "starttls"')
    if not options.token_command and not environ.get(variable, "").strip():
        named = "token_env or token_command" if by_token else "password_env"
        missing = f"the environment variable {variable} is not set" if variable else f"no {named}"
        example = "SMTP_TOKEN" if by_token else "SMTP_PASSWORD"
        hint = f"export {variable}=…" if variable else f'{named.partition(" ")[0]} = "{example}"'
        raise ConfigError(f"transport: user {options.user!r}, but {missing}", hint=hint)


def _context(options: Options, project: Path) -> ssl.SSLContext:
    try:
        return _trusting(str(project / options.ca_file) if options.ca_file else None)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f'transport.ca_file: found "{options.ca_file}": {reason}', hint="a PEM file") from None


@lru_cache(maxsize=8)  # reading the system's certificates takes 25 ms, and one context serves all connections
def _trusting(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Python's default, which a distribution may have changed
    return context


# The session ----------------------------------------------------------------------------------------------------------


def open_session(options: Options, project: Path, environ: Mapping[str, str]) -> smtplib.SMTP:
    """Connect and log in; the options were checked. TCP_NODELAY is set, and `timeout` holds for each reply.

    Raises ConfigError, TransportRefused (TLS, AUTH, or we are not welcome) or TryLater (no connection, 4yz).
    """
    try:
        try:
            return _opened(options, project, environ)
        except smtplib.SMTPAuthenticationError as error:
            if not options.token_command or error.smtp_code != 535:
                raise
            return _opened(options, project, environ)  # a token may have run out on its way; another one, once
    except OSError as error:  # ssl.SSLError and smtplib.SMTPException are
        raise _explained(_where(options), error) from None


def _opened(options: Options, project: Path, environ: Mapping[str, str]) -> smtplib.SMTP:
    context = _context(options, project) if options.tls != "none" else None
    secret = _secret(options, project, environ)
    smtp: smtplib.SMTP
    host, port, name = options.host, _port(options), _our_name()
    if options.tls == "implicit":
        smtp = smtplib.SMTP_SSL(host, port, name, timeout=options.timeout, context=context)
    else:
        smtp = smtplib.SMTP(host, port, name, timeout=options.timeout)
    try:
        assert smtp.sock is not None
        # Before the first byte of ours. Without it a reply waits 43 ms for a delayed acknowledgement (measured, TLS).
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        smtp.ehlo_or_helo_if_needed()
        if options.tls == "starttls":
            smtp.starttls(context=context)
            smtp.ehlo_or_helo_if_needed()
        if options.user:
            log_in(smtp, options.auth, options.user, secret)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _secret(options: Options, project: Path, environ: Mapping[str, str]) -> str:
    if options.token_command:
        return token_from(options.token_command, project, environ, options.timeout)
    if options.token_env:
        return environ.get(options.token_env, "").strip()
    return environ.get(options.password_env, "") if options.password_env else ""


@cache  # without a reverse entry for this machine it takes seconds, and smtplib asks for each connection
def _our_name() -> str:
    name = socket.getfqdn()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _explained(where: str, error: OSError) -> MailerError:
    """What ended the attempt, in a person's words; whether trying again will help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"{where}: the certificate is not to be trusted: {error.verify_message}"
        return TransportRefused(words, hint=_CERTIFICATE.get(error.verify_code, _AUTHORITY))
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return TransportRefused(f"{where}: TLS failed: {error.reason or error}", hint='tls = "starttls" or "implicit"?')
    if isinstance(error, smtplib.SMTPNotSupportedError):
        hint = 'tls = "implicit" (port 465), or "none" for a relay on this machine'
        return TransportRefused(f"{where}: {error} Nothing was sent in the clear.", hint=hint)
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        reply = Reply(error.smtp_code, said if isinstance(said, bytes) else said.encode())
        if reply.code < 0 or isinstance(said, str):  # smtplib's own words: a line that is too long for it
            return TryLater(f"{where}: no SMTP reply: {reply.text}", hint=_AGAIN)
        hint = meaning(str(reply))
        if 400 <= reply.code < 500:
            return TryLater(f"{where}: {reply}", hint=hint or _AGAIN)
        login = isinstance(error, smtplib.SMTPAuthenticationError)
        what, todo = ("the credentials", "look at user and password") if login else ("us", "ask who runs the server")
        return TransportRefused(f"{where} refuses {what}: {reply}", hint=hint or todo)
    return TryLater(f"cannot connect to {where}: {error.strerror or error}", hint=_AGAIN)


_AUTHORITY = "ca_file names certificates to trust; host must be the name in the certificate"
_CLOCK = "is this machine's clock right? If it is, the server's certificate must be renewed by who runs it"
_NAME = "host must be a name in the certificate"
_CERTIFICATE = {9: _CLOCK, 10: _CLOCK, 62: _NAME, 64: _NAME}  # X509_V_ERR_…: not yet valid, expired, host, IP address
