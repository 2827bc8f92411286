"""Findings as SARIF and as GitHub's workflow commands, and the catalogue of rules as a page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.documents import read_text
from hpo_constructs.errors import DocumentError
from hpo_constructs.report.github import as_github
from hpo_constructs.report.rules import COMMAND, as_markdown
from hpo_constructs.report.sarif import as_sarif
from hpo_constructs.rules import Finding, Severity, check, rules
from hpo_constructs.rules.examples import SINGLE

ROOT = Path(__file__).parents[2]
BROKEN = SINGLE.replace("max_parallel_training_jobs: 2", "max_parallel_training_jobs: 21").replace(
    "Bayesian", "Baysian"
)
UNREADABLE = [
    DocumentError("no such file", file="gone.yaml"),
    DocumentError("a tab", file="a b.yaml", line=3, column=1),
]


def finding(**members: Any) -> Finding:
    """A finding with some members set."""
    return Finding(
        **{
            "rule": "shape",
            "severity": Severity.ERROR,
            "path": "name",
            "message": "name must be a text",
            "fix": "give name a text",
            "source": "https://docs.aws.amazon.com/",
            **members,
        }
    )


def run_of(*findings: Finding, unreadable: list[DocumentError] | None = None, show_unknown: bool = False) -> Any:
    """The one run of the SARIF log of findings."""
    log = json.loads(as_sarif(findings, unreadable or [], show_unknown=show_unknown))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    return run


def test_sarif_of_a_template() -> None:
    findings = check(read_text(BROKEN, "templates/churn.yaml"))
    assert {item.severity for item in findings} >= {Severity.ERROR, Severity.QUOTA}
    run = run_of(*findings)
    driver = run["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == [name for name in rules() if name in {f.rule for f in findings}]
    for item, result in zip(findings, run["results"], strict=True):
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == item.rule
        assert result["level"] == ("error" if item.severity.fails else "warning")
        assert item.message in result["message"]["text"]
        assert item.fix in result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"] == {
            "artifactLocation": {"uri": "templates/churn.yaml"},
            "region": {"startLine": item.line, "startColumn": item.column},
        }
        assert location["logicalLocations"] == [{"fullyQualifiedName": item.path}]
    for rule in driver["rules"]:
        assert rule["helpUri"].startswith("https://")
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_sarif_of_nothing_has_results_all_the_same() -> None:
    run = run_of()
    assert run["results"] == []
    assert run["tool"]["driver"]["rules"] == []


def test_sarif_of_unreadable_files() -> None:
    (invocation,) = run_of(unreadable=UNREADABLE)["invocations"]
    assert invocation["executionSuccessful"] is False
    first, second = invocation["toolExecutionNotifications"]
    assert first == {
        "level": "error",
        "message": {"text": "no such file"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "gone.yaml"}}}],
    }
    assert second["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 1}
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b.yaml"


def test_sarif_places() -> None:
    absolute, bare = run_of(finding(file="/jobs/a#b.yaml", line=2), finding(path=""))["results"]
    physical = absolute["locations"][0]["physicalLocation"]
    assert physical == {
        "artifactLocation": {"uri": "file:///jobs/a%23b.yaml"},
        "region": {"startLine": 2, "startColumn": 1},
    }
    assert bare["locations"] == [{}]


def test_unknown_values_are_shown_on_request_only() -> None:
    unknown = finding(severity=Severity.UNKNOWN)
    assert run_of(unknown)["results"] == []
    assert [result["level"] for result in run_of(unknown, show_unknown=True)["results"]] == ["note"]
    assert "::notice " not in as_github([unknown], [], 1)
    assert as_github([unknown], [], 1, show_unknown=True).startswith("::notice title=shape name::")


@pytest.fixture(scope="module")
def sarif_schema() -> Any:
    """The parts of the SARIF schema that the log uses: what is required, what is known, and the enumerations."""
    text = {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}},
        "additionalProperties": False,
    }
    level = {"enum": ["none", "note", "warning", "error"]}
    uri = {"type": "string", "pattern": r"^[^\s#\\]+$"}

    def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
        return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}

    number = {"type": "integer", "minimum": 1}
    region = closed({"startLine": number, "startColumn": number}, "startLine")
    physical = closed({"artifactLocation": closed({"uri": uri}, "uri"), "region": region}, "artifactLocation")
    logical = {"type": "array", "items": closed({"fullyQualifiedName": {"type": "string"}})}
    locations = {"type": "array", "items": closed({"physicalLocation": physical, "logicalLocations": logical})}
    rule = closed(
        {
            "id": {"type": "string"},
            "shortDescription": text,
            "fullDescription": text,
            "help": text,
            "helpUri": uri,
            "defaultConfiguration": closed({"level": level}),
            "properties": closed({"tags": {"type": "array", "uniqueItems": True, "items": {"type": "string"}}}),
        },
        "id",
    )
    driver = closed(
        {
            "name": {"type": "string"},
            "version": {"type": "string"},
            "rules": {"type": "array", "items": rule, "uniqueItems": True},
        },
        "name",
    )
    result = closed(
        {
            "ruleId": {"type": "string"},
            "ruleIndex": {"type": "integer", "minimum": -1},
            "level": level,
            "message": text,
            "locations": locations,
        },
        "message",
    )
    notification = closed({"level": level, "message": text, "locations": locations}, "message")
    invocation = closed(
        {
            "executionSuccessful": {"type": "boolean"},
            "toolExecutionNotifications": {"type": "array", "items": notification},
        },
        "executionSuccessful",
    )
    run = closed(
        {
            "tool": closed({"driver": driver}, "driver"),
            "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            "invocations": {"type": "array", "items": invocation},
            "results": {"type": "array", "items": result},
        },
        "tool",
    )
    return closed(
        {"$schema": {"type": "string"}, "version": {"const": "2.1.0"}, "runs": {"type": "array", "items": run}},
        "version",
        "runs",
    )


@pytest.mark.parametrize("text", [SINGLE, BROKEN], ids=["clean", "broken"])
def test_sarif_keeps_the_standard(sarif_schema: Any, text: str) -> None:
    import jsonschema

    findings = check(read_text(text, "templates/churn.yaml"))
    log = json.loads(as_sarif(findings, UNREADABLE, show_unknown=True))
    assert [error.message for error in jsonschema.Draft7Validator(sarif_schema).iter_errors(log)] == []


def test_github_commands() -> None:
    lines = as_github(
        [
            finding(file="templates/churn.yaml", line=3, column=7),
            finding(severity=Severity.QUOTA),
            finding(severity=Severity.WARNING, path="", file="a,b:c.yaml"),
        ],
        UNREADABLE,
        2,
    ).splitlines()
    assert lines == [
        "::error file=templates/churn.yaml,line=3,col=7,title=shape name::name must be a text%0Afix: give name a text"
        "%0Asee: https://docs.aws.amazon.com/",
        "::error title=shape name::name must be a text%0Afix: give name a text%0Asee: https://docs.aws.amazon.com/",
        "::warning file=a%2Cb%3Ac.yaml,title=shape::name must be a text%0Afix: give name a text"
        "%0Asee: https://docs.aws.amazon.com/",
        "::error file=gone.yaml,title=unreadable::no such file",
        "::error file=a b.yaml,line=3,col=1,title=unreadable::a tab",
        "2 tuning jobs checked: 1 error, 1 quota finding, 1 warning, 2 unreadable files",
    ]


def test_a_message_cannot_end_a_github_command() -> None:
    line, _ = as_github([finding(message="100 %\r\n::error::x", path="a::b,c")], [], 1).splitlines()
    assert line.startswith("::error title=shape a%3A%3Ab%2Cc::100 %25%0D%0A::error::x%0Afix: ")


def test_the_page_of_rules_is_up_to_date() -> None:
    written = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    assert written == as_markdown(), f"docs/rules.md is stale: run {COMMAND}"


def test_the_page_has_every_rule_once_and_its_links_lead_there() -> None:
    page = as_markdown()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = [heading.lower().replace(" ", "-").replace("'", "") for heading in headings]
    assert len(set(anchors)) == len(anchors)
    assert re.findall(r"^### (.*)$", page, re.MULTILINE) == [*re.findall(r"\]\(#([a-z0-9-]+)\)", page)]
    assert set(re.findall(r"^### (.*)$", page, re.MULTILINE)) == set(rules())
    assert set(re.findall(r"\]\(#([a-z0-9-]+)\)", page)) <= set(anchors)
