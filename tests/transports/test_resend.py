"""Resend: fields, a batch with an idempotency key, bad addresses by their place."""

import pytest

from alliance_mailer.errors import TransportRefused
from alliance_mailer.message import Verdict

from .api_contract import NOBODY, SECRET, ApiContract, carried, verdicts
from .letters import letter
from .web import DROP, Reply


class TestResend(ApiContract):
    use = "resend"
    options = {"api_key_env": "KEY"}
    ascii_only = True

    def people(self, asked):
        return [item["to"][0].rpartition("<")[2].rstrip(">") for item in asked.json]

    def answer(self, asked):
        people = self.people(asked)
        wrong = [n for n, to in enumerate(people) if to == NOBODY]
        words = "Invalid `to` field. nobody@example.org is no address."
        found = {"data": [{"id": f"id-{n}"} for n in range(len(people)) if n not in wrong]}
        return Reply(200, {**found, "errors": [{"index": n, "message": words} for n in wrong]} if wrong else found)

    def test_the_request(self, web, opened, edition):
        message = letter(edition)
        outcomes, _ = carried(opened(), message)
        (asked,) = web.asked
        assert (asked.method, asked.path) == ("POST", "/emails/batch")
        assert asked.headers["authorization"] == f"Bearer {SECRET}"
        assert asked.headers["x-batch-validation"] == "permissive"
        assert asked.json == [
            {
                "from": "US-Japan Alliance Digest <digest@example.org>",
                "to": ["Ann <ann@example.org>"],
                "subject": message.subject,
                "html": message.html,
                "text": message.text,
                "headers": {
                    "List-Id": "US-Japan Alliance Digest <us-japan-alliance-digest.example.org>",
                    "List-Post": "NO",
                    "Feedback-ID": "2.6:us-japan-alliance-digest:newsletter:exampleorg",
                    "List-Unsubscribe": f"<mailto:unsubscribe@example.org?subject=unsubscribe%20{message.token}>",
                },
            }
        ]
        assert outcomes[0].provider_id == "id-0"

    def test_the_key_is_the_batchs_own_and_the_same_every_time(self, web, opened, edition):
        one, two, three = self.many(edition)
        for batch in ((one, two), (one, two), (two, one), (one, two, three), (one,)):
            carried(opened(), *batch)
        keys = [asked.headers["idempotency-key"] for asked in web.asked]
        assert keys[0] == keys[1]
        assert len(set(keys)) == 4

    def test_a_batch_in_doubt_is_repeated_and_then_left_in_doubt(self, web, opened, edition):
        web.script.extend([DROP, Reply(500), Reply(502)])
        outcomes, error = carried(opened(), *self.many(edition))
        assert (verdicts(outcomes), error) == ([Verdict.UNKNOWN] * 3, None)
        assert len({asked.headers["idempotency-key"] for asked in web.asked}) == 1
        assert len(web.asked) == 3

    @pytest.mark.parametrize("reply", [Reply(429, b"", {"Retry-After": "3600"}), Reply(401), Reply(307)])
    def test_what_is_in_doubt_stays_so_when_the_repetition_is_not_let_in(self, web, opened, edition, reply):
        web.script.extend([DROP, reply])
        outcomes, _ = carried(opened(), *self.many(edition))
        assert verdicts(outcomes) == [Verdict.UNKNOWN] * 3

    def test_a_batch_that_is_still_on_its_way_is_asked_for_again(self, web, opened, edition):
        web.script.append(Reply(409, {"name": "concurrent_idempotent_requests", "message": "in progress"}))
        outcomes, error = carried(opened(), *self.many(edition))
        assert (verdicts(outcomes), error) == ([Verdict.ACCEPTED] * 3, None)

    def test_a_key_that_was_used_for_other_words_is_doubt(self, web, opened, edition):
        web.script.extend([Reply(409, {"name": "invalid_idempotent_request", "message": "other payload"})] * 3)
        outcomes, error = carried(opened(), *self.many(edition))
        assert (verdicts(outcomes), error) == ([Verdict.UNKNOWN] * 3, None)

    def test_a_quota_stops_the_run(self, web, opened, edition):
        web.script.append(Reply(429, {"name": "daily_quota_exceeded", "message": "You have reached your daily limit"}))
        outcomes, error = carried(opened(), *self.many(edition))
        assert outcomes == []
        assert isinstance(error, TransportRefused)
        assert len(web.asked) == 1

    def test_an_error_about_us_in_a_batch_stops_the_run_and_refuses_nobody(self, web, opened, edition):
        errors = [{"index": 1, "message": "The `from` domain is not verified"}]
        web.script.append(Reply(200, {"data": [{"id": "a"}, {"id": "c"}], "errors": errors}))
        outcomes, error = carried(opened(), *self.many(edition))
        assert verdicts(outcomes) == [Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.ACCEPTED]
        assert error

    def test_a_batch_refused_whole_for_one_address_is_split(self, web, opened, edition):
        answer = self.answer

        def strict(asked):
            if NOBODY in self.people(asked):
                return Reply(422, {"name": "validation_error", "message": "Invalid `to` field: nobody"})
            return answer(asked)

        web.answer = strict
        messages = [*self.many(edition), letter(edition, NOBODY)]
        outcomes, error = carried(opened(), *messages)
        assert (verdicts(outcomes), error) == ([Verdict.ACCEPTED] * 3 + [Verdict.REFUSED], None)
        assert [self.people(asked).count(NOBODY) for asked in web.asked if len(self.people(asked)) == 1] == [0, 1]

    @pytest.mark.parametrize("count", [1, 2, 4])
    def test_fewer_or_more_ids_than_messages_settle_none_of_them(self, web, opened, edition, count):
        web.script.extend([Reply(200, {"data": [{"id": "a"}] * count})] * 3)
        outcomes, _ = carried(opened(), *self.many(edition))
        assert verdicts(outcomes) == [Verdict.UNKNOWN] * 3

    def test_the_sandbox_is_an_address_that_shows_it_to_nobody(self, web, opened, edition):
        carried(opened(sandbox=True), letter(edition))
        assert web.asked[0].json[0]["to"] == ["delivered@resend.dev"]
