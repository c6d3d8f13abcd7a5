"""Postmark: fields, an outcome each inside a 200."""

import pytest

from alliance_mailer.message import Verdict

from .api_contract import NOBODY, SECRET, ApiContract, carried, verdicts
from .letters import letter
from .web import Reply


class TestPostmark(ApiContract):
    use = "postmark"
    options = {"token_env": "KEY"}

    def people(self, asked):
        return [item["To"].rpartition("<")[2].rstrip(">") for item in asked.json]

    def answer(self, asked):
        no = {"ErrorCode": 300, "Message": f"Invalid 'To' address: '{NOBODY}'."}
        yes = {"ErrorCode": 0, "Message": "OK", "SubmittedAt": "2023-04-03T09:00:00Z"}
        people = enumerate(self.people(asked))
        return Reply(200, [no if to == NOBODY else {**yes, "To": to, "MessageID": f"id-{n}"} for n, to in people])

    def test_the_request(self, web, opened, edition):
        message = letter(edition)
        outcomes, _ = carried(opened(message_stream="digest"), message)
        (asked,) = web.asked
        assert (asked.method, asked.path) == ("POST", "/email/batch")
        assert asked.headers["x-postmark-server-token"] == SECRET
        assert asked.headers["content-type"] == "application/json"
        (picture,) = edition.pictures
        assert asked.json == [
            {
                "From": "US-Japan Alliance Digest <digest@example.org>",
                "To": "Ann <ann@example.org>",
                "Subject": message.subject,
                "HtmlBody": message.html,
                "TextBody": message.text,
                "Headers": [
                    {"Name": "List-Id", "Value": "US-Japan Alliance Digest <us-japan-alliance-digest.example.org>"},
                    {"Name": "List-Post", "Value": "NO"},
                    {"Name": "Feedback-ID", "Value": "2.6:us-japan-alliance-digest:newsletter:exampleorg"},
                    {
                        "Name": "List-Unsubscribe",
                        "Value": f"<mailto:unsubscribe@example.org?subject=unsubscribe%20{message.token}>",
                    },
                    {"Name": "Message-ID", "Value": f"<{message.message_id}>"},
                    {"Name": "X-PM-KeepID", "Value": "true"},
                ],
                "MessageStream": "digest",
                "TrackOpens": False,
                "TrackLinks": "None",
                "Attachments": [
                    {
                        "Name": picture.name,
                        "Content": asked.json[0]["Attachments"][0]["Content"],
                        "ContentType": "image/jpeg",
                        "ContentID": f"cid:{picture.name}@example.org",
                    }
                ],
            }
        ]
        assert f'src="cid:{picture.name}@example.org"' in message.html
        assert outcomes[0].provider_id == "id-0"

    @pytest.mark.parametrize(
        ("code", "words", "verdict", "hard", "about_us"),
        [
            (406, "You tried to send to a recipient that has been marked as inactive.", Verdict.REFUSED, True, False),
            (300, "Invalid 'To' address: 'x'.", Verdict.REFUSED, False, False),
            (300, "Invalid 'From' address: 'x'.", Verdict.DEFERRED, False, True),
            (405, "Not allowed to send", Verdict.DEFERRED, False, True),
            (412, "Account pending approval", Verdict.DEFERRED, False, True),
            (100, "Maintenance", Verdict.DEFERRED, False, False),
        ],
    )
    def test_a_code_inside_a_200(self, web, opened, edition, code, words, verdict, hard, about_us):
        yes = {"ErrorCode": 0, "Message": "OK", "MessageID": "a"}
        web.script.append(Reply(200, [yes, {"ErrorCode": code, "Message": words}, {**yes, "MessageID": "c"}]))
        outcomes, error = carried(opened(), *self.many(edition))
        assert verdicts(outcomes) == [Verdict.ACCEPTED, verdict, Verdict.ACCEPTED]
        assert (outcomes[1].hard, outcomes[1].about_us, bool(error)) == (hard, about_us, about_us)
        assert outcomes[1].reply == f"{code} {words}"

    def test_fewer_or_more_answers_than_messages_settle_none_of_them(self, web, opened, edition):
        yes = {"ErrorCode": 0, "Message": "OK", "MessageID": "a"}
        for count in (1, 2, 4):
            web.script.append(Reply(200, [yes] * count))
            outcomes, _ = carried(opened(), *self.many(edition))
            assert verdicts(outcomes) == [Verdict.UNKNOWN] * 3

    def test_the_sandbox_is_a_token_that_delivers_nothing(self, web, opened, edition):
        carried(opened(sandbox=True), letter(edition))
        assert web.asked[0].headers["x-postmark-server-token"] == "POSTMARK_API_TEST"
