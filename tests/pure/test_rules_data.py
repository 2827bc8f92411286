"""Further cases of the rules about data: boundary values, both forms of input, and what must not be reported."""

from typing import Any

import pytest
import yaml

from hpo_constructs.documents.files import read_text
from hpo_constructs.rules import Finding, Severity, check
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.spec.declaration import Declaration, Form

IMAGES = {
    "xgboost": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
    "semantic-segmentation": "811284229777.dkr.ecr.us-east-1.amazonaws.com/semantic-segmentation:1",
    "blazingtext": "811284229777.dkr.ecr.us-east-1.amazonaws.com/blazingtext:1",
    "own": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:3",
}


def of(
    rule: str, definition: dict[str, Any], *, several: bool = False, quotas: Any = None, **job: Any
) -> list[Finding]:
    """The findings of one rule in a template with a changed definition, the same in an API request."""
    fragment: dict[str, Any] = {"training_job_definition": definition, **job}
    if several:
        fragment = {"training_job_definitions": [definition], **job}
    text = yaml.safe_dump(laid_over(yaml.safe_load(SEVERAL if several else SINGLE), fragment), sort_keys=False)
    declarations = read_text(text, "t.yaml")
    found = [finding for finding in check(declarations, quotas=quotas) if finding.rule == rule]
    request = Declaration(request=declarations[0].request, form=Form.REQUEST)
    as_request = [finding for finding in check(request, quotas=quotas) if finding.rule == rule]
    # Both forms have the same findings, each in its own spelling.
    assert [finding.severity for finding in found] == [finding.severity for finding in as_request]
    for finding in as_request:
        assert finding.path.startswith("TrainingJobDefinition")
    return found


def s3(**source: Any) -> dict[str, Any]:
    return {"data_source": {"s3_data_source": {"s3_uri": "s3://example-data/x/", **source}}}


def named(count: int) -> dict[str, Any]:
    return {f"c{i}": s3() for i in range(count)}


@pytest.mark.parametrize(
    ("channels", "count"),
    [
        ({}, 0),
        (named(18), 0),  # with train and validation that is 20
        (named(19), 1),
        ({"a" * 64: s3()}, 0),
        ({"a" * 65: s3()}, 1),
        ({"data.v-1_x": s3()}, 0),
        ({"data v1": s3()}, 1),
        ({"${Token[TOKEN.1]}": s3()}, 0),
    ],
)
def test_channels(channels: dict[str, Any], count: int) -> None:
    assert len(of("channels", {"input_data_config": channels})) == count


def test_channels_of_a_list_without_any_and_with_one_twice() -> None:
    channel = {"channel_name": "train", **s3()}
    (finding,) = of("channels", {"input_data_config": []})
    assert "must have 1 to 20 channels, got 0" in finding.message
    (finding,) = of("channels", {"input_data_config": [channel, channel, {"channel_name": "Train", **s3()}]})
    assert finding.path == "training_job_definition.input_data_config[1].channel_name"
    # A definition without channels is right: a container may fetch its data by itself.
    assert of("channels", {"input_data_config": None}) == []


def test_channels_above_a_stated_quota() -> None:
    (finding,) = of("channels", {}, quotas={"channels": 1})
    assert finding.severity is Severity.QUOTA
    assert '"hpo:quotas": {"channels": 2} in cdk.json' in finding.fix


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ({"s3_data_source": {"s3_uri": "s3://example-data/"}}, 0),
        ({"dataset_source": {"dataset_arn": "arn:aws:sagemaker:us-east-1:aws:hub-content/hub/DataSet/flowers"}}, 0),
        ({}, 1),
        ({"s3_data_source": {"s3_uri": "s3://example-data/"}, "file_system_data_source": {}}, 1),
        ({"s3_data_sourc": {"s3_uri": "s3://example-data/"}}, 0),  # the slip is the finding of `shape`
        (5, 0),
    ],
)
def test_channel_source(source: Any, count: int) -> None:
    assert len(of("channel-source", {"input_data_config": {"extra": {"data_source": source}}})) == count


@pytest.mark.parametrize(
    ("image", "metric", "names", "needed"),
    [
        ("xgboost", "validation:auc", ["train", "validation"], []),
        ("xgboost", "validation:auc", ["train"], ["validation"]),
        ("xgboost", "validation:auc", ["validation"], ["train"]),
        ("xgboost", "own_metric", ["train"], []),
        ("own", "validation:auc", [], []),
        (
            "semantic-segmentation",
            "validation:mIOU",
            ["train", "validation"],
            ["train_annotation", "validation_annotation"],
        ),
        ("blazingtext", "train:mean_rho", ["train"], []),
        ("xgboost", "validation:auc", ["${x}"], []),
    ],
)
def test_channels_needed(image: str, metric: str, names: list[str], needed: list[str]) -> None:
    definition = {
        "algorithm_specification": {"training_image": IMAGES[image]},
        "input_data_config": [{"channel_name": name, **s3()} for name in names],
    }
    findings = of("channels-needed", definition, objective={"metric_name": metric})
    assert [finding.fix for finding in findings] == [f"add a channel {name}" for name in needed]


def test_channels_needed_spares_scripts_and_augmented_manifests() -> None:
    script = {"static_hyperparameters": {"sagemaker_program": "train.py"}, "input_data_config": {"validation": None}}
    assert of("channels-needed", script) == []
    manifest = s3(s3_data_type="AugmentedManifestFile", attribute_names=["a"])
    augmented = {
        "algorithm_specification": {"training_image": IMAGES["semantic-segmentation"]},
        "input_data_config": [{"channel_name": name, **manifest} for name in ("train", "validation")],
    }
    assert of("channels-needed", augmented, objective={"metric_name": "validation:mIOU"}) == []


@pytest.mark.parametrize(
    ("uri", "severity"),
    [
        ("s3://example-data/x", None),
        ("s3://example-data", None),
        ("s3://abc", None),
        ("s3://" + "a" * 63, None),
        ("s3://my.bucket.name/x/", None),
        ("s3://bucket--usw2-az1--x-s3/x", None),
        ("https://s3.us-east-1.amazonaws.com/example-data/x", None),
        ("s3://arn:aws:s3:us-east-1:123456789012:accesspoint/mine/x", None),
        ("s3://sagemaker-${AWS::Region}-${AWS::AccountId}/x", None),
        ("${Token[TOKEN.3]}", None),
        ("s3://${Token[TOKEN.3]}/x", None),
        ("s3://example-data/" + "x" * 1006, None),
        ("s3://example-data/" + "x" * 1007, Severity.ERROR),
        ("S3://example-data/x", Severity.ERROR),
        ("s3:/example-data/x", Severity.ERROR),
        ("s3//example-data/x", Severity.ERROR),
        ("example-data/x", Severity.ERROR),
        ("/opt/ml/data", Severity.ERROR),
        ("", Severity.ERROR),
        ("s3:///x", Severity.ERROR),
        ("file://example-data/x", Severity.ERROR),
        ("s3://ab/x", Severity.ERROR),
        ("s3://" + "a" * 64, Severity.ERROR),
        ("s3://-data/x", Severity.ERROR),
        ("s3://data..x/x", Severity.ERROR),
        ("s3://192.168.0.1/x", Severity.ERROR),
        ("s3://my data/x", Severity.ERROR),
        ("s3://MyData/x", Severity.WARNING),
        ("s3://my_data/x", Severity.WARNING),
    ],
)
def test_s3_uri(uri: str, severity: Severity | None) -> None:
    for place in (
        {"output_data_config": {"s3_output_path": uri}},
        {"input_data_config": {"train": {"s3_uri": uri}}},
        {"checkpoint_config": {"s3_uri": uri}},
    ):
        assert [finding.severity for finding in of("s3-uri", place)] == ([severity] if severity else [])


VPC = {"subnets": ["subnet-0123456789abcdef0"], "security_group_ids": ["sg-0123456789abcdef0"]}


@pytest.mark.parametrize(
    ("kind", "path", "vpc", "places"),
    [
        ("EFS", "/", VPC, []),
        ("EFS", "/data", VPC, []),
        ("EFS", "data", VPC, ["directory_path"]),
        ("EFS", "", VPC, ["directory_path"]),
        ("EFS", "/data", None, ["vpc_config"]),
        ("FSxLustre", "/fsx", VPC, []),
        ("FSxLustre", "/fsx/data/x", VPC, []),
        ("FSxLustre", "/abcdef12/data", VPC, []),
        ("FSxLustre", "/", VPC, ["directory_path"]),
        ("FSxLustre", "/a-long-mount-name/data", VPC, ["directory_path"]),
        ("FSxLustre", "${Token[TOKEN.1]}", VPC, []),
    ],
)
def test_file_system_needs_vpc(kind: str, path: str, vpc: Any, places: list[str]) -> None:
    system = {
        "file_system_id": "fs-0123456789abcdef0",
        "file_system_type": kind,
        "file_system_access_mode": "ro",
        "directory_path": path,
    }
    channels = {"one": {"data_source": {"file_system_data_source": system}}}
    definition = {"input_data_config": channels} | ({"vpc_config": vpc} if vpc else {})
    assert [f.path.rpartition(".")[2] for f in of("file-system-needs-vpc", definition)] == places


AUGMENTED = {"s3_data_type": "AugmentedManifestFile", "attribute_names": ["source-ref"]}


@pytest.mark.parametrize(
    ("mode", "channel", "places"),
    [
        ("Pipe", s3(**AUGMENTED), []),
        ("Pipe", {**s3(**AUGMENTED), "record_wrapper_type": "RecordIO"}, []),
        ("File", {**s3(**AUGMENTED), "input_mode": "Pipe"}, []),
        ("File", s3(**AUGMENTED), ["training_input_mode"]),
        ("FastFile", s3(**AUGMENTED), ["training_input_mode"]),
        ("Pipe", {**s3(**AUGMENTED), "input_mode": "File"}, ["input_mode"]),
        ("Pipe", s3(s3_data_type="AugmentedManifestFile"), ["attribute_names"]),
        ("Pipe", s3(s3_data_type="AugmentedManifestFile", attribute_names=[]), ["attribute_names"]),
        ("Pipe", s3(s3_data_type="AugmentedManifestFile", attribute_name=["a"]), []),  # `shape` reports the slip
        ("File", {**s3(), "record_wrapper_type": "RecordIO"}, ["record_wrapper_type"]),
        ("File", {**s3(), "record_wrapper_type": "None"}, []),
        ("Pipe", {**s3(), "record_wrapper_type": "RecordIO"}, []),
        ("File", s3(s3_data_type="S3Prefix", attribute_names=["a"]), ["attribute_names"]),
    ],
)
def test_augmented_manifest(mode: str, channel: dict[str, Any], places: list[str]) -> None:
    definition = {
        "algorithm_specification": {"training_input_mode": mode},
        "input_data_config": [{"channel_name": "one", **channel}],
    }
    assert [f.path.rpartition(".")[2] for f in of("augmented-manifest", definition)] == places


def test_a_wrong_mode_of_the_algorithm_is_one_finding_for_all_its_channels() -> None:
    channels = [{"channel_name": name, **s3(**AUGMENTED)} for name in ("train", "validation")]
    (finding,) = of("augmented-manifest", {"input_data_config": channels})
    assert "must be Pipe, got File" in finding.message


@pytest.mark.parametrize(("count", "found"), [(1, 1), (2, 0)])
def test_sharding_single_node(count: int, found: int) -> None:
    definition = {
        "input_data_config": {"train": {"s3_data_distribution_type": "ShardedByS3Key"}},
        "resource_config": {"instance_count": count},
    }
    assert len(of("sharding-single-node", definition)) == found


KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("key", "count"),
    [
        (KEY, 0),
        (f"arn:aws:kms:us-east-1:123456789012:key/{KEY}", 0),
        (f"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-{'0' * 32}", 0),
        ("arn:aws:kms:us-east-1:123456789012:alias/models", 0),
        ("arn:aws:kms:${AWS::Region}:${AWS::AccountId}:alias/models", 0),
        (f"mrk-{'0' * 32}", 0),
        ("alias/aws/s3", 0),
        ("", 0),
        ("${Token[TOKEN.9]}", 0),
        ("models", 1),
        ("alias/", 1),
        ("arn:aws:kms:us-east-1:123456789012:models", 1),
        (KEY[:-1], 1),
    ],
)
def test_keys(key: str, count: int) -> None:
    assert len(of("output-path", {"output_data_config": {"kms_key_id": key}})) == count
    assert len(of("output-path", {"resource_config": {"volume_kms_key_id": key}})) == count


@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ({"output_data_config": None}, "training_job_definition.output_data_config"),
        ({"output_data_config": {"s3_output_path": None}}, "training_job_definition.output_data_config.s3_output_path"),
    ],
)
def test_a_missing_output_path_is_found_once_where_it_would_stand(definition: dict[str, Any], path: str) -> None:
    (finding,) = of("output-path", definition)
    assert finding.path == path
    assert of("shape", definition) == []


def test_a_mistyped_output_is_the_finding_of_shape_only() -> None:
    definition = {"output_data_config": None, "output_data_confg": {"s3_output_path": "s3://example-models/"}}
    assert of("output-path", definition) == []
    assert len(of("shape", definition)) == 1


@pytest.mark.parametrize(
    ("uri", "count"),
    [
        ("s3://example-checkpoints/", 0),
        ("s3://example-models/checkpoints/", 0),
        ("s3://example-models/churn-checkpoints", 0),
        ("s3://example-models/churn", 1),
        ("s3://example-models/churn/checkpoints", 1),
        ("s3://example-data/churn/train/checkpoints", 1),
        ("s3://example-data/churn/", 0),
        ("${Token[TOKEN.2]}", 0),
    ],
)
def test_checkpoint_path(uri: str, count: int) -> None:
    assert len(of("checkpoint-path", {"checkpoint_config": {"s3_uri": uri}})) == count


def test_each_definition_of_several_is_looked_at() -> None:
    (finding,) = of("output-path", {"output_data_config": {"kms_key_id": "models"}}, several=True)
    assert finding.path == "training_job_definitions[0].output_data_config.kms_key_id"
