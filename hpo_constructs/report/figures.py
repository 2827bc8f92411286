"""A tuning job's results as plotly figures.

Colours are near those of Okabe and Ito, which people with any kind of colour vision tell apart, and hold on a light
and on a dark ground; status and definition are told by the marker's shape too. Backgrounds and text are those of the
reader's template.

Plotly takes a subset of HTML in its texts: everything that comes from outside goes through :func:`label`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from ..spec.ranges import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter
from .results import maximizes, numbers

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from .results import Definition, TrainingJob, TuningJobResult

BLUE, VERMILION, GREY = "#2F86C6", "#D55E00", "#8A8F98"
_COLOURS = (BLUE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#A6761D", "#7F7F7F", "#B2182B", "#1B7837")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon", "star-square", "cross", "bowtie", "x")
# How training jobs without an objective are marked.
_STATUS_SYMBOL = {"Failed": "x", "Stopped": "square-open", "InProgress": "triangle-right", "Stopping": "square-open"}
_STATUS_COLOUR = {"Failed": VERMILION, "InProgress": BLUE}
_LONGEST_LABEL = 32
_STRENGTHS = 8
_COLUMNS = 3
_ROW_HEIGHT = 260
_JITTER, _GOLDEN = 0.5, 0.618034
# A range of this ratio that SageMaker may scale as it likes is shown on a logarithmic axis.
_WIDE = 1000


def label(text: str, longest: int | None = _LONGEST_LABEL) -> str:
    """A text from outside as plotly shows it literally: nothing in it is markup, and it is not endlessly long."""
    text = " ".join(text.split())
    if longest is not None and len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return escape(text)


@dataclass(frozen=True)
class Axis:
    """A hyperparameter's axis.

    Attributes:
        positions: Where each value stands, in the axis' own coordinates; None for a value that is missing.
        shares: The same as a share of the axis' length, from 0 to 1.
        layout: The axis as plotly's layout has it.
        ticks: Texts at shares of the axis' length, where no axis of plotly's can be used.
        categorical: Whether it has names in place of numbers.
    """

    positions: Sequence[float | None]
    shares: Sequence[float | None]
    layout: Mapping[str, Any]
    ticks: Sequence[tuple[float, str]]
    categorical: bool = False


def axis(parameter: Parameter | None, texts: Sequence[str | None]) -> Axis:
    """The axis of a hyperparameter, on the scale that the search uses, over the whole range searched.

    Args:
        parameter: Its range; None where only the values are known.
        texts: The values, None where one is missing.
    """
    values = None if isinstance(parameter, CategoricalParameter) else numbers(texts)
    if values is None:
        return _categories(parameter, texts)
    known = [value for value in values if value is not None]
    scaling = "Auto"
    if isinstance(parameter, ContinuousParameter | IntegerParameter):
        known += [float(parameter.min_value), float(parameter.max_value)]
        scaling = parameter.scaling_type or "Auto"
    low, high = min(known, default=0.0), max(known, default=1.0)
    if scaling == "ReverseLogarithmic" and high < 1:
        return _reverse_logarithmic(values, low, high)
    if low > 0 and (scaling == "Logarithmic" or (scaling == "Auto" and high / low >= _WIDE)):
        return _logarithmic(values, low, high)
    return _linear(values, low, high, whole=isinstance(parameter, IntegerParameter))


def history(result: TuningJobResult, definitions: Sequence[Definition]) -> Figure:
    """The objective over time, for definitions that improve the same metric."""
    import plotly.graph_objects as go

    names = [each.name for each in definitions]
    jobs = [job for job in result.training_jobs if job.definition in names]
    valued = sorted((job for job in jobs if job.objective_value is not None), key=lambda job: _end(result, job))
    figure = go.Figure()
    for index, each in enumerate(definitions):
        of_it = [job for job in valued if job.definition == each.name]
        if of_it:
            figure.add_traces(_points(of_it, each, index, [_time(_end(result, job)) for job in of_it]))
    if valued:
        figure.add_trace(_best_so_far(result, definitions[0], valued))
    best = _best(valued, definitions[0])
    if best is not None:
        figure.add_trace(_star([_time(_end(result, best))], best))
    without = [job for job in jobs if job.objective_value is None]
    _strip(figure, without, [_time(_end(result, job)) for job in without])
    figure.update_xaxes(title_text="end of the training job (UTC)", type="date", tickangle=0)
    _finish(figure, definitions[0], without=bool(without))
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, height=420)
    return figure


def hyperparameter(result: TuningJobResult, definition: Definition, name: str) -> Figure:
    """The objective against one hyperparameter."""
    import plotly.graph_objects as go

    figure = go.Figure()
    without = _slice(figure, result, definition, name)
    _finish(figure, definition, without=without)
    figure.update_xaxes(title={"text": label(name), "standoff": 8})
    metric = definition.objective.metric_name if definition.objective else "objective"
    figure.update_layout(showlegend=False, height=280, yaxis_title_text=label(metric, 28))
    return figure


def slices(result: TuningJobResult, definition: Definition) -> Figure:
    """The objective against every hyperparameter, a small picture each."""
    from plotly.subplots import make_subplots

    names = result.hyperparameters(definition.name)
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, vertical_spacing=0.32 / rows, horizontal_spacing=0.04
    )
    for index, name in enumerate(names):
        row, column = index // columns + 1, index % columns + 1
        _slice(figure, result, definition, name, row=row, col=column)
        figure.update_xaxes(title_text=label(name), row=row, col=column)
    figure.update_yaxes(title_text=objective_label(definition), col=1)
    jobs = result.training_jobs_of(definition.name)
    without = sum(job.objective_value is None for job in jobs)
    title = f"without {without} of {len(jobs)} training jobs, which have no objective" if without else None
    figure.update_layout(showlegend=False, height=60 + _ROW_HEIGHT * rows, title_text=title, title_font_size=13)
    return figure


def parallel_coordinates(result: TuningJobResult, definition: Definition, names: Sequence[str]) -> Figure:
    """Training jobs as lines over hyperparameters and the objective: the better, the stronger.

    Lines and not plotly's own trace for this, which needs WebGL and code made at run time, as a strict content
    security policy forbids.
    """
    import plotly.graph_objects as go

    jobs = result.training_jobs_of(definition.name)
    axes = [axis(definition.parameters.get(name), [job.hyperparameters.get(name) for job in jobs]) for name in names]
    values = [job.objective_value for job in jobs]
    known = [value for value in values if value is not None]
    axes.append(_linear(values, min(known, default=0.0), max(known, default=1.0), whole=False))
    titles = [*names, definition.objective.metric_name if definition.objective else "objective"]
    sign = 1 if maximizes(definition) else -1
    ranked = sorted(
        (index for index, value in enumerate(values) if value is not None),
        key=lambda index: (sign * (values[index] or 0.0), -index),
    )
    figure = go.Figure()
    lines = _Lines(jobs, axes, titles)
    if without := [index for index, value in enumerate(values) if value is None]:
        figure.add_trace(lines.trace(without, "no objective", GREY, opacity=0.4, dash="dot"))
    for strength in range(_STRENGTHS):
        part = ranked[len(ranked) * strength // _STRENGTHS : len(ranked) * (strength + 1) // _STRENGTHS]
        if ranked and ranked[-1] in part:
            part = part[:-1]
        if part:
            # Many lines must not cover each other.
            most = min(0.85, 0.35 + 40 / len(ranked))
            opacity = 0.05 + most * ((strength + 1) / _STRENGTHS) ** 5
            figure.add_trace(lines.trace(part, f"eighth {strength + 1} of {_STRENGTHS}", BLUE, opacity=opacity))
    if ranked:
        figure.add_trace(lines.trace([ranked[-1]], "best", VERMILION, opacity=1.0, width=3))
    # In one go: added one by one each would be checked together with all before it.
    figure.update_layout(
        shapes=[
            {
                "type": "line",
                "x0": position,
                "x1": position,
                "y0": 0,
                "y1": 1,
                "line": {"width": 1, "color": GREY},
                "layer": "below",
            }
            for position in range(len(axes))
        ],
        annotations=[
            {
                "x": position,
                "y": share,
                "text": text,
                "showarrow": False,
                "xanchor": "right",
                "xshift": -3,
                "font": {"size": 10},
            }
            for position, each in enumerate(axes)
            for share, text in each.ticks
        ],
    )
    figure.update_xaxes(
        tickvals=list(range(len(titles))),
        ticktext=[label(title, 20) for title in titles],
        side="top",
        tickangle=-20 if len(titles) > 5 else 0,
        showgrid=False,
        zeroline=False,
        range=[-0.45, len(titles) - 0.75],
        fixedrange=True,
    )
    figure.update_yaxes(visible=False, range=[-0.04, 1.04], fixedrange=True)
    figure.update_layout(showlegend=False, height=420, margin={"t": 80, "b": 20, "l": 10, "r": 10}, hovermode="closest")
    return figure


def importance_bars(found: Mapping[str, float]) -> Figure:
    """Importances as bars, the largest at the top."""
    import plotly.graph_objects as go

    names, values = list(found)[::-1], list(found.values())[::-1]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=list(range(len(names))),
            orientation="h",
            marker_color=BLUE,
            text=[f"{value:.0%}" if value >= 0.005 or value == 0 else "< 1%" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{customdata}: %{x:.3f}<extra></extra>",
            customdata=[label(name, None) for name in names],
        )
    )
    figure.update_xaxes(
        title_text="share of the objective's variation", tickformat=".0%", range=[0, max(values, default=0.0) * 1.12]
    )
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=[label(name) for name in names], automargin=True)
    figure.update_layout(
        height=110 + 24 * len(names), margin={"t": 10, "b": 50, "l": 10, "r": 20}, bargap=0.35, showlegend=False
    )
    return figure


def objective_label(definition: Definition) -> str:
    """The title of an objective's axis, with its direction."""
    if definition.objective is None:
        return "objective"
    better = "higher" if maximizes(definition) else "lower"
    return f"{label(definition.objective.metric_name)} ({better} is better)"


class _Lines:
    """Lines of training jobs over parallel axes."""

    def __init__(self, jobs: Sequence[TrainingJob], axes: Sequence[Axis], titles: Sequence[str]) -> None:
        self._jobs = jobs
        self._axes = axes
        self._titles = titles

    def trace(
        self, indices: Sequence[int], name: str, colour: str, *, opacity: float, width: float = 1.3, dash: str = "solid"
    ) -> Any:
        import plotly.graph_objects as go

        x: list[int | None] = []
        y: list[float | None] = []
        texts: list[str | None] = []
        for index in indices:
            job = self._jobs[index]
            for position, (each, title) in enumerate(zip(self._axes, self._titles, strict=True)):
                x.append(position)
                y.append(each.shares[index])
                last = position == len(self._axes) - 1
                value = _value_text(job) if last else job.hyperparameters.get(title, "")
                texts.append(f"#{job.number}: {label(_short(value))}")
            x.append(None)
            y.append(None)
            texts.append(None)
        # Opacity is the colour's own: a trace's would be of all its lines together, and lines over lines not add up.
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        return go.Scatter(
            x=x,
            y=y,
            text=texts,
            mode="lines",
            name=name,
            line={"color": f"rgba({red},{green},{blue},{opacity:.2f})", "width": width, "dash": dash},
            connectgaps=False,
            hovertemplate="%{text}<extra></extra>",
        )


def _slice(figure: Figure, result: TuningJobResult, definition: Definition, name: str, **place: int) -> bool:
    """Add the objective against a hyperparameter; whether training jobs without an objective are marked below."""
    jobs = result.training_jobs_of(definition.name)
    found = axis(definition.parameters.get(name), [job.hyperparameters.get(name) for job in jobs])
    positions = dict(zip((job.number for job in jobs), found.positions, strict=True))
    if found.categorical:
        # Side by side, so that many of one category are seen as many.
        positions = {
            number: None if place is None else place + _JITTER * (number * _GOLDEN % 1 - 0.5)
            for number, place in positions.items()
        }
    placed = [job for job in jobs if positions[job.number] is not None]
    valued = [job for job in placed if job.objective_value is not None]
    without = [job for job in placed if job.objective_value is None]
    if valued:
        texts = [label(_short(job.hyperparameters[name])) for job in valued]
        for trace in _points(valued, definition, 0, [positions[job.number] for job in valued], texts):
            figure.add_trace(trace, **place)
    best = _best(valued, definition)
    if best is not None:
        figure.add_trace(_star([positions[best.number]], best), **place)
    if not place:
        _strip(figure, without, [positions[job.number] for job in without])
    figure.update_xaxes(**found.layout, **place)
    return bool(without)


def _points(
    jobs: Sequence[TrainingJob],
    definition: Definition,
    index: int,
    x: Sequence[Any],
    texts: Sequence[str] | None = None,
) -> list[Any]:
    """Training jobs of a definition as markers; those that were stopped, early or by hand, are hollow."""
    import plotly.graph_objects as go

    name = label(definition.name) or "training job"
    symbol = _SYMBOLS[index % len(_SYMBOLS)]
    whole = [place for place, job in enumerate(jobs) if job.status == "Completed"]
    hollow = [place for place, job in enumerate(jobs) if job.status != "Completed"]
    return [
        go.Scatter(
            x=[x[place] for place in part],
            y=[jobs[place].objective_value for place in part],
            mode="markers",
            name=title,
            marker={
                "color": _COLOURS[index % len(_COLOURS)],
                "size": 8 if len(jobs) <= 100 else 6,
                "opacity": 0.85 if len(jobs) <= 100 else 0.6,
                "symbol": shape,
            },
            customdata=[[jobs[place].number, jobs[place].status] for place in part],
            text=[texts[place] for place in part] if texts else None,
            hovertemplate=f"#%{{customdata[0]}}, %{{customdata[1]}}<br>{'%{text}' if texts else '%{x}'}"
            "<br>%{y}<extra></extra>",
        )
        for part, title, shape in ((whole, name, symbol), (hollow, f"{name}, stopped", f"{symbol}-open"))
        if part
    ]


def _star(x: Sequence[Any], job: TrainingJob) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=x,
        y=[job.objective_value],
        mode="markers",
        name="best",
        marker={"symbol": "star", "size": 15, "color": VERMILION, "line": {"width": 1, "color": "white"}},
        hovertemplate=f"best: #{job.number}<br>%{{y}}<extra></extra>",
    )


def _best_so_far(result: TuningJobResult, definition: Definition, jobs: Sequence[TrainingJob]) -> Any:
    import plotly.graph_objects as go

    better = max if maximizes(definition) else min
    x: list[str] = []
    y: list[float] = []
    for job in jobs:
        value = job.objective_value or 0.0
        x.append(_time(_end(result, job)))
        y.append(better(y[-1], value) if y else value)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        name="best so far",
        line={"shape": "hv", "color": VERMILION, "width": 2},
        hovertemplate="best so far: %{y}<extra></extra>",
    )


def _strip(figure: Figure, jobs: Sequence[TrainingJob], x: Sequence[Any]) -> None:
    """Mark training jobs without an objective in a strip below, by status."""
    import plotly.graph_objects as go

    for status in sorted({job.status for job in jobs}):
        of_it = [(job, place) for job, place in zip(jobs, x, strict=True) if job.status == status]
        figure.add_trace(
            go.Scatter(
                x=[place for _, place in of_it],
                y=[0.0] * len(of_it),
                yaxis="y2",
                mode="markers",
                name=f"{label(status)}, no objective",
                marker={
                    "symbol": _STATUS_SYMBOL.get(status, "circle-open"),
                    "color": _STATUS_COLOUR.get(status, GREY),
                    "size": 8,
                },
                customdata=[job.number for job, _ in of_it],
                hovertemplate=f"#%{{customdata}}: {label(status)}, no objective<extra></extra>",
            )
        )


def _finish(figure: Figure, definition: Definition, *, without: bool) -> None:
    layout: dict[str, Any] = {"hovermode": "closest", "margin": {"t": 30, "b": 55, "l": 70, "r": 20}}
    if without:
        layout["yaxis2"] = {
            "domain": [0, 0.07],
            "range": [-1, 1],
            "anchor": "x",
            "visible": False,
            "fixedrange": True,
        }
        layout["xaxis"] = {"anchor": "y2"}
    title = {"text": objective_label(definition), "standoff": 12}
    layout["yaxis"] = {"title": title, "domain": [0.11 if without else 0, 1], "automargin": True}
    values = {value for trace in figure.data if trace.yaxis != "y2" for value in trace.y}
    if len(values) == 1:
        layout["yaxis"]["range"] = _padded(*values, *values)
    figure.update_layout(**layout)


def _categories(parameter: Parameter | None, texts: Sequence[str | None]) -> Axis:
    declared = [str(value) for value in parameter.values] if isinstance(parameter, CategoricalParameter) else []
    names = list(dict.fromkeys([*declared, *(text for text in texts if text is not None)]))
    places = {name: index for index, name in enumerate(names)}
    positions = [None if text is None else float(places[text]) for text in texts]
    last = max(len(names) - 1, 1)
    layout = {
        "type": "linear",
        "tickvals": list(range(len(names))),
        "ticktext": [label(name, 16) for name in names],
        "range": [-0.5, len(names) - 0.5],
        "zeroline": False,
    }
    ticks = [(index / last if len(names) > 1 else 0.5, label(name, 12)) for index, name in enumerate(names)]
    shares = [None if place is None else place / last if len(names) > 1 else 0.5 for place in positions]
    return Axis(positions, shares, layout, ticks, categorical=True)


def _linear(values: Sequence[float | None], low: float, high: float, *, whole: bool) -> Axis:
    layout: dict[str, Any] = {"type": "linear", "range": _padded(low, high), "zeroline": False}
    if whole:
        layout["tickformat"] = "d"
        if high - low <= 12:
            layout["dtick"] = 1 if high - low <= 6 else 2
            layout["tick0"] = low
    shown = _rounded_ticks(low, high, whole=whole)
    return Axis(
        list(values),
        [_share(value, low, high) for value in values],
        layout,
        [(_share(value, low, high) or 0.0, text) for value, text in shown],
    )


def _logarithmic(values: Sequence[float | None], low: float, high: float) -> Axis:
    first, last = math.log10(low), math.log10(high)
    layout = {"type": "log", "range": _padded(first, last), **_decades(first, last)}
    shares = [None if value is None or value <= 0 else _share(math.log10(value), first, last) for value in values]
    return Axis(list(values), shares, layout, _log_ticks(first, last))


def _reverse_logarithmic(values: Sequence[float | None], low: float, high: float) -> Axis:
    """The distance from 1 on a logarithmic axis that runs backwards: values rise to the right, denser near 1."""
    first, last = math.log10(1 - high), math.log10(1 - low)
    distances = [None if value is None else 1 - value for value in values]
    shown = [10.0**power for power in range(math.ceil(first - 1e-6), math.floor(last + 1e-6) + 1)]
    # The ends of the range have ticks of their own where no other is near.
    for end in (1 - high, 1 - low):
        if all(abs(math.log10(end / tick)) > (last - first) / 8 for tick in shown):
            shown.append(end)
    layout = {
        "type": "log",
        "range": _padded(first, last)[::-1],
        "tickvals": shown,
        "ticktext": [f"{1 - tick:.6g}" for tick in shown],
    }
    shares = [
        None if distance is None or distance <= 0 else _share(-math.log10(distance), -last, -first)
        for distance in distances
    ]
    ticks = [(0.0, _short(str(low))), (1.0, _short(str(high)))]
    return Axis(distances, shares, layout, ticks)


def _decades(first: float, last: float) -> dict[str, Any]:
    """Ticks of a logarithmic axis: whole decades where there are two of them, else what plotly finds."""
    whole = range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1)
    if len(whole) < 2:
        return {"nticks": 5}
    step = math.ceil(len(whole) / 6)
    return {"tickvals": [10.0**power for power in whole[::step]], "tickformat": "~g" if abs(first) < 5 else ".0e"}


def _log_ticks(first: float, last: float) -> list[tuple[float, str]]:
    powers = [first, *range(math.floor(first) + 1, math.ceil(last)), last]
    step = max(1, math.ceil((len(powers) - 1) / 4))
    kept = [*powers[:-1:step], last] if len(powers) > 2 else powers
    return [(_share(power, first, last) or 0.0, _short(f"{10**power:.3g}")) for power in kept]


def _rounded_ticks(low: float, high: float, *, whole: bool) -> list[tuple[float, str]]:
    if low == high:
        return [(low, _short(str(low)))]
    count = min(4, int(high - low)) if whole else 4
    values = [low + (high - low) * index / count for index in range(count + 1)]
    if whole:
        values = sorted({float(round(value)) for value in values})
    return [(value, f"{value:.4g}") for value in values]


def _padded(low: float, high: float) -> list[float]:
    margin = (high - low) * 0.04 or abs(low) * 0.1 or 0.5
    return [low - margin, high + margin]


def _share(value: float | None, low: float, high: float) -> float | None:
    if value is None:
        return None
    return 0.5 if high == low else round((value - low) / (high - low), 5)


def _best(jobs: Sequence[TrainingJob], definition: Definition) -> TrainingJob | None:
    sign = -1 if maximizes(definition) else 1
    return min(jobs, key=lambda job: (sign * (job.objective_value or 0.0), job.number), default=None)


def _end(result: TuningJobResult, job: TrainingJob) -> datetime:
    """When a training job stands on an axis of time: its end; what runs stands at the moment of the answers."""
    if job.ended is not None:
        return job.ended
    return result.as_of if job.status in {"InProgress", "Stopping"} else job.created


def _time(moment: datetime) -> str:
    # Plotly's axes know no zones.
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _value_text(job: TrainingJob) -> str:
    return "no objective" if job.objective_value is None else f"{job.objective_value:.6g}"


def _short(text: str) -> str:
    """A number with the digits that a picture can show."""
    found = numbers([text])
    if not found or found[0] is None or len(text) <= 8:
        return text
    return f"{found[0]:.5g}"
