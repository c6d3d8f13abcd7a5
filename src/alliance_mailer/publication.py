"""What stands in every issue: the publication's name, sender, addresses. Plain values, wherever they came from."""

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Publication:
    """A newsletter and who answers for it."""

    name: str
    sender_name: str
    sender: str  # addr-spec, domain as A-label
    organisation: str
    postal_address: str
    unsubscribe_mailto: str
    list_id: str  # RFC 2919: label "." domain that we control
    language: str = "en"  # BCP 47
    timezone: ZoneInfo = ZoneInfo("UTC")  # noqa: RUF009 (immutable; send_at is wall time here)
    reply_to: str | None = None
    help_url: str | None = None
    archive_url: str | None = None
    assets_url: str | None = None  # local pictures are linked from here; None: they travel inside the mail
    unsubscribe_url: str | None = None  # an RFC 8058 endpoint; None: by mail only

    @property
    def domain(self) -> str:
        """The sender's domain, which our Message-IDs carry."""
        return self.sender.rpartition("@")[2]


def default_list_id(name: str, domain: str) -> str:
    """A List-Id from a publication's name: "US-Japan Digest" at example.org is us-japan-digest.example.org."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "newsletter"
    return f"{label}.{domain}"
