"""Brevo: both texts once, a version a person; read here as its template language, which is Django's, reads them."""

import html
import re
from uuid import UUID

from alliance_mailer.message import Verdict
from alliance_mailer.transports.brevo import _literal

from .api_contract import NOBODY, SECRET, ApiContract, carried, verdicts
from .letters import letter
from .web import DROP, Reply


def filled(template, params):
    """Django's lexer, and the one tag that is in use; a value is escaped unless that is switched off."""
    shown, escapes = [], True
    for token in re.split(r"({%.*?%}|{{.*?}}|{#.*?#})", template):
        match token[2:-2].strip() if re.fullmatch(r"{[%{#].*[%}#]}", token) else None:
            case "autoescape off":
                escapes = False
            case "endautoescape":
                escapes = True
            case None:
                shown.append(token)
            case name:
                assert token.startswith("{{")
                value = params[name.removeprefix("params.")]
                shown.append(html.escape(value) if escapes else value)
    return "".join(shown)


class TestBrevo(ApiContract):
    use = "brevo"
    options = {"api_key_env": "KEY"}

    def people(self, asked):
        return [version["to"][0]["email"] for version in asked.json["messageVersions"]]

    def answer(self, asked):
        people = self.people(asked)
        if NOBODY in people:
            return Reply(400, {"code": "invalid_parameter", "message": "email is not valid in to"})
        ids = [f"<{n}@brevo>" for n in range(len(people))]
        return Reply(201, {"messageIds": ids} if len(ids) > 1 else {"messageId": ids[0]})

    def test_the_request(self, web, opened, edition):
        ann, ken = letter(edition), letter(edition, "o'brien@example.org", "佐藤, 健")
        outcomes, _ = carried(opened(), ann, ken)
        (asked,) = web.asked
        assert (asked.method, asked.path, asked.headers["api-key"]) == ("POST", "/v3/smtp/email", SECRET)
        found = asked.json
        page, text, key = found.pop("htmlContent"), found.pop("textContent"), found["headers"].pop("idempotencyKey")
        params = [version.pop("params") for version in found["messageVersions"]]

        def headers(message):
            return {
                "List-Id": "US-Japan Alliance Digest <us-japan-alliance-digest.example.org>",
                "List-Post": "NO",
                "Feedback-ID": "2.6:us-japan-alliance-digest:newsletter:exampleorg",
                "List-Unsubscribe": f"<mailto:unsubscribe@example.org?subject=unsubscribe%20{message.token}>",
            }

        encoded = "=?utf-8?b?5L2Q6JekLCDlgaU=?="
        assert found == {
            "sender": {"name": "US-Japan Alliance Digest", "email": "digest@example.org"},
            "subject": ann.subject,
            "headers": {},
            "messageVersions": [
                {"to": [{"name": "Ann", "email": "ann@example.org"}], "headers": headers(ann)},
                {"to": [{"name": encoded, "email": "o'brien@example.org"}], "headers": headers(ken)},
            ],
        }
        assert UUID(key).version == 5
        for message, values in zip((ann, ken), params, strict=True):
            assert filled(page, values) == message.html
            assert filled(text, values) == message.text
        assert [outcome.provider_id for outcome in outcomes] == ["<0@brevo>", "<1@brevo>"]

    def test_both_texts_travel_once_whatever_the_number_of_people(self, web, opened, edition):
        carried(opened(), *(letter(edition, f"a{n}@example.org") for n in range(100)))
        assert web.asked[0].body.count(b"<html") == 1

    def test_what_was_taken_before_is_accepted_when_it_is_repeated(self, web, opened, edition):
        duplicate = Reply(400, {"code": "duplicate_parameter", "message": "idempotencyKey was used"})
        web.script.extend([DROP, duplicate])
        outcomes, error = carried(opened(), *self.many(edition))
        assert (verdicts(outcomes), error) == ([Verdict.ACCEPTED] * 3, None)
        assert len({asked.json["headers"]["idempotencyKey"] for asked in web.asked}) == 1

    def test_the_sandbox_is_a_header(self, web, opened, edition):
        carried(opened(sandbox=True), letter(edition))
        assert web.asked[0].json["headers"]["X-Sib-Sandbox"] == "drop"


def test_what_looks_like_a_template_in_an_issue_stays_as_it_is():
    for text in (
        "{{ contact.EMAIL }}",
        "{% if x %}",
        "{# not a comment #}",
        "a{{{b}}}",
        "{{",
        "{",
        "@media{#a{b:c}}",
        "{%%}",
    ):
        assert filled(f"{_literal(text)}{{{{ params.p0 }}}}", {"brace": "{", "p0": "}}"}) == f"{text}}}}}"
