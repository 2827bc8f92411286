"""Further cases of the rules about resources and security: boundary values, both forms of input, no false alarms."""

from typing import Any

import pytest

from hpo_constructs.rules import Severity

from .test_rules_data import KEY, VPC, of

TUNING = "hyperparameter_tuning_resource_config"
ONE = {"instance_type": "ml.m5.xlarge", "instance_count": 1, "volume_size_in_gb": 5}
GROUP = {"instance_group_name": "g", "instance_type": "ml.m5.xlarge", "instance_count": 2}
NOTHING = {"instance_type": None, "instance_count": None}
E, W, Q = Severity.ERROR, Severity.WARNING, Severity.QUOTA


def severities(rule: str, definition: dict[str, Any], **more: Any) -> list[Severity]:
    return [finding.severity for finding in of(rule, definition, **more)]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({}, []),
        ({"resource_config": None, TUNING: ONE}, []),
        ({TUNING: ONE}, [E]),
        ({"resource_config": None}, [E]),
        ({"resource_config": None, "resource_confg": ONE}, []),  # `shape` reports the slip
        ({"resource_config": {"instance_type": None}}, [E]),
        ({"resource_config": {"instance_type": None, "instance_typ": "ml.m5.xlarge"}}, []),
        ({"resource_config": {**NOTHING, "instance_groups": [GROUP]}}, []),
        ({"resource_config": {**NOTHING, "instance_preferences": [{"instance_type": "ml.p5.48xlarge"}]}}, []),
        ({"resource_config": None, TUNING: {"instance_configs": [ONE, ONE]}}, []),
        ({"resource_config": 5}, []),
    ],
)
def test_one_resource_form(definition: dict[str, Any], expected: list[Severity]) -> None:
    assert severities("one-resource-form", definition) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (ONE, []),
        ({"instance_configs": [ONE] * 6}, []),
        ({"instance_configs": [ONE] * 7}, [E]),
        ({"instance_configs": []}, [E]),
        ({"instance_configs": [ONE], "allocation_strategy": "Prioritized"}, []),
        ({"instance_configs": [ONE], "volume_kms_key_id": KEY}, []),
        ({"instance_configs": [ONE, ONE], "instance_type": "ml.m5.xlarge", "instance_count": 1}, [E]),
        ({"instance_configs": [ONE, ONE], "volume_size_in_gb": 5}, [E]),
        ({**ONE, "allocation_strategy": "Prioritized"}, [E]),
    ],
)
def test_instance_configs(resources: dict[str, Any], expected: list[Severity]) -> None:
    assert severities("instance-configs", {"resource_config": None, TUNING: resources}) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(0, []), (1, [E]), (3600, [E])])
def test_keep_alive_not_for_tuning(seconds: int, expected: list[Severity]) -> None:
    assert (
        severities("keep-alive-not-for-tuning", {"resource_config": {"keep_alive_period_in_seconds": seconds}})
        == expected
    )


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"instance_count": 1}, []),
        ({"instance_count": 0}, [E]),
        ({"instance_count": None}, [E]),
        ({"instance_count": None, "instance_cnt": 1}, []),
        ({"volume_size_in_gb": 1}, []),
        ({"volume_size_in_gb": 0}, [E]),
        ({"volume_size_in_gb": None}, [W]),
        ({"volume_size_in_gb": None, "instance_type": "ml.g4dn.xlarge"}, []),  # it has storage of its own
        ({"volume_size_in_gb": 0, "instance_type": "ml.g4dn.xlarge"}, []),
        ({"volume_size_in_gb": None, "instance_type": "ml.m99.xlarge"}, []),  # who knows
        ({**NOTHING, "instance_groups": [GROUP]}, []),
        ({**NOTHING, "instance_groups": [{**GROUP, "instance_count": 0}]}, [E]),
    ],
)
def test_instance_count_positive(resources: dict[str, Any], expected: list[Severity]) -> None:
    assert severities("instance-count-positive", {"resource_config": resources}) == expected


def test_a_count_of_zero_in_instance_configs_is_found_in_its_place() -> None:
    definition = {"resource_config": None, TUNING: {"instance_configs": [ONE, {**ONE, "instance_count": 0}]}}
    (finding,) = of("instance-count-positive", definition)
    assert finding.path == f"training_job_definition.{TUNING}.instance_configs[1].instance_count"


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"resource_config": {**NOTHING, "instance_groups": [GROUP]}}, []),
        ({"resource_config": {"instance_groups": []}}, []),
        ({"resource_config": {"instance_type": None, "instance_groups": [GROUP]}}, [E]),
        ({"resource_config": {"instance_groups": [GROUP]}}, [E]),
        ({"resource_config": {**NOTHING, "instance_preferences": [{"instance_type": "ml.p5.48xlarge"}]}}, []),
        ({"resource_config": {"instance_preferences": [{"instance_type": "ml.p5.48xlarge"}]}}, [E]),
        (
            {
                "resource_config": {**NOTHING, "instance_preferences": [{"instance_type": "ml.p5.48xlarge"}]},
                "enable_managed_spot_training": True,
            },
            [E],
        ),
        ({"resource_config": {"selected_instance_type": "ml.m5.xlarge"}}, [E]),
    ],
)
def test_instance_groups_exclusive(definition: dict[str, Any], expected: list[Severity]) -> None:
    assert severities("instance-groups-exclusive", definition) == expected


LDA = {"algorithm_specification": {"training_image": "766337827248.dkr.ecr.us-east-1.amazonaws.com/lda:1"}}
VISION = "811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1"


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"resource_config": {"instance_count": 8}}, []),
        ({**LDA, "resource_config": {"instance_count": 1}}, []),
        ({**LDA, "resource_config": {"instance_count": 2}}, [W]),
        ({"algorithm_specification": {"training_image": VISION}}, [W]),
        (
            {
                "algorithm_specification": {"training_image": VISION},
                "resource_config": {"instance_type": "ml.p3.2xlarge"},
            },
            [],
        ),
        (
            {
                "algorithm_specification": {"training_image": VISION},
                "resource_config": {"instance_type": "${Token[TOKEN.5]}"},
            },
            [],
        ),
    ],
)
def test_distributed_support(definition: dict[str, Any], expected: list[Severity]) -> None:
    assert severities("distributed-support", definition) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"max_runtime_in_seconds": 1}, []),
        ({"max_runtime_in_seconds": 2_419_200}, []),
        ({"max_runtime_in_seconds": 2_419_201}, [E]),
        ({"max_runtime_in_seconds": None}, [W]),
        ({"max_runtime_in_seconds": None, "max_runtime_in_second": 5}, []),  # `shape` reports the slip
        ({"max_runtime_in_seconds": "3600"}, []),  # `shape` reports the type
        (None, [E]),
    ],
)
def test_stopping_condition(condition: Any, expected: list[Severity]) -> None:
    assert severities("stopping-condition", {"stopping_condition": condition}) == expected


def test_a_run_above_the_accounts_quota_tells_the_line_to_write() -> None:
    quotas = {"training_job_runtime_in_seconds": 432_000}
    definition = {"stopping_condition": {"max_runtime_in_seconds": 432_001}}
    (finding,) = of("stopping-condition", definition, quotas=quotas)
    assert finding.severity is Q
    assert '{"training_job_runtime_in_seconds": 432001} in cdk.json' in finding.fix


@pytest.mark.parametrize(("whole", "expected"), [(None, []), (3600, []), (3599, [W])])
def test_run_times_nest(whole: int | None, expected: list[Severity]) -> None:
    assert severities("run-times-nest", {}, resource_limits={"max_runtime_in_seconds": whole}) == expected


@pytest.mark.parametrize(
    ("spot", "run", "wait", "expected"),
    [
        (True, 3600, 3600, []),
        (True, 3600, 3599, [E]),
        (True, 3600, None, [E]),
        (True, None, 86_400, []),  # one day is what the service takes
        (True, None, 86_399, [E]),
        (False, 3600, 7200, [E]),
        (None, 3600, 7200, [E]),
        (None, 3600, None, []),
        (False, 3600, None, []),
        ("yes", 3600, 7200, []),  # `shape` reports the type
    ],
)
def test_spot_wait(spot: Any, run: Any, wait: Any, expected: list[Severity]) -> None:
    definition = {
        "enable_managed_spot_training": spot,
        "stopping_condition": {"max_runtime_in_seconds": run, "max_wait_time_in_seconds": wait},
    }
    assert severities("spot-wait", definition) == expected


@pytest.mark.parametrize(
    ("definition", "wait", "expected"),
    [
        ({}, 7200, [W]),
        ({"checkpoint_config": {"s3_uri": "s3://example-checkpoints/"}}, 7200, []),
        (LDA, 3600, []),  # LDA writes no checkpoints
        (LDA, 3601, [W]),
        ({**LDA, "checkpoint_config": {"s3_uri": "s3://example-checkpoints/"}}, 7200, [W]),
        ({"checkpoint_confg": {"s3_uri": "s3://example-checkpoints/"}}, 7200, []),
    ],
)
def test_spot_checkpoint(definition: dict[str, Any], wait: int, expected: list[Severity]) -> None:
    spot = {"enable_managed_spot_training": True, "stopping_condition": {"max_wait_time_in_seconds": wait}}
    assert severities("spot-checkpoint", {**definition, **spot}) == expected
    assert severities("spot-checkpoint", definition) == []


@pytest.mark.parametrize(("attempts", "expected"), [(0, [E]), (1, []), (30, []), (31, [E]), (-1, [E]), ("3", [])])
def test_retry_attempts(attempts: Any, expected: list[Severity]) -> None:
    assert severities("retry-attempts", {"retry_strategy": {"maximum_retry_attempts": attempts}}) == expected


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"A": "1"}, 0),
        ({f"K{i}": "" for i in range(48)}, 0),
        ({f"K{i}": "" for i in range(49)}, 1),
        ({"K" * 512: ""}, 0),
        ({"K" * 513: ""}, 1),
        ({"K": "x" * 512}, 0),
        ({"K": "x" * 513}, 1),
        ({"_private": "line\nline"}, 0),
        ({"1K": ""}, 1),
        ({"a.b": ""}, 1),
        ({"": ""}, 1),
        ({"K": "${Token[TOKEN.1]}" + "x" * 600}, 0),
    ],
)
def test_environment(variables: dict[str, str], count: int) -> None:
    assert len(of("environment", {"environment": variables})) == count


def test_environments_of_all_definitions_count_together() -> None:
    # Both definitions of the template have those of the first: 24 and 24 are right, 25 and 25 too many.
    for size, count in ((24, 0), (25, 1)):
        variables = {"environment": {f"K{i}": "" for i in range(size)}}
        found = of("environment", variables, several=True, training_job_definitions=[variables, variables])
        assert len(found) == count
        assert all("got 50" in finding.message for finding in found)


SUBNET, SECURITY_GROUP = VPC["subnets"][0], VPC["security_group_ids"][0]


@pytest.mark.parametrize(
    ("subnets", "groups", "count"),
    [
        ([SUBNET], [SECURITY_GROUP], 0),
        ([SUBNET] * 16, [SECURITY_GROUP] * 5, 0),
        ([SUBNET] * 17, [SECURITY_GROUP], 1),
        ([SUBNET], [SECURITY_GROUP] * 6, 1),
        ([], [SECURITY_GROUP], 1),
        ([SUBNET], None, 1),
        (None, [SECURITY_GROUP], 1),
        ([SECURITY_GROUP], [SECURITY_GROUP], 1),
        (["subnet-0a1b2c3d"], ["sg-0a1b2c3d"], 0),
        (["subnet_0a1b2c3d"], ["sg-0a1b2c3d"], 1),
        (["${Token[TOKEN.1]}"], ["#{Token[TOKEN.2]}"], 0),
    ],
)
def test_vpc(subnets: Any, groups: Any, count: int) -> None:
    config = {"subnets": subnets, "security_group_ids": groups}
    definition = {"vpc_config": {name: value for name, value in config.items() if value is not None}}
    assert len(of("vpc", definition)) == count
    assert [severity for severity in severities("shape", definition) if severity.fails] == []


def test_isolation_and_vpc() -> None:
    assert severities("isolation-and-vpc", {"enable_network_isolation": True, "vpc_config": VPC}) == [W]
    assert severities("isolation-and-vpc", {"enable_network_isolation": False, "vpc_config": VPC}) == []
    assert severities("isolation-and-vpc", {"vpc_config": VPC}) == []


@pytest.mark.parametrize(
    ("resources", "expected"),
    [({"instance_count": 1}, [W]), ({"instance_count": 2}, []), ({**NOTHING, "instance_groups": [GROUP]}, [])],
)
def test_inter_container_single(resources: dict[str, Any], expected: list[Severity]) -> None:
    definition = {"enable_inter_container_traffic_encryption": True, "resource_config": resources}
    assert severities("inter-container-single", definition) == expected


@pytest.mark.parametrize(
    ("arn", "count"),
    [
        ("arn:aws:iam::123456789012:role/tuning", 0),
        ("arn:aws:iam::123456789012:role/service-role/Tuning_1+=,.@-x", 0),
        ("arn:aws-cn:iam::123456789012:role/tuning", 0),
        ("arn:aws:iam::${AWS::AccountId}:role/tuning", 0),
        ("arn:${AWS::Partition}:iam::${AWS::AccountId}:role/tuning", 0),
        ("${Token[TOKEN.1]}", 0),
        ("tuning", 1),
        ("", 1),
        ("arn:aws:iam::123456789012:user/tuning", 1),
        ("arn:aws:iam::123456789012:instance-profile/tuning", 1),
        ("arn:aws:iam::12345678901:role/tuning", 1),
        ("arn:aws:iam:us-east-1:123456789012:role/tuning", 1),
        ("arn:aws:iam::123456789012:role/my tuning", 1),
    ],
)
def test_role(arn: str, count: int) -> None:
    assert len(of("role", {"role_arn": arn})) == count


def test_roles_of_two_accounts_are_one_finding_at_the_second() -> None:
    other = {"role_arn": "arn:aws:iam::999999999999:role/tuning"}
    (finding,) = of("role", {}, several=True, training_job_definitions=[{}, other])
    assert finding.path == "training_job_definitions[1].role_arn"
    assert "got account 999999999999 here and 123456789012 in xgboost" in finding.message


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"resource_config": {"volume_kms_key_id": KEY}}, []),
        ({"resource_config": {"volume_kms_key_id": KEY, "instance_type": "ml.g5.xlarge"}}, [E]),
        ({"resource_config": {"volume_kms_key_id": "", "instance_type": "ml.g5.xlarge"}}, []),
        ({"resource_config": {"instance_type": "ml.g5.xlarge"}}, []),
        ({"resource_config": {"volume_kms_key_id": KEY, "instance_type": "ml.m99.xlarge"}}, []),
        (
            {
                "resource_config": None,
                TUNING: {
                    "volume_kms_key_id": KEY,
                    "instance_configs": [ONE, {**ONE, "instance_type": "ml.p4d.24xlarge"}],
                },
            },
            [E],
        ),
    ],
)
def test_kms_local_storage(definition: dict[str, Any], expected: list[Severity]) -> None:
    assert severities("kms-local-storage", definition) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tuning", []),
        ("service-role/AmazonSageMaker-ExecutionRole-20200101T000000", [W]),
        ("AmazonSageMakerFullAccess", [W]),
        ("team/SageMakerTuning", []),
    ],
)
def test_full_access_role(name: str, expected: list[Severity]) -> None:
    assert severities("full-access-role", {"role_arn": f"arn:aws:iam::123456789012:role/{name}"}) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ml.m5.xlarge", []),
        ("ml.m5.gigantic", [W]),
        ("ml.x99.2xlarge", [W]),
        ("m5.xlarge", [E]),
        ("ml.m5", [E]),
        ("ML.M5.XLARGE", [E]),
        ("", [E]),
        ("${Token[TOKEN.1]}", []),
    ],
)
def test_instance_type_known(name: str, expected: list[Severity]) -> None:
    for definition in (
        {"resource_config": {"instance_type": name}},
        {"resource_config": None, TUNING: {"instance_configs": [ONE, {**ONE, "instance_type": name}]}},
        {"resource_config": {**NOTHING, "instance_groups": [{**GROUP, "instance_type": name}]}},
    ):
        assert severities("instance-type-known", definition) == expected
        assert [severity for severity in severities("shape", definition) if severity.fails] == []


def test_the_right_name_of_an_instance_type_is_suggested() -> None:
    (finding,) = of("instance-type-known", {"resource_config": {"instance_type": "m5.xlarge"}})
    assert finding.fix == "write ml.m5.xlarge"
