"""What the engine reads out of a request: strategies, Autotune and warm starts, and what it refuses."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hpo_constructs.local.engine.plan import Plan, read_plan
from hpo_constructs.local.engine.searcher import CategoricalRange, ContinuousRange, IntegerRange
from hpo_constructs.local.engine.stopping import HyperbandRule, MedianRule
from hpo_constructs.local.engine.warm_start import Parent, check_parents, experience, overall_best, read_parent

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
KNN = "382416733822.dkr.ecr.us-east-1.amazonaws.com/knn:1"
OWN = "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1"


def request(image: str = OWN, strategy: str = "Bayesian", **static: str) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.1", "MaxValue": "1"}]},
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "StaticHyperParameters": static,
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/"}},
                }
            ],
        },
    }


def config_of(wanted: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = wanted["HyperParameterTuningJobConfig"]
    return config


def refused(wanted: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        read_plan(wanted)


class TestHyperband:
    @staticmethod
    def hyperband(image: str = OWN, settings: Mapping[str, int] | None = None, **static: str) -> dict[str, Any]:
        wanted = request(image, "Hyperband", **static)
        if settings is not None:
            config_of(wanted)["StrategyConfig"] = {"HyperbandStrategyConfig": dict(settings)}
        return wanted

    def test_resources_are_read(self) -> None:
        plan = read_plan(self.hyperband(settings={"MinResource": 3, "MaxResource": 30}))
        (rule,) = plan.stopping_rules()
        assert isinstance(rule, HyperbandRule)
        assert rule.brackets == ((3, 9, 27), (9, 27), (27,), ())

    @pytest.mark.parametrize("name", ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"])
    def test_the_most_is_inferred_from_epochs(self, name: str) -> None:
        plan = read_plan(self.hyperband(**{name: "12"}))
        assert plan.definitions[0].resource == (1, 12)

    @pytest.mark.parametrize("static", [{}, {"epoch": "12"}, {"epochs": "many"}, {"epochs": "0"}])
    def test_what_cannot_be_inferred_is_refused_in_the_services_words(self, static: dict[str, str]) -> None:
        words = "MaxResource parameter is not provided and could not be inferred from provided static hyperparameters"
        refused(self.hyperband(**static), words)
        refused(self.hyperband(settings={"MinResource": 2}, **static), words)

    @pytest.mark.parametrize("settings", [{"MinResource": 5, "MaxResource": 5}, {"MaxResource": 20_001}])
    def test_resources_that_cannot_be(self, settings: dict[str, int]) -> None:
        refused(self.hyperband(settings=settings), "MinResource < MaxResource <= 20000 must hold")

    def test_needs_an_iterative_algorithm(self) -> None:
        refused(self.hyperband(KNN, {"MaxResource": 9}), "needs an iterative algorithm, got K-Nearest")
        assert read_plan(self.hyperband(XGBOOST, {"MaxResource": 9})).definitions[0].resource == (1, 9)

    def test_has_no_other_early_stopping(self) -> None:
        wanted = self.hyperband(settings={"MaxResource": 9})
        config_of(wanted)["TrainingJobEarlyStoppingType"] = "Auto"
        refused(wanted, "must be Off with the strategy Hyperband")

    def test_its_settings_are_for_no_other_strategy(self) -> None:
        wanted = self.hyperband(settings={"MaxResource": 9})
        config_of(wanted)["Strategy"] = "Random"
        refused(wanted, "StrategyConfig must be given with the strategy Hyperband only")

    def test_a_built_ins_own_rounds_say_when_a_training_job_ends_by_itself(self) -> None:
        definition = read_plan(self.hyperband(XGBOOST, {"MaxResource": 9}, num_round="9")).definitions[0]
        assert definition.epochs({"num_round": "9", "rate": "0.3"}) == 9
        assert definition.epochs({"rate": "0.3"}) is None


def test_early_stopping_follows_the_budget() -> None:
    wanted = request()
    assert read_plan(wanted).stopping_rules() == (None,)
    config_of(wanted)["TrainingJobEarlyStoppingType"] = "Auto"
    (rule,) = read_plan(wanted).stopping_rules()
    assert isinstance(rule, MedianRule)
    wanted["TrainingJobDefinitions"] = [
        {
            **wanted["TrainingJobDefinition"],
            "DefinitionName": name,
            "TuningObjective": config_of(wanted)["HyperParameterTuningJobObjective"],
            "HyperParameterRanges": config_of(wanted)["ParameterRanges"],
        }
        for name in "ab"
    ]
    del wanted["TrainingJobDefinition"]
    refused(wanted, "must be Off with several TrainingJobDefinitions")


def test_too_few_combinations_are_refused_in_the_services_words() -> None:
    wanted = request()
    config_of(wanted)["ParameterRanges"] = {
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b", "c"]}],
    }
    refused(wanted, "The total number of hyperparameter combinations for the provided ranges [3.0] must be equal or")
    config_of(wanted)["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 3
    assert read_plan(wanted).max_training_jobs == 3


def test_retries_and_completion_criteria_are_read() -> None:
    wanted = request()
    wanted["TrainingJobDefinition"]["RetryStrategy"] = {"MaximumRetryAttempts": 7}
    config_of(wanted)["TuningJobCompletionCriteria"] = {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}
    del config_of(wanted)["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    plan = read_plan(wanted)
    assert plan.definitions[0].retries == 7
    assert plan.complete_on_convergence
    assert plan.max_training_jobs == math.inf


class TestAutotune:
    @staticmethod
    def autotuned(image: str, hints: Mapping[str, str] | None = None, **static: str) -> dict[str, Any]:
        wanted = request(image, **static)
        wanted["Autotune"] = {"Mode": "Enabled"}
        config_of(wanted)["ResourceLimits"] = {"MaxParallelTrainingJobs": 2}
        if hints is None:
            del config_of(wanted)["ParameterRanges"]
        else:
            autos = [{"Name": name, "ValueHint": hint} for name, hint in hints.items()]
            config_of(wanted)["ParameterRanges"] = {"AutoParameters": autos}
        return wanted

    def test_a_built_ins_ranges_are_the_guides(self) -> None:
        wanted = self.autotuned(XGBOOST, {"eta": "0.3", "max_depth": "6", "alpha": "2000"})
        ranges = {one.name: one for one in read_plan(wanted).definitions[0].ranges}
        assert ranges == {
            "eta": ContinuousRange("eta", 0.1, 0.5),
            "max_depth": IntegerRange("max_depth", 0, 10),
            # The example lies outside what the guide recommends.
            "alpha": ContinuousRange("alpha", 0, 2000),
        }

    def test_without_any_range_a_built_in_is_searched_over_all_that_is_tunable(self) -> None:
        (definition,) = read_plan(self.autotuned(XGBOOST, num_round="20", alpha="0")).definitions
        names = {one.name for one in definition.ranges}
        assert {"eta", "gamma", "subsample", "max_depth"} <= names
        assert not names & {"num_round", "alpha"}

    def test_another_algorithms_ranges_are_around_the_examples(self) -> None:
        hints = {
            "rate": "0.01",
            "share": "0.5",
            "layers": "4",
            "units": "200",
            "shift": "-3",
            "zero": "0",
            "scale": "2.5",
        }
        ranges = {one.name: one for one in read_plan(self.autotuned(OWN, hints)).definitions[0].ranges}
        assert ranges == {
            "rate": ContinuousRange("rate", 0.001, 0.1, "Logarithmic"),
            "share": ContinuousRange("share", 0.05, 1, "Logarithmic"),
            "scale": ContinuousRange("scale", 0.25, 25, "Logarithmic"),
            "layers": IntegerRange("layers", 1, 40, "Logarithmic"),
            "units": IntegerRange("units", 20, 2000, "Logarithmic"),
            "shift": IntegerRange("shift", -30, -1, "Linear"),
            "zero": IntegerRange("zero", 0, 10, "Linear"),
        }

    def test_an_example_that_is_no_number_stays_as_it_is(self) -> None:
        (definition,) = read_plan(self.autotuned(OWN, {"rate": "0.01", "optimizer": "adam"})).definitions
        assert [one.name for one in definition.ranges] == ["rate"]
        assert definition.request["StaticHyperParameters"] == {"optimizer": "adam"}

    def test_the_rest_is_chosen_and_what_is_stated_stays(self) -> None:
        wanted = self.autotuned(OWN, {"rate": "0.01", "share": "0.5", "layers": "4"})
        plan = read_plan(wanted)
        assert plan.max_training_jobs == 30
        assert plan.early_stopping
        assert plan.complete_on_convergence
        assert plan.definitions[0].retries == 3
        config_of(wanted)["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 5
        config_of(wanted)["TrainingJobEarlyStoppingType"] = "Off"
        config_of(wanted)["TuningJobCompletionCriteria"] = {
            "ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}
        }
        wanted["TrainingJobDefinition"]["RetryStrategy"] = {"MaximumRetryAttempts": 1}
        plan = read_plan(wanted)
        assert plan.max_training_jobs == 5
        assert not plan.early_stopping
        assert not plan.complete_on_convergence
        assert plan.definitions[0].retries == 1

    def test_the_request_itself_is_left_alone(self) -> None:
        wanted = self.autotuned(OWN, {"rate": "0.01", "optimizer": "adam"})
        before = copy.deepcopy(wanted)
        read_plan(wanted)
        assert wanted == before

    def test_refusals(self) -> None:
        refused(self.autotuned(OWN), "Autotune knows the hyperparameters of built-in algorithms only")
        refused(self.autotuned(OWN, {"rate": "0.01"}, rate="1"), "got 'rate' twice")
        wanted = self.autotuned(OWN, {"rate": "0.01"})
        del wanted["Autotune"]
        refused(wanted, "need Autotune with the Mode Enabled")


# Warm starts

Change = Callable[[dict[str, Any]], Any]


def warm(kind: str = "IdenticalDataAndAlgorithm", *changes: Change, **static: str) -> Plan:
    wanted = request(epochs="10", **static)
    wanted["HyperParameterTuningJobName"] = "child"
    wanted["WarmStartConfig"] = {
        "WarmStartType": kind,
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "tune"}],
    }
    for change in changes:
        change(wanted)
    return read_plan(wanted)


def parent(status: str = "Completed", values: tuple[float, ...] = (0.5, 0.2, 0.7), name: str = "tune") -> Parent:
    """A parent out of documents, as Describe and the lists have them; training job n had the rate 0.n."""
    summaries = [
        {
            "TrainingJobName": f"{name}-{number}",
            "ObjectiveStatus": "Succeeded",
            "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "loss", "Value": value},
        }
        for number, value in enumerate(values, start=1)
    ]
    trained = [
        ({"HyperParameters": {"rate": f"0.{number}", "epochs": "10", "_tuning_objective_metric": "loss"}}, summary)
        for number, summary in enumerate(summaries, start=1)
    ]
    failed = ({"HyperParameters": {"rate": "0.9", "epochs": "10"}}, {"ObjectiveStatus": "Failed"})
    described = request(epochs="10", _tuning_objective_metric="loss")
    described["HyperParameterTuningJobName"] = name
    described["HyperParameterTuningJobStatus"] = status
    if summaries:
        described["BestTrainingJob"] = min(
            summaries, key=lambda one: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        )
    return read_parent(described, [*trained, failed])


def test_a_parents_results_are_known_on_identical_data() -> None:
    plan = warm()
    check_parents(plan, [parent()])
    known = experience(plan, [parent()])
    assert sorted(known.results, key=lambda result: result[1]) == [
        ({"rate": "0.2"}, 0.2),
        ({"rate": "0.1"}, 0.5),
        ({"rate": "0.3"}, 0.7),
    ]
    assert known.first == ()


def test_with_transfer_learning_the_best_of_each_parent_come_first() -> None:
    plan = warm("TransferLearning")
    known = experience(plan, [parent(), parent(values=(80.0, 90.0), name="other")])
    assert known.results == ()
    assert [values["rate"] for values in known.first] == ["0.2", "0.1", "0.1", "0.2", "0.3"]
    assert experience(read_plan(request()), [parent()]).first == ()


def test_the_overall_best_is_that_of_parents_and_child_on_identical_data() -> None:
    better = {"TrainingJobName": "mine", "FinalHyperParameterTuningJobObjectiveMetric": {"Value": 0.1}}
    worse = {"TrainingJobName": "mine", "FinalHyperParameterTuningJobObjectiveMetric": {"Value": 0.3}}
    plan = warm()
    for own, expected in ((better, "mine"), (worse, "tune-2"), (None, "tune-2")):
        found = overall_best(plan, own, [parent()])
        assert found is not None
        assert found["TrainingJobName"] == expected
    assert overall_best(plan, None, [parent(values=())]) is None
    assert overall_best(warm("TransferLearning"), worse, [parent()]) is None


def set_image(wanted: dict[str, Any]) -> None:
    wanted["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"] = XGBOOST


def set_data(wanted: dict[str, Any]) -> None:
    (channel,) = wanted["TrainingJobDefinition"]["InputDataConfig"]
    channel["DataSource"]["S3DataSource"]["S3Uri"] = "s3://data/new/"


def set_objective(wanted: dict[str, Any]) -> None:
    config_of(wanted)["HyperParameterTuningJobObjective"]["MetricName"] = "error"


def make_integer(wanted: dict[str, Any]) -> None:
    config_of(wanted)["ParameterRanges"] = {
        "IntegerParameterRanges": [{"Name": "rate", "MinValue": "1", "MaxValue": "100"}]
    }


def swap(wanted: dict[str, Any]) -> None:
    """Search the epochs and fix the rate."""
    wanted["TrainingJobDefinition"]["StaticHyperParameters"] = {"rate": "0.5"}
    config_of(wanted)["ParameterRanges"] = {
        "IntegerParameterRanges": [{"Name": "epochs", "MinValue": "1", "MaxValue": "100"}]
    }


@pytest.mark.parametrize(
    ("changes", "identical", "transfer"),
    [
        ((), None, None),
        ((swap,), None, None),
        ((set_image,), "has other values of TrainingImage", None),
        ((set_data,), "has other values of InputDataConfig", None),
        ((set_objective,), "Minimize loss, got Minimize error", "Minimize loss, got Minimize error"),
        ((make_integer,), "must be continuous as in the parent", "must be continuous as in the parent"),
    ],
)
def test_what_may_change_from_parent_to_child(
    changes: tuple[Change, ...], identical: str | None, transfer: str | None
) -> None:
    for kind, words in (("IdenticalDataAndAlgorithm", identical), ("TransferLearning", transfer)):
        if words is None:
            check_parents(warm(kind, *changes), [parent()])
        else:
            with pytest.raises(ValueError, match=words):
                check_parents(warm(kind, *changes), [parent()])


def test_hyperparameters_are_those_of_the_parent() -> None:
    with pytest.raises(ValueError, match="The set of tunable plus static HyperParameter names is not the same"):
        check_parents(warm(layers="3"), [parent()])


def test_at_most_ten_changes() -> None:
    names = [f"h{number}" for number in range(6)]
    described = request(epochs="10", **dict.fromkeys(names, "red"))
    described |= {"HyperParameterTuningJobName": "tune", "HyperParameterTuningJobStatus": "Stopped"}
    of_old = read_parent(described, [])
    # Two for each of five is ten.
    check_parents(warm(**dict.fromkeys(names, "red") | dict.fromkeys(names[:5], "blue")), [of_old])
    with pytest.raises(ValueError, match=r"at most 10 changes .* got 12"):
        check_parents(warm(**dict.fromkeys(names, "blue")), [of_old])


def test_a_parent_must_have_ended() -> None:
    with pytest.raises(ValueError, match=r"tune must have ended .* its status is InProgress"):
        check_parents(warm(), [parent("InProgress")])


def test_searched_before_and_static_now() -> None:
    known = experience(warm("IdenticalDataAndAlgorithm", swap), [parent()])
    assert {values["epochs"] for values, _ in known.results} == {"10"}


def test_a_warm_start_names_others_once() -> None:
    def again(wanted: dict[str, Any]) -> None:
        wanted["WarmStartConfig"]["ParentHyperParameterTuningJobs"] *= 2

    def itself(wanted: dict[str, Any]) -> None:
        wanted["HyperParameterTuningJobName"] = "tune"

    for change in (again, itself):
        with pytest.raises(ValueError, match="must name other tuning jobs, each once"):
            warm("TransferLearning", change)


def test_categorical_hints_of_built_ins_are_kept() -> None:
    image = "811284229777.dkr.ecr.us-east-1.amazonaws.com/blazingtext:1"
    wanted = TestAutotune.autotuned(image, {"mode": "batch_skipgram"})
    plan = read_plan(wanted)
    (searched,) = plan.definitions[0].ranges
    assert isinstance(searched, CategoricalRange)
    assert "batch_skipgram" in searched.values
    # No more training jobs than there are combinations.
    assert plan.max_training_jobs == len(searched.values)
