"""Every rule's own examples, run: the passing one is clean, the failing one gives just this rule's finding."""

import pytest
import yaml

from hpo_constructs.documents.files import read_text
from hpo_constructs.rules import Finding, Rule, Severity, check, rules
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.rules.registry import Example


def findings_of(example: Example) -> list[Finding]:
    """What `check` says of an example, laid over the complete template that it belongs to."""
    base = yaml.safe_load(SEVERAL if example.several else SINGLE)
    text = yaml.safe_dump(laid_over(base, yaml.safe_load(example.text)), sort_keys=False)
    return check(read_text(text, "example.yaml"), quotas=example.quotas or None)


@pytest.mark.parametrize("base", [SINGLE, SEVERAL], ids=["single", "several"])
def test_the_templates_that_examples_are_laid_over_are_clean(base: str) -> None:
    assert check(read_text(base, "example.yaml")) == []


@pytest.mark.parametrize("rule", rules().values(), ids=rules().keys())
def test_passing_example_has_no_finding(rule: Rule) -> None:
    findings = findings_of(rule.passes)
    assert [f for f in findings if f.rule == rule.id or f.severity.fails] == []


@pytest.mark.parametrize("rule", rules().values(), ids=rules().keys())
def test_failing_example_has_one_finding_of_its_rule(rule: Rule) -> None:
    findings = findings_of(rule.fails)
    assert [f.rule for f in findings if f.rule == rule.id] == [rule.id], findings
    assert [f for f in findings if f.rule != rule.id and f.severity.fails] == []
    (finding,) = [f for f in findings if f.rule == rule.id]
    assert finding.severity is rule.severity
    assert finding.line is not None
    assert finding.path
    assert finding.message[0].islower() or finding.message.split()[0] in str(finding.path) or "_" in finding.message
    assert not finding.message.endswith(".")
    assert finding.fix
    assert finding.source.startswith("https://")


def test_every_rule_has_a_reason_and_a_title() -> None:
    for rule in rules().values():
        assert rule.title and not rule.title.endswith("."), rule.id
        assert len(rule.reason) > 20, rule.id
        assert isinstance(rule.severity, Severity)
