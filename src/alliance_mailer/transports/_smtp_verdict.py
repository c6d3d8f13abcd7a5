"""What an SMTP reply means for a message: by the phase in which it came, its code, and its enhanced code (RFC 3463)."""

import re

from ..errors import TransportRefused
from ..message import Outcome, Verdict
from ._smtp_wire import Reply

# Policy, authentication, a limit, the size: whoever is next would be answered the same.
_ABOUT_US = re.compile(r"5\.(?:7\.\d+|4\.5|3\.4)")
# The address does not exist: no such mailbox, bad syntax, no such domain, moved, null MX.
_HARD = re.compile(r"5\.1\.(?:[1236]|10)")
_IN = re.compile(r"\b(?:in|for|after|within)\s+(?:about\s+)?(\d{1,5})\s*(s|m|h)[a-z]*\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b(\d\d):(\d\d):(\d\d)\b")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_GREYLISTED = 300.0  # seconds; Postgrey's default, and most others wait no longer
_LONGEST_WAIT = 4 * 3600.0  # seconds; a server that asks for more is asked again all the same


def judge(host: str, verb: str, reply: Reply) -> Outcome:
    """The outcome of a reply that is no yes; `verb` is MAIL, RCPT, DATA or "." for the one after the text.

    Raises TransportRefused where it is about us and not about the person.
    """
    about_us = (
        _ABOUT_US.fullmatch(reply.enhanced)
        or reply.code in (530, 535)
        or (verb == "MAIL" and reply.code >= 500)
        # RFC 5321, 4.5.3.1.10: after RCPT 552 means "too many", as 452 does; elsewhere the message is too big.
        or (verb != "RCPT" and reply.code == 552)
    )
    if about_us:
        raise TransportRefused(
            f"{host} refuses us, not the person: {reply}",
            hint="nobody is marked refused for it: settle it with who runs the server, then run the same command again",
        )
    if reply.code < 500 or reply.code == 552:
        return Outcome(Verdict.DEFERRED, str(reply), retry_after=retry_after(reply.text))
    return Outcome(Verdict.REFUSED, str(reply), hard=bool(_HARD.fullmatch(reply.enhanced)))


def retry_after(text: str) -> float | None:
    """The seconds that a deferral's words ask for: "try again in 300 seconds", "come back in 00:05:00", greylisting."""
    seconds: float | None = None
    if found := _CLOCK.search(text):
        hours, minutes, rest = map(int, found.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    elif found := _IN.search(text):
        seconds = int(found[1]) * _UNITS[found[2].lower()]
    elif re.search(r"gr[ea]y[- ]?list", text, re.IGNORECASE):
        seconds = _GREYLISTED
    return min(seconds, _LONGEST_WAIT) if seconds else None
