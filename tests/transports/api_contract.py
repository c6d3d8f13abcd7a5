"""What every mail API keeps. A provider's test file inherits `ApiContract`, and says how that provider answers."""

import logging
import time
import traceback
from contextlib import ExitStack
from dataclasses import replace
from email.utils import formatdate

import pytest

from alliance_mailer.errors import ConfigError, MailerError, TransportRefused, TryLater
from alliance_mailer.message import Message, Outcome, Verdict
from alliance_mailer.transports import connect, transport_module
from alliance_mailer.transports._http import Http

from .letters import letter
from .web import DROP, HANG, Asked, Reply, Web

ACCEPTED, DEFERRED, REFUSED, UNKNOWN = Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.REFUSED, Verdict.UNKNOWN
SECRET = "marked-secret-0123456789"
NOBODY = "nobody@example.org"


def carried(transport: Http, *messages: Message) -> tuple[list[Outcome], MailerError | None]:
    """The outcomes of one batch, and what was raised after them."""
    outcomes: list[Outcome] = []
    try:
        outcomes.extend(transport.carry(iter([messages])))  # keeps what came before an error
    except MailerError as error:
        return outcomes, error
    return outcomes, None


def verdicts(outcomes):
    return [outcome.verdict for outcome in outcomes]


class ApiContract:
    """Inherit, and say what the provider's answers look like."""

    use: str
    options: dict[str, object]
    environ: dict[str, str] = {"KEY": SECRET}
    secrets = [SECRET]  # that must never be seen
    reads = True  # a success has a body that must be understood
    ascii_only = False  # no non-ASCII letter before the @

    def people(self, asked: Asked) -> list[str]:
        """The addresses that a request is for, in order."""
        raise NotImplementedError

    def answer(self, asked: Asked) -> Reply:
        """What the provider says: yes, but not to NOBODY."""
        raise NotImplementedError

    # What the tests have -------------------------------------------------------------------------------------------

    @pytest.fixture
    def web(self):
        web = Web(lambda asked: self.answer(asked))  # noqa: PLW0108 (a test may change `answer`)
        yield web
        web.stop()

    @pytest.fixture
    def opened(self, web, tmp_path, monkeypatch):
        monkeypatch.setattr("alliance_mailer.transports._http.PAUSES", (0.0, 0.0))
        with ExitStack() as stack:

            def opened(url=web.url, *, sandbox=False, **more) -> Http:
                module = transport_module(self.use)
                urls = {name: url for name in module.Options.__dataclass_fields__ if name.endswith("_url")}
                options = module.Options(**{"timeout": 10.0, **self.options, **urls, **more})
                transport = connect(
                    self.use, options, project=tmp_path, issue="2.6", environ=self.environ, sandbox=sandbox
                )
                stack.callback(transport.close)
                return transport

            yield opened

    @property
    def traits(self):
        return transport_module(self.use).TRAITS

    def posts(self, web) -> list[Asked]:
        """The requests that carry mail."""
        return [asked for asked in web.asked if not asked.path.endswith("/token")]

    def arrived(self, web) -> list[str]:
        return [person for asked in self.posts(web) for person in self.people(asked)]

    def many(self, edition) -> list[Message]:
        people = ["ann@example.org", "o'brien@example.com", "ken+digest@xn--r8jz45g.jp"]
        return [letter(edition, person, "佐藤, 健") for person in people][: self.traits.batch]

    # Yes -------------------------------------------------------------------------------------------------------------

    def test_each_message_is_accepted_and_carried_once(self, web, opened, edition):
        messages = self.many(edition)
        outcomes, error = carried(opened(), *messages)
        assert error is None
        assert verdicts(outcomes) == [ACCEPTED] * len(messages)
        assert all(outcome.reply for outcome in outcomes)
        assert self.arrived(web) == [message.contact.address for message in messages]

    def test_one_connection_and_one_request_a_batch(self, web, opened, edition):
        transport = opened()
        batches = iter([self.many(edition), [], self.many(edition)])
        outcomes = list(transport.carry(batches))
        assert verdicts(outcomes) == [ACCEPTED] * 2 * len(self.many(edition))
        assert len(self.posts(web)) == 2
        assert transport.batch_size == self.traits.batch

    def test_closing_twice_is_closing_once(self, web, opened, edition):
        transport = opened()
        carried(transport, *self.many(edition))
        transport.close()
        transport.close()
        assert web.is_left_alone()

    # No, to a person -------------------------------------------------------------------------------------------------

    def test_a_refused_address_does_not_take_its_neighbours_down(self, web, opened, edition):
        one, *more = self.many(edition)
        messages = [one, letter(edition, NOBODY), *more] if more else [letter(edition, NOBODY)]
        outcomes, error = carried(opened(), *messages)
        assert error is None
        refused = [message.contact.address == NOBODY for message in messages]
        assert verdicts(outcomes) == [REFUSED if no else ACCEPTED for no in refused]
        assert outcomes[refused.index(True)].reply

    def test_a_non_ascii_letter_before_the_at(self, web, opened, edition):
        outcomes, error = carried(opened(), letter(edition, "jürgen@example.org"))
        assert error is None
        assert verdicts(outcomes) == [REFUSED if self.ascii_only else ACCEPTED]
        assert self.arrived(web) == ([] if self.ascii_only else ["jürgen@example.org"])

    # Later -----------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [429, 503])
    def test_not_now_is_waited_for_where_it_is_short(self, web, opened, edition, status):
        transport = opened()
        self.warm(transport, web, edition)
        web.script.append(Reply(status, b"slow down", {"Retry-After": "0"}))
        outcomes, error = carried(transport, *self.many(edition))
        assert error is None
        assert set(verdicts(outcomes)) == {ACCEPTED}
        assert len(self.posts(web)) == 2

    @pytest.mark.parametrize("after", [lambda: "120", lambda: formatdate(usegmt=True, timeval=_in(120))])
    def test_not_now_is_deferred_where_it_is_long(self, web, opened, edition, after):
        transport = opened()
        self.warm(transport, web, edition)
        web.script.append(Reply(503, b"maintenance", {"Retry-After": after()}))
        outcomes, error = carried(transport, *self.many(edition))
        assert set(verdicts(outcomes)) == {DEFERRED}
        assert all(100 < outcome.retry_after <= 120 and outcome.about_us for outcome in outcomes)
        assert isinstance(error, TryLater)
        assert len(self.posts(web)) == 1

    def test_a_limit_that_is_used_up_stops_the_run(self, web, opened, edition):
        transport = opened()
        self.warm(transport, web, edition)
        web.script.append(Reply(429, b"daily limit", {"Retry-After": "36000"}))
        outcomes, error = carried(transport, *self.many(edition))
        assert set(verdicts(outcomes)) == {DEFERRED}
        assert outcomes[0].retry_after == 36000
        assert isinstance(error, TransportRefused)
        assert "daily limit" in str(error)

    def test_no_connection_is_a_reason_to_try_later(self, web, opened, edition):
        transport = opened()
        transport.close()  # as an idle connection is
        web.stop()
        outcomes, error = carried(transport, *self.many(edition))
        assert outcomes == []
        assert isinstance(error, TryLater)
        assert "cannot connect to localhost" in str(error)

    # In doubt --------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("reply", [DROP, Reply(500), Reply(502), Reply(504)], ids=["dropped", "500", "502", "504"])
    def test_what_may_have_been_taken_is_in_doubt_or_repeated_with_its_key(self, web, opened, edition, reply):
        transport = opened()
        self.warm(transport, web, edition)
        web.script.append(reply)
        outcomes, error = carried(transport, *self.many(edition))
        assert error is None
        self.in_doubt(web, outcomes)

    def test_silence_after_the_request_is_doubt(self, web, opened, edition):
        transport = opened(timeout=0.5)
        self.warm(transport, web, edition)
        web.script.append(HANG)
        outcomes, error = carried(transport, *self.many(edition))
        assert error is None
        self.in_doubt(web, outcomes)

    def test_an_answer_that_cannot_be_read_is_doubt(self, web, opened, edition):
        transport = opened()
        self.warm(transport, web, edition)
        for body in (b"<html>welcome</html>", b"{}", b"[]", b"null", b'{"data": 3}', b"\xff\xfe", b"[" * 100_000):
            web.asked.clear()
            web.script.append(Reply(200, body))
            outcomes, error = carried(transport, *self.many(edition))
            assert error is None
            if self.reads:
                self.in_doubt(web, outcomes)

    def in_doubt(self, web, outcomes):
        first, *again = self.posts(web)
        if self.traits.window:
            assert set(verdicts(outcomes)) == {ACCEPTED}
            assert len(again) == 1
            assert (again[0].body, again[0].path) == (first.body, first.path)
            key = "idempotency-key"
            assert again[0].headers.get(key) == first.headers.get(key)
        else:
            assert set(verdicts(outcomes)) == {UNKNOWN}
            assert again == []

    # No, to us -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 422])
    def test_what_is_not_about_the_person_stops_the_run_and_refuses_nobody(self, web, opened, edition, status):
        transport = opened()
        self.warm(transport, web, edition)
        web.script.append(Reply(status, {"message": "the account is not verified"}, {"RateLimit-Reset": "1"}))
        outcomes, error = carried(transport, *self.many(edition))
        assert outcomes == []  # so they are put back
        assert isinstance(error, TransportRefused)
        assert "the account is not verified" in str(error)
        assert error.hint
        assert len(self.posts(web)) == 1

    def test_a_redirection_is_not_followed(self, web, opened, edition):
        transport, elsewhere = opened(), Web()
        self.warm(transport, web, edition)
        web.script.append(Reply(307, b"", {"Location": f"{elsewhere.url}/v1"}))
        outcomes, error = carried(transport, *self.many(edition))
        elsewhere.stop()
        assert outcomes == []
        assert isinstance(error, TransportRefused)
        assert f"a redirection to {elsewhere.url}" in str(error)
        assert elsewhere.asked == []

    def test_a_request_that_is_too_large_is_split_and_a_message_stops_the_run(self, web, opened, edition):
        transport = opened()
        self.warm(transport, web, edition)
        answer, self.answer = (
            self.answer,
            lambda asked: Reply(413) if len(self.people(asked)) > 1 or NOBODY in self.people(asked) else answer(asked),
        )
        outcomes, error = carried(transport, *self.many(edition))
        assert (set(verdicts(outcomes)), error) == ({ACCEPTED}, None)
        outcomes, error = carried(transport, letter(edition, NOBODY))
        assert outcomes == []
        assert isinstance(error, TransportRefused)
        assert "assets_url" in error.hint

    def test_a_message_beyond_the_providers_limit_is_not_even_posted(self, web, opened, edition):
        transport = opened()
        self.warm(transport, web, edition)
        transport._api = replace(transport._api, largest=1000)
        outcomes, error = carried(transport, *self.many(edition))
        assert outcomes == []
        assert isinstance(error, TransportRefused)
        assert self.posts(web) == []

    def test_a_certificate_of_nobody_we_know_is_refused_before_any_message(self, opened, certified):
        stranger = Web(self.answer, tls=certified())
        with pytest.raises(TransportRefused, match="TLS failed"):
            opened(stranger.url)
        stranger.stop()
        assert stranger.asked == []

    def test_nobody_at_home_is_a_reason_to_try_later_before_any_message(self, web, opened):
        web.stop()
        with pytest.raises(TryLater, match="cannot connect"):
            opened()

    # Secrets and settings ----------------------------------------------------------------------------------------------

    def test_no_secret_is_ever_seen(self, web, opened, edition, caplog):
        caplog.set_level(logging.DEBUG)
        words, seen = " and ".join(self.secrets), []
        echo = {"message": words, "error": words, "Message": words, "data": {"code": words, "message": words}}
        replies = [Reply(status, echo) for status in (200, 202, 302, 400, 401, 403, 404, 413, 422, 429, 500, 503)]
        replies += [Reply(302, b"", {"Location": f"https://example.org/?{self.secrets[0]}"}), DROP]
        replies += [Reply(200, [echo]), Reply(200, {**echo, "status": words}), Reply(400, words.encode())]
        for reply in replies:
            transport = opened()
            self.warm(transport, web, edition)
            web.script.extend([reply] * 3)
            outcomes, error = carried(transport, letter(edition))
            web.script.clear()
            seen += [repr(outcomes), repr(transport), repr(transport._api), repr(vars(transport))]
            if error:
                seen += [str(error), error.hint, repr(error.problems), *traceback.format_exception(error)]
        seen += [record.getMessage() for record in caplog.records]
        assert seen
        for secret in self.secrets:
            assert not [text for text in seen if secret in text]

    @pytest.mark.parametrize("value", [None, "", "  ", "two words", "line\nbreak", "schlüssel"])
    def test_a_variable_that_holds_no_key_is_named_and_not_shown(self, opened, value):
        if "KEY" not in self.environ:  # botocore's to find
            return
        self.environ = {} if value is None else {"KEY": value}
        with pytest.raises(ConfigError, match="the environment variable KEY") as refused:
            opened()
        assert not value or not value.strip() or value not in f"{refused.value}{refused.value.hint}"

    @pytest.mark.parametrize(
        "url",
        ["http://api.example.org", "ftp://api.example.org", "https://", "https://me:pw@api.example.org", "api", "https://a b",
         "https://[::1", "https://api.example.org/?a=1"],
    )  # fmt: skip
    def test_a_url_that_is_none_or_sends_the_key_in_the_clear_is_refused(self, opened, url):
        with pytest.raises(ConfigError, match="transport"):
            opened(url)

    def test_the_line_that_names_it_says_live(self, opened):
        module = transport_module(self.use)
        line = module.describe(module.Options(**self.options, **self.needed_url()), "2.6")
        assert line.startswith(f"{self.use} ")
        assert line.endswith("(LIVE)")
        assert not module.LOCAL

    def needed_url(self):
        return {}

    def warm(self, transport, web, edition):
        """Whatever it asks for before the first message is asked for."""
        carried(transport, letter(edition))
        web.asked.clear()


def _in(seconds):
    return time.time() + seconds
