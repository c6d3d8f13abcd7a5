"""What is known of a provider, as keys of mailer.toml: `preset = "…"` puts them under those that stand in the table.

Where a page was read for a figure, it is named; "from memory" and "ours" say what they are. Providers change their
limits without a word: a key in mailer.toml goes before the preset's.
"""

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements: 3 connections, 30 messages a
    # minute, 10,000 recipients a day, each mailbox. One connection does 30 a minute and leaves two for the mailbox's
    # other users (ours).
    # A token, because passwords go: off for existing tenants at the end of December 2026, not to be had for new ones
    # (techcommunity.microsoft.com, "Exchange Online to retire Basic auth for Client Submission", January 2026).
    "microsoft365": {
        "host": "smtp.office365.com",
        "port": 587,
        "tls": "starttls",
        "auth": "xoauth2",
        "connections": 1,
        "rate": ["30/min", "10000/d"],
    },
    # support.google.com/a/answer/166852: 2,000 messages in any 24 hours (500 on trial), to 2,000 different people
    # outside; over it nothing for up to 24 hours. One connection and one message a second are ours: no figure is given.
    "google-workspace": {
        "host": "smtp.gmail.com",
        "port": 587,
        "tls": "starttls",
        "connections": 1,
        "rate": ["1/s", "2000/d"],
    },
    # Google's page on the SMTP relay service (support.google.com/a/answer/2956491, quoted elsewhere): 10,000 messages
    # and as many different people a user in 24 hours; the whole customer's limit depends on its licences. Two
    # connections are ours. The relay knows us by login, or by this machine's address.
    "google-workspace-relay": {
        "host": "smtp-relay.gmail.com",
        "port": 587,
        "tls": "starttls",
        "connections": 2,
        "rate": ["10000/d"],
    },
    # docs.aws.amazon.com/ses/latest/dg/quotas.html: in the sandbox 1 a second and 200 a day, outside it what was agreed
    # on, so that the rate is to be given; 454 above it, and tried again. No host: it has the region in its name, and
    # that of another region knows neither the login nor the domain.
    "ses": {
        "port": 587,
        "tls": "starttls",
        "connections": 5,
        "rate": ["1/s"],
    },
    # postmarkapp.com/support/article/811: this host is the one for broadcasts; 25, 2525 or 587 with STARTTLS, no
    # implicit TLS. No rate is published (from memory); five connections are ours.
    "postmark": {
        "host": "smtp-broadcasts.postmarkapp.com",
        "port": 587,
        "tls": "starttls",
        "connections": 5,
    },
    # resend.com/docs/send-with-smtp: the user is "resend", the password an API key; 465 is implicit TLS.
    # resend.com/docs/api-reference/rate-limit: 2 requests a second and team in one edition of the page, 5 in another;
    # that they hold for SMTP, too, is from memory.
    "resend": {
        "host": "smtp.resend.com",
        "port": 465,
        "tls": "implicit",
        "user": "resend",
        "connections": 2,
        "rate": ["2/s"],
    },
    # A Postfix on this machine. It exempts its own network from limits on clients (postconf(5),
    # smtpd_client_event_limit_exceptions) and closes no connection for its number of messages (from memory).
    "postfix": {
        "host": "localhost",
        "port": 25,
        "tls": "none",
        "connections": 5,
        "messages_per_connection": 0,
    },
}
