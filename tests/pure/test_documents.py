"""Files with declarations: every form, every short form, and whatever else a file can hold."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hpo_constructs.documents.files import find_files, read, read_text
from hpo_constructs.documents.nodes import MAX_BYTES, MAX_DEPTH
from hpo_constructs.errors import DocumentError
from hpo_constructs.rules import Finding, check
from hpo_constructs.rules.examples import SEVERAL, SINGLE
from hpo_constructs.spec.declaration import CONFIG, Declaration, Form, ack_name
from hpo_constructs.spec.shapes import shape_model

from .strategies import botocore_refuses

# A file is read on a laptop between two key strokes, however hostile it is; far above what was measured (1.4 s).
SECONDS = 10


def one(text: str, file: str = "t.yaml") -> Declaration:
    (declaration,) = read_text(text, file)
    return declaration


def request_of(text: str) -> dict[str, Any]:
    return one(text).request


def shape_findings(text: str) -> list[Finding]:
    return [finding for finding in check(read_text(text, "t.yaml")) if finding.rule == "shape"]


JOB = "name: a\nstrategy: Random\nresource_limits: {max_parallel_training_jobs: 1, max_number_of_training_jobs: 2}\n"


# --- team templates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [SINGLE, SEVERAL])
def test_a_template_becomes_a_request_that_botocore_accepts(text: str) -> None:
    declaration = one(text)
    assert declaration.form is Form.TEMPLATE
    assert botocore_refuses(declaration.request) == ""


def test_ranges_by_name_become_the_apis_lists_with_numbers_as_they_are_spelled() -> None:
    text = JOB + (
        "hyperparameter_ranges:\n"
        "  eta: {type: Continuous, min_value: 1e-05, max_value: 0.10, scaling_type: Logarithmic}\n"
        "  depth: {type: Integer, min_value: 03, max_value: '9'}\n"
        "  booster: [gbtree, dart]\n"
        "  switch: {values: [on, Off, true, 0x10, ~x]}\n"
        "  gamma: {value_hint: 0.50}\n"
    )
    assert request_of(text)[CONFIG]["ParameterRanges"] == {
        "ContinuousParameterRanges": [
            {"Name": "eta", "MinValue": "1e-05", "MaxValue": "0.10", "ScalingType": "Logarithmic"}
        ],
        "IntegerParameterRanges": [{"Name": "depth", "MinValue": "03", "MaxValue": "9"}],
        "CategoricalParameterRanges": [
            {"Name": "booster", "Values": ["gbtree", "dart"]},
            {"Name": "switch", "Values": ["on", "Off", "true", "0x10", "~x"]},
        ],
        "AutoParameters": [{"Name": "gamma", "ValueHint": "0.50"}],
    }
    assert shape_findings(text) == []


def test_ranges_in_the_apis_lists_stay_as_they_are() -> None:
    text = JOB + (
        "hyperparameter_ranges:\n  integer_parameter_ranges:\n    - {name: depth, min_value: 3, max_value: 9}\n"
    )
    entry = {"Name": "depth", "MinValue": "3", "MaxValue": "9"}
    assert request_of(text)[CONFIG]["ParameterRanges"] == {"IntegerParameterRanges": [entry]}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("0.3", "eta must be a range, got '0.3'"),
        ("", "eta must be a range, got nothing"),
        ("{min_value: 1, max_value: 2}", "type of eta must be one of Continuous, Integer, Categorical, Auto, got none"),
        ("{type: Float, min_value: 1, max_value: 2}", "type of eta must be one of"),
        ("{type: [Integer]}", "type of eta must be one of"),
    ],
)
def test_a_range_that_is_none_is_one_fault_with_its_place(entry: str, message: str) -> None:
    (finding,) = shape_findings(JOB + f"hyperparameter_ranges:\n  eta: {entry}\n")
    assert message in finding.message
    assert (finding.path, finding.line, finding.column) == ("hyperparameter_ranges.eta", 5, 3)


def test_short_forms_of_tags_metrics_channels_and_parents() -> None:
    text = JOB + (
        "tags: {team: churn, empty: }\n"
        "warm_start_config:\n  parent_hyperparameter_tuning_jobs: [first, {hyperparameter_tuning_job_name: second}]\n"
        "training_job_definition:\n"
        "  algorithm_specification: {training_image: mine, metric_definitions: {loss: 'loss=(.*)'}}\n"
        "  input_data_config:\n"
        "    train: {s3_uri: s3://data/train, s3_data_distribution_type: ShardedByS3Key, content_type: text/csv}\n"
        "    model: {data_source: {s3_data_source: {s3_uri: s3://data/model, s3_data_type: ManifestFile}}}\n"
    )
    request = request_of(text)
    definition = request["TrainingJobDefinition"]
    assert request["Tags"] == [{"Key": "team", "Value": "churn"}, {"Key": "empty", "Value": ""}]
    assert request["WarmStartConfig"]["ParentHyperParameterTuningJobs"] == [
        {"HyperParameterTuningJobName": "first"},
        {"HyperParameterTuningJobName": "second"},
    ]
    assert definition["AlgorithmSpecification"] == {
        "TrainingImage": "mine",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
    }
    train, model = definition["InputDataConfig"]
    assert train["ChannelName"] == "train"
    assert train["ContentType"] == "text/csv"
    assert train["DataSource"]["S3DataSource"] == {
        "S3Uri": "s3://data/train",
        "S3DataType": "S3Prefix",
        "S3DataDistributionType": "ShardedByS3Key",
    }
    assert model["DataSource"]["S3DataSource"]["S3DataType"] == "ManifestFile"


def test_off_and_its_like_are_texts_and_numbers_where_numbers_are_wanted() -> None:
    text = JOB + (
        "training_job_early_stopping_type: Off\nrandom_seed: 7\n"
        "training_job_definition:\n  enable_network_isolation: true\n"
        "  static_hyperparameters: {yes: no, rounds: 100, rate: 0.10, big: 1_000, when: 2026-01-01, none: '',\n"
        "    t: 12:30}\n"
    )
    request = request_of(text)
    assert request[CONFIG]["TrainingJobEarlyStoppingType"] == "Off"
    assert request[CONFIG]["RandomSeed"] == 7
    assert request["TrainingJobDefinition"]["EnableNetworkIsolation"] is True
    assert request["TrainingJobDefinition"]["StaticHyperParameters"] == {
        "yes": "no",
        "rounds": "100",
        "rate": "0.10",
        "big": "1_000",
        "when": "2026-01-01",
        "none": "",
        "t": "12:30",
    }


def test_defaults_hold_for_every_job_and_a_job_changes_or_removes_them() -> None:
    text = """
defaults:
  tags: {team: churn, cost: research}
  strategy: Random
  training_job_definition:
    role_arn: arn:aws:iam::123456789012:role/tuning
    resource_config: {instance_type: ml.m5.large, instance_count: 1, volume_size_in_gb: 5}
    checkpoint_config: {s3_uri: s3://example-checkpoints/}
tuning_jobs:
  - name: first
    tags: {cost: null, more: x}
    training_job_definition: {resource_config: {instance_count: 2}, checkpoint_config: null}
  - name: second
    strategy: Bayesian
    training_job_definitions:
      - {definition_name: a}
      - {definition_name: b, clone: a, role_arn: arn:aws:iam::123456789012:role/b}
"""
    first, second = read_text(text, "t.yaml")
    assert first.request["Tags"] == [{"Key": "team", "Value": "churn"}, {"Key": "more", "Value": "x"}]
    assert first.request[CONFIG]["Strategy"] == "Random"
    assert second.request[CONFIG]["Strategy"] == "Bayesian"
    definition = first.request["TrainingJobDefinition"]
    assert "CheckpointConfig" not in definition
    assert definition["ResourceConfig"] == {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
    a, b = second.request["TrainingJobDefinitions"]
    assert a["RoleArn"].endswith("role/tuning")
    assert b["RoleArn"].endswith("role/b")
    assert b["ResourceConfig"] == a["ResourceConfig"]
    assert "TrainingJobDefinition" not in second.request
    assert second.origin(("TrainingJobDefinitions", 0, "RoleArn")).line == 6


def test_a_fault_in_the_defaults_is_reported_once() -> None:
    text = (
        "defaults: {training_job_definition: {nonesuch: 1}}\n"
        "tuning_jobs:\n  - {name: a, training_job_definition: {}}\n  - {name: b, training_job_definition: {}}\n"
    )
    assert [(f.line, f.column) for f in shape_findings(text) if "nonesuch" in f.message] == [(1, 38)]


def test_a_clone_takes_ranges_by_name_and_may_be_of_a_clone() -> None:
    text = JOB + (
        "training_job_definitions:\n"
        "  - {definition_name: a, hyperparameter_ranges: {x: [p, q], y: [r, s]}, environment: {A: '1', B: '2'}}\n"
        "  - {definition_name: b, clone: a, hyperparameter_ranges: {y: [t, u]}, environment: {B: '3'}}\n"
        "  - {definition_name: c, clone: b, enable_network_isolation: true}\n"
    )
    _, b, c = request_of(text)["TrainingJobDefinitions"]
    assert b["HyperParameterRanges"]["CategoricalParameterRanges"] == [
        {"Name": "x", "Values": ["p", "q"]},
        {"Name": "y", "Values": ["t", "u"]},
    ]
    assert b["Environment"] == {"A": "1", "B": "3"}
    assert c == {**b, "DefinitionName": "c", "EnableNetworkIsolation": True}


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ("[{definition_name: a, clone: b}]", "clone 'b' names no definition of this job; its definitions: a"),
        ("[{definition_name: a, clone: a}]", "clone 'a' clones itself"),
        ("[{definition_name: a, clone: b}, {definition_name: b, clone: a}]", "clones itself"),
        ("[{definition_name: a, clone: [a]}]", "names no definition"),
        ("[{clone: a}]", "its definitions: none"),
    ],
)
def test_a_clone_of_nothing_is_refused_with_its_place(definitions: str, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read_text(JOB + f"training_job_definitions: {definitions}\n", "t.yaml")
    assert message in refused.value.message
    assert refused.value.line == 4


def test_anchors_and_merge_keys() -> None:
    text = JOB + (
        "training_job_definitions:\n"
        "  - &one\n    definition_name: a\n    environment: &env {A: '1'}\n    role_arn: r1\n"
        "  - <<: *one\n    definition_name: b\n"
        "  - <<: [{role_arn: r2}, *one]\n    definition_name: c\n    environment: {<<: *env, B: '2'}\n"
    )
    _, b, c = request_of(text)["TrainingJobDefinitions"]
    assert (b["DefinitionName"], b["RoleArn"], b["Environment"]) == ("b", "r1", {"A": "1"})
    assert (c["DefinitionName"], c["RoleArn"], c["Environment"]) == ("c", "r2", {"A": "1", "B": "2"})


def test_several_documents_and_lists_in_one_file() -> None:
    text = f"---\n{JOB}---\n# nothing\n---\n{JOB.replace('name: a', 'name: b')}...\n"
    assert [declaration.name for declaration in read_text(text, "t.yaml")] == ["a", "b"]
    requests = json.dumps([{"HyperParameterTuningJobName": "a"}, {"HyperParameterTuningJobName": "b"}])
    assert [declaration.name for declaration in read_text(requests, "t.json")] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "path", "fix", "place"),
    [
        (JOB + "objectiv: {}\n", "objectiv", "write objective", (4, 1)),
        (JOB + "objective: {metricname: x}\n", "objective.metricname", "write metric_name", (4, 13)),
        (
            JOB + "training_job_definition:\n  resource_config:\n    instance_typ: ml.m5.large\n",
            "training_job_definition.resource_config.instance_typ",
            "write instance_type",
            (6, 5),
        ),
        (
            JOB + "training_job_definition:\n  input_data_config:\n    train: {s3_ur: s3://x/}\n",
            "training_job_definition.input_data_config.train.s3_ur",
            None,
            (6, 13),
        ),
        # There is one spelling: the API's long names are not a second one.
        (JOB + "hyperparameter_tuning_job_objective: {}\n", "hyperparameter_tuning_job_objective", None, (4, 1)),
    ],
)
def test_an_unknown_key_is_found_with_line_and_column(
    text: str, path: str, fix: str | None, place: tuple[int, int]
) -> None:
    (finding,) = [f for f in shape_findings(text) if f.path == path]
    assert (finding.line, finding.column) == place
    assert fix is None or finding.fix == fix


def test_wrong_types_are_found_where_they_stand() -> None:
    text = JOB.replace("max_parallel_training_jobs: 1", "max_parallel_training_jobs: '1'") + "tags: 5\n"
    found = {f.path: (f.line, f.column) for f in shape_findings(text)}
    assert found["resource_limits.max_parallel_training_jobs"] == (3, 47)
    assert found["tags"] == (4, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tuning_jobs: {}\n", "tuning_jobs must be a list of tuning jobs"),
        ("tuning_jobs: []\n", "tuning_jobs must be a list"),
        ("tuning_jobs: \n", "tuning_jobs must be a list"),
        ("tuning_jobs: [x]\n", "tuning_jobs[0] must be a mapping"),
        ("tuning_jobs: [{name: a}]\nstrategy: Random\n", "strategy stands beside tuning_jobs"),
        ("name: a\ndefaults: []\n", "defaults must be a mapping"),
        ("name: a\nlocal: {dta: x}\n", "local has no key dta"),
    ],
)
def test_blocks_of_the_wrong_form_are_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read_text(text, "t.yaml")
    assert message in refused.value.message
    assert refused.value.line and refused.value.column


# --- API requests and Describe's answers ------------------------------------------------------------------------

REQUEST: dict[str, Any] = {
    "HyperParameterTuningJobName": "a",
    CONFIG: {
        "Strategy": "Random",
        "ResourceLimits": {"MaxParallelTrainingJobs": "1"},
        "ParameterRanges": {"IntegerParameterRanges": [{"Name": "x", "MinValue": 1, "MaxValue": "2"}]},
    },
    "Tags": [{"Key": "emoji 😀", "Value": "a/b\\ud83d"}],
}


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_in_any_layout_is_read_as_json(indent: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(REQUEST, indent=indent, ensure_ascii=ascii_only)
        declaration = one(text, "t.json")
        assert declaration.request == REQUEST
        assert declaration.form is Form.REQUEST


def test_findings_of_a_request_have_line_column_and_the_apis_spelling() -> None:
    text = json.dumps(REQUEST, indent=2)
    places = {f.path: (f.line, f.column) for f in shape_findings(text)}
    assert places[f"{CONFIG}.ResourceLimits.MaxParallelTrainingJobs"] == (6, 34)
    # In a request a number is no text: boto3 would refuse it.
    assert places[f"{CONFIG}.ParameterRanges.IntegerParameterRanges[0].MinValue"] == (12, 23)


def test_a_request_in_yaml_is_a_request() -> None:
    text = (
        "HyperParameterTuningJobName: a\n"
        "HyperParameterTuningJobConfig:\n  Strategy: Random\n  ResourceLimits:\n    MaxParalelTrainingJobs: 1\n"
    )
    (finding,) = shape_findings(text)
    assert (finding.path, finding.line, finding.column) == (f"{CONFIG}.ResourceLimits.MaxParalelTrainingJobs", 5, 5)
    assert finding.fix == "write MaxParallelTrainingJobs"


def test_of_describes_answer_only_what_was_declared_stays() -> None:
    definition = {
        "StaticHyperParameters": {"_tuning_objective_metric": "loss", "rounds": "10"},
        "AlgorithmSpecification": {"TrainingImage": "mine", "TrainingInputMode": "File"},
    }
    answer = {
        "HyperParameterTuningJobName": "a",
        "HyperParameterTuningJobArn": "arn",
        CONFIG: REQUEST[CONFIG],
        "TrainingJobDefinition": definition,
        "TrainingJobDefinitions": [definition],
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": "2026-01-01T00:00:00Z",
        "LastModifiedTime": 1.7e9,
        "TrainingJobStatusCounters": {"Completed": 10},
        "ObjectiveStatusCounters": {"Succeeded": 10},
        "BestTrainingJob": {"TrainingJobName": "a-001"},
        "ConsumedResources": {"RuntimeInSeconds": 1},
        "ResponseMetadata": {"RequestId": "x"},
    }
    declaration = one(json.dumps(answer))
    assert declaration.form is Form.DESCRIBE
    kept = {**definition, "StaticHyperParameters": {"rounds": "10"}}
    assert declaration.request == {
        "HyperParameterTuningJobName": "a",
        CONFIG: REQUEST[CONFIG],
        "TrainingJobDefinition": kept,
        "TrainingJobDefinitions": [kept],
    }


@pytest.mark.parametrize(
    ("image", "kept"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", False),
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com/own:1", True),
    ],
)
def test_metric_definitions_that_a_builtin_brings_are_not_the_declarers(image: str, kept: bool) -> None:
    specification = {"TrainingImage": image, "MetricDefinitions": [{"Name": "auc", "Regex": "auc=(.*)"}]}
    answer = {
        "HyperParameterTuningJobName": "a",
        "HyperParameterTuningJobStatus": "Completed",
        "TrainingJobDefinition": {"AlgorithmSpecification": specification},
    }
    read_back = one(json.dumps(answer)).request["TrainingJobDefinition"]["AlgorithmSpecification"]
    assert ("MetricDefinitions" in read_back) is kept


@pytest.mark.parametrize("definitions", ["5", "{}", "[5]", '{"StaticHyperParameters": 5}', "null"])
def test_an_answer_of_the_wrong_shape_is_read_all_the_same(definitions: str) -> None:
    text = (
        '{"HyperParameterTuningJobName": "a", "HyperParameterTuningJobStatus": "Failed", '
        f'"TrainingJobDefinition": {definitions}, "TrainingJobDefinitions": {definitions}}}'
    )
    assert one(text).form is Form.DESCRIBE
    assert shape_findings(text)


# --- ACK manifests ----------------------------------------------------------------------------------------------

# Names as the CRD hyperparametertuningjobs.sagemaker.services.k8s.aws spells them, where a rule of thumb might not.
CRD_NAMES = {
    "AlgorithmName": "algorithmName",
    "AutoParameters": "autoParameters",
    "ChannelName": "channelName",
    "DirectoryPath": "directoryPath",
    "EnableInterContainerTrafficEncryption": "enableInterContainerTrafficEncryption",
    "FileSystemAccessMode": "fileSystemAccessMode",
    "FileSystemId": "fileSystemID",
    "HyperParameterRanges": "hyperParameterRanges",
    "HyperParameterTuningJobConfig": "hyperParameterTuningJobConfig",
    "HyperParameterTuningJobName": "hyperParameterTuningJobName",
    "HyperParameterTuningJobObjective": "hyperParameterTuningJobObjective",
    "InstanceGroupNames": "instanceGroupNames",
    "KeepAlivePeriodInSeconds": "keepAlivePeriodInSeconds",
    "KmsKeyId": "kmsKeyID",
    "MaxNumberOfTrainingJobs": "maxNumberOfTrainingJobs",
    "ParameterRanges": "parameterRanges",
    "ParentHyperParameterTuningJobs": "parentHyperParameterTuningJobs",
    "RoleArn": "roleARN",
    "S3DataDistributionType": "s3DataDistributionType",
    "S3DataSource": "s3DataSource",
    "S3DataType": "s3DataType",
    "S3OutputPath": "s3OutputPath",
    "S3Uri": "s3URI",
    "SecurityGroupIds": "securityGroupIDs",
    "StaticHyperParameters": "staticHyperParameters",
    "Subnets": "subnets",
    "TargetObjectiveMetricValue": "targetObjectiveMetricValue",
    "TrainingJobDefinitions": "trainingJobDefinitions",
    "Type": "type_",
    "VolumeKmsKeyId": "volumeKMSKeyID",
    "VolumeSizeInGB": "volumeSizeInGB",
    "VpcConfig": "vpcConfig",
    "WarmStartConfig": "warmStartConfig",
}


@pytest.mark.parametrize(("member", "spelled"), CRD_NAMES.items())
def test_names_are_spelled_as_the_crd_does(member: str, spelled: str) -> None:
    assert ack_name(member) == spelled
    assert any(member in (shape.members or {}) for shape in shape_model().shapes.values())


MANIFEST = """
apiVersion: sagemaker.services.k8s.aws/v1alpha1
kind: HyperParameterTuningJob
metadata: {name: churn, namespace: ml}
spec:
  hyperParameterTuningJobName: churn
  hyperParameterTuningJobConfig:
    strategy: Bayesian
    hyperParameterTuningJobObjective: {type_: Minimize, metricName: "validation:error"}
    resourceLimits: {maxNumberOfTrainingJobs: 10, maxParallelTrainingJobs: 2}
    parameterRanges:
      integerParameterRanges: [{name: num_round, minValue: '10', maxValue: '20', scalingType: Linear}]
      continuousParameterRanges: []
      categoricalParameterRanges: []
    trainingJobEarlyStoppingType: Auto
  trainingJobDefinition:
    staticHyperParameters: {base_score: '0.5', booster: gbtree, objective: "binary:logistic"}
    algorithmSpecification:
      trainingImage: 433757028032.dkr.ecr.us-west-2.amazonaws.com/xgboost:1
      trainingInputMode: File
    roleARN: arn:aws:iam::123456789012:role/tuning
    inputDataConfig:
      - channelName: train
        dataSource: {s3DataSource: {s3DataType: S3Prefix, s3URI: "s3://example-data/train"}}
        contentType: text/libsvm
        compressionType: None
        recordWrapperType: None
        inputMode: File
      - channelName: validation
        dataSource: {s3DataSource: {s3DataType: S3Prefix, s3URI: "s3://example-data/validation"}}
        contentType: text/libsvm
    outputDataConfig: {s3OutputPath: "s3://example-models/churn"}
    resourceConfig: {instanceType: ml.m4.xlarge, instanceCount: 1, volumeSizeInGB: 25}
    stoppingCondition: {maxRuntimeInSeconds: 3600}
    enableNetworkIsolation: true
    enableInterContainerTrafficEncryption: false
  tags: [{key: team, value: churn}]
"""


def test_a_manifest_is_the_request_under_its_spec() -> None:
    declaration = one(MANIFEST)
    assert declaration.form is Form.ACK
    assert botocore_refuses(declaration.request) == ""
    definition = declaration.request["TrainingJobDefinition"]
    assert definition["InputDataConfig"][0]["CompressionType"] == "None"
    assert declaration.request[CONFIG]["HyperParameterTuningJobObjective"]["Type"] == "Minimize"
    assert [f for f in check(declaration) if f.severity.fails] == []


@pytest.mark.parametrize(
    ("old", "new", "path", "fix"),
    [
        ("roleARN:", "rolARN:", "spec.trainingJobDefinition.rolARN", "write roleARN"),
        ("roleARN:", "roleArn:", "spec.trainingJobDefinition.roleArn", "write roleARN"),
        (
            "metricName:",
            "metric:",
            "spec.hyperParameterTuningJobConfig.hyperParameterTuningJobObjective.metric",
            "write metricName",
        ),
        (
            "maxParallelTrainingJobs: 2",
            "maxParallelTrainingJobs: two",
            "spec.hyperParameterTuningJobConfig.resourceLimits.maxParallelTrainingJobs",
            None,
        ),
    ],
)
def test_findings_of_a_manifest_are_in_its_spelling(old: str, new: str, path: str, fix: str | None) -> None:
    assert old in MANIFEST
    (finding,) = shape_findings(MANIFEST.replace(old, new))
    assert finding.path == path
    assert finding.line
    assert fix is None or finding.fix == fix


def test_a_missing_member_is_named_in_the_manifests_spelling() -> None:
    text = MANIFEST.replace("    roleARN: arn:aws:iam::123456789012:role/tuning\n", "")
    (finding,) = shape_findings(text)
    assert finding.path == "spec.trainingJobDefinition.roleARN"
    assert "roleARN is required" in finding.message


def test_a_manifest_without_spec_is_refused() -> None:
    with pytest.raises(DocumentError, match="needs a spec"):
        read_text("apiVersion: sagemaker.services.k8s.aws/v1alpha1\nkind: HyperParameterTuningJob\n", "t.yaml")


# --- what else a file can hold ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "the file is empty", None),
        ("# only a comment\n", "the file is empty", None),
        ("---\n---\n", "the file is empty", None),
        ("[]\n", "declares no tuning job", 1),
        ("hello\n", "declares no tuning job", 1),
        ("a: 1\nb: 2\n", "got a, b", 1),
        ('{"Resources": {}}', "got Resources", 1),
        ("name: a\nname: b\n", "the key name stands twice, first in line 1", 2),
        ('{"HyperParameterTuningJobName": "a",\n "HyperParameterTuningJobName": "b"}', "stands twice", 2),
        ("name: [a\n", "not readable as YAML or JSON", 2),
        ("name: a\n\tstrategy: b\n", "not readable as YAML or JSON", 2),
        ("name: *a\n", "undefined alias", 1),
        ("name: &a [*a]\n", "an alias refers to a value that contains it", 1),
        ("? [a]\n: b\n", "a key must be a text", 1),
        ("name: a\n<<: 5\n", "the merge key << takes a mapping", 2),
        ("name: a\n<<: [5]\n", "the merge key << takes a mapping", 2),
        ("name: a\x00", "not text", None),
        ("name: \ud800", "not text", None),
        ("name: " + "[" * 100 + "]" * 100, f"nested more than {MAX_DEPTH} levels deep", 1),
        ("".join(" " * depth + "a:\n" for depth in range(100)), "nested more than", 61),
        ("? " * 50_000, "nested more than", 1),
        ("- ? " * 50_000, "nested more than", 1),
        ("- " * 50_000, "nested more than", 1),
    ],
)
def test_what_is_no_declaration_is_refused_with_its_place(text: str, message: str, line: int | None) -> None:
    with pytest.raises(DocumentError) as refused:
        read_text(text, "t.yaml")
    assert message in refused.value.message
    assert refused.value.line == line
    assert refused.value.file == "t.yaml"
    assert str(refused.value).startswith("t.yaml:")
    assert not refused.value.message.endswith(".")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000))


@pytest.mark.parametrize(
    "text",
    [
        "name: x\n" + BOMB,
        "name: x\n" + CHAIN,
        "[" + "[]," * 1_300_000 + "]",
        "- a\n" * 900_000,
        "".join(f"key{i}: v\n" for i in range(300_000)),
        "---\n" * 500_000,
        "[" * 1_000_000,
        '{"a":' * 500_000,
        "x" * (MAX_BYTES + 1),
    ],
    ids=["bomb", "chain", "lists", "items", "keys", "documents", "brackets", "braces", "large"],
)
def test_a_monster_is_refused_in_time(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(DocumentError):
        read_text(text, "t.yaml")
    assert time.perf_counter() - start < SECONDS


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks_make_no_difference(tmp_path: Path, end: str, mark: bytes) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(mark + SINGLE.replace("\n", end).encode())
    (declaration,) = read(file)
    assert declaration.request == request_of(SINGLE)
    assert declaration.origin((CONFIG, "Strategy")).line == 2
    (request,) = read_text("\ufeff" + json.dumps(REQUEST, indent="\t"), "t.json")
    assert request.request == REQUEST


def test_files_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    binary = tmp_path / "model.yaml"
    binary.write_bytes(b"name: a\n\xff\xfe\x00")
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (MAX_BYTES + 1))
    cases = {
        tmp_path / "none.yaml": "no such file",
        tmp_path: "cannot be read",
        binary: "not UTF-8 text: byte 8 is 0xff",
        large: "the file is too large",
        Path("a\0b"): "cannot be read",
        Path("/dev/zero"): "the file is too large",
    }
    for path, message in cases.items():
        with pytest.raises(DocumentError) as refused:
            read(path)
        assert message in refused.value.message
        assert refused.value.file == str(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(SINGLE)
    file.chmod(0)
    with pytest.raises(DocumentError, match="Permission denied"):
        read(file)


def test_files_of_a_folder_are_found_below_it_and_links_do_not_lead_round(tmp_path: Path) -> None:
    (tmp_path / "team" / "deep").mkdir(parents=True)
    for name in ("b.yaml", "a.json", "team/c.YML", "team/deep/d.yaml", "README.md", ".hidden.yaml"):
        (tmp_path / name).write_text(SINGLE)
    for skipped in ("node_modules", "cdk.out", ".git"):
        (tmp_path / skipped).mkdir()
        (tmp_path / skipped / "x.json").write_text("{}")
    (tmp_path / "team" / "up").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in find_files(tmp_path)]
    assert found == ["a.json", "b.yaml", "team/c.YML", "team/deep/d.yaml"]
    with pytest.raises(DocumentError, match="cannot be listed"):
        list(find_files(tmp_path / "nowhere"))


# --- fuzz -------------------------------------------------------------------------------------------------------

fuzz = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

_KEYS = st.sampled_from(
    [
        "name", "strategy", "objective", "hyperparameter_ranges", "tuning_jobs", "defaults", "local", "clone", "tags",
        "training_job_definition", "training_job_definitions", "input_data_config", "algorithm_specification",
        "definition_name", "metric_definitions", "static_hyperparameters", "s3_uri", "data_source", "type", "values",
        "warm_start_config", "parent_hyperparameter_tuning_jobs", "environment", "HyperParameterTuningJobName", CONFIG,
        "TrainingJobDefinition", "TrainingJobDefinitions", "StaticHyperParameters", "HyperParameterTuningJobStatus",
        "apiVersion", "kind", "spec", "quotas", "<<", "",
    ]
)  # fmt: skip
_SCALARS = st.sampled_from(
    ["a", "", None, 0, 1.5, True, "Integer", "HyperParameterTuningJob", "sagemaker.services.k8s.aws/v1alpha1", "${x}"]
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)


def read_and_check(text: str) -> None:
    """Read a text, and check what it declares: a refusal is an answer, anything else that is raised is a fault."""
    try:
        declarations = read_text(text, "t.yaml")
    except DocumentError as error:
        assert error.message
        return
    assert all(isinstance(declaration.request, dict) for declaration in declarations)
    crashed = [finding for finding in check(declarations) if finding.message.startswith("the rule ")]
    assert [finding.message for finding in crashed if " failed on this declaration" in finding.message] == []


@fuzz
@given(st.text(alphabet=st.characters()))
@example("name: {}\n")
def test_any_text_gives_declarations_or_a_document_error(text: str) -> None:
    read_and_check(text)


_PIECES = ["name", "tuning_jobs", "x", "1e5", ":", " ", "\n", "\t", "- ", "? ", ",", "---\n", "{", "}", "[", "]"]
_PIECES += ["&a", "*a", "<<", "'", '"', "#", "|", ">", "!!int", "!x", "%"]


@fuzz
@given(st.lists(st.sampled_from(_PIECES)))
def test_any_yaml_like_text_gives_declarations_or_a_document_error(parts: list[str]) -> None:
    read_and_check("".join(parts))


@fuzz
@given(st.dictionaries(_KEYS, _TREES, max_size=6))
def test_any_tree_of_our_own_keys_gives_declarations_or_a_document_error(tree: dict[str, Any]) -> None:
    read_and_check(json.dumps(tree))


@fuzz
@given(content=st.binary())
def test_any_file_gives_declarations_or_a_document_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_bytes(content)
    try:
        read(file)
    except DocumentError as error:
        assert error.file == str(file)
