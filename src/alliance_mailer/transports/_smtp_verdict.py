"""What an SMTP reply means for a message: by the phase in which it came, its code, and its enhanced code (RFC 3463)."""

import re

from ..message import Outcome, Verdict
from ._smtp_wire import Reply

# Whoever is next would be answered the same: policy and authentication, a limit, the size, our sender or our name
# (which Postfix refuses at RCPT), our commands.
_ABOUT_US = re.compile(r"5\.(?:7\.\d+|4\.5|3\.4|1\.[78]|1\.90|2\.252)")
_OURS = (500, 502, 503, 504, 530, 534, 535, 538)
_BARE = re.compile(
    r"\brelay(?:ing)?\b.{0,20}(?:denied|not permitted|not allowed|prohibited)|not permitted to relay|unable to relay"
    r"|authentication (?:is )?required|sender verif|sender (?:address )?rejected|spamhaus|(?:black|block)[- ]?list",
    re.IGNORECASE,
)
# The address does not exist: no such mailbox, bad syntax, no such domain, moved, null MX.
_HARD = re.compile(r"5\.1\.(?:[1236]|10)")
_IN = re.compile(r"\b(?:in|for|after|within)\s+(?:about\s+)?(\d{1,5})\s*(s|m|h)[a-z]*\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b(\d\d):(\d\d):(\d\d)\b")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_GREYLISTED = 300.0  # seconds; Postgrey's default, and most others wait no longer
_LONGEST_WAIT = 4 * 3600.0  # seconds; a server that asks for more is asked again all the same


def judge(verb: str, reply: Reply) -> Outcome:
    """The outcome of a 4yz or 5yz; `verb` is MAIL, RCPT, DATA, BDAT, or "." for the one after the text."""
    if reply.code >= 500 and _is_about_us(verb, reply):
        return Outcome(Verdict.DEFERRED, str(reply), about_us=True)
    if reply.code < 500 or reply.code == 552:
        return Outcome(Verdict.DEFERRED, str(reply), retry_after=retry_after(reply.text))
    return Outcome(Verdict.REFUSED, str(reply), hard=bool(_HARD.fullmatch(reply.enhanced)))


def _is_about_us(verb: str, reply: Reply) -> bool:
    if verb == "MAIL" or reply.code in _OURS:
        return True
    if reply.enhanced:
        return bool(_ABOUT_US.fullmatch(reply.enhanced))
    # RFC 5321, 4.5.3.1.10: after RCPT 552 means "too many", as 452 does; elsewhere the message is too big.
    return (reply.code == 552 and verb != "RCPT") or bool(_BARE.search(reply.text))


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
