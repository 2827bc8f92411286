"""The local programs: chosen by image, trained on real data, readable by the service's metric definitions."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import xgboost as xgb

from hpo_constructs.local.algorithms import kmeans, knn, linear_learner, local_program, metrics, xgboost
from hpo_constructs.local.training import MlFolder, read_metrics

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


class TestLocalProgram:
    @pytest.mark.parametrize(
        ("image", "module"),
        [
            (f"{REGISTRY}/sagemaker-xgboost:1.7-1", "xgboost"),
            ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "xgboost"),
            ("450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:latest", "xgboost"),
            ("382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1", "linear_learner"),
            ("localhost:5000/mirror/linear-learner@sha256:" + "0" * 64, "linear_learner"),
            ("382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1", "kmeans"),
            ("382416733822.dkr.ecr.us-east-1.amazonaws.com/knn:1", "knn"),
        ],
    )
    def test_built_in_images(self, image: str, module: str) -> None:
        program = local_program(image, [])
        assert (program.module or "").rpartition(".")[2] == module
        assert program.metric_definitions

    def test_a_mapped_image_comes_first(self) -> None:
        mapping = [
            {"image": "*/churn:*", "command": ["python", "train.py"], "directory": "/somewhere"},
            {"image": "*/sagemaker-xgboost:*", "command": ["mine"]},
        ]
        churn = local_program("1.dkr.ecr.us-east-1.amazonaws.com/churn:7", mapping)
        assert churn.command == ("python", "train.py")
        assert churn.directory == Path("/somewhere")
        assert local_program(f"{REGISTRY}/sagemaker-xgboost:1.7-1", mapping).command == ("mine",)

    def test_script_mode_comes_between_mapping_and_built_ins(self) -> None:
        script = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://b/code.tar.gz"'}
        for image in (f"{REGISTRY}/sagemaker-scikit-learn:1.2-1", f"{REGISTRY}/sagemaker-xgboost:1.7-1"):
            program = local_program(image, [], script)
            assert (program.module or "").endswith(".script")
            assert program.from_source_archive
            mapping = [{"image": "*", "command": ["mine"]}]
            assert local_program(image, mapping, script).command == ("mine",)
        inside = {**script, "sagemaker_submit_directory": "/opt/ml/code"}
        with pytest.raises(LookupError):
            local_program(f"{REGISTRY}/sagemaker-scikit-learn:1.2-1", [], inside)

    def test_an_unknown_image_is_told_with_the_fix(self) -> None:
        with pytest.raises(LookupError) as caught:
            local_program(f"{REGISTRY}/my-algo:3", [{"image": "*/churn:*", "command": ["x"]}])
        message = caught.value.args[0]
        for words in (f"{REGISTRY}/my-algo:3", "sagemaker-xgboost", "*/churn:*", "'*my-algo*'", "local.commands"):
            assert words in message


Train = Callable[..., int]


class Job:
    """Runs a program in this process, in a folder like a container's."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.ml = MlFolder(root)
        self.ml.create()
        self._capfd = capfd
        self.config: dict[str, Any] = {}
        monkeypatch.setenv("HPO_LOCAL_ML_ROOT", str(root))
        monkeypatch.setenv("SM_NUM_CPUS", "1")

    def channel(self, name: str, text: str, content_type: str | None = "text/csv") -> None:
        folder = self.ml.data / name
        folder.mkdir(exist_ok=True)
        (folder / "part-0").write_text(text)
        self.config[name] = {"TrainingInputMode": "File"} | ({"ContentType": content_type} if content_type else {})

    def run(self, program: Any, hyperparameters: Mapping[str, str]) -> int:
        (self.ml.config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        (self.ml.config / "inputdataconfig.json").write_text(json.dumps(self.config))
        code: int = program.main()
        self.lines = self._capfd.readouterr().out.splitlines()
        return code


def csv(table: Any) -> str:
    return "\n".join(",".join(f"{value:.8g}" for value in row) for row in table)


def tables(load: Callable[[], Any]) -> dict[str, Any]:
    data = load()
    table = np.column_stack([data.target, data.data])
    table = table[np.random.default_rng(1).permutation(len(table))]
    cut, end = int(len(table) * 0.6), int(len(table) * 0.8)
    return {"train": table[:cut], "validation": table[cut:end], "test": table[end:]}


@pytest.fixture
def empty_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Job:
    return Job(tmp_path, monkeypatch, capfd)


@pytest.fixture
def job(empty_job: Job) -> Job:
    """A training job with the breast cancer data in its three channels."""
    for name, table in tables(sklearn.datasets.load_breast_cancer).items():
        empty_job.channel(name, csv(table))
    return empty_job


BINARY = {"num_round": "8", "objective": "binary:logistic", "max_depth": "3"}


class TestXGBoost:
    def test_trains_a_model_that_the_package_reads(self, job: Job) -> None:
        assert job.run(xgboost, BINARY | {"eval_metric": "auc,logloss"}) == 0
        booster = xgb.Booster(model_file=str(job.ml.model / "xgboost-model"))
        assert booster.num_boosted_rounds() == 8
        assert re.fullmatch(
            r"\[0\]#011train-auc:[\d.]+#011train-logloss:[\d.]+#011validation-auc:[\d.]+#011validation-logloss:[\d.]+",
            job.lines[0],
        )
        found = read_metrics(job.lines, metrics.XGBOOST)
        assert set(found) == {"train:auc", "train:logloss", "validation:auc", "validation:logloss"}
        assert found["validation:auc"] > 0.95
        assert f"validation-auc:{found['validation:auc']:.5f}" in job.lines[7]

    @pytest.mark.parametrize(
        "metric", ["accuracy", "balanced_accuracy", "f1", "f1_binary", "precision", "recall_macro", "auc", "aucpr"]
    )
    def test_the_tuned_metric_is_evaluated_unasked(self, job: Job, metric: str) -> None:
        hyperparameters = BINARY | {"eval_metric": "logloss", "_tuning_objective_metric": f"validation:{metric}"}
        assert job.run(xgboost, hyperparameters) == 0
        found = read_metrics(job.lines, metrics.XGBOOST)
        assert 0.85 < found[f"validation:{metric}"] <= 1
        assert found["validation:logloss"] < 0.4

    def test_accuracy_is_one_minus_error(self, job: Job) -> None:
        job.run(xgboost, BINARY | {"eval_metric": "error,accuracy"})
        found = read_metrics(job.lines, metrics.XGBOOST)
        assert found["validation:accuracy"] == pytest.approx(1 - found["validation:error"], abs=2e-5)

    def test_early_stopping_keeps_the_best_rounds(self, job: Job) -> None:
        more = {"num_round": "300", "eta": "0.9", "eval_metric": "logloss", "early_stopping_rounds": "3"}
        assert job.run(xgboost, BINARY | more) == 0
        losses = [float(line.rpartition("validation-logloss:")[2]) for line in job.lines]
        assert len(losses) < 300
        booster = xgb.Booster(model_file=str(job.ml.model / "xgboost-model"))
        assert booster.num_boosted_rounds() == losses.index(min(losses)) + 1

    def test_several_classes(self, empty_job: Job) -> None:
        for name, table in tables(sklearn.datasets.load_iris).items():
            empty_job.channel(name, csv(table))
        for objective in ("multi:softmax", "multi:softprob"):
            hyperparameters = {"num_round": "5", "objective": objective, "num_class": "3", "eval_metric": "merror,f1"}
            assert empty_job.run(xgboost, hyperparameters) == 0
            assert read_metrics(empty_job.lines, metrics.XGBOOST)["validation:f1"] > 0.85

    def test_regression_is_the_default(self, empty_job: Job) -> None:
        for name, table in tables(sklearn.datasets.load_diabetes).items():
            empty_job.channel(name, csv(table))
        assert empty_job.run(xgboost, {"num_round": "20", "eval_metric": "mse"}) == 0
        found = read_metrics(empty_job.lines, metrics.XGBOOST)
        assert 0 < found["validation:mse"] < 6000

    def test_libsvm_is_read_and_is_the_format_without_a_content_type(self, empty_job: Job) -> None:
        rows = tables(sklearn.datasets.load_breast_cancer)["train"]
        text = "\n".join(
            f"{row[0]:g} " + " ".join(f"{index}:{value:.6g}" for index, value in enumerate(row[1:])) for row in rows
        )
        for content_type in ("text/libsvm", None):
            empty_job.channel("train", text, content_type)
            assert empty_job.run(xgboost, BINARY | {"eval_metric": "auc"}) == 0
            assert read_metrics(empty_job.lines, metrics.XGBOOST)["train:auc"] > 0.95

    def test_empty_fields_are_missing_values(self, empty_job: Job) -> None:
        empty_job.channel("train", "1,2,\n0,,3\n1,2,5\n0,1,1\n")
        assert empty_job.run(xgboost, BINARY | {"eval_metric": "error"}) == 0

    def test_weights_are_the_second_column(self, empty_job: Job) -> None:
        empty_job.channel("train", "1,9,0\n0,1,0\n1,9,0\n0,1,0\n")
        hyperparameters = {
            "num_round": "50",
            "objective": "binary:logistic",
            "csv_weights": "1",
            "min_child_weight": "0",
        }
        assert empty_job.run(xgboost, hyperparameters) == 0
        booster = xgb.Booster(model_file=str(empty_job.ml.model / "xgboost-model"))
        assert booster.num_features() == 1
        assert booster.predict(xgb.DMatrix(np.zeros((1, 1))))[0] == pytest.approx(0.9, abs=0.02)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"etaa": "0.1"}, "hyperparameter etaa is not known, known are"),
            ({"eta": "1.5"}, "hyperparameter eta must be a number >= 0 and <= 1, got 1.5"),
            ({"eta": "high"}, "hyperparameter eta must be a number >= 0 and <= 1, got 'high'"),
            ({"max_depth": "3.5"}, "hyperparameter max_depth must be an integer >= 0, got '3.5'"),
            ({"max_depth": "inf"}, "hyperparameter max_depth must be an integer >= 0, got 'inf'"),
            ({"booster": "tree"}, "hyperparameter booster must be one of gbtree, gblinear, dart, got 'tree'"),
            ({"eval_metric": "auc,best"}, "hyperparameter eval_metric must be of"),
            ({"objective": "multi:softmax"}, "num_class is required"),
            ({"_tuning_objective_metric": "validation:beauty"}, "got 'validation:beauty'"),
        ],
    )
    def test_a_mistake_is_in_the_failure_file(self, job: Job, change: dict[str, str], words: str) -> None:
        assert job.run(xgboost, BINARY | change) == 1
        failure = job.ml.failure() or ""
        assert failure.startswith("Customer Error: ")
        assert words in failure
        assert not any(job.ml.model.iterdir())

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({}, "must be in [0,1] for the objective binary:logistic"),
            ({"objective": "multi:softmax", "num_class": "3"}, "must be whole numbers from 0 to num_class - 1 (2)"),
        ],
    )
    def test_labels_that_do_not_fit_the_objective(self, empty_job: Job, changes: dict[str, str], words: str) -> None:
        empty_job.channel("train", "7,1\n8,2\n")
        assert empty_job.run(xgboost, BINARY | changes) == 1
        assert words in (empty_job.ml.failure() or "")

    def test_what_the_package_refuses_is_told_in_its_words(self, empty_job: Job) -> None:
        empty_job.channel("train", "0,1\n-1,2\n")
        assert empty_job.run(xgboost, {"num_round": "2", "objective": "count:poisson"}) == 1
        failure = empty_job.ml.failure() or ""
        assert re.match(r"Customer Error: XGBoost refuses to train: .*label must be non-?negative", failure)
        assert "Stack trace" not in failure

    @pytest.mark.parametrize(
        ("text", "content_type", "words"),
        [
            ("label,a\n1,2\n", "text/csv", "numbers only and no header"),
            ("1\n0\n", "text/csv", "at least one feature"),
            (",2\n1,2\n", "text/csv", "the label and must be a number"),
            ("1,2\n0,3\n", None, "give the channel the ContentType text/csv"),
            ("1,2\n0,3\n", "application/x-parquet", "must be text/csv or text/libsvm"),
        ],
    )
    def test_bad_data(self, empty_job: Job, text: str, content_type: str | None, words: str) -> None:
        empty_job.channel("train", text, content_type)
        assert empty_job.run(xgboost, BINARY) == 1
        assert words in (empty_job.ml.failure() or "")


class TestLinearLearner:
    def test_binary_classification(self, job: Job) -> None:
        hyperparameters = {"predictor_type": "binary_classifier", "learning_rate": "0.3"}
        assert job.run(linear_learner, hyperparameters) == 0
        assert "stand-in" in job.lines[0]
        found = read_metrics(job.lines, metrics.LINEAR_LEARNER)
        for channel in ("train", "validation", "test"):
            assert found[f"{channel}:binary_classification_accuracy"] > 0.9
            assert found[f"{channel}:roc_auc_score"] > 0.97
            assert 0 < found[f"{channel}:objective_loss"] < 0.3
            for score in ("recall", "precision", "binary_f_beta"):
                assert 0.85 < found[f"{channel}:{score}"] <= 1
        assert found["train:progress"] == 100
        assert any(
            re.fullmatch(r"#quality_metric: host=algo-1, epoch=0, train \S+ <loss>=\S+", line) for line in job.lines
        )

    def test_the_model_predicts_as_its_metrics_say(self, job: Job) -> None:
        job.run(linear_learner, {"predictor_type": "binary_classifier"})
        state = pickle.loads((job.ml.model / "linear-learner-stand-in.pickle").read_bytes())  # noqa: S301 - our own
        table = tables(sklearn.datasets.load_breast_cancer)["test"]
        margins = state["model"].decision_function(state["scaler"].transform(table[:, 1:]))
        accuracy = ((margins > state["threshold"]) == table[:, 0]).mean()
        printed = read_metrics(job.lines, metrics.LINEAR_LEARNER)["test:binary_classification_accuracy"]
        assert accuracy == pytest.approx(printed, abs=1e-9)

    def test_hyperparameters_matter(self, job: Job) -> None:
        def loss(**changes: str) -> float:
            hyperparameters = {"predictor_type": "binary_classifier", "epochs": "5"} | changes
            assert job.run(linear_learner, hyperparameters) == 0
            return read_metrics(job.lines, metrics.LINEAR_LEARNER)["test:objective_loss"]

        plain = loss(learning_rate="0.1")
        assert loss(learning_rate="0.3") != plain
        assert loss(learning_rate="0.1", mini_batch_size="20") != plain
        assert loss(learning_rate="0.1", l1="0.5") > plain
        assert loss(learning_rate="0.1", use_bias="false") != plain
        assert loss(learning_rate="0.1") == plain

    def test_the_criterion_moves_the_threshold(self, job: Job) -> None:
        criterion = {
            "binary_classifier_model_selection_criteria": "recall_at_target_precision",
            "target_precision": "1",
        }
        job.run(linear_learner, {"predictor_type": "binary_classifier"} | criterion)
        assert read_metrics(job.lines, metrics.LINEAR_LEARNER)["validation:precision"] == 1
        criterion = {"binary_classifier_model_selection_criteria": "precision_at_target_recall", "target_recall": "1"}
        job.run(linear_learner, {"predictor_type": "binary_classifier"} | criterion)
        assert read_metrics(job.lines, metrics.LINEAR_LEARNER)["validation:recall"] == 1

    def test_regression(self, empty_job: Job) -> None:
        for name, table in tables(sklearn.datasets.load_diabetes).items():
            empty_job.channel(name, csv(table))
        for loss in ("auto", "absolute_loss", "huber_loss"):
            hyperparameters = {"predictor_type": "regressor", "loss": loss, "learning_rate": "0.3", "epochs": "60"}
            assert empty_job.run(linear_learner, hyperparameters) == 0
            found = read_metrics(empty_job.lines, metrics.LINEAR_LEARNER)
            assert 0 < found["validation:mse"] < 5000
            assert found["validation:rmse"] ** 2 == pytest.approx(found["validation:mse"])
            assert found["test:absolute_loss"] < 70

    def test_several_classes(self, empty_job: Job) -> None:
        for name, table in tables(sklearn.datasets.load_iris).items():
            empty_job.channel(name, csv(table))
        hyperparameters = {"predictor_type": "multiclass_classifier", "num_classes": "3", "learning_rate": "1"}
        assert empty_job.run(linear_learner, hyperparameters | {"epochs": "60", "accuracy_top_k": "2"}) == 0
        found = read_metrics(empty_job.lines, metrics.LINEAR_LEARNER)
        assert found["test:multiclass_accuracy"] > 0.7
        assert found["test:multiclass_top_k_accuracy"] >= found["test:multiclass_accuracy"]
        assert found["test:multiclass_accuracy"] < found["test:dcg"] <= 1
        for score in ("macro_recall", "macro_precision", "macro_f_beta"):
            assert 0.6 < found[f"validation:{score}"] <= 1

    @pytest.mark.parametrize(
        ("hyperparameters", "words"),
        [
            ({}, "predictor_type is required"),
            ({"predictor_type": "classifier"}, "must be one of binary_classifier"),
            ({"predictor_type": "binary_classifier", "rate": "1"}, "hyperparameter rate is not known"),
            ({"predictor_type": "binary_classifier", "learning_rate": "0"}, "must be a number > 0, got 0"),
            ({"predictor_type": "binary_classifier", "loss": "squared_loss"}, "loss must be one of"),
            ({"predictor_type": "multiclass_classifier"}, "num_classes is required"),
            ({"predictor_type": "binary_classifier", "feature_dim": "5"}, "feature_dim must be 30"),
        ],
    )
    def test_a_mistake_is_in_the_failure_file(self, job: Job, hyperparameters: dict[str, str], words: str) -> None:
        assert job.run(linear_learner, hyperparameters) == 1
        failure = job.ml.failure() or ""
        assert failure.startswith("Customer Error: ")
        assert words in failure

    def test_the_channel_of_the_objective_is_needed(self, empty_job: Job) -> None:
        empty_job.channel("train", "1,2\n0,3\n")
        hyperparameters = {
            "predictor_type": "binary_classifier",
            "_tuning_objective_metric": "test:binary_classification_accuracy",
        }
        assert empty_job.run(linear_learner, hyperparameters) == 1
        assert "channel test is required" in (empty_job.ml.failure() or "")


class TestKMeans:
    @staticmethod
    def fill(job: Job) -> None:
        features, _ = sklearn.datasets.make_blobs(400, 3, centers=5, cluster_std=0.5, random_state=3)
        for name, rows in (("train", features[:300]), ("test", features[300:])):
            job.channel(name, csv(rows), "text/csv;label_size=0")

    def metrics(self, job: Job, **values: str) -> dict[str, float]:
        given = {"k": "5", "feature_dim": "3", "eval_metrics": '["msd","ssd"]', **values}
        assert job.run(kmeans, given) == 0, job.lines
        return read_metrics(job.lines, metrics.KMEANS)

    def test_finds_the_clusters(self, empty_job: Job) -> None:
        self.fill(empty_job)
        found = self.metrics(empty_job, init_method="kmeans++", epochs="3")
        # Five clusters of standard deviation 0.5 in three dimensions: 3 * 0.25.
        assert found["test:msd"] == pytest.approx(0.75, rel=0.25)
        assert found["test:ssd"] == pytest.approx(100 * found["test:msd"])
        centers = pickle.loads((empty_job.ml.model / "kmeans-stand-in.pickle").read_bytes())  # noqa: S301 - our own
        assert centers.shape == (5, 3)

    def test_fewer_clusters_are_farther_away(self, empty_job: Job) -> None:
        self.fill(empty_job)
        many, few = (self.metrics(empty_job, k=k, extra_center_factor="auto")["test:msd"] for k in ("5", "2"))
        assert few > 2 * many

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"feature_dim": "4"}, "feature_dim must be 3 as in channel train, got 4"),
            ({"k": "1000"}, "k must be <= 300"),
            ({"eval_metrics": "msd"}, "eval_metrics must be a JSON list"),
        ],
    )
    def test_mistakes(self, empty_job: Job, values: dict[str, str], words: str) -> None:
        self.fill(empty_job)
        assert empty_job.run(kmeans, {"k": "5", "feature_dim": "3", **values}) == 1
        assert words in (empty_job.ml.failure() or "")

    def test_labelled_data_is_refused(self, empty_job: Job) -> None:
        empty_job.channel("train", "1,2\n3,4")
        assert empty_job.run(kmeans, {"k": "1", "feature_dim": "2"}) == 1
        assert "label_size=0" in (empty_job.ml.failure() or "")


class TestKNearestNeighbors:
    @staticmethod
    def fill(job: Job, load: Callable[[], Any] = sklearn.datasets.load_iris) -> None:
        for name, rows in tables(load).items():
            job.channel(name, csv(rows))

    @staticmethod
    def metrics(job: Job, **values: str) -> dict[str, float]:
        given = {"k": "5", "feature_dim": "4", "predictor_type": "classifier", "sample_size": "1000", **values}
        assert job.run(knn, given) == 0, job.lines
        return read_metrics(job.lines, metrics.KNN)

    @pytest.mark.parametrize("values", [{}, {"index_metric": "COSINE"}, {"index_type": "faiss.IVFFlat"}])
    def test_classifies(self, empty_job: Job, values: dict[str, str]) -> None:
        self.fill(empty_job)
        assert self.metrics(empty_job, **values)["test:accuracy"] > 0.85

    @pytest.mark.parametrize("kind", ["sign", "fjlt"])
    def test_reduces_dimensions(self, empty_job: Job, kind: str) -> None:
        self.fill(empty_job, sklearn.datasets.load_breast_cancer)
        reduction = {"dimension_reduction_type": kind, "dimension_reduction_target": "10", "feature_dim": "30"}
        assert self.metrics(empty_job, **reduction)["test:accuracy"] > 0.8
        kept = pickle.loads((empty_job.ml.model / "knn-stand-in.pickle").read_bytes())  # noqa: S301 - our own
        assert kept["projection"].shape == (30, 10)

    def test_a_small_sample_is_worse(self, empty_job: Job) -> None:
        self.fill(empty_job)
        all_rows = self.metrics(empty_job, k="1")["test:accuracy"]
        assert self.metrics(empty_job, k="1", sample_size="2")["test:accuracy"] < all_rows

    def test_predicts_values(self, empty_job: Job) -> None:
        self.fill(empty_job, sklearn.datasets.load_diabetes)
        found = self.metrics(empty_job, predictor_type="regressor", feature_dim="10", k="20")
        assert 1000 < found["test:mse"] < 6000

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"k": "1000"}, "k must be <= 90"),
            ({"index_metric": "INNER_PRODUCT"}, "index_metric must be L2 or COSINE"),
            ({"dimension_reduction_type": "sign"}, "dimension_reduction_target is required"),
            ({"dimension_reduction_type": "sign", "dimension_reduction_target": "4"}, "must be < 4"),
        ],
    )
    def test_mistakes(self, empty_job: Job, values: dict[str, str], words: str) -> None:
        self.fill(empty_job)
        given = {"k": "5", "feature_dim": "4", "predictor_type": "classifier", "sample_size": "1000", **values}
        assert empty_job.run(knn, given) == 1
        assert words in (empty_job.ml.failure() or "")


def test_a_piped_channel_is_read(empty_job: Job) -> None:
    for name, rows in tables(sklearn.datasets.load_iris).items():
        empty_job.config[name] = {"TrainingInputMode": "Pipe", "ContentType": "text/csv"}
        # The pipe is a file here: what is read is the same.
        (empty_job.ml.data / f"{name}_0").write_text(csv(rows))
    given = {"k": "5", "feature_dim": "4", "predictor_type": "classifier", "sample_size": "1000"}
    assert empty_job.run(knn, given) == 0
    assert read_metrics(empty_job.lines, metrics.KNN)["test:accuracy"] > 0.85
