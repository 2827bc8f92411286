"""The plots of a tuning job, as the data that plotly draws in the browser."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..report.results import ResultError, TuningJobResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_REMEMBERED = 16


class Plots:
    """Plots as JSON, made again only when the training jobs have changed."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[Any, str]] = OrderedDict()
        # Importances use what is not made for several threads, and a page asks for one job's plots at a time.
        self._lock = threading.Lock()

    def text(self, tuning_job: Mapping[str, Any], summaries: Sequence[Mapping[str, Any]]) -> str:
        """`figures`, each with a title and plotly's figure, and `missing`: what cannot be shown yet and why.

        Args:
            tuning_job: The answer of DescribeHyperParameterTuningJob.
            summaries: Its TrainingJobSummaries.
        """
        result = TuningJobResult(tuning_job, summaries)
        state = [(job.name, job.status, job.objective_value) for job in result.training_jobs]
        with self._lock:
            known, text = self._made.get(result.name, (None, ""))
            if known != state:
                text = _text(result)
                self._made[result.name] = (state, text)
                while len(self._made) > _REMEMBERED:
                    self._made.popitem(last=False)
            return text


def _text(result: TuningJobResult) -> str:
    if all(job.objective_value is None for job in result.training_jobs):
        return json.dumps({"figures": [], "missing": "Plots need a training job with an objective value."})
    figures, missing = [], []
    for title, plot in _plots(result):
        try:
            figures.append({"title": title, "figure": json.loads(plot().to_json())})
        except ResultError as error:
            missing.append(f"{title}: {error}.")
    return json.dumps({"figures": figures, "missing": " ".join(missing)})


def _plots(result: TuningJobResult) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Titles and plots, the most general first. Objectives that differ never share one."""
    several = len(result.definitions) > 1

    if len({each.objective for each in result.definitions}) == 1:
        yield "Objective over time", result.plot_history
    else:
        for each in result.definitions:
            yield f"Objective over time: {each.name}", partial(result.plot_history, each.name)
    for each in result.definitions:
        if not result.hyperparameters(each.name) or all(
            job.objective_value is None for job in result.training_jobs_of(each.name)
        ):
            continue
        of = f": {each.name}" if several else ""
        for title, plot in (
            ("Importance of hyperparameters", result.plot_importances),
            ("Objective against hyperparameters", result.plot_slices),
            ("All hyperparameters and the objective", result.plot_parallel_coordinates),
        ):
            yield f"{title}{of}", partial(plot, each.name)
