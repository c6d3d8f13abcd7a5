"""Resend or Postmark, as far as a sending goes."""

from threading import Event, Lock

from transports.web import Asked, Reply, Web


class Provider(Web):
    """What was taken, by key or by request; and it may fall silent."""

    def __init__(self, use: str) -> None:
        self.use, self.lock, self.taken = use, Lock(), dict[str, list[str]]()
        self.silent_after = 10**9  # requests; the next one is taken, or not, and nobody hears of it
        self.takes, self.silent, self.ended = True, Event(), Event()
        super().__init__(self.reply)

    def reply(self, asked: Asked) -> Reply:
        resend = self.use == "resend"
        people = [item["to"][0] if resend else item["To"] for item in asked.json]
        with self.lock:
            number = len(self.taken)
            silent = number >= self.silent_after
            key = asked.headers.get("idempotency-key", str(len(self.asked)))
            if self.takes or not silent:
                self.taken.setdefault(key, people)
        if silent:
            self.silent.set()
            self.ended.wait()
        if resend:
            return Reply(200, {"data": [{"id": to} for to in people]})
        return Reply(200, [{"ErrorCode": 0, "Message": "OK", "MessageID": to} for to in people])

    @property
    def mailboxes(self) -> list[str]:
        return [person.rpartition("<")[2].rstrip(">") for people in self.taken.values() for person in people]
