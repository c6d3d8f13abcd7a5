"""What a mail server means when it refuses *us*, and what to do about it: a table of replies.

The codes are RFC 3463's and its successors' (7372, 7505), and what Google, Microsoft, Amazon and Postfix make of them.
The same code has two meanings at two providers (5.7.30, 5.7.23, 5.7.27), so words are looked at before codes.
"""

import re

_LOGIN_OFF = (
    "Logging in to send (SMTP AUTH) is switched off for this mailbox or for the whole organisation: an administrator "
    "allows it, in Microsoft 365 with Set-CASMailbox -SmtpClientAuthenticationDisabled $false."
)
_NO_PASSWORDS = (
    'Passwords are no longer taken there ("basic authentication"): log in with a token, auth = "xoauth2" and '
    "token_command."
)
_TWO_STEPS = (
    "The account has two-step verification, so its own password does not do: make an app password for password_env, "
    'or log in with a token, auth = "xoauth2".'
)
_BROWSER = (
    "The provider wants a person to look at the account: log in to it in a browser, then run the same command again."
)
_CREDENTIALS = (
    "User and password (or token) do not fit: look at user and at the environment variable. Google wants an app "
    "password, Microsoft a token, Amazon SES its SMTP credentials (no AWS key) of the same region, Resend an API key."
)
_LOG_IN = "The server wants a login: user and password_env, or a token, in mailer.toml."
_TLS = 'The server wants TLS: tls = "starttls" (port 587), or "implicit" (port 465).'
_SEND_AS = (
    "This login may not send from our address ([newsletter] from, bounce_address): let an administrator allow it (Send "
    "As, an alias), or take the login's own address."
)
_UNVERIFIED = (
    "The provider does not know our address or domain, or the account is still on trial (Amazon's sandbox): verify the "
    "domain of [newsletter] from in the provider's console, in the same region."
)
_RIGHTS = "The login has not the right to send: with Amazon SES its user needs ses:SendRawEmail."
_FULL = "The mailbox that we send from is full, because each message is kept in its Sent Items: empty that folder."
_DAY = (
    "This account may not send more today: run the same command again in 24 hours. A rate such as "
    '["2000/d"] in mailer.toml keeps below the limit.'
)
_FAST = 'We were faster than this account may be: lower rate in mailer.toml, such as ["1/s"].'
_CONNECTIONS = "More connections than this server allows: connections = 1 in mailer.toml."
_COMPLAINTS = (
    "Too much mail from us at once, or too many readers who call it spam (below 0.1 % is well, 0.3 % too many): send "
    "slower (rate), and look at what Postmaster Tools or the provider's console says of us."
)
_REPUTATION = (
    "The server takes us for a sender of spam: our domain, account or network address is on a block list or has a bad "
    "name. Its words, or the page that they name, say which, and how one gets off."
)
_RESTRICTED = (
    "Microsoft has blocked the mailbox for sending too much or too much spam: an administrator takes it off Restricted "
    "entities in the Defender portal."
)
_PTR = (
    "The machine that sends has no name in DNS, or one that does not lead back to it (PTR): who runs the network sets "
    "it, or send through a provider."
)
_SPF = "SPF did not pass: the domain's SPF record must name the server that sends (of bounce_address, or of from)."
_DKIM = "DKIM did not pass: the relay or provider must sign with our domain, and the key must be in DNS."
_DMARC = "Our domain has no DMARC record: publish _dmarc.<our domain> TXT with at least v=DMARC1; p=none."
_ALIGN = "From does not fit what is authenticated (DMARC): SPF's domain or DKIM's d= must be that of [newsletter] from."
_AUTHENTICATE = "Our mail does not prove where it is from: From's domain needs SPF, DKIM and DMARC, all three."
_NULL_MX = "Our sender's domain says that it takes no mail (null MX), so servers take none from it: take another."
_NO_SENDER = (
    "The server finds no such sender: the domain of [newsletter] from and bounce_address must exist and take mail (MX)."
)
_RELAY = (
    "The server passes on no mail for us: it wants a login (user, password_env), or this machine's address among those "
    "that it knows (Postfix: mynetworks; Google: SMTP relay service)."
)
_SIZE = (
    "The message is larger than the server takes: smaller pictures, or [newsletter] assets_url, so that they stay out."
)
_NAME = "The server does not like this machine's name: give it a full one (hostname -f), or log in."
_ACCOUNT = "The account is disabled, suspended or not paid for: look into the provider's console."
_BUSY = "The server cannot do it now, whoever asks: run the same command again later."
_FORM = "The server does not like the form of the message: please report it, with these words."
_POLICY = "A rule of the server is against us, and its words say which: settle it with who runs it."

# Code (enhanced, or the reply's own; empty for any), words (empty for any), meaning. The first that fits.
_TABLE: tuple[tuple[str, str, str], ...] = (
    # Words that leave no doubt.
    ("", r"clientauthentication is disabled", _LOGIN_OFF),
    ("", r"basic auth\w* is (not supported|disabled)|basic authentication", _NO_PASSWORDS),
    ("", r"application-specific password|app(lication)? password", _TWO_STEPS),
    ("", r"log ?in (via|with) your web browser|web login required", _BROWSER),
    ("", r"must issue .{0,3}starttls|(tls|encryption) (is )?(required|needed)|requires (tls|encryption)", _TLS),
    ("", r"send as this|sendasdenied|send as denied|not owned by user|not allowed to send (as|from)", _SEND_AS),
    ("", r"not authori[sz]ed to perform", _RIGHTS),
    ("", r"not verified|not a verified|verified sender|unverified|sender signature|not a confirmed", _UNVERIFIED),
    ("", r"mapiexception\w*quota|mailbox full; storedrv", _FULL),
    ("", r"null mx", _NULL_MX),
    ("", r"bad outbound sender|outbound spam|restricted entit", _RESTRICTED),
    ("", r"too many (concurrent )?(smtp )?(connections|sessions)|concurrent connection|sender thread", _CONNECTIONS),
    ("", r"\bdaily\b|submissionquota|sending quota|reached your .{0,20}limit|recipient rate limit", _DAY),
    ("", r"(sending|submission) rate|throttl|rate limit|too (many|much) (messages|e-?mails?\b|mail\b|requests)", _FAST),
    ("", r"relay(ing)?( access)? (is )?(denied|not permitted|not allowed)|(unable|not permitted) to relay", _RELAY),
    ("", r"reverse (dns|hostname)|\bptr\b|cannot find your (reverse )?host ?name", _PTR),
    ("", r"\b(account|sending|user) (is |has been |was )?(disabled|suspended|paused|locked|blocked)", _ACCOUNT),
    # Codes with one meaning, or with words that tell which.
    (r"5\.4\.5|5\.1\.90|5\.7\.23[23]", "", _DAY),
    (r"5\.7\.60|5\.2\.252", "", _SEND_AS),
    (r"[45]\.7\.30", r"dkim", _DKIM),
    (r"5\.7\.30", "", f"From Microsoft: {_NO_PASSWORDS} From Google: {_DKIM}"),
    (r"[45]\.7\.23", r"\bspf\b", _SPF),
    (r"5\.7\.23", "", _SPF),
    (r"[45]\.7\.2[35]", "", _PTR),
    (r"[45]\.7\.2[47]", "", _SPF),
    (r"[45]\.7\.(2[0-2]|30)", "", _DKIM),
    (r"[45]\.7\.(31|40)", "", _DMARC),
    (r"[45]\.7\.32|5\.7\.509", "", _ALIGN),
    (r"[45]\.7\.26|5\.7\.515", "", _AUTHENTICATE),
    (r"[45]\.7\.28", "", _COMPLAINTS),
    (r"[45]\.7\.(29|10|11)", "", _TLS),
    (r"5\.7\.9", "", _TWO_STEPS),
    (r"5\.7\.14", "", _BROWSER),
    (r"5\.7\.13|5\.7\.705", "", _ACCOUNT),
    (r"5\.7\.(50[0-35-8]|511|6[0-4]\d|70[38]|750)", "", _REPUTATION),
    (r"5\.7\.57|530", "", _LOG_IN),
    (r"5\.7\.139", "", f"{_LOGIN_OFF} Or: {_NO_PASSWORDS}"),
    (r"5\.7\.[38]|53[45]", "", _CREDENTIALS),
    (r"5\.3\.4|552", "", _SIZE),
    (r"5\.6\.\d|554", r"header|subject|rfc ?5322|rfc ?2822|format", _FORM),
    # What is left to words.
    ("", r"complaint|(unusual|unexpected) (rate|volume)", _COMPLAINTS),
    ("", r"spam|unsolicited|black ?list|block ?list|reputation|banned|blocked", _REPUTATION),
    ("", r"authentication required|not authenticated|authenticat\w+ first|log ?in first", _LOG_IN),
    ("", r"too (big|large|long)|size limit|maximum .{0,20}size", _SIZE),
    ("", r"dmarc", _ALIGN),
    ("", r"\bspf\b.*\bdkim\b|\bdkim\b.*\bspf\b", _AUTHENTICATE),
    ("", r"\bspf\b", _SPF),
    ("", r"\bdkim\b", _DKIM),
    ("", r"helo|ehlo", _NAME),
    (r"5\.1\.[78]", "", _NO_SENDER),
    ("", r"sender (address )?(rejected|verify)|domain (of sender|not found)", _NO_SENDER),
    (r"4\.3\.\d|454|421", "", _BUSY),
    (r"5\.7\.\d+", "", _POLICY),
)
_PARTS = re.compile(r"(?:(\d{3})\b ?)?([245]\.\d{1,3}\.\d{1,3}(?= |$))?(.*)", re.DOTALL)
_READY = [(re.compile(code), re.compile(words, re.IGNORECASE), what) for code, words, what in _TABLE]


def meaning(reply: str) -> str:
    """What a reply about us ("550 5.7.26 …") means and what to do; empty where the table knows nothing of it.

    Pure: for a reply about a person it says nothing useful, so ask only where we are refused, whoever the recipient is.
    """
    parts = _PARTS.fullmatch(reply)
    assert parts  # it fits everything
    code, enhanced, words = parts.groups("")
    for codes, saying, what in _READY:
        if (not codes.pattern or codes.fullmatch(enhanced) or codes.fullmatch(code)) and saying.search(words):
            return what
    return ""
