"""What most people write: smtplib, one connection that stays open, an EmailMessage built with Jinja per person."""

import csv
import json
import smtplib
import ssl
import sys
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any

import jinja2


def compose(job: dict[str, Any], text: jinja2.Template, page: jinja2.Template, person: dict[str, str]) -> EmailMessage:
    """One person's message. aiosmtplib_pool.py builds the same."""
    message = EmailMessage()
    message["From"] = f"Digest <{job['sender']}>"
    message["To"] = f"{person['name']} <{person['email']}>"
    message["Subject"] = job["subject"]
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{person['token']}@example.org>"
    message["List-Unsubscribe"] = f"<mailto:unsubscribe@example.org?subject=unsubscribe%20{person['token']}>"
    message.set_content(text.render(person))
    message.add_alternative(page.render(person), subtype="html")
    return message


def templates(job: dict[str, Any]) -> tuple[jinja2.Template, jinja2.Template]:
    """The text part and the HTML part, compiled."""
    plain, escaping = jinja2.Environment(), jinja2.Environment(autoescape=True)
    return plain.from_string(job["text"]), escaping.from_string(job["html"])


def main(job: dict[str, Any]) -> None:
    text, page = templates(job)
    if job["ca_file"]:
        context = ssl.create_default_context(cafile=job["ca_file"])
        server: smtplib.SMTP = smtplib.SMTP_SSL("127.0.0.1", job["port"], context=context)
    else:
        server = smtplib.SMTP("127.0.0.1", job["port"])
    with server, Path(job["people"]).open(newline="") as people:
        for person in csv.DictReader(people):
            server.send_message(compose(job, text, page, person))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
