"""A mail API over HTTP: a request a batch; and, in this one place, what an answer, or the lack of one, means.

| what comes back                                  | is                                                              |
| ------------------------------------------------ | --------------------------------------------------------------- |
| 2xx                                              | what the provider's `read` makes of it, message by message      |
| 2xx that cannot be read, or counts wrong         | unknown                                                         |
| no connection                                    | nothing was sent: the run tries again, then later               |
| a connection lost before the request was out     | deferred                                                        |
| one lost, or silent, after that; 500, 502, 504 … | unknown; with an idempotency key the same request goes again    |
| 408, 425, 429, 503                               | not taken: again after Retry-After, here if that is soon        |
| 429 for more than five minutes                   | deferred until then, and the run stops: a limit is used up      |
| 413                                              | a batch is split; a message is too large, and the run stops     |
| 4xx about the recipient                          | refused; a batch is split until the one is found                |
| any other 3xx, 4xx                               | about us: nobody is marked for it, and the run stops            |

A 4xx counts as one about the recipient only where the provider's `says` knows it as such: whoever is marked refused is
forgotten, so that what nobody foresaw must not do it.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..errors import TransportRefused, TryLater
from ..hub import apart
from ..message import Message, Outcome, Verdict
from ._http_api import Answer, Api, Request, Says, on_one_line, retry_after
from ._http_wire import Lost, Wire
from ._smtp_codes import meaning

PAUSES = (1.0, 3.0)  # seconds before the same request goes again, where the server names none
PATIENCE = 20.0  # seconds that a request waits for a server to be ready; then others go first
_LONG = 300.0  # seconds; who is to wait longer has used up a limit
_AGAIN = "run the same command again later"
_SETTLES = (Says.PERSON, Says.BIG, Says.TAKEN)  # whatever became of the request before: the same would have been said


@dataclass(frozen=True, slots=True)
class _Heard:
    says: Says
    words: str
    retry_after: float | None = None


class Http:
    """A connection to a mail API, reused for each request."""

    def __init__(self, api: Api, wire: Wire, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api, self._wire, self._sleep = api, wire, sleep
        self.batch_size = api.batch_size

    def carry(self, batches: Iterator[Sequence[Message]]) -> Iterator[Outcome]:
        """See the protocol."""
        for batch in batches:
            unfit = [self._api.unfit(message) for message in batch]
            fit = [message for message, why in zip(batch, unfit, strict=True) if not why]
            outcomes = self._carry(fit) if fit else iter(())
            for why in unfit:
                yield Outcome(Verdict.REFUSED, why) if why else next(outcomes)
            yield from outcomes  # none; but what is to be raised comes after the last one

    def _carry(self, messages: Sequence[Message]) -> Iterator[Outcome]:
        heard = apart(lambda: self._post(messages))  # http.client, botocore and a pause wait in their own way
        if isinstance(heard, list):
            yield from heard
            if about_us := next((outcome for outcome in heard if outcome.about_us), None):
                raise self._refusal(about_us.reply)
        elif heard.says in (Says.PERSON, Says.BIG) and len(messages) > 1:
            middle = len(messages) // 2
            yield from self._carry(messages[:middle])
            yield from self._carry(messages[middle:])
        else:
            outcome, error = self._means(heard)
            if outcome:
                yield from [outcome] * len(messages)
            if error:
                raise error

    def _post(self, messages: Sequence[Message]) -> "list[Outcome] | _Heard":
        request = self._api.write(messages)
        if len(request.body) > self._api.largest:
            return _Heard(Says.BIG, f"{len(request.body):,} bytes")
        return self._ask(request, messages)

    def _ask(self, request: Request, messages: Sequence[Message]) -> "list[Outcome] | _Heard":
        """Post, and again where that is safe. What is in doubt stays so until an answer settles it."""
        unsure, patience = None, PATIENCE
        for pause in (*PAUSES, None):
            try:
                heard = self._once(request, messages)
            except (TryLater, TransportRefused):
                if unsure is None:
                    raise
                return unsure
            if isinstance(heard, list) or heard.says in _SETTLES:
                return heard
            if heard.says is Says.UNSURE:
                unsure = heard
            wait = heard.retry_after if heard.retry_after is not None else pause
            again = heard.says is Says.LATER or (heard.says is Says.UNSURE and self._api.keyed)
            if pause is None or wait is None or wait > patience or not again:
                break
            patience -= wait
            self._sleep(wait)
        return unsure or heard

    def _once(self, request: Request, messages: Sequence[Message]) -> "list[Outcome] | _Heard":
        """Raises TryLater (no connection) or TransportRefused (TLS, credentials)."""
        headers = self._api.authorize(self._exchange_or_raise)
        try:
            answer = self._wire.exchange(Request(request.url, request.body, {**request.headers, **headers}))
        except Lost as lost:
            return _Heard(Says.UNSURE if lost.sent else Says.LOST, self._hide(str(lost)))
        if 200 <= answer.status < 300:
            try:
                outcomes = [self._shown(outcome) for outcome in self._api.read(answer, messages)]
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                return _Heard(Says.UNSURE, f"an answer that cannot be read: {self._words(answer)}")
            if len(outcomes) == len(messages):
                return outcomes
            counts = f"{len(outcomes)} answers for {len(messages)} messages"
            return _Heard(Says.UNSURE, f"{counts}: {self._words(answer)}")
        wait = retry_after(answer.headers, time.time())
        says = self._api.says(answer) or _by_status(answer.status)
        if says is Says.LATER and (wait or 0.0) > _LONG:
            says = Says.LIMIT
        # Some send their limits with every answer; of another refusal that is no reason to try again.
        return _Heard(says, self._words(answer), wait if says in (Says.LATER, Says.LIMIT, Says.UNSURE) else None)

    # What it means ---------------------------------------------------------------------------------------------------

    def _means(self, heard: _Heard) -> tuple[Outcome | None, TryLater | TransportRefused | None]:
        """The outcome of each message, and what is raised then. Without one they are put back as if never tried."""
        words = heard.words
        match heard.says:
            case Says.PERSON:
                return Outcome(Verdict.REFUSED, words), None
            case Says.TAKEN:
                return Outcome(Verdict.ACCEPTED, words), None
            case Says.UNSURE:
                return Outcome(Verdict.UNKNOWN, words), None
            case Says.LOST:
                return Outcome(Verdict.DEFERRED, words), None
            case Says.LATER:
                error: TryLater | TransportRefused
                error = TryLater(f"{self._api.name} takes nothing now: {words}", hint=_AGAIN)
            case _:
                error = self._refusal(words, heard.says)
        if heard.retry_after is None:
            return None, error
        return Outcome(Verdict.DEFERRED, words, retry_after=heard.retry_after, about_us=True), error

    def _refusal(self, words: str, says: Says = Says.US) -> TransportRefused:
        hint = {
            Says.BIG: "smaller pictures, or [newsletter] assets_url, so that they do not travel along",
            Says.LIMIT: "a limit of the account is used up: run the same command again when it is not",
        }.get(says) or meaning(words)
        if not hint and _status(words) in (401, 403):
            hint = (
                f"the key, or what it may do: look at the settings of [transport] and into {self._api.name}'s console"
            )
        hint = hint or "settle it with the provider, then run the same command again: nobody is marked refused for it"
        return TransportRefused(f"{self._api.name} refuses us, not the person: {words}", hint=hint)

    def _words(self, answer: Answer) -> str:
        """The answer on one line, without what must not be seen."""
        location = answer.headers.get("location", "")
        words = f"a redirection to {location}" if location else answer.words()
        return f"{answer.status} {self._hide(on_one_line(words))[:300]}".strip()

    def _shown(self, outcome: Outcome) -> Outcome:
        return replace(outcome, reply=self._hide(on_one_line(outcome.reply))[:300])

    def _hide(self, text: str) -> str:
        for secret in self._api.secrets:
            text = text.replace(secret, "…")
        return text

    # The wire --------------------------------------------------------------------------------------------------------

    def _exchange_or_raise(self, request: Request) -> Answer:
        """For what is no message: no answer is no harm."""
        try:
            return self._wire.exchange(request)
        except Lost as lost:
            raise TryLater(f"{urlsplit(request.url).netloc}: {self._hide(str(lost))}", hint=_AGAIN) from None

    def close(self) -> None:
        """See the protocol."""
        self._wire.close()


def _by_status(status: int) -> Says:
    if status in (408, 425, 429, 503):
        return Says.LATER
    if status == 413:
        return Says.BIG
    return Says.US if 300 <= status < 500 else Says.UNSURE


def _status(words: str) -> int:
    return int(words[:3]) if re.match(r"\d\d\d\b", words) else 0
