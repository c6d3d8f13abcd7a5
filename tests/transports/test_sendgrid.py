"""SendGrid: both texts once, tags for the gaps, one answer for all."""

import json
from dataclasses import replace

from alliance_mailer.message import Verdict

from .api_contract import NOBODY, SECRET, ApiContract, carried, verdicts
from .letters import letter
from .web import Reply


class TestSendGrid(ApiContract):
    use = "sendgrid"
    options = {"api_key_env": "KEY"}
    reads = False

    def people(self, asked):
        return [each["to"][0]["email"] for each in asked.json["personalizations"]]

    def answer(self, asked):
        if NOBODY in (people := self.people(asked)):
            place = f"personalizations.{people.index(NOBODY)}.to.0.email"
            errors = [{"message": "Does not contain a valid address.", "field": place, "help": None}]
            return Reply(400, {"errors": errors})
        return Reply(202, b"", {"X-Message-Id": "sg-1"})

    def test_the_request(self, web, opened, edition):
        ann, ken = letter(edition), letter(edition, "ken@example.org", "佐藤 健")
        outcomes, _ = carried(opened(), ann, ken)
        (asked,) = web.asked
        assert (asked.method, asked.path) == ("POST", "/v3/mail/send")
        assert asked.headers["authorization"] == f"Bearer {SECRET}"
        (picture,) = edition.pictures
        found = asked.json
        text, html = (part.pop("value") for part in found["content"])
        assert len(found["attachments"][0].pop("content")) > 10_000
        substitutions = [each.pop("substitutions") for each in found["personalizations"]]

        def headers(message):
            return {
                "List-Id": "US-Japan Alliance Digest <us-japan-alliance-digest.example.org>",
                "List-Post": "NO",
                "Feedback-ID": "2.6:us-japan-alliance-digest:newsletter:exampleorg",
                "List-Unsubscribe": f"<mailto:unsubscribe@example.org?subject=unsubscribe%20{message.token}>",
                "Message-ID": f"<{message.message_id}>",
            }

        assert found == {
            "personalizations": [
                {"to": [{"name": "Ann", "email": "ann@example.org"}], "headers": headers(ann)},
                {"to": [{"name": "佐藤 健", "email": "ken@example.org"}], "headers": headers(ken)},
            ],
            "from": {"name": "US-Japan Alliance Digest", "email": "digest@example.org"},
            "subject": ann.subject,
            "content": [{"type": "text/plain"}, {"type": "text/html"}],
            "tracking_settings": {
                "click_tracking": {"enable": False, "enable_text": False},
                "open_tracking": {"enable": False},
                "subscription_tracking": {"enable": False},
            },
            "attachments": [
                {
                    "type": "image/jpeg",
                    "filename": picture.name,
                    "disposition": "inline",
                    "content_id": f"{picture.name}@example.org",
                }
            ],
        }
        for message, values in zip((ann, ken), substitutions, strict=True):
            assert _substituted(html, values) == message.html
            assert _substituted(text, values) == message.text
        assert [outcome.provider_id for outcome in outcomes] == ["sg-1", "sg-1"]

    def test_both_texts_travel_once_whatever_the_number_of_people(self, web, opened, edition):
        carried(opened(), *(letter(edition, f"a{n}@example.org") for n in range(100)))
        (asked,) = web.asked
        assert asked.body.count(json.dumps("<html").encode()[1:-1]) == 1

    def test_one_bad_address_in_a_thousand_is_found(self, web, opened, edition):
        messages = [letter(edition, NOBODY if n == 377 else f"a{n}@example.org") for n in range(1000)]
        outcomes, error = carried(opened(), *messages)
        assert error is None
        assert [n for n, outcome in enumerate(outcomes) if outcome.verdict is not Verdict.ACCEPTED] == [377]
        assert len(web.asked) <= 1 + 2 * 10
        taken = [person for asked in web.asked if self.answer(asked).status == 202 for person in self.people(asked)]
        assert sorted(taken) == sorted(m.contact.address for m in messages if m.contact.address != NOBODY)

    def test_who_has_more_to_fill_in_than_it_takes_is_told(self, web, opened, edition):
        long = replace(letter(edition), token="x" * 11_000)
        outcomes, error = carried(opened(), letter(edition, "ken@example.org"), long)
        assert (verdicts(outcomes), error) == ([Verdict.ACCEPTED, Verdict.REFUSED], None)
        assert "SendGrid takes 10,000" in outcomes[1].reply

    def test_an_error_elsewhere_is_about_us(self, web, opened, edition):
        errors = [{"message": "The from address does not match a verified Sender Identity.", "field": "from"}]
        web.script.append(Reply(400, {"errors": errors}))
        outcomes, error = carried(opened(), *self.many(edition))
        assert outcomes == []
        assert "verify the domain" in error.hint

    def test_the_sandbox_is_its_mode(self, web, opened, edition):
        carried(opened(sandbox=True), letter(edition))
        assert web.asked[0].json["mail_settings"] == {"sandbox_mode": {"enable": True}}


def _substituted(text, values):
    for tag, value in values.items():
        assert tag in text or value
        text = text.replace(tag, value)
    return text
