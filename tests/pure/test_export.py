"""`hpo import`: a template says exactly what its source says, and reads well."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from hpo_constructs.documents import find_files, read, read_text
from hpo_constructs.documents.comments import comments_of
from hpo_constructs.documents.export import import_file, import_text, template_text
from hpo_constructs.errors import DocumentError, HpoError
from hpo_constructs.rules.examples import SEVERAL, SINGLE

from .strategies import botocore_refuses, requests

ROOT = Path(__file__).parents[2]
GOOD = sorted(path for path in (ROOT / "tests/corpus/good").rglob("*") if path.suffix in {".yaml", ".yml", ".json"})
EXAMPLES = [path for path in find_files(ROOT / "examples") if path.suffix == ".yaml"]


def exact(value: Any) -> str:
    """A value in a form in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def request(**members: Any) -> dict[str, Any]:
    """The request of the complete template, with other members at its top."""
    (declaration,) = read_text(SINGLE, "single.yaml")
    return {**declaration.request, **members}


def round_trip(source: dict[str, Any]) -> str:
    """The template of a request, after it was seen to say the same."""
    text = import_text(json.dumps(source), "request.json")
    (again,) = read_text(text, "template.yaml")
    assert exact(again.request) == exact(source)
    return text


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_import_and_render_give_an_equal_request(source: dict[str, Any]) -> None:
    assert botocore_refuses(source) == ""
    round_trip(source)


@pytest.mark.parametrize("path", [*GOOD, *EXAMPLES], ids=lambda path: path.name)
def test_files_of_every_form(path: Path) -> None:
    before = [exact(declaration.request) for declaration in read(path)]
    after = read_text(import_file(path), "template.yaml")
    assert [exact(declaration.request) for declaration in after] == before
    assert import_text(import_file(path), "again.yaml") == import_file(path)  # its own normal form


@pytest.mark.parametrize(
    "text",
    ["1e-05", "0.10", "012", "0x1F", "true", "True", "off", "null", "~", "", " ", "a: b", "# no", "- x", "a #b", "'",
     '"', "two\nlines", "tab\t", "\u2028", "\x7f\x85", "😀", "ends:", "<<", "*a", "&a", "!t", "{", "%", "@", "`", "=",
     "...", "---", "1_000", "2024-01-01", "1:30", ".5", "+1", "-", "${AWS::Region}", "\\", "ü" * 100, ".inf", "1e400"],
)  # fmt: skip
def test_texts_keep_their_spelling(text: str) -> None:
    source = request()
    definition = {**source["TrainingJobDefinition"], "StaticHyperParameters": {"value": text, text or "x": "1"}}
    definition["Environment"] = {"A": text}
    ranges = {"CategoricalParameterRanges": [{"Name": text, "Values": [text, "other"]}]}
    config = {**source["HyperParameterTuningJobConfig"], "ParameterRanges": ranges}
    tags = [{"Key": text, "Value": text}]
    round_trip({**source, "TrainingJobDefinition": definition, "HyperParameterTuningJobConfig": config, "Tags": tags})


def test_short_forms() -> None:
    written = round_trip(
        request(
            Tags=[{"Key": "team", "Value": "risk"}],
            WarmStartConfig={
                "WarmStartType": "TransferLearning",
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "one"}],
            },
        )
    )
    assert written == (
        """\
# Imported from request.json: a CreateHyperParameterTuningJob request.
name: churn
strategy: Bayesian
objective: {metric_name: "validation:auc", type: Maximize}
resource_limits: {max_parallel_training_jobs: 2, max_number_of_training_jobs: 20}
hyperparameter_ranges:
  eta: {type: Continuous, min_value: 0.1, max_value: 0.5}
  max_depth: {type: Integer, min_value: 3, max_value: 9}
training_job_definition:
  algorithm_specification:
    training_image: 683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1
  role_arn: arn:aws:iam::123456789012:role/tuning
  static_hyperparameters:
    num_round: 100
    objective: binary:logistic
    eval_metric: auc
  input_data_config:
    train: {s3_uri: "s3://example-data/churn/train/", content_type: text/csv}
    validation: {s3_uri: "s3://example-data/churn/validation/", content_type: text/csv}
  output_data_config: {s3_output_path: "s3://example-models/churn/"}
  resource_config: {instance_type: ml.m5.xlarge, instance_count: 2, volume_size_in_gb: 10}
  stopping_condition: {max_runtime_in_seconds: 3600}
tags:
  team: risk
warm_start_config:
  warm_start_type: TransferLearning
  parent_hyperparameter_tuning_jobs: [one]
"""
    )


@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"ContinuousParameterRanges": []},
        {"IntegerParameterRanges": [], "CategoricalParameterRanges": [{"Name": "a", "Values": ["1"]}]},
        {"CategoricalParameterRanges": [{"Name": "a", "Values": ["1"]}, {"Name": "a", "Values": ["2"]}]},
        {"CategoricalParameterRanges": [{"Name": "integer_parameter_ranges", "Values": ["1"]}]},
        {"CategoricalParameterRanges": [{"Name": "a", "Values": []}]},
        {"CategoricalParameterRanges": [{"Name": "type", "Values": ["values"]}]},
        {"IntegerParameterRanges": [{"Name": "a", "MinValue": "1", "MaxValue": "1e2", "ScalingType": "Auto"}]},
        {"AutoParameters": [{"Name": "a", "ValueHint": "0.10"}]},
    ],
    ids=str,
)
def test_ranges_in_short_and_long_form(ranges: dict[str, Any]) -> None:
    source = request()
    round_trip(
        {
            **source,
            "HyperParameterTuningJobConfig": {**source["HyperParameterTuningJobConfig"], "ParameterRanges": ranges},
        }
    )


@pytest.mark.parametrize(
    "members",
    [
        {"Tags": []},
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        {"Tags": [{"Key": "a"}]},
        {"Tagz": {"Any": [1, 1.0, True, None, {"x": []}]}},
        {"Autotune": {}},
    ],
    ids=str,
)  # fmt: skip
def test_what_has_no_short_form_is_written_out(members: dict[str, Any]) -> None:
    round_trip(request(**members))


def test_channels_with_equal_names_and_other_sources() -> None:
    source = request()
    train, validation = source["TrainingJobDefinition"]["InputDataConfig"]
    shuffled = {**train, "ShuffleConfig": {"Seed": 1}}
    manifest = {"S3DataSource": {"S3DataType": "AugmentedManifestFile", "S3Uri": "s3://b/m", "AttributeNames": ["a"]}}
    files = {
        "FileSystemDataSource": {
            "FileSystemId": "fs-01234567",
            "FileSystemAccessMode": "ro",
            "FileSystemType": "EFS",
            "DirectoryPath": "/data",
        }
    }
    for channels in (
        [train, train],
        [shuffled, {**validation, "DataSource": manifest}],
        [{"ChannelName": "files", "DataSource": files}],
        [{"ChannelName": "empty", "DataSource": {}}],
    ):
        round_trip(
            {**source, "TrainingJobDefinition": {**source["TrainingJobDefinition"], "InputDataConfig": channels}}
        )


def test_several_jobs_stand_under_tuning_jobs() -> None:
    one, two = request(), request(HyperParameterTuningJobName="second")
    text = import_text(json.dumps([one, two]), "jobs.json")
    assert text.splitlines()[1] == "tuning_jobs:"
    assert [exact(item.request) for item in read_text(text, "jobs.yaml")] == [exact(one), exact(two)]
    assert template_text([one, two]) == text.split("\n", 1)[1]


def test_templates_with_blocks_of_their_own_stay_documents_of_their_own() -> None:
    text = import_text(f"{SINGLE}quotas: aws-2026\n---\n{SEVERAL}local:\n  prepare: [make, data]\n", "two.yaml")
    first, second = read_text(text, "two.yaml")
    assert (first.quotas, first.local) == ("aws-2026", {})
    assert (second.quotas, second.local) == (None, {"prepare": ["make", "data"]})


def test_defaults_and_clones_are_written_out() -> None:
    path = ROOT / "examples/multi/breast-cancer.yaml"
    text = import_file(path)
    assert "defaults:" not in text
    assert "clone:" not in text


COMMENTED = """\
# About the job,
# in two lines.
HyperParameterTuningJobName: churn  # its name
HyperParameterTuningJobConfig:  # all of it
  Strategy: Bayesian
  # Why so few:
  ResourceLimits:
    MaxNumberOfTrainingJobs: 20 # not more
    MaxParallelTrainingJobs: 2
  HyperParameterTuningJobObjective: {MetricName: "validation:auc", Type: Maximize}  # a '#' in "quotes"
  ParameterRanges:
    IntegerParameterRanges:
      # Deeper trees overfit.
      - Name: max_depth  # of a tree
        MinValue: "3"
        # from the last run
        MaxValue: "9"
TrainingJobDefinition:
  AlgorithmSpecification:
    TrainingImage: 683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1
    TrainingInputMode: File  # the default
  StaticHyperParameters:
    comment: "# not a comment"
    script: |  # a head
      # part of the text
  OutputDataConfig: {S3OutputPath: s3://models/}
# The end.
"""


def test_comments_are_kept() -> None:
    text = import_text(COMMENTED, "commented.yaml")
    assert exact([d.request for d in read_text(text, "t")]) == exact([d.request for d in read_text(COMMENTED, "t")])
    wanted = [comment.text for comment in comments_of(COMMENTED)]
    assert len(wanted) == 13
    found = [comment.text for comment in comments_of(text)]
    assert found[0].startswith("# Imported from commented.yaml")
    assert sorted(found[1:]) == sorted(wanted)
    lines = text.splitlines()
    assert lines[1:4] == ["# About the job,", "# in two lines.", "name: churn  # its name"]
    assert lines[lines.index("# Why so few:") + 1] == "resource_limits:"
    assert "  max_number_of_training_jobs: 20  # not more" in lines
    assert lines[lines.index("  # Deeper trees overfit.") + 1] == "  max_depth:  # of a tree"
    assert lines[lines.index("    # from the last run") + 1] == "    max_value: 9"
    assert lines[-1] == "# The end."


def test_comments_of_a_template_stay_where_they_are() -> None:
    path = ROOT / "examples/single/breast-cancer.yaml"
    source, text = path.read_text(encoding="utf-8"), import_file(path)
    assert [item.text for item in comments_of(text)] == [item.text for item in comments_of(source)]
    assert text.splitlines()[:4] == source.splitlines()[:4]
    assert text.splitlines()[text.splitlines().index("local:") - 1].startswith("# Read by")


def test_describe_answers_and_manifests_name_their_form() -> None:
    answer = {
        **request(),
        "HyperParameterTuningJobArn": "arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/churn",
        "HyperParameterTuningJobStatus": "Completed",
    }
    answer["TrainingJobDefinition"]["StaticHyperParameters"]["_tuning_objective_metric"] = "validation:auc"
    text = import_text(json.dumps(answer), "answer.json")
    assert text.startswith("# Imported from answer.json: a DescribeHyperParameterTuningJob answer.\n")
    assert "_tuning_objective_metric" not in text
    assert "Completed" not in text


def test_json_with_characters_beyond_sixteen_bits() -> None:
    source = request(Tags=[{"Key": "smile", "Value": "😀 \\ud83d"}])
    assert "\\ud83d\\ude00" in json.dumps(source)
    round_trip(source)


def test_a_request_that_a_template_cannot_say() -> None:
    source = request()
    source["TrainingJobDefinition"]["StaticHyperParameters"] = {"num_round": 100}
    with pytest.raises(HpoError, match=r"TrainingJobDefinition\.StaticHyperParameters\.num_round.*hpo check"):
        import_text(json.dumps(source), "number.json")


def test_a_template_with_a_fault_of_form() -> None:
    with pytest.raises(DocumentError, match=r"t\.yaml:\d+:\d+: .*eta"):
        import_text(SINGLE.replace("type: Continuous", "type: Continous"), "t.yaml")


def test_an_empty_file() -> None:
    with pytest.raises(DocumentError, match="declares no tuning job"):
        import_text("# nothing\n", "empty.yaml")


def test_what_stands_beside_the_request() -> None:
    text = f"{SINGLE}run:  # its runs\n  overlap: skip  # no queue\nquotas: aws-2026\n"
    written = import_text(text, "run.yaml")
    assert written.splitlines()[-3:] == ["run:  # its runs", "  overlap: skip  # no queue", "quotas: aws-2026"]
    several = f"defaults: {{run: {{overlap: skip}}}}\ntuning_jobs:\n- {SINGLE.replace(chr(10), chr(10) + '  ')}"
    (again,) = read_text(import_text(several, "several.yaml"), "several.yaml")
    assert again.run.overlap == "skip"
