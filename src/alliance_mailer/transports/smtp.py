"""SMTP (RFC 5321) to a mail server: a relay of one's own, or a provider's submission port (RFC 6409).

Connecting, EHLO, TLS and AUTH are the standard library's; the mail transaction is ours, because `smtplib` cannot tell
a connection lost before the final dot (nothing was delivered) from one lost after it (it may have been). Every answer
has its verdict by the phase in which it came:

| phase                        | 4yz, or connection lost | 5yz                                 |
| ---------------------------- | ----------------------- | ----------------------------------- |
| MAIL FROM                    | deferred (see below)    | about us: deferred, the run stops   |
| RCPT TO                      | deferred                | refused (552: deferred)             |
| DATA, and the message's text | deferred                | refused                             |
| after the final dot          | 4yz deferred, lost unknown | refused                          |

421 anywhere also closes the connection. At MAIL FROM, 421 or a lost connection only says that the server is tired of
an old connection: the message goes over a new one, at once. 530, 535, 5.7.x, 5.4.5 (a limit), 5.3.4 and 552 (too big)
are about us, not about the person: deferred, and the run stops. What is no SMTP reply counts as a lost connection.
"""

import base64
import contextlib
import ipaddress
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..contact import canonical_address
from ..errors import ConfigError, TransportRefused, TryLater
from ..message import Message, Outcome, Verdict

LOCAL = False

_FINAL_DOT = 600.0  # seconds; RFC 5321, 4.5.3.2.6: impatience here means a second copy
# Policy and authentication, "daily limit exceeded", "message too big": the next person would be answered the same.
_ABOUT_US = re.compile(rb"5\d\d 5\.(?:7\.|4\.5|3\.4)")
_GOODBYE = 5.0  # seconds; nothing hangs on the answer to QUIT
_AGAIN = "run the same command again later"


@dataclass(frozen=True, slots=True)
class Options:
    """The keys in mailer.toml."""

    host: str  # the server's name, as in its certificate
    port: int = 0  # 0: 465 for implicit TLS, 587 for starttls, 25 for none
    tls: Literal["starttls", "implicit", "none"] = "starttls"  # or "implicit"; "none" for a relay on this machine
    ca_file: str = ""  # PEM; certificates to trust instead of the system's
    user: str = ""  # for AUTH; without one nothing is authenticated
    password_env: str = ""  # the environment variable that holds the password
    timeout: float = 60  # seconds for each reply; the one after the final dot has ten minutes
    bounce_address: str = ""  # the reverse-path; the sender's address when empty


def _port(options: Options) -> int:
    return options.port or {"implicit": 465, "starttls": 587, "none": 25}[options.tls]


def describe(options: Options, issue: str) -> str:
    """For the line that names the transport."""
    return f"smtp {options.host}:{_port(options)} (LIVE)"


def check(options: Options, *, project: Path, issue: str, environ: Mapping[str, str]) -> None:
    """What can be known of the settings without a connection. Raises ConfigError."""
    if not options.host or not 0 <= options.port <= 65535 or options.timeout <= 0:
        found = f'host = "{options.host}", port = {options.port}, timeout = {options.timeout:g}'
        raise ConfigError(f"transport: found {found}, expected a name, 1 to 65535 and seconds", hint="port = 587")
    if not options.bounce_address.isascii():
        raise ConfigError("transport.bounce_address: not every server knows an address with non-ASCII letters")
    try:
        canonical_address(options.bounce_address or "bounces@example.org")
    except ValueError as error:
        raise ConfigError(f'transport.bounce_address: found "{options.bounce_address}": {error}') from None
    if options.user and not _password(options, environ):
        missing = (
            f"the environment variable {options.password_env} is not set" if options.password_env else "no password_env"
        )
        raise ConfigError(
            f"transport: user {options.user!r}, but {missing}",
            hint=f"export {options.password_env or 'SMTP_PASSWORD'}=…",
        )
    if options.user and options.tls == "none" and not _is_loopback(options.host):
        raise ConfigError("transport: a password goes over TLS only", hint='tls = "starttls"')
    _context(options, project)


def connect(options: Options, *, project: Path, issue: str, environ: Mapping[str, str], fresh: bool = False) -> "Smtp":
    """Open a connection. Raises ConfigError, TransportRefused (TLS, AUTH) or TryLater (no connection)."""
    check(options, project=project, issue=issue, environ=environ)
    transport = Smtp(options, _password(options, environ), _context(options, project))
    transport.open()
    return transport


def _password(options: Options, environ: Mapping[str, str]) -> str:
    return environ.get(options.password_env, "") if options.password_env else ""


def _context(options: Options, project: Path) -> ssl.SSLContext:
    """Verifies the certificate and the host's name, TLS 1.2 at least."""
    try:
        return ssl.create_default_context(cafile=str(project / options.ca_file) if options.ca_file else None)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f'transport.ca_file: found "{options.ca_file}": {reason}', hint="a PEM file") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Smtp:
    """One connection, reused for every message, made again when the server closes it."""

    batch_size = 1
    repeatable = False

    def __init__(self, options: Options, password: str, context: ssl.SSLContext) -> None:
        self._options, self._password, self._context = options, password, context
        self._smtp: smtplib.SMTP | None = None

    def open(self) -> None:
        """Connect, EHLO, TLS, AUTH."""
        where = f"{self._options.host}:{_port(self._options)}"
        try:
            self._smtp = self._greet(self._options)
        except ssl.SSLCertVerificationError as error:
            raise TransportRefused(
                f"{where}: the certificate is not to be trusted: {error.verify_message}",
                hint="ca_file names certificates to trust; host must be the name in the certificate",
            ) from None
        except ssl.SSLError as error:
            raise TransportRefused(
                f"{where}: TLS failed: {error.reason or error}", hint='tls = "starttls" or "implicit"?'
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            raise TransportRefused(
                f"{where}: {error}", hint='tls = "implicit" (port 465), or "none" for a relay on this machine'
            ) from None
        except smtplib.SMTPResponseException as error:
            words = _words(error.smtp_code, error.smtp_error)
            if error.smtp_code < 500:
                raise TryLater(f"{where}: {words}", hint=_AGAIN) from None
            what = "the credentials" if isinstance(error, smtplib.SMTPAuthenticationError) else "us"
            raise TransportRefused(f"{where} refuses {what}: {words}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise TryLater(f"cannot connect to {where}: {error.strerror or error}", hint=_AGAIN) from None
        except UnicodeError:
            raise ConfigError(f'transport.host: found "{self._options.host}", expected a server\'s name') from None

    def _greet(self, options: Options) -> smtplib.SMTP:
        smtp: smtplib.SMTP
        if options.tls == "implicit":
            smtp = smtplib.SMTP_SSL(options.host, _port(options), timeout=options.timeout, context=self._context)
        else:
            smtp = smtplib.SMTP(options.host, _port(options), timeout=options.timeout)
        try:
            smtp.ehlo_or_helo_if_needed()
            if options.tls == "starttls":
                smtp.starttls(context=self._context)
                smtp.ehlo()
            if options.user:
                self._login(smtp)
            if smtp.sock:
                # Without it a reply waits 43 ms for a delayed acknowledgement (measured over TLS).
                smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _login(self, smtp: smtplib.SMTP) -> None:
        # PLAIN and LOGIN only: inside TLS nothing is won by CRAM-MD5, which smtplib would prefer. And in UTF-8
        # (RFC 4616), where smtplib fails at a password that is not ASCII.
        offered = smtp.esmtp_features.get("auth", "").upper().split()
        user, password = self._options.user, self._password
        if "PLAIN" in offered:
            lines = ["AUTH PLAIN " + _base64(f"\0{user}\0{password}")]
        elif "LOGIN" in offered:
            lines = ["AUTH LOGIN", _base64(user), _base64(password)]
        else:
            names = " ".join(offered) or "none"
            raise smtplib.SMTPNotSupportedError(f"AUTH PLAIN or LOGIN is not offered (offered: {names})")
        code, words = 334, b""
        for line in lines:
            if code == 334:
                code, words = smtp.docmd(line)
        if code != 235:
            # Some servers repeat the line that they do not like, and ours held the password.
            secret = lines[-1].removeprefix("AUTH PLAIN ").encode()
            raise smtplib.SMTPAuthenticationError(code, words.replace(secret, b"(password)"))

    def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """See the protocol."""
        return [self._transaction(message) for message in batch]

    def _transaction(self, message: Message) -> Outcome:
        reused = self._smtp is not None
        if self._smtp is None:
            self.open()
        smtp = self._smtp
        assert smtp is not None
        assert smtp.sock is not None
        envelope, data = message.envelope, message.as_bytes()
        options = [f"SIZE={len(data)}"] if smtp.has_extn("size") else []
        if not envelope.rcpt_to.isascii():
            if not (smtp.has_extn("smtputf8") and smtp.has_extn("8bitmime")):
                return Outcome(Verdict.REFUSED, "the server does not take a non-ASCII address (no SMTPUTF8)")
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        phase = "before the message"
        try:
            code, words = smtp.mail(self._options.bounce_address or envelope.mail_from, options)
            if code == 421 or code < 0:
                raise smtplib.SMTPServerDisconnected(_words(code, words))
            phase = "within the message"
            if code != 250:
                return self._judge(code, words, about_us=code >= 500)
            code, words = smtp.rcpt(envelope.rcpt_to)
            if code not in (250, 251, 252):
                # RFC 5321, 4.5.3.1.10: 552 to RCPT means "too many", as 452 does.
                return self._judge(code, words, for_now=code == 552)
            code, words = smtp.docmd("DATA")
            if code != 354:
                return self._judge(code, words)
            smtp.send(_stuffed(data))
            # From here on the server may have the message, whatever we hear.
            phase = "after the final dot"
            smtp.sock.settimeout(_FINAL_DOT)
            smtp.send(b".\r\n")
            code, words = smtp.getreply()
            smtp.sock.settimeout(self._options.timeout)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            if phase == "before the message" and reused:
                return self._transaction(message)
            text = f"connection lost {phase}: {error.strerror or error}"
            return Outcome(Verdict.UNKNOWN if phase == "after the final dot" else Verdict.DEFERRED, text)
        except BaseException:
            self._drop()  # interrupted: what is half said cannot be ended with QUIT
            raise
        if 200 <= code < 300:
            return Outcome(Verdict.ACCEPTED, _words(code, words))
        if not 400 <= code < 600:
            self._drop()
            return Outcome(Verdict.UNKNOWN, f"no reply that RFC 5321 knows after the final dot: {_words(code, words)}")
        return self._judge(code, words)

    def _judge(self, code: int, words: bytes, *, about_us: bool = False, for_now: bool = False) -> Outcome:
        """What is not a yes, before or after the message. Raises TransportRefused when it is about us."""
        text = _words(code, words)
        if (
            about_us
            or code in (530, 535)
            or (code == 552 and not for_now)
            or _ABOUT_US.match(f"{code} ".encode() + words)
        ):
            hint = (
                "nobody is marked refused for it: settle it with who runs the server, then run the same command again"
            )
            raise TransportRefused(f"{self._options.host} refuses us, not the person: {text}", hint=hint)
        try:
            if code == 421 or not 400 <= code < 600:
                self._drop()
            elif self._smtp:
                self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self._drop()
        return Outcome(Verdict.REFUSED if 500 <= code < 600 and not for_now else Verdict.DEFERRED, text)

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def close(self) -> None:
        """QUIT; its answer changes nothing."""
        if self._smtp is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if self._smtp.sock:
                    self._smtp.sock.settimeout(_GOODBYE)
                self._smtp.quit()
            self._drop()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _stuffed(data: bytes) -> bytes:
    # RFC 5321, 4.5.2. Our own encoder leaves no leading dot; a header of the future might.
    return data.replace(b"\r\n.", b"\r\n..") if b"\r\n." in data else data


def _words(code: int, words: bytes | str) -> str:
    """The server's words on one line; no control character of a stranger's reaches a terminal."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    line = " ".join((f"{code} {text}" if code >= 0 else f"no SMTP reply: {text}").split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
