"""A mutation test of the checks: a mistake is found by its rule, at its line, and nothing else complains."""

from collections import Counter
from pathlib import Path

import pytest

from alliance_mailer.checks import RULES, Proof

from .proofs import Seed, found
from .seeds import SEEDS, outside


def _names() -> list[str]:
    seen: Counter[str] = Counter()
    return [f"{seed.rule}-{seen.update([seed.rule]) or seen[seed.rule]}" for seed in SEEDS]


def test_a_publication_in_order_is_clean(clean: Proof) -> None:
    assert found(clean) == []
    assert found(outside()(clean)) == []


@pytest.mark.parametrize("seed", SEEDS, ids=_names())
def test_a_mistake_is_found_where_it_was_made_and_nothing_else_is(seed: Seed, clean: Proof, tmp_path: Path) -> None:
    proof, line = seed.proof(clean, tmp_path / "digest")
    findings = found(proof)
    assert {finding.rule for finding in findings} == {seed.rule, *seed.also}, findings
    first = next(finding for finding in findings if finding.rule == seed.rule)
    assert first.severity == (seed.severity or RULES[seed.rule].severity)
    assert first.message
    assert first.fix
    if seed.at is None:
        assert (first.file, first.line) == (seed.edits[0].file, line), first
        assert first.column, first
    elif seed.at:
        assert seed.at in first.excerpt, first
    if first.line:
        text = proof.lines(first.file)[first.line - 1]
        assert first.excerpt == text
        assert 1 <= (first.column or 1) <= len(text)


def test_every_rule_has_a_seed_and_says_what_it_is_for() -> None:
    assert {seed.rule for seed in SEEDS} | {"M005"} == set(RULES)
    for rule in RULES.values():
        assert 10 < len(rule.title) < 140, rule
        assert len(rule.why) > 30, rule
        assert rule.fix, rule
        assert rule.source, rule
