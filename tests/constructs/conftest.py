"""Declared requests, and stacks synthesized without the CDK's validation of whole templates, which takes seconds."""

import json
from collections.abc import Iterator
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


def channel(name: str, uri: str, kind: str = "S3Prefix") -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def definition(**changes: Any) -> dict[str, Any]:
    complete: dict[str, Any] = {
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "StaticHyperParameters": {"num_round": "50", "objective": "binary:logistic", "eval_metric": "auc"},
        "InputDataConfig": [
            channel("train", "s3://data-${AWS::AccountId}/churn/train/"),
            channel("validation", "s3://data-${AWS::AccountId}/churn/validation/"),
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://models-${AWS::Region}/churn"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    return {name: value for name, value in {**complete, **changes}.items() if value is not None}


def single(name: str = "churn", **changes: Any) -> dict[str, Any]:
    """A tuning job of one algorithm; the changes are members of its definition, None takes one away."""
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": 20,
                "MaxParallelTrainingJobs": 1,
                "MaxRuntimeInSeconds": 7200,
            },
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5"}],
                "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "3", "MaxValue": "9"}],
            },
        },
        "TrainingJobDefinition": definition(**changes),
    }


def several(name: str, *definitions: dict[str, Any]) -> dict[str, Any]:
    """A tuning job of several algorithms, each with an objective and ranges of its own."""
    request = single(name)
    config = request["HyperParameterTuningJobConfig"]
    own = {
        "TuningObjective": config.pop("HyperParameterTuningJobObjective"),
        "HyperParameterRanges": config.pop("ParameterRanges"),
    }
    del request["TrainingJobDefinition"]
    request["TrainingJobDefinitions"] = [
        {"DefinitionName": f"algorithm-{number}", **deepcopy(own), **each} for number, each in enumerate(definitions)
    ]
    return request


@pytest.fixture(scope="session", autouse=True)
def _quick_and_tidy_synthesis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Set before the first import of aws_cdk, which starts Node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDK_VALIDATION", "false")
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("assemblies")))
        yield


def plain(value: Any) -> Any:
    """A template's value as a reader would write it: joins joined, references as `${Name}`."""
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::ImportValue": name}:
            return f"${{import {name}}}"
        case {"Fn::Join": [separator, {"Fn::Split": [cut, text]}]}:
            return f"{plain(text)} with {separator} for {cut}"
        case {"Fn::Join": [separator, parts]}:
            return separator.join(str(plain(part)) for part in parts)
        case {"Fn::Sub": [text, {**variables}]}:
            for name, each in variables.items():
                text = text.replace(f"${{{name}}}", str(plain(each)))
            return text
        case {"Fn::Sub": text}:
            return text
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
    return value


class Synthesized:
    """A synthesized template, looked at through what does not change with the CDK's naming."""

    def __init__(self, stack: Any) -> None:
        from aws_cdk.assertions import Template

        self.template: dict[str, Any] = dict(Template.from_stack(stack).to_json())
        self.resources: dict[str, dict[str, Any]] = plain(self.template["Resources"])
        self.outputs: dict[str, Any] = plain(self.template.get("Outputs", {}))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [each.get("Properties", {}) for each in self.resources.values() if each["Type"] == kind]

    def logical_id(self, kind: str, **properties: Any) -> str:
        (found,) = [
            name
            for name, each in self.resources.items()
            if each["Type"] == kind and properties.items() <= each.get("Properties", {}).items()
        ]
        return found

    def definition_text(self, name: str) -> str:
        """The definition of a state machine; the pieces that it shares with others are put in their place."""

        def whole(value: Any) -> Any:
            match value:
                case {"Fn::FindInMap": [mapping, top, second]}:
                    return self.template["Mappings"][mapping][top][second]
                case {"Fn::Join": [separator, parts]}:
                    return {"Fn::Join": [separator, [whole(part) for part in parts]]}
            return value

        return str(plain(whole(self.template["Resources"][name]["Properties"]["DefinitionString"])))

    def definitions(self) -> list[dict[str, Any]]:
        """The state machines that run tuning jobs; the shared ones are left out."""
        return [
            json.loads(self.definition_text(name))
            for name, each in self.resources.items()
            if each["Type"] == "AWS::StepFunctions::StateMachine" and not name.startswith("HpoRuntime")
        ]

    def statements(self, role_id: str) -> list[dict[str, Any]]:
        """All statements of a role, inline, in policies beside it or in managed ones that it names."""
        role = self.resources[role_id]["Properties"]
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        documents += [
            policy["PolicyDocument"]
            for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
            for policy in self.of_type(kind)
            if f"${{{role_id}}}" in policy.get("Roles", [])
        ]
        # Not one of AWS' own, which would not be found.
        documents += [
            self.resources[arn.removeprefix("${").removesuffix("}")]["Properties"]["PolicyDocument"]
            for arn in role.get("ManagedPolicyArns", [])
        ]
        return [statement for document in documents for statement in document["Statement"]]

    def allowed(self, role_id: str) -> dict[str, set[str]]:
        """The resources of each action that a role may call."""
        allowed: dict[str, set[str]] = {}
        for statement in self.statements(role_id):
            assert statement["Effect"] == "Allow"
            for action in _listed(statement["Action"]):
                allowed.setdefault(action, set()).update(_listed(statement["Resource"]))
        return allowed

    def function_role(self, handler: str) -> str:
        (function,) = [f for f in self.of_type("AWS::Lambda::Function") if f["Handler"] == handler]
        return str(function["Role"]).removeprefix("${").removesuffix(".Arn}")

    def executions(self, job: str) -> str:
        """ARN pattern of the executions of a job's state machine."""
        machine = self.outputs[f"{job}StateMachineArn"]["Value"].removesuffix("}")
        return f"arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:execution:{machine}.Name}}:*"

    def training_role(self, job: str) -> str:
        return self.logical_id("AWS::IAM::Role", Description=f"Training jobs of tuning job {job}")


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="session")
def synthesized() -> type[Synthesized]:
    return Synthesized


@pytest.fixture(scope="session")
def declare() -> SimpleNamespace:
    """The makers of requests, for the test modules: they cannot import this file."""
    return SimpleNamespace(single=single, several=several, definition=definition, channel=channel)
