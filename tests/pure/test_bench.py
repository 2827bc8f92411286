"""The bench: its arithmetic, the walk of the state machine, and that its programs run. No time is asserted."""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import growth, handlers, state_machine, synthesis
from bench._common import Aim, BenchError, Row, Sample, figures, in_turns, row_of, shown
from hpo_constructs.workflow import HISTORY_LIMIT, POLL, history_events, polls
from hpo_handlers.contract import wait_seconds

_FACTS = {
    "when": "2026-01-02T03:04:05+00:00",
    "full": False,
    "cores": 2,
    "system": "Linux x86_64",
    "python": "3.11.7",
    "node": "v24.0.0",
    "cdk": "2.1148.1",
    "load": 0.5,
}
_RUN_TIMES = sorted(state_machine.RUN_TIMES.values())


def row(ours: float = 2.0, **more: Any) -> Row:
    return row_of("check", "one template", ours, "s", other=4.0, other_name="cdk synth", **more)


def steps(values: Sequence[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(values)]


# The walk of the state machine


def most_looks(age: float, end: float) -> int:
    """The schedule for a tuning job that may end at any time."""
    return wait_seconds(age)


@pytest.mark.parametrize("run_time", _RUN_TIMES)
def test_the_walk_makes_the_looks_that_the_schedule_counts(run_time: int) -> None:
    looks = state_machine.polled(run_time, most_looks).invocations[POLL.id]
    assert looks == polls(run_time) >= state_machine.polled(run_time).invocations[POLL.id]


def test_the_walk_and_the_rule_on_history_events_agree() -> None:
    walked = [state_machine.polled(run_time, most_looks).events for run_time in _RUN_TIMES]
    promised = [history_events(run_time) for run_time in _RUN_TIMES]
    # The rule allows for retries and a failure; what a look costs is the same.
    assert steps(walked) == steps(promised)
    assert all(0 < most - events < 400 for events, most in zip(walked, promised, strict=True))


def test_the_end_is_seen_after_it_and_by_the_next_look() -> None:
    late = state_machine.delays(3600, state_machine.fixed)
    assert late["worst"].seconds == pytest.approx(60, abs=2)
    assert late["mean"].seconds == pytest.approx(30, abs=1)
    assert late["worst"].share == pytest.approx(60 / 3600, rel=0.12)


def test_a_look_a_minute_fills_the_history() -> None:
    with pytest.raises(state_machine.HistoryFull) as full:
        state_machine.fixed(30 * 86_400)
    assert full.value.walk.events >= HISTORY_LIMIT
    assert 40 * 3600 < full.value.walk.clock < 50 * 3600


def test_what_the_alternatives_cost() -> None:
    synced, by_event = state_machine.synced(86_400), state_machine.by_event(86_400)
    # Started; the integration entered, scheduled, started, submitted, succeeded, exited; the function one fewer; ended.
    assert (synced.transitions, synced.events, synced.invocations.total()) == (2, 1 + 6 + 5 + 1, 1)
    # Created by a function, ended by another one, published.
    assert (by_event.transitions, by_event.invocations.total()) == (2, 3)
    assert synced.clock == by_event.clock == 86_400


def test_the_price_of_a_thousand_transitions() -> None:
    assert state_machine.Walk(transitions=1000).price == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"Type": "Map", "End": True}, "Type 'Map'"),
        (
            {"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": 1, "Next": "A"}], "Default": "A"},
            "comparison 'NumericEquals'",
        ),
    ],
)
def test_the_walk_refuses_what_it_would_count_wrong(step: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        state_machine.walk({"StartAt": "A", "States": {"A": step}}, lambda *_: {})


# Rows and samples


@pytest.mark.parametrize(
    ("aim", "met", "text"),
    [
        (Aim("ratio", "<=", 0.5), True, "<= 0.5 x"),
        (Aim("ratio", "<=", 0.4), False, "<= 0.4 x"),
        (Aim("ratio", ">=", 0.6), False, ">= 0.6 x"),
        (Aim("ours", "<", 2), False, "< 2.00 s"),
        (Aim("ours", "<=", 2), True, "<= 2.00 s"),
    ],
)
def test_a_row_says_whether_its_aim_is_met(aim: Aim, met: bool, text: str) -> None:
    found = row(aim=aim)
    assert (found.ratio, found.met, found.aim) == (0.5, met, text)
    assert Row.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_an_aim_at_a_ratio_without_an_alternative_is_neither_met_nor_missed() -> None:
    assert row_of("check", "one", 1.0, "s", aim=Aim("ratio", "<=", 1)).met is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0000421, "s", "42 us"),
        (0.0421, "s", "42.1 ms"),
        (4.21, "s", "4.21 s"),
        (421, "s", "7.0 min"),
        (86_400, "s", "24.0 h"),
        (4210, "B", "4.2 KB"),
        (4_210_000, "B", "4.21 MB"),
        (0.0123, "USD", "$0.012"),
        (1234, "events", "1,234 events"),
        (1.2345, "exponent", "1.23 exponent"),
        (None, "s", ""),
    ],
)
def test_figures_have_the_digits_that_matter(value: float | None, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_who_is_compared_takes_turns() -> None:
    order: list[str] = []
    found = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(values) for name, values in found.items()} == {"a": 3, "b": 3}


def test_a_sample() -> None:
    sample = Sample((5.0, 1.0, 2.0, 3.0, 4.0))
    assert (sample.best, sample.median, sample.spread) == (1, 3, (2, 4))
    assert Sample((7.0,)).spread == (7, 7)


def test_a_program_that_fails_is_told_with_what_it_printed() -> None:
    with pytest.raises(BenchError, match="the reason"):
        figures("raise SystemExit('the reason')")


# Growth


@pytest.mark.parametrize(
    ("cost", "slope", "name"),
    [
        (lambda size: 5.0, 0, "constant"),
        (lambda size: 3.0 * size, 1, "linear"),
        # What every run costs hides the growth of the small sizes only.
        (lambda size: 20 + 3.0 * size, 0.97, "linear"),
        (lambda size: size**0.5, 0.5, "less than linear"),
        (lambda size: size**2.0, 2, "worse than n log n"),
    ],
)
def test_growth_is_named_by_its_exponent(cost: Any, slope: float, name: str) -> None:
    sizes = (10, 30, 100, 300, 1000)
    found = growth.exponent(sizes, [cost(size) for size in sizes])
    assert found == pytest.approx(slope, abs=0.02)
    assert growth.growth(found) == name


def test_the_templates_of_the_curves_have_no_findings(tmp_path: Path) -> None:
    # Both raise where a template does.
    assert growth.check_definitions(tmp_path, 10) > 0
    assert growth.check_ranges(tmp_path, 30) > 0


def test_a_simulated_tuning_job_runs_to_its_end() -> None:
    assert growth.tune("Random", 12) > 0


# The functions, beside a bare client


def test_a_function_and_its_bare_twin_make_the_same_calls() -> None:
    with handlers.Service() as service:
        measured = handlers.compared(service, "stop", 1)
        assert [target for target, _ in service.calls][-2:] == [
            "SageMaker.DescribeHyperParameterTuningJob",
            "SageMaker.StopHyperParameterTuningJob",
        ]
    for (run,) in measured.values():
        assert 0 < run["import"] < run["call"]
        assert run["memory"] > 10_000_000


def test_the_deployed_code_is_small_and_has_no_compiled_files() -> None:
    assert 10_000 < handlers.asset_bytes() < 200_000


# Synthesis


DEFINITION = {"Fn::Join": ["", ["a ", {"Fn::FindInMap": ["M", "x", "y"]}, {"Fn::GetAtt": ["Job0RoleA1", "Arn"]}]]}
TEMPLATE: dict[str, Any] = {
    "Mappings": {"M": {"x": {"y": "shared "}}},
    "Resources": {
        "Common": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": "common"}},
        "Job0RoleA1": {
            "Type": "AWS::IAM::Role",
            "Properties": {"Policies": [], "ManagedPolicyArns": [{"Ref": "Common"}]},
        },
        "Job0Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": DEFINITION}},
        "SharedRole": {"Type": "AWS::IAM::Role", "Properties": {}},
        "SharedPolicy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {"Roles": [{"Ref": "SharedRole"}], "PolicyDocument": [{"Ref": "Job12StateMachine01234ABC"}]},
        },
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Arns": [{"Ref": "Job3StateMachine01234ABC"}]}},
        "Guard": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"DefinitionString": "${Job3StateMachine01234ABC}"},
        },
    },
}


def test_the_resources_of_one_job_are_found_in_a_template() -> None:
    assert synthesis.of_one_job(TEMPLATE) == {
        "role": {"Policies": [], "ManagedPolicyArns": [{"Ref": "Common"}]},
        "common": "common",
        "definition": "a shared @TrainingRole@",
    }


def test_what_grows_with_the_jobs_has_the_names_of_the_l1_program() -> None:
    policy = {"Roles": [{"Ref": "SharedRole"}], "PolicyDocument": [{"Ref": "Machine12"}]}
    assert synthesis.growing_resources(TEMPLATE) == {
        "SharedPolicy": {"Type": "AWS::IAM::Policy", "Properties": policy},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Arns": [{"Ref": "Machine3"}]}},
        "Guard": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": "${Machine3}"}},
    }


def test_every_other_resource_is_shared() -> None:
    assert synthesis.shared_resources(TEMPLATE).keys() == {"SharedRole"}


# The command


def written(tmp_path: Path, *rows: Row) -> str:
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"machine": _FACTS, "rows": {"check": [found.as_dict() for found in rows]}}))
    return str(file)


def test_figures_are_printed_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, row(aim=Aim("ratio", "<=", 0.1), note="a note"))
    assert command.main(["--read", file]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"one template +2\.00 s +4\.00 s +cdk synth +0\.50 +<= 0\.1 x +no +\n +a note", printed)
    assert "2 cores, Linux x86_64, Python 3.11.7, Node 24.0.0" in printed
    (tmp_path / "old").mkdir()
    assert command.main(["--read", file, "--compare", written(tmp_path / "old", row(8.0))]) == 0
    assert re.search(r"one template +8\.00 s +2\.00 s +4\.00 s +cdk synth +2\.00 +0\.50", capsys.readouterr().out)


def test_figures_are_measured_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The machine's own facts need Node.
    monkeypatch.setattr(command, "machine", lambda: _FACTS)
    file = tmp_path / "folder/figures.json"
    assert command.main(["--only", "state-machine", "--json", str(file)]) == 0
    kept = json.loads(file.read_text())
    assert {found["row"] for found in kept["rows"]["state-machine"]} == {"state machine"}
    assert kept["machine"] == _FACTS
    assert "looks at the tuning job, 1 day" in capsys.readouterr().out


def test_a_part_that_cannot_be_measured_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*, full: bool) -> Any:
        raise BenchError("no luck")

    monkeypatch.setattr(command, "machine", lambda: _FACTS)
    monkeypatch.setattr(growth, "rows", broken)
    monkeypatch.setattr(state_machine, "rows", lambda *, full: [row()])
    arguments = ["--only", "growth", "state-machine", "--json", str(tmp_path / "figures.json")]
    assert command.main(arguments) == 1
    printed = capsys.readouterr()
    assert "growth could not be measured: no luck" in printed.err
    assert "one template" in printed.out


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"rows": {}}', '{"rows": {"check": [{"row": 1}]}}'])
def test_other_files_are_refused(content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "other.json"
    if content is not None:
        file.write_text(content)
    assert command.main(["--read", str(file)]) == 2
    assert str(file) in capsys.readouterr().err


# The page


def test_a_table_replaces_that_of_its_part_alone() -> None:
    page = "a\n<!-- bench check -->\nold\n<!-- end -->\nb\n<!-- bench growth -->\nold\n<!-- end -->\n"
    found = command.on_page(page, {"check": [row()], "growth": []}, _FACTS)
    assert found.startswith("a\n<!-- bench check -->\n| case | ours |")
    assert "| one template | 2.00 s | 4.00 s | cdk synth | 0.50 |  |  |  |" in found
    assert found.endswith("load 0.5 at the start.\n<!-- end -->\nb\n<!-- bench growth -->\nold\n<!-- end -->\n")
    assert command.on_page(found, {"check": [row()]}, _FACTS) == found


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(BenchError, match="bench check"):
        command.on_page("nothing", {"check": [row()]}, _FACTS)


def test_the_page_has_a_table_for_every_part() -> None:
    page = (Path(command.__file__).parents[1] / "docs/performance.md").read_text()
    for part in command.PARTS:
        marked = re.search(rf"<!-- bench {part} -->\n(.*?)<!-- end -->", page, re.DOTALL)
        assert marked, part
        assert "| case | ours |" in marked[1], part
