"""The same messages as smtplib_loop.py through aiosmtplib: several connections, a task each."""

import asyncio
import csv
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosmtplib
from smtplib_loop import compose, templates


async def main(job: dict[str, Any]) -> None:
    text, page = templates(job)
    context = ssl.create_default_context(cafile=job["ca_file"]) if job["ca_file"] else None

    async def connection(rows: Iterator[dict[str, str]]) -> None:
        server = {"hostname": "127.0.0.1", "port": job["port"]}
        async with aiosmtplib.SMTP(**server, use_tls=bool(context), start_tls=False, tls_context=context) as smtp:
            for person in rows:
                await smtp.send_message(compose(job, text, page, person))

    with Path(job["people"]).open(newline="") as people:  # noqa: ASYNC230 (rows of a small file)
        rows = csv.DictReader(people)  # shared: each connection takes the next one
        await asyncio.gather(*(connection(rows) for _ in range(job["connections"])))


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
