"""Settings of runs, in Python and in a template's `run` block."""

from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.documents import read
from hpo_constructs.errors import DocumentError, SpecError
from hpo_constructs.spec.run import RunSettings

TEMPLATE = """\
defaults:
  run: {on_stopped: accept_best, overlap: skip}
tuning_jobs:
  - name: plain
  - name: own
    run:
      overlap: allow
      required_objective_value: 0.9
      run_id: second
"""


def file(folder: Path, text: str) -> Path:
    template = folder / "team.yaml"
    template.write_text(text)
    return template


def test_template_states_them_for_all_jobs_and_for_one(tmp_path: Path) -> None:
    plain, own = read(file(tmp_path, TEMPLATE))
    assert plain.run == RunSettings(on_stopped="accept_best", overlap="skip")
    assert own.run == RunSettings(
        on_stopped="accept_best", overlap="allow", required_objective_value=0.9, run_id="second"
    )
    assert "run" not in own.request


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("overlap: never", "overlap must be one of queue, skip, allow, got 'never'"),
        ("on_stop: fail", "run has no setting on_stop; allowed: on_stopped, "),
        ("min_completed_training_jobs: 0", "min_completed_training_jobs must be a whole number of at least 1, got 0"),
        ("replace_best_by: -1", "replace_best_by must be a number of at least 0, got -1"),
        ("output_prefix: teams/x", "write '/teams/x/'"),
        ("required_objective_value: high", "required_objective_value must be a number, got 'high'"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, line: str, message: str) -> None:
    template = file(tmp_path, f"name: a\nrun:\n  {line}\n")
    with pytest.raises(DocumentError) as raised:
        read(template)
    assert message in str(raised.value)
    assert raised.value.line == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"min_completed_training_jobs": True},
        {"min_completed_training_jobs": 1.5},
        {"required_objective_value": float("nan")},
        {"required_objective_value": -1.8881545897087643e289},  # a token of the CDK's
        {"run_id": ""},
        {"output_prefix": "/a b/"},
    ],
)
def test_values_that_are_not_allowed(settings: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=next(iter(settings))):
        RunSettings(**settings)


def test_policy_names_what_is_stated() -> None:
    assert RunSettings().policy == {"on_stopped": "fail"}
    assert RunSettings(replace_best_by=0).policy == {"on_stopped": "fail", "replace_best_by": 0}
