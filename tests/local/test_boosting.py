"""LightGBM and CatBoost as JumpStart trains them: known by their source, trained by the real packages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import sklearn.metrics

from hpo_constructs.local import LocalEndpoint
from hpo_constructs.local.algorithms import TASK, catboost, lightgbm, local_program
from hpo_constructs.local.training import MetricDefinition, MlFolder, read_metrics, read_values

PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.0.0-cpu-py310"
SOURCE = "s3://jumpstart-cache-prod-us-east-1/source-directory-tarballs/{}/transfer_learning/{}/v1.0.0/sourcedir.tar.gz"
# As the tuning pages have them.
BEST_TEST = MetricDefinition("best", r"bestTest = ([0-9\\.]+)")


def of_lightgbm(name: str) -> MetricDefinition:
    return MetricDefinition(name, rf"{name}: ([0-9\\.]+)")


@pytest.fixture(autouse=True)
def _packages() -> None:
    pytest.importorskip("lightgbm")
    pytest.importorskip("catboost")


def tables(load: Callable[[], Any]) -> tuple[Any, Any]:
    data = load()
    table = np.column_stack([data.target, data.data])[np.random.default_rng(1).permutation(len(data.target))]
    cut = int(len(table) * 0.7)
    return table[:cut], table[cut:]


def csv(table: Any) -> str:
    return "\n".join(",".join(f"{value:.8g}" for value in row) for row in table)


class Job:
    """Runs a program in this process, in a folder like a container's."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.ml = MlFolder(root)
        self.ml.create()
        self._capfd = capfd
        self._monkeypatch = monkeypatch
        self.config: dict[str, Any] = {}
        monkeypatch.setenv("HPO_LOCAL_ML_ROOT", str(root))
        monkeypatch.setenv("SM_NUM_CPUS", "1")

    def write(self, channel: str, file: str, text: str) -> None:
        path = self.ml.data / channel / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.config[channel] = {"TrainingInputMode": "File", "ContentType": "text/csv"}

    def data(self, load: Callable[[], Any], train: str = "train") -> None:
        for channel, table in zip((train, "validation"), tables(load), strict=True):
            self.write(channel, "part-0.csv", csv(table))

    def run(self, program: Any, task: str, **hyperparameters: str) -> int:
        self._monkeypatch.setenv(TASK, task)
        given = {"sagemaker_program": '"transfer_learning.py"', **hyperparameters}
        (self.ml.config / "hyperparameters.json").write_text(json.dumps(given))
        (self.ml.config / "inputdataconfig.json").write_text(json.dumps(self.config))
        code: int = program.main()
        self.lines = self._capfd.readouterr().out.splitlines()
        return code

    @property
    def failure(self) -> str:
        return self.ml.failure() or ""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Job:
    return Job(tmp_path, monkeypatch, capfd)


class TestRecognition:
    @pytest.mark.parametrize("package", ["lightgbm", "catboost"])
    @pytest.mark.parametrize("task", ["classification", "regression"])
    def test_by_jumpstarts_source(self, package: str, task: str) -> None:
        script = {
            "sagemaker_program": "transfer_learning.py",
            "sagemaker_submit_directory": json.dumps(SOURCE.format(package, task)),
        }
        program = local_program(PYTORCH, [], script)
        assert (program.module or "").endswith(f".{package}")
        assert program.variables == {TASK: task}
        assert program.own_channels == {"model"}

    def test_another_script_is_the_users(self) -> None:
        script = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://b/lightgbm/source.tar.gz"}
        assert local_program(PYTORCH, [], script).from_source_archive

    def test_by_the_image_mapping(self) -> None:
        mapping = [{"image": "*/mine:*", "algorithm": "catboost-regression-model"}]
        assert (local_program("registry/mine:1", mapping).module or "").endswith(".catboost")


class TestLightGBM:
    def test_two_classes(self, job: Job) -> None:
        job.data(sklearn.datasets.load_breast_cancer)
        values = {"num_boost_round": "30", "learning_rate": "0.2", "metric": '"auc"', "use_dask": "False"}
        assert job.run(lightgbm, "classification", **values) == 0, job.failure
        import joblib

        booster = joblib.load(job.ml.model / "model.pkl")
        _, validation = tables(sklearn.datasets.load_breast_cancer)
        auc = sklearn.metrics.roc_auc_score(validation[:, 0], booster.predict(validation[:, 1:]))
        found = read_metrics(job.lines, [of_lightgbm("auc")])
        assert found["auc"] == pytest.approx(auc, abs=1e-5)
        assert auc > 0.95
        # One value for each round, as early stopping of type Auto needs it.
        assert 3 < len(read_values(job.lines, [of_lightgbm("auc")])) <= 32

    @pytest.mark.parametrize(
        ("load", "task", "metric", "worst"),
        [
            (sklearn.datasets.load_breast_cancer, "classification", "binary_logloss", 0.3),
            (sklearn.datasets.load_iris, "classification", "multi_logloss", 0.6),
            (sklearn.datasets.load_diabetes, "regression", "rmse", 70.0),
        ],
    )
    def test_the_metric_goes_with_the_task(
        self, job: Job, load: Callable[[], Any], task: str, metric: str, worst: float
    ) -> None:
        job.data(load, train="training")
        assert job.run(lightgbm, task, num_boost_round="40") == 0, job.failure
        assert 0 < read_metrics(job.lines, [of_lightgbm(metric)])[metric] < worst

    def test_one_channel_with_folders_and_categories(self, job: Job) -> None:
        train, validation = tables(sklearn.datasets.load_iris)
        kinds = np.floor(train[:, [4]]), np.floor(validation[:, [4]])
        job.write("train", "train/data.csv", csv(np.column_stack([train, kinds[0]])))
        job.write("train", "validation/data.csv", csv(np.column_stack([validation, kinds[1]])))
        job.write("train", "categorical_index.json", '{"cat_index_list": [5]}')
        assert job.run(lightgbm, "classification", num_boost_round="20", metric="multi_error") == 0, job.failure
        assert read_metrics(job.lines, [of_lightgbm("multi_error")])["multi_error"] < 0.2

    def test_a_fifth_is_held_back_without_validation_data(self, job: Job) -> None:
        job.write("train", "data.csv", csv(tables(sklearn.datasets.load_diabetes)[0]))
        assert job.run(lightgbm, "regression", num_boost_round="20") == 0, job.failure
        assert read_metrics(job.lines, [of_lightgbm("rmse")])["rmse"] < 80

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"num_leaves": "0"}, "num_leaves must be an integer >= 1 and <= 131072, got 0"),
            ({"eta": "0.1"}, "hyperparameter eta is not known"),
            ({"metric": "accuracy"}, "metric must be one of auto, rmse"),
            ({"boosting": "forest"}, "boosting must be one of gbdt, rf, dart, goss"),
        ],
    )
    def test_mistakes(self, job: Job, values: dict[str, str], words: str) -> None:
        job.data(sklearn.datasets.load_iris)
        assert job.run(lightgbm, "classification", **values) == 1
        assert words in job.failure

    def test_an_objective_that_is_not_evaluated_is_told(self, job: Job) -> None:
        job.data(sklearn.datasets.load_breast_cancer)
        values = {"num_boost_round": "2", "_tuning_objective_metric": "auc"}
        assert job.run(lightgbm, "classification", **values) == 0
        assert "WARNING: the evaluation metric is binary_logloss; the tuning job's objective is called auc" in job.lines

    def test_without_the_package(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lightgbm, "_PACKAGE", None)
        job.data(sklearn.datasets.load_iris)
        assert job.run(lightgbm, "classification") == 1
        assert job.failure.endswith("LightGBM is not installed on this machine: pip install 'hpo-constructs[boosting]'")


class TestCatBoost:
    @pytest.mark.parametrize(
        ("load", "task", "low", "high"),
        [
            (sklearn.datasets.load_breast_cancer, "classification", 0.95, 1.0),  # AUC
            (sklearn.datasets.load_iris, "classification", 0.0, 0.8),  # MultiClass
            (sklearn.datasets.load_diabetes, "regression", 40.0, 75.0),  # RMSE
        ],
    )
    def test_the_metric_goes_with_the_task(
        self, job: Job, load: Callable[[], Any], task: str, low: float, high: float
    ) -> None:
        job.data(load, train="training")
        values = {"iterations": "60", "learning_rate": "0.1", "depth": "4"}
        assert job.run(catboost, task, **values) == 0, job.failure
        assert low < read_metrics(job.lines, [BEST_TEST])["best"] <= high

    def test_the_model_is_catboosts(self, job: Job) -> None:
        import catboost as package

        job.data(sklearn.datasets.load_breast_cancer)
        values = {"iterations": "30", "learning_rate": "0.2", "eval_metric": "Accuracy", "max_leaves": "8"}
        assert job.run(catboost, "classification", **values) == 0, job.failure
        assert "WARNING: hyperparameter max_leaves has an effect with grow_policy Lossguide only" in job.lines
        model = package.CatBoostClassifier().load_model(str(job.ml.model / "model"))
        _, validation = tables(sklearn.datasets.load_breast_cancer)
        accuracy = (model.predict(validation[:, 1:]) == validation[:, 0]).mean()
        assert read_metrics(job.lines, [BEST_TEST])["best"] == pytest.approx(accuracy, abs=1e-4)

    def test_categories_are_texts(self, job: Job) -> None:
        rows = [f"{n % 2},{'red' if n % 2 else 'blue'},{n % 7}" for n in range(60)]
        job.write("training", "data.csv", "\n".join(rows))
        job.write("training", "categorical_index.json", '{"cat_index_list": [1]}')
        assert job.run(catboost, "classification", iterations="20", learning_rate="0.3") == 0, job.failure
        assert read_metrics(job.lines, [BEST_TEST])["best"] == 1.0

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"depth": "17"}, "depth must be an integer >= 1 and <= 16, got 17"),
            ({"eval_metric": "Sharpness"}, "CatBoost refuses to train"),
            ({"max_bin": "few"}, "max_bin must be an integer"),
        ],
    )
    def test_mistakes(self, job: Job, values: dict[str, str], words: str) -> None:
        job.data(sklearn.datasets.load_iris)
        assert job.run(catboost, "classification", **values) == 1
        assert words in job.failure

    @pytest.mark.parametrize("text", ['{"cat_index_list": [0]}', '{"columns": [1]}', "[1]", "nothing"])
    def test_a_wrong_list_of_categories(self, job: Job, text: str) -> None:
        job.data(sklearn.datasets.load_iris)
        job.write("train", "categorical_index.json", text)
        assert job.run(catboost, "classification") == 1
        assert 'categorical_index.json must be {"cat_index_list": [whole numbers above 0]}' in job.failure


@pytest.mark.parametrize(
    ("package", "regex", "searched", "static"),
    [
        ("lightgbm", r"auc: ([0-9\.]+)", "num_leaves", {"num_boost_round": "20", "metric": "auc"}),
        ("catboost", r"bestTest = ([0-9\.]+)", "depth", {"iterations": "20"}),
    ],
)
def test_a_tuning_job_as_the_guide_declares_it(
    endpoint: LocalEndpoint,
    *,
    unique: Callable[[str], str],
    package: str,
    regex: str,
    searched: str,
    static: dict[str, str],
) -> None:
    s3, client, bucket, name = endpoint.client("s3"), endpoint.client("sagemaker"), unique("boosting"), unique(package)
    s3.create_bucket(Bucket=bucket)
    for channel, table in zip(("train", "validation"), tables(sklearn.datasets.load_breast_cancer), strict=True):
        s3.put_object(Bucket=bucket, Key=f"{channel}/data.csv", Body=csv(table).encode())

    def channel_of(name: str, uri: str, content_type: str = "text/csv") -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": uri}
        return {"ChannelName": name, "ContentType": content_type, "DataSource": {"S3DataSource": source}}

    client.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "auc"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "learning_rate", "MinValue": "0.05", "MaxValue": "0.3"}],
                "IntegerParameterRanges": [{"Name": searched, "MinValue": "4", "MaxValue": "8"}],
            },
        },
        TrainingJobDefinition={
            "StaticHyperParameters": {
                "sagemaker_program": "transfer_learning.py",
                "sagemaker_submit_directory": SOURCE.format(package, "classification"),
                **static,
            },
            "AlgorithmSpecification": {
                "TrainingImage": PYTORCH,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "auc", "Regex": regex}],
            },
            "RoleArn": "arn:aws:iam::123456789012:role/tuning",
            "InputDataConfig": [
                channel_of("train", f"s3://{bucket}/train/"),
                channel_of("validation", f"s3://{bucket}/validation/"),
                # JumpStart's untrained model, which is not on the endpoint.
                channel_of(
                    "model", "s3://jumpstart-cache-prod-us-east-1/lightgbm-training/m.tar.gz", "application/x-model"
                ),
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    )
    deadline = time.monotonic() + 60
    while (job := client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name))[
        "HyperParameterTuningJobStatus"
    ] == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    listed = client.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert job["TrainingJobStatusCounters"]["Completed"] == 3, listed
    best = job["BestTrainingJob"]
    assert 0.95 < best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] <= 1
    assert s3.head_object(Bucket=bucket, Key=f"output/{best['TrainingJobName']}/output/model.tar.gz")
