"""The built-in algorithms: the data is consistent, and says what the guide says."""

import pytest

from hpo_constructs.catalog import BuiltInAlgorithm, builtin, builtin_names, edition
from hpo_constructs.errors import CatalogError

TYPES = {"Integer", "Continuous", "Categorical", "Text", None}


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def test_edition_and_names():
    assert edition() == "2023-06"
    assert len(builtin_names()) == 24
    assert list(builtin_names()) == sorted(builtin_names())
    assert builtin("no-such-algorithm") is None


@pytest.mark.parametrize("name", builtin_names())
class TestEveryAlgorithm:
    def test_is_internally_consistent(self, name):
        algorithm = builtin(name)
        assert algorithm.name == name
        assert set(algorithm.objective_metrics.values()) <= {"Maximize", "Minimize"}
        assert set(algorithm.required) <= set(algorithm.known)
        assert set(algorithm.resource_hyperparameters) <= set(algorithm.known)
        assert algorithm.early_stopping_metrics == () or algorithm.early_stopping
        assert set(algorithm.early_stopping_metrics) <= set(algorithm.objective_metrics)
        assert algorithm.cpu or algorithm.gpu
        assert set(algorithm.input_modes) <= {"File", "Pipe"}
        assert any(channel.required for channel in algorithm.channels)
        assert all(url.startswith("https://docs.aws.amazon.com/sagemaker/") for url in algorithm.sources.values())
        for requirement in algorithm.required_when:
            assert requirement.name in algorithm.known
            assert set(requirement.values) <= set(algorithm.known[requirement.when].choices or requirement.values)

    def test_recommended_ranges_lie_within_the_allowed_ones(self, name):
        algorithm = builtin(name)
        for tunable in algorithm.tunable.values():
            if tunable.type == "Categorical":
                assert len(tunable.values) >= 2
                assert tunable.min is tunable.max is None
                continue
            assert tunable.values == ()
            assert tunable.min < tunable.max
            known = algorithm.known.get(tunable.name)
            if known is None:
                continue
            assert known.type == tunable.type
            assert known.min is None or tunable.min >= known.min
            assert known.max is None or tunable.max <= known.max

    def test_defaults_are_allowed_values(self, name):
        for known in builtin(name).known.values():
            assert known.type in TYPES
            assert known.min is None or known.max is None or known.min <= known.max
            if known.default is None or known.default in known.also:
                continue
            if known.choices:
                assert known.default in known.choices
            if known.type in {"Integer", "Continuous"}:
                value = number(known.default)
                assert value is not None, known
                assert known.min is None or value >= known.min
                assert known.max is None or value <= known.max

    def test_no_formatting_of_the_source_is_left(self, name):
        algorithm = builtin(name)
        texts = [*algorithm.objective_metrics, *algorithm.tunable, *algorithm.known]
        for known in algorithm.known.values():
            texts += [*known.choices, *known.also, known.default or "", known.text or ""]
        for tunable in algorithm.tunable.values():
            texts += tunable.values
        assert not [text for text in texts if any(mark in text for mark in ("*", "`", "\\", "http", "MinValue"))]


def test_slips_of_the_guide_are_mended():
    assert "epochs" in builtin("factorization-machines").tunable
    assert "epoch" not in builtin("factorization-machines").tunable
    assert builtin("semantic-segmentation").tunable["optimizer"].values == ("sgd", "adam", "adadelta")
    assert set(builtin("blazingtext").known["mode"].choices) == {"batch_skipgram", "skipgram", "cbow", "supervised"}
    assert builtin("blazingtext").required == ("mode",)
    assert builtin("seq2seq").tunable["rnn_num_hidden"].values == ("128", "256", "512", "1024", "2048")
    assert "epsilon" in builtin("image-classification-tensorflow").tunable
    assert builtin("object-detection-tensorflow").tunable["initial_accumulator_value"].max == 0.999
    for name, losses in (("lightgbm", ("binary_logloss", "multi_logloss")), ("catboost", ("Logloss", "MultiClass"))):
        assert {builtin(name).objective_metrics[loss] for loss in losses} == {"Minimize"}
        assert builtin(name).notes


def test_xgboost_by_hand():
    xgboost = builtin("xgboost")
    assert xgboost.objective_metrics["validation:auc"] == "Maximize"
    assert xgboost.objective_metrics["validation:rmse"] == "Minimize"
    assert xgboost.required == ("num_round",)
    (requirement,) = xgboost.required_when
    assert (requirement.name, requirement.when) == ("num_class", "objective")
    assert requirement.values == ("multi:softmax", "multi:softprob")
    assert xgboost.iterative is True
    assert xgboost.resource_hyperparameters == ("num_round",)
    assert not xgboost.known_complete
    assert xgboost.checkpoints is True
    bounds = xgboost.known["tweedie_variance_power"]
    assert (bounds.min, bounds.max, bounds.min_exclusive, bounds.max_exclusive) == (1, 2, True, True)
    assert xgboost.hyperparameter_type("max_depth") == "Integer"
    assert xgboost.hyperparameter_type("no_such") is None
    assert xgboost.known["eta"].type == "Continuous"


@pytest.mark.parametrize(
    ("name", "iterative", "single_instance", "cpu", "gpu"),
    [
        ("xgboost", True, False, True, True),
        ("seq2seq", True, True, False, True),
        ("image-classification", True, False, False, True),
        ("randomcutforest", True, False, True, False),
        ("lda", False, True, True, False),
        ("knn", False, False, True, True),
        ("autogluon-tabular", None, True, True, True),
    ],
)
def test_what_algorithms_run_on(name, iterative, single_instance, cpu, gpu):
    algorithm = builtin(name)
    assert algorithm.iterative is iterative
    assert (algorithm.single_instance, algorithm.cpu, algorithm.gpu) == (single_instance, cpu, gpu)


def test_early_stopping():
    linear = builtin("linear-learner")
    assert linear.stops_early("validation:objective_loss")
    assert not linear.stops_early("validation:recall")
    assert builtin("xgboost").stops_early("validation:auc")
    assert not builtin("kmeans").stops_early("test:msd")


def test_facts_cannot_be_changed():
    with pytest.raises(TypeError):
        builtin("xgboost").objective_metrics["mine"] = "Maximize"
    with pytest.raises(AttributeError):
        builtin("xgboost").title = "mine"


class TestBuiltInAlgorithm:
    def test_gives_what_a_definition_needs(self):
        xgboost = BuiltInAlgorithm("xgboost", version="1.7-1")
        assert xgboost.image_uri("us-east-1") == "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
        assert xgboost.metrics["validation:auc"] == "Maximize"
        assert xgboost.required_hyperparameters == ("num_round",)
        assert xgboost.required_when[0].name == "num_class"
        ranges = {found["name"]: found for found in xgboost.default_ranges()}
        assert ranges["eta"] == {"name": "eta", "type": "Continuous", "min": 0.1, "max": 0.5, "scaling": "Auto"}
        assert len(ranges) == 12

    def test_chosen_ranges_come_in_the_order_asked_for(self):
        ranges = BuiltInAlgorithm("kmeans").default_ranges(["init_method", "epochs"])
        assert ranges == [
            {"name": "init_method", "type": "Categorical", "values": ["kmeans++", "random"]},
            {"name": "epochs", "type": "Integer", "min": 1, "max": 10, "scaling": "Auto"},
        ]

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: BuiltInAlgorithm("xgbost"), "algorithm 'xgbost' is not a built-in one, did you mean xgboost"),
            (lambda: BuiltInAlgorithm("xgboost", "1.7"), "version '1.7' of xgboost .* did you mean 1.7-1"),
            (lambda: BuiltInAlgorithm("lightgbm").image_uri("us-east-1"), "lightgbm has no image of its own"),
            (lambda: BuiltInAlgorithm("xgboost").default_ranges(["etta"]), "no range for 'etta', did you mean eta"),
            (lambda: BuiltInAlgorithm("pca").default_ranges(["k"]), r"no range for 'k' \(allowed: none\)"),
        ],
    )
    def test_errors_name_the_value_and_what_is_allowed(self, make, message):
        with pytest.raises(CatalogError, match=message):
            make()
