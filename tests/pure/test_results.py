"""A tuning job's results: the data, the best, importances, figures, and the report's page as text."""

from __future__ import annotations

import json
import math
import re
import sys
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_constructs import TuningJobResult
from hpo_constructs.errors import HpoError
from hpo_constructs.report.figures import axis, label
from hpo_constructs.report.html import render, write
from hpo_constructs.report.results import ResultError
from hpo_constructs.report.tuning_jobs import as_json
from hpo_constructs.spec import CategoricalParameter, ContinuousParameter, IntegerParameter

from .results_data import NAME, START, definition, many, training_job, tuning_job, two_algorithms

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


def result_of(jobs: list[dict[str, Any]], **job: Any) -> TuningJobResult:
    return TuningJobResult(tuning_job(jobs, **job), jobs, as_of=START + timedelta(hours=1))


def one_of_each() -> list[dict[str, Any]]:
    """Training jobs with every kind of end, the newest first as the API may list them."""
    jobs = [training_job(number, 0.5 + number / 100) for number in range(1, 6)]
    jobs += [
        training_job(6, None, status="Failed", reason="AlgorithmError: out of memory"),
        training_job(7, 0.53, status="Stopped"),
        training_job(8, None, status="InProgress"),
    ]
    return jobs[::-1]


def trace(figure: Any, name: str) -> Any:
    (found,) = [each for each in figure.data if each.name == name]
    return found


def page_data(text: str) -> Any:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, flags=re.DOTALL)
    assert found is not None
    return json.loads(found[1])


class Page(HTMLParser):
    """The elements of a page, and its text by section."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: dict[str, str] = {}
        self._section = ""
        self._skipping = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "section":
            self._section = dict(attrs).get("id") or self._section
        self._skipping = tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._skipping = False

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.text[self._section] = f"{self.text.get(self._section, '')} {' '.join(data.split())}"


# The data.


def test_the_table_has_a_row_for_each_training_job_in_the_order_of_creation() -> None:
    table = result_of(one_of_each()).dataframe()
    assert list(table["TrainingJobName"]) == [f"{NAME}-{number:03d}-ab12cd34" for number in range(1, 9)]
    assert list(table.columns) == [
        "eta",
        "momentum",
        "max_depth",
        "booster",
        "TrainingJobName",
        "TrainingJobStatus",
        "FinalObjectiveValue",
        "TrainingStartTime",
        "TrainingEndTime",
        "TrainingElapsedTimeSeconds",
        "TrainingJobDefinitionName",
    ]
    assert table["eta"].dtype == table["max_depth"].dtype == table["FinalObjectiveValue"].dtype == float
    assert table["booster"].dtype == object
    assert isinstance(table["TrainingStartTime"].dtype, pandas.DatetimeTZDtype)
    assert table["FinalObjectiveValue"].isna().tolist() == [False] * 5 + [True, False, True]
    assert table["TrainingElapsedTimeSeconds"].tolist()[:7] == [1800.0] * 7
    assert math.isnan(table["TrainingElapsedTimeSeconds"][7])
    assert table["TrainingEndTime"].isna()[7]


def test_the_table_of_several_definitions_has_all_their_hyperparameters() -> None:
    table = TuningJobResult(*two_algorithms()).dataframe()
    assert list(table.columns)[:3] == ["eta", "rate", "wd"]
    lines = table[table["TrainingJobDefinitionName"] == "lines"]
    assert len(lines) == 5
    assert lines["eta"].isna().all()
    assert lines["rate"].notna().all()


def test_a_tuning_job_without_training_jobs_has_an_empty_table() -> None:
    result = result_of([], status="InProgress")
    assert len(result.dataframe()) == 0
    assert result.best is None
    assert result.instance_hours() == []
    assert result.plot_history().data == ()


def test_the_best_is_the_service_s() -> None:
    jobs = one_of_each()
    best = result_of(jobs, best=jobs[-5]).best
    assert best is not None
    assert (best.training_job_name, best.objective_metric_value) == (f"{NAME}-005-ab12cd34", 0.55)
    assert (best.objective_metric_name, best.objective_type) == ("validation:auc", "Maximize")
    assert best.hyperparameters["booster"] == "dart"
    assert best.model_artifacts is None
    described = {best.training_job_name: {"ModelArtifacts": {"S3ModelArtifacts": "s3://models/5.tar.gz"}}}
    found = TuningJobResult(tuning_job(jobs, best=jobs[-5]), jobs, details=described).best
    assert found is not None
    assert found.model_artifacts == "s3://models/5.tar.gz"


@pytest.mark.parametrize(("kind", "number"), [("Maximize", 2), ("Minimize", 1)])
def test_the_best_of_a_definition_follows_the_direction_and_is_the_earliest_of_equals(kind: str, number: int) -> None:
    jobs = [training_job(n, value, objective_type=kind) for n, value in enumerate([0.1, 0.9, 0.9, 0.1, 0.5], 1)]
    result = result_of(jobs, objective={"Type": kind, "MetricName": "validation:auc"})
    best = result.best_of()
    assert best is not None
    assert best.number == number


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_no_objective(value: float) -> None:
    result = result_of([training_job(1, value), training_job(2, 0.5)])
    assert [job.objective_value for job in result.training_jobs] == [None, 0.5]
    page_data(render(result))


def test_several_definitions_are_named_or_refused() -> None:
    result = TuningJobResult(*two_algorithms())
    assert result.objective is None
    assert result.definition("lines").objective.type == "Minimize"  # type: ignore[union-attr]
    assert len(result.training_jobs_of("lines")) == 5
    assert result.best_of("lines").objective_value == 0.2  # type: ignore[union-attr]
    for call in (result.best_of, result.importances, result.plot_slices, result.plot_parallel_coordinates):
        with pytest.raises(ResultError, match="has 2 definitions; name one: 'trees', 'lines'"):
            call()
    with pytest.raises(ResultError, match=r"different objectives; name one: 'trees' \(Maximize validation:auc\)"):
        result.plot_history()
    with pytest.raises(ResultError, match="no definition 'forest'; it has 'trees', 'lines'"):
        result.definition("forest")


def test_a_training_job_of_an_unknown_definition_is_refused() -> None:
    job, jobs = two_algorithms()
    with pytest.raises(ResultError, match="is of the definition 'forest'"):
        TuningJobResult(job, [*jobs, training_job(30, 0.1, definition="forest")])


def test_instance_hours_multiply_by_instances_and_count_what_runs_up_to_the_answers() -> None:
    result = result_of(one_of_each())
    (used,) = result.instance_hours()
    # Seven half hours, and 52 minutes of the one that runs, on two instances.
    assert used.instance_hours == pytest.approx((7 * 0.5 + 52 / 60) * 2)
    assert (used.instance_type, used.spot, used.training_jobs) == ("ml.m5.xlarge", False, 8)
    assert used.billable_instance_hours == used.instance_hours


def test_spot_training_is_billed_as_described_or_not_known() -> None:
    jobs = [training_job(1, 0.1), training_job(2, 0.2)]
    job = tuning_job(jobs) | {"TrainingJobDefinition": definition(EnableManagedSpotTraining=True)}
    details = {one["TrainingJobName"]: {"BillableTimeInSeconds": 600} for one in jobs}
    (used,) = TuningJobResult(job, jobs, details=details).instance_hours()
    assert (used.spot, used.instance_hours) == (True, 2.0)
    assert used.billable_instance_hours == pytest.approx(2 * 2 * 600 / 3600)
    (partly,) = TuningJobResult(job, jobs, details=dict(list(details.items())[:1])).instance_hours()
    assert partly.billable_instance_hours is None


def test_of_several_instance_types_the_described_one_counts() -> None:
    jobs = [training_job(1, 0.1), training_job(2, 0.2)]
    choices = [{"InstanceType": f"ml.{kind}.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5} for kind in ("m5", "c5")]
    described = definition(HyperParameterTuningResourceConfig={"InstanceConfigs": choices})
    del described["ResourceConfig"]
    details = {jobs[0]["TrainingJobName"]: {"ResourceConfig": choices[1]}}
    result = TuningJobResult(tuning_job(jobs) | {"TrainingJobDefinition": described}, jobs, details=details)
    assert [(used.instance_type, used.instance_hours) for used in result.instance_hours()] == [
        ("ml.c5.xlarge", 0.5),
        (None, 0.5),
    ]


# Saved answers.


def test_saved_answers_give_the_same_results(tmp_path: Path) -> None:
    jobs = one_of_each()
    result = result_of(jobs, best=jobs[-5], status="InProgress")
    file = tmp_path / "churn.json"
    document = {"tuning_job": result.tuning_job, "training_jobs": jobs, "duration_seconds": 3600.0}
    file.write_text(as_json({**document, "declared_job": {"name": "churn"}}))
    read = TuningJobResult.from_file(file)
    assert read.training_jobs == result.training_jobs
    assert read.best == result.best
    assert read.as_of == result.as_of
    assert read.instance_hours() == result.instance_hours()
    assert read.declared_name == "churn"


def test_the_folder_of_a_run_is_read(tmp_path: Path) -> None:
    jobs = [training_job(1, 0.1)]
    (tmp_path / "tuning-job.json").write_text(json.dumps(tuning_job(jobs), default=str))
    (tmp_path / "training-jobs.json").write_text(json.dumps(jobs, default=str))
    assert TuningJobResult.from_file(tmp_path).training_jobs == result_of(jobs).training_jobs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "does not hold a tuning job's results"),
        ('{"tuning_job": [], "training_jobs": []}', "tuning_job must be a mapping"),
        ('{"tuning_job": {}, "training_jobs": []}', "tuning_job has no HyperParameterTuningJobName"),
    ],
)
def test_a_file_that_is_something_else_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ResultError, match=message):
        TuningJobResult.from_file(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"CreationTime": "yesterday"}, "CreationTime must be a time in ISO 8601, got 'yesterday'"),
        ({"HyperParameterTuningJobConfig": {}, "TrainingJobDefinition": None}, "no training job definition"),
        ({"HyperParameterTuningJobConfig": []}, "as the API gives them"),
    ],
)
def test_a_file_with_a_wrong_value_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    document = {"tuning_job": tuning_job() | change, "training_jobs": []}
    (tmp_path / "x.json").write_text(json.dumps(document, default=str))
    with pytest.raises(ResultError, match=message):
        TuningJobResult.from_file(tmp_path / "x.json")


# Importances.


def test_importances_find_what_matters_and_are_the_same_every_time() -> None:
    result = TuningJobResult(*many(60, 4))
    found = result.importances()
    assert next(iter(found)) == "p0"
    assert found["p0"] > 0.8
    assert sum(found.values()) == pytest.approx(1)
    assert found == result.importances()
    assert set(found) == {"p0", "p1", "p2", "p3"}


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([], "at least 4 training jobs with an objective value; 0 have one"),
        ([training_job(n, n / 10) for n in range(1, 4)], "at least 4 .* 3 have one"),
        ([training_job(n, 0.5) for n in range(1, 9)], "the same in all"),
        ([training_job(n, n / 10, hyperparameters={"eta": "1"}) for n in range(1, 9)], "none does"),
    ],
)
def test_importances_say_why_there_are_none(jobs: list[dict[str, Any]], message: str) -> None:
    result = result_of(jobs)
    with pytest.raises(ResultError, match=message):
        result.importances()
    assert "Importances need" in render(result)


def test_importances_leave_the_users_logging_alone() -> None:
    import optuna

    level = optuna.logging.get_verbosity()
    TuningJobResult(*many(20, 2)).importances()
    assert optuna.logging.get_verbosity() == level


# Figures.


@pytest.mark.parametrize(("kind", "expected"), [("Maximize", [0.2, 0.5, 0.5, 0.9]), ("Minimize", [0.2, 0.2, 0.1, 0.1])])
def test_the_best_so_far_follows_the_direction(kind: str, expected: list[float]) -> None:
    jobs = [training_job(n, value, objective_type=kind) for n, value in enumerate([0.2, 0.5, 0.1, 0.9], 1)]
    figure = result_of(jobs, objective={"Type": kind, "MetricName": "m"}).plot_history()
    line = trace(figure, "best so far")
    assert list(line.y) == expected
    assert line.line.shape == "hv"
    assert list(line.x) == sorted(line.x)
    better = "higher" if kind == "Maximize" else "lower"
    assert figure.layout.yaxis.title.text == f"m ({better} is better)"


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), maximize=st.booleans())
def test_the_best_so_far_never_gets_worse_and_ends_at_the_best(values: list[float], maximize: bool) -> None:
    kind = "Maximize" if maximize else "Minimize"
    jobs = [training_job(n, value, objective_type=kind) for n, value in enumerate(values, 1)]
    result = result_of(jobs, objective={"Type": kind, "MetricName": "m"})
    line = list(trace(result.plot_history(), "best so far").y)
    assert line[-1] == (max if maximize else min)(values)
    assert line == sorted(line, reverse=not maximize)
    assert result.best_of().objective_value == line[-1]  # type: ignore[union-attr]


def test_the_history_shows_every_training_job() -> None:
    figure = result_of(one_of_each()).plot_history()
    assert len(trace(figure, "training job").x) == 5
    assert trace(figure, "training job, stopped").marker.symbol == "circle-open"
    assert list(trace(figure, "Failed, no objective").customdata) == [6]
    assert list(trace(figure, "InProgress, no objective").customdata) == [8]
    # The one that runs stands at the moment of the answers.
    assert trace(figure, "InProgress, no objective").x == ("2026-11-20 10:00:00.000000",)


def test_definitions_with_one_objective_share_a_history() -> None:
    objective = {"Type": "Maximize", "MetricName": "auc"}
    definitions = [definition(name, TuningObjective=objective) for name in ("a", "b")]
    jobs = [training_job(n, n / 10, definition="ab"[n % 2]) for n in range(1, 5)]
    figure = TuningJobResult(tuning_job(jobs, definitions=definitions), jobs).plot_history()
    assert {each.name for each in figure.data} == {"a", "b", "best so far", "best"}
    assert trace(figure, "a").marker.symbol != trace(figure, "b").marker.symbol


@pytest.mark.parametrize(
    ("parameter", "texts", "kind", "positions"),
    [
        (ContinuousParameter("0.001", "1", "Logarithmic"), ["0.01", None], "log", [0.01, None]),
        (ContinuousParameter("0.001", "1", "Auto"), ["0.01"], "log", [0.01]),
        (ContinuousParameter("0.1", "1", "Auto"), ["0.5"], "linear", [0.5]),
        (ContinuousParameter("0", "0.999", "ReverseLogarithmic"), ["0.99"], "log", [0.01]),
        (IntegerParameter("2", "12"), ["3"], "linear", [3.0]),
        (CategoricalParameter(["a", "b", "c"]), ["c", "a"], "linear", [2.0, 0.0]),
        (CategoricalParameter(["1", "10"]), ["10"], "linear", [1.0]),
        (None, ["1e-3", "2"], "log", [0.001, 2.0]),
        (None, ["x", "y"], "linear", [0.0, 1.0]),
    ],
)
def test_axes_have_the_scale_of_the_search(parameter: Any, texts: list[Any], kind: str, positions: list[Any]) -> None:
    found = axis(parameter, texts)
    assert found.layout["type"] == kind
    assert list(found.positions) == pytest.approx(positions)


def test_a_reverse_logarithmic_axis_runs_towards_1_and_names_the_values() -> None:
    layout = axis(ContinuousParameter("0.5", "0.999", "ReverseLogarithmic"), ["0.9"]).layout
    assert layout["range"][0] > layout["range"][1]
    assert {"0.9", "0.99", "0.999", "0.5"} == set(layout["ticktext"])
    for place, text in zip(layout["tickvals"], layout["ticktext"], strict=True):
        assert 1 - place == pytest.approx(float(text))


@given(
    texts=st.lists(
        st.one_of(st.none(), st.floats(0.001, 0.999).map(str), st.sampled_from(["dart", "1e400", "-1"])), max_size=9
    ),
    parameter=st.sampled_from(
        [
            None,
            ContinuousParameter("0.001", "0.999", "Logarithmic"),
            ContinuousParameter("0.001", "0.999", "ReverseLogarithmic"),
            ContinuousParameter("0.001", "0.999"),
            IntegerParameter("1", "3"),
            CategoricalParameter(["dart"]),
        ]
    ),
)
def test_an_axis_holds_every_value(texts: list[str | None], parameter: Any) -> None:
    found = axis(parameter, texts)
    for text, share in zip(texts, found.shares, strict=True):
        if text is None:
            assert share is None
        elif text != "-1":
            assert share is not None
            assert -0.001 <= share <= 1.001
    json.dumps(found.layout, allow_nan=False)


def test_categories_are_spread_and_named() -> None:
    jobs = [training_job(n, n / 100, hyperparameters={"booster": "gbtree" if n % 2 else "dart"}) for n in range(1, 31)]
    figure = result_of(jobs).plot_hyperparameter("booster")
    assert list(figure.layout.xaxis.ticktext) == ["gbtree", "dart"]
    places = trace(figure, "training job").x
    assert len(set(places)) == 30
    assert all(
        round(place) == (job["TunedHyperParameters"]["booster"] == "dart")
        for job, place in zip(jobs, places, strict=True)
    )


def test_pictures_of_hyperparameters_show_all_of_them() -> None:
    result = result_of(one_of_each())
    slices = result.plot_slices()
    titles = {each.title.text for each in slices.select_xaxes() if each.title.text}
    assert titles == {"eta", "momentum", "max_depth", "booster"}
    assert slices.layout.title.text == "without 2 of 8 training jobs, which have no objective"
    parallel = result.plot_parallel_coordinates()
    assert list(parallel.layout.xaxis.ticktext) == ["eta", "momentum", "max_depth", "booster", "validation:auc"]
    drawn = sum(sum(x is None for x in each.x) for each in parallel.data)
    assert drawn == 8
    assert list(result.plot_parallel_coordinates(hyperparameters=["booster", "eta"]).layout.xaxis.ticktext)[:2] == [
        "booster",
        "eta",
    ]
    with pytest.raises(ResultError, match="no hyperparameters depth; it searches eta"):
        result.plot_parallel_coordinates(hyperparameters=["depth"])
    with pytest.raises(ResultError, match="has no hyperparameter 'depth'; it searches eta"):
        result.plot_hyperparameter("depth")
    with pytest.raises(ResultError, match="has 4 hyperparameters; name one"):
        result.plot_hyperparameter()


@given(st.text(max_size=60))
def test_a_label_shows_a_text_literally(text: str) -> None:
    shown = label(text)
    assert "<" not in shown
    assert ">" not in shown
    assert re.sub(r"&(amp|lt|gt|quot|#x27);", "", shown).count("&") == 0


def test_a_notebook_shows_a_table_with_everything_escaped() -> None:
    jobs = [training_job(1, 0.5, hyperparameters={"x": HOSTILE})]
    shown = result_of(jobs, best=jobs[0])._repr_html_()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert "validation:auc 0.5" in shown


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    result = result_of(one_of_each())
    for call in (result.plot_history, lambda: render(result)):
        with pytest.raises(HpoError, match=r"pip install 'hpo-constructs\[report\]'"):
            call()


# The page.


def test_the_page_reads_without_its_scripts() -> None:
    jobs = one_of_each()
    page = Page(render(result_of(jobs, best=jobs[-5])))
    assert "8 of 10" in page.text["summary"]
    assert f"{NAME}-005-ab12cd34" in page.text["best"]
    assert "validation:auc = 0.55 (Maximize)" in page.text["best"]
    for number in range(1, 9):
        assert f"{number:03d}-ab12cd34" in page.text["training-jobs"]
    assert "AlgorithmError: out of memory" in page.text["failures"]
    for text in (
        "0.5 to 0.999",
        "ReverseLogarithmic",
        "gbtree, dart",
        "num_round",
        "s3://data/churn/",
        "2 x ml.m5.xlarge",
    ):
        assert text in page.text["definitions"]
    assert "_tuning_objective_metric" not in page.text["definitions"]
    assert re.search(r"ml\.m5\.xlarge .*on demand.* 8 ", page.text["usage"])
    assert page.tags.count("h1") == 1


def test_the_page_of_a_running_job_says_so() -> None:
    text = render(result_of([training_job(1, None, status="InProgress")], status="InProgress"))
    assert "was not over when the report was made" in text
    assert "59 min 00 s so far" in text
    assert "There is none yet" in text


@pytest.mark.parametrize("count", [0, 1])
def test_the_page_of_a_job_with_hardly_any_training_jobs(count: int) -> None:
    jobs = [training_job(1, 0.5)][:count]
    page = Page(render(result_of(jobs, best=jobs[0] if jobs else None)))
    assert ("No training job has been created." in page.text["training-jobs"]) is (count == 0)
    assert ("No training job has trained." in page.text["usage"]) is (count == 0)


def test_objectives_that_differ_have_pictures_and_columns_of_their_own() -> None:
    text = render(TuningJobResult(*two_algorithms()))
    titles = [figure["layout"].get("yaxis", {}).get("title", {}).get("text") for figure in page_data(text).values()]
    assert "validation:auc (higher is better)" in titles
    assert "validation:loss (lower is better)" in titles
    for figure in page_data(text).values():
        values = [y for each in figure["data"] if each.get("name") in {"trees", "lines"} for y in each["y"]]
        assert not values or max(values) < 0.9 or min(values) >= 0.2
    page = Page(text)
    # A line may end between the pieces of a title.
    assert re.search(r"validation: auc +validation: loss", page.text["training-jobs"])


def test_a_part_of_the_training_jobs_is_told() -> None:
    jobs = [training_job(n, n / 10) for n in range(1, 6)]
    text = render(TuningJobResult(tuning_job(jobs), jobs[:2]))
    assert "The data has 2 of 5 training jobs" in text


def test_nothing_from_outside_is_markup() -> None:
    job = training_job(1, 0.5, status="Failed", hyperparameters={HOSTILE: HOSTILE, "eta": "0.1"}, reason=HOSTILE)
    jobs = [job | {"TrainingJobName": HOSTILE}, *(training_job(n, n / 10) for n in range(2, 8))]
    static = definition(StaticHyperParameters={HOSTILE: HOSTILE})
    document = tuning_job(jobs, best=jobs[1], name=HOSTILE, objective={"Type": "Maximize", "MetricName": HOSTILE})
    text = render(TuningJobResult(document | {"TrainingJobDefinition": static}, jobs, declared_name=HOSTILE))
    plain = Page(render(result_of([training_job(n, n / 10) for n in range(1, 8)])))
    page = Page(text)
    assert page.tags.count("script") == plain.tags.count("script") == 4
    assert "img" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert HOSTILE not in text
    # Plotly would take tags for markup.
    assert not re.search(r"<(?!br>|extra>|/extra>)", json.dumps(page_data(text)))


def test_the_page_loads_nothing_and_its_policy_names_its_scripts() -> None:
    text = render(result_of(one_of_each()))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert policy[1].count("sha256-") == 3
    assert "unsafe-eval" not in policy[1]
    page = Page(text)
    loading = [
        value
        for name, value in page.attributes
        if name in {"src", "action"} or (name == "href" and value and value[0] != "#")
    ]
    assert loading == []


def test_many_training_jobs_make_a_page_of_few_megabytes() -> None:
    text = render(TuningJobResult(*many(500, 20)))
    from plotly.offline import get_plotlyjs

    own = len(text) - len(get_plotlyjs())
    assert own < 3_000_000
    assert text.count('<tr id="job-') == 500


# The file.


def test_a_report_replaces_a_report_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "churn.html"
    text = render(result_of([]))
    write(file, text)
    write(file, text)
    assert file.read_text(encoding="utf-8") == text
    assert [one.name for one in tmp_path.iterdir()] == ["churn.html"]
    file.write_text("<p>my own notes</p>")
    with pytest.raises(HpoError, match="is there and is no report"):
        write(file, text)
    assert file.read_text() == "<p>my own notes</p>"
    write(file, text, replace=True)
    assert file.read_text(encoding="utf-8") == text


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(HpoError, match=r"cannot be written to .*nowhere"):
        write(tmp_path / "nowhere" / "churn.html", "x")
    with pytest.raises(HpoError, match="is a folder; name a file in it"):
        write(tmp_path, "x")
