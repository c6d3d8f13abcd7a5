"""Logging in to a mail server (RFC 4954): PLAIN, LOGIN and XOAUTH2, and the command that prints a token.

No secret leaves this module but on its way to the server: what an error quotes is masked first.
"""

import base64
import os
import re
import signal
import smtplib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ConfigError, TransportRefused, TryLater

_TOKEN = re.compile(r"[!-~]+")  # RFC 6750, 2.1: printable ASCII without a blank
_LONG = re.compile(r"[\w.~+=*-]{40,}")  # a token of some sort, if a command complains of it; a path has slashes


def log_in(smtp: smtplib.SMTP, auth: str, user: str, secret: str) -> None:
    """AUTH with a password or token. `auth` names the way; without a name it is PLAIN or LOGIN, as is offered.

    Not CRAM-MD5, which smtplib would prefer: inside TLS nothing is won by it, and the server has to keep the password
    as it is. And in UTF-8 (RFC 4616), where smtplib fails at a password that is not ASCII.
    Raises SMTPAuthenticationError, TransportRefused where the server offers no such way, and what smtplib raises.
    """
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    ways = [auth.upper()] if auth else ["PLAIN", "LOGIN"]
    way = next((way for way in ways if way in offered), None)
    if way is None:
        raise TransportRefused(
            f"AUTH {' or '.join(ways)} is not offered (offered: {' '.join(offered) or 'none'})",
            hint="some servers offer it with TLS only; auth chooses another way, port another door (587, 465)",
        )
    answers = {
        "PLAIN": [f"\0{user}\0{secret}"],
        "LOGIN": ["", user, secret],
        # Google's and Microsoft's; where the token is not taken, 334 brings a reason that wants an empty answer.
        "XOAUTH2": [f"user={user}\x01auth=Bearer {secret}\x01\x01", ""],
    }[way]
    lines = [base64.b64encode(answer.encode()).decode() for answer in answers]
    code, words = smtp.docmd("AUTH", f"{way} {lines[0]}".rstrip())
    for line in lines[1:]:
        if code == 334:
            smtp.putcmd(line)
            code, words = smtp.getreply()
    if code != 235:
        # Some servers repeat the line that they do not like, as it is or decoded.
        held = [line for line, answer in zip(lines, answers, strict=True) if secret in answer]
        raise smtplib.SMTPAuthenticationError(code, _masked(words, [*held, secret]))


def _masked(words: bytes, secrets: Sequence[str]) -> bytes:
    for secret in sorted(secrets, key=len, reverse=True):
        words = words.replace(secret.encode(), b"(secret)")
    return words


def token_from(command: Sequence[str], folder: Path, environ: Mapping[str, str], timeout: float) -> str:
    """The token that a command prints. It runs in `folder`, without a shell, for `timeout` seconds at most.

    Raises ConfigError (it cannot be run), TransportRefused (it fails, or prints no token), TryLater (it hangs).
    """
    try:
        # In a group of its own: Ctrl-C in the terminal is for us, and its children can be ended with it.
        process = subprocess.Popen(  # noqa: S603 (the publication's own)
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        hint = 'token_command = ["./token.sh", "digest@example.org"]: each word a text of its own'
        raise ConfigError(f'transport.token_command: "{command[0]}" cannot be run: {reason}', hint=hint) from None
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as error:
            # Not yet waited for, so that its group is surely its own: it, and whatever it has started.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TryLater(f"token_command: no token within {timeout:g} seconds") from None
            raise
    token = out.decode("utf-8", "replace").strip()
    if process.returncode == 0 and _TOKEN.fullmatch(token):
        return token
    if process.returncode:
        what = f"it failed (exit code {process.returncode})"
    else:
        what = "it printed more than a token: blanks or line breaks" if token else "it printed nothing"
    held = [word for word in token.split() if len(word) >= 8]
    said = _LONG.sub("(secret)", _masked(err, held).decode("utf-8", "replace"))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    because = f": {' / '.join(lines[-3:])[-300:]}" if lines else ""
    raise TransportRefused(
        f"token_command: {what}{because}", hint="it prints the token alone; try it in the publication's folder"
    )
