"""What a mail API is posted to with, without us: bare httpx clients in threads, or one call a message.

`bare`: each thread posts one finished body again and again, which is what httpx alone can do. `one by one`: one client,
Jinja and `json.dumps` for each person, a call for each message, as a Django project with anymail does it.
"""

import csv
import itertools
import json
import sys
import threading
from pathlib import Path
from typing import Any

import httpx


def bare(job: dict[str, Any]) -> None:
    numbers, lock, body = iter(range(job["messages"])), threading.Lock(), b"x" * job["size"]

    def post() -> None:
        with httpx.Client() as client:
            while True:
                with lock:
                    if next(numbers, None) is None:
                        return
                client.post(job["url"], content=body).raise_for_status()

    threads = [threading.Thread(target=post) for _ in range(job["connections"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_by_one(job: dict[str, Any]) -> None:
    import jinja2

    text = jinja2.Environment().from_string(job["text"])
    page = jinja2.Environment(autoescape=True).from_string(job["html"])
    with httpx.Client() as client, Path(job["people"]).open(newline="") as people:
        for person in itertools.islice(csv.DictReader(people), job["messages"]):
            fields = {
                "from": f"Digest <{job['sender']}>",
                "to": [f"{person['name']} <{person['email']}>"],
                "subject": job["subject"],
                "text": text.render(person),
                "html": page.render(person),
                "headers": {"List-Unsubscribe": f"<mailto:unsubscribe@example.org?subject={person['token']}>"},
            }
            client.post(job["url"], json=fields).raise_for_status()


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    {"bare": bare, "one by one": one_by_one}[asked["who"]](asked)
