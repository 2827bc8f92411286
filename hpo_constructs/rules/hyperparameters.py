"""Rules about hyperparameters: the ranges that are searched, and the static ones."""

import math
from collections.abc import Iterator
from decimal import Decimal

from ..spec.declaration import Form, Path
from .finding import Severity
from .job import RANGE_KINDS, Definition, Job, Range, is_unknown, settled
from .missing import is_missing
from .quota_text import quota_fix
from .registry import API, GUIDE, Problem, rule

_RANGES_PAGE = f"{GUIDE}automatic-model-tuning-define-ranges.html"
_ADVICE_PAGE = f"{GUIDE}automatic-model-tuning-considerations.html"

# Limits of the service model; the account's quotas are lower or equal.
LIST_ENTRIES = 30
CATEGORICAL_VALUES = 30
STATIC_HYPERPARAMETERS = 100
KEY_LENGTH = 256
VALUE_LENGTH = 2500

OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"

# A linear search over one order of magnitude is what the guide advises; 1.5 of them still counts as about one.
_DECADES = 1.5
# Fewer training jobs than this for each hyperparameter, and more hyperparameters than that, is hardly a search.
_JOBS_PER_HYPERPARAMETER = 2
_FEW_HYPERPARAMETERS = 3

_NUMERIC = ("Continuous", "Integer")


def _searches(job: Job) -> Iterator[tuple[Definition, Range]]:
    """Every searched hyperparameter with its definition."""
    for definition in job.definitions:
        for searched in definition.ranges:
            yield definition, searched


def _label(searched: Range) -> str:
    return searched.name or "the hyperparameter"


def _whole(text: str | None) -> bool:
    """Whether a number's text says a whole one, however it is spelled: 5, 5.0, 1e2."""
    if text is None:
        return False
    exact = Decimal(text.strip())
    return exact == exact.to_integral_value()


def _readable(searched: Range) -> bool:
    """Whether both bounds are numbers of the range's kind; if not, `range-number` or `shape` says so."""
    if searched.low is None or searched.high is None:
        return False
    return searched.kind != "Integer" or (_whole(searched.low_text) and _whole(searched.high_text))


def _compared(searched: Range) -> int:
    """-1, 0 or 1: the smallest value against the largest, exactly even where floats would round them alike."""
    low, high = Decimal((searched.low_text or "").strip()), Decimal((searched.high_text or "").strip())
    return (low > high) - (low < high)


def _ordered(searched: Range) -> bool:
    return _readable(searched) and _compared(searched) < 0


@rule(
    "searched-hyperparameters",
    title="the number of searched hyperparameters is within the quota",
    severity=Severity.QUOTA,
    reason=(
        "the developer guide's page on ranges allows 20 searched hyperparameters in its older edition, where every "
        "value of a categorical one counts as one, and 30 in the present one; the API's lists hold 30 of each kind"
    ),
    source=_RANGES_PAGE,
    passes="hyperparameter_ranges: {booster: [gbtree, dart]}",
    fails=(
        "hyperparameter_ranges: {colsample_bylevel: {type: Continuous, min_value: 0.5, max_value: 0.9}, "
        "tree_method: ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', '16', '17', "
        "'18']}"
    ),
)
def searched_hyperparameters(job: Job) -> Iterator[Problem]:
    """Count what a definition searches, in the edition's way of counting."""
    quotas = job.quotas
    each_value = quotas.hyperparameters_count_categorical_values
    for definition in job.definitions:
        holder = definition.range_holder
        overlong = False
        for member in RANGE_KINDS:
            entries = holder.raw.get(member)
            size = len(entries) if isinstance(entries, list | tuple) else 0
            if member == "AutoParameters":
                overlong = overlong or size > STATIC_HYPERPARAMETERS
            elif size > LIST_ENTRIES:
                overlong = True
                yield Problem(
                    holder.path(member),
                    f"{job.spell(member)} must have at most {LIST_ENTRIES} entries, got {size}",
                    f"search {LIST_ENTRIES} hyperparameters of a kind or fewer",
                    Severity.ERROR,
                )
        count = sum(
            max(1, len(searched.values)) if each_value and searched.kind == "Categorical" else 1
            for searched in definition.ranges
        )
        # Values beyond what one hyperparameter may have are another rule's.
        if overlong or count <= quotas.hyperparameters or _over_in_values_alone(definition, quotas.hyperparameters):
            continue
        how = ", each value of a categorical one counted" if each_value else ""
        yield Problem(
            holder.place,
            f"{job.spell(str(holder.place[-1]))} must search at most {quotas.hyperparameters} hyperparameters, "
            f"got {count}{how}",
            quota_fix(f"search {quotas.hyperparameters} or fewer", "hyperparameters", count),
        )


def _over_in_values_alone(definition: Definition, quota: int) -> bool:
    """Whether one categorical hyperparameter with too many values is all that is above the quota."""
    long = [searched for searched in definition.ranges if len(searched.values) > CATEGORICAL_VALUES]
    return bool(long) and len(definition.ranges) <= quota


@rule(
    "ranges-present",
    title="every definition searches at least one hyperparameter",
    severity=Severity.ERROR,
    reason=(
        "a tuning job without a range has nothing to try; the SageMaker Python SDK asks for ranges or autotune, and "
        "with autotune the service chooses them"
    ),
    source=f"{API}API_ParameterRanges.html",
    passes="hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.1, max_value: 0.3}}",
    fails="hyperparameter_ranges: {eta: null, max_depth: null}",
)
def ranges_present(job: Job) -> Iterator[Problem]:
    """Look for definitions without a range."""
    # A template's entry that could not be read has its finding already.
    if job.autotune or job.declaration.faults:
        return
    for definition in job.definitions:
        holder = definition.range_holder
        if any(holder.raw.get(member) for member in RANGE_KINDS):
            continue
        # Ranges of the wrong type or in the wrong place, or missing from one of several definitions, are other rules'.
        single = definition.place == ("TrainingJobDefinition",) and "TrainingJobDefinitions" not in job
        if not holder.present and not (
            single and is_missing(job, job.config, "ParameterRanges") and "HyperParameterRanges" not in definition
        ):
            continue
        spelled = job.spell(str(holder.place[-1]))
        yield Problem(
            holder.place,
            f"{spelled} must search at least one hyperparameter, got none",
            f"add a range to {spelled}, or let SageMaker choose ranges with {job.spell('Autotune')}",
        )


@rule(
    "range-number",
    title="bounds of a range are finite numbers, whole ones for an integer range",
    severity=Severity.ERROR,
    reason="bounds travel as text, so the request's own types do not catch a slip; the service reads them as numbers",
    source=f"{API}API_ContinuousParameterRange.html",
    passes="hyperparameter_ranges: {max_depth: {type: Integer, min_value: '3', max_value: '1e1'}}",
    fails="hyperparameter_ranges: {max_depth: {type: Integer, min_value: 3, max_value: 9.5}}",
)
def range_number(job: Job) -> Iterator[Problem]:
    """Read the bounds of every range."""
    for _, searched in _searches(job):
        if searched.kind not in _NUMERIC:
            continue
        wanted = "a whole number" if searched.kind == "Integer" else "a number"
        for member, text, value in (
            ("MinValue", searched.low_text, searched.low),
            ("MaxValue", searched.high_text, searched.high),
        ):
            if text is None or is_unknown(text):
                continue
            if value is None or (searched.kind == "Integer" and not _whole(text)):
                yield Problem(
                    (*searched.place, member),
                    f"{job.spell(member)} of {_label(searched)} must be {wanted}, got {text!r}",
                    "declare the range as Continuous" if value is not None else f"write {wanted}",
                )


@rule(
    "range-order",
    title="the smallest value of a range is below the largest",
    severity=Severity.ERROR,
    reason="the service refuses a range with one value or none; a hyperparameter with one value is a static one",
    source=_RANGES_PAGE,
    passes="hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.1, max_value: 0.3}}",
    fails="hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.3, max_value: 0.1}}",
)
def range_order(job: Job) -> Iterator[Problem]:
    """Compare the bounds of every range."""
    for _, searched in _searches(job):
        if searched.kind not in _NUMERIC or not _readable(searched):
            continue
        order = _compared(searched)
        if order < 0:
            continue
        low, high = job.spell("MinValue"), job.spell("MaxValue")
        fix = (
            f"swap {low} and {high}"
            if order > 0
            else f"put {_label(searched)} under {job.spell('StaticHyperParameters')}, or widen the range"
        )
        yield Problem(
            (*searched.place, "MinValue"),
            f"{low} of {_label(searched)} must be < {high}, got {searched.low_text} and {searched.high_text}",
            fix,
        )


@rule(
    "log-scaling-positive",
    title="a logarithmic scale has only values above 0",
    severity=Severity.ERROR,
    reason="there is no logarithm of 0 and below; the guide allows the scale for ranges above 0 only",
    source=_RANGES_PAGE,
    passes="hyperparameter_ranges: {eta: {min_value: 0.001, max_value: 0.5, scaling_type: Logarithmic}}",
    fails="hyperparameter_ranges: {eta: {min_value: 0, max_value: 0.5, scaling_type: Logarithmic}}",
)
def log_scaling_positive(job: Job) -> Iterator[Problem]:
    """Look for logarithmic ranges that reach 0."""
    for _, searched in _searches(job):
        if searched.scaling == "Logarithmic" and _ordered(searched) and (searched.low or 0) <= 0:
            yield Problem(
                (*searched.place, "ScalingType"),
                f"{job.spell('ScalingType')} Logarithmic of {_label(searched)} needs {job.spell('MinValue')} above 0, "
                f"got {searched.low_text}",
                f"raise {job.spell('MinValue')} above 0, or write Auto or Linear",
            )


@rule(
    "reverse-log-range",
    title="a reverse logarithmic scale is for continuous ranges within 0 <= x < 1",
    severity=Severity.ERROR,
    reason="the guide supports it for continuous ranges within 0 <= x < 1 only, although the API's model allows more",
    source=_RANGES_PAGE,
    passes="hyperparameter_ranges: {eta: {min_value: 0.1, max_value: 0.5, scaling_type: ReverseLogarithmic}}",
    fails="hyperparameter_ranges: {eta: {min_value: 0.1, max_value: 1, scaling_type: ReverseLogarithmic}}",
)
def reverse_log_range(job: Job) -> Iterator[Problem]:
    """Look for reverse logarithmic ranges of the wrong kind or extent."""
    for _, searched in _searches(job):
        if searched.scaling != "ReverseLogarithmic":
            continue
        spelled, path = job.spell("ScalingType"), (*searched.place, "ScalingType")
        if searched.kind == "Integer":
            yield Problem(
                path,
                f"{spelled} of the integer hyperparameter {_label(searched)} must be Auto, Linear or Logarithmic, "
                "got ReverseLogarithmic",
                "write Auto, Linear or Logarithmic",
            )
        elif _ordered(searched) and not ((searched.low or 0) >= 0 and (searched.high or 0) < 1):
            yield Problem(
                path,
                f"{spelled} ReverseLogarithmic of {_label(searched)} needs a range within 0 <= x < 1, "
                f"got {searched.low_text} to {searched.high_text}",
                f"keep {job.spell('MaxValue')} below 1 and {job.spell('MinValue')} at 0 or above, or write Auto",
            )


@rule(
    "linear-over-decades",
    title="a linear scale spans about one order of magnitude",
    severity=Severity.WARNING,
    reason=(
        "a linear search of 0.0001 to 1 spends nine tenths of the training jobs between 0.1 and 1; the guide advises a "
        "linear scale within one order of magnitude, and Auto leaves the choice to the service"
    ),
    source=_RANGES_PAGE,
    passes="hyperparameter_ranges: {eta: {min_value: 0.1, max_value: 0.5, scaling_type: Linear}}",
    fails="hyperparameter_ranges: {alpha: {type: Continuous, min_value: 0.001, max_value: 10, scaling_type: Linear}}",
)
def linear_over_decades(job: Job) -> Iterator[Problem]:
    """Look for wide linear ranges above 0; one from 0 has no logarithmic form."""
    for _, searched in _searches(job):
        low, high = searched.low, searched.high
        if searched.scaling != "Linear" or not _ordered(searched) or low is None or high is None or low <= 0:
            continue
        decades = math.log10(high) - math.log10(low)
        if decades > _DECADES:
            yield Problem(
                (*searched.place, "ScalingType"),
                f"{job.spell('ScalingType')} Linear of {_label(searched)} suits about one order of magnitude, "
                f"got {decades:.1f}: {searched.low_text} to {searched.high_text}",
                "write Logarithmic, or Auto",
            )


@rule(
    "categorical-values",
    title="a categorical hyperparameter has 1 to 30 values, none twice",
    severity=Severity.ERROR,
    reason=(
        "the API's list holds 1 to 30 values; the service takes neither one-point ranges nor values twice "
        "(amazon-sagemaker-feedback issue 195 asks for both)"
    ),
    source=f"{API}API_CategoricalParameterRange.html",
    passes="hyperparameter_ranges: {booster: [gbtree, dart]}",
    fails="hyperparameter_ranges: {booster: [gbtree, dart, gbtree]}",
)
def categorical_values(job: Job) -> Iterator[Problem]:
    """Count the values and compare them with each other."""
    spelled = job.spell("Values")
    for holder in job.range_holders:
        for entry in holder.structures("CategoricalParameterRanges"):
            values = entry.raw.get("Values")
            if not isinstance(values, list | tuple):
                continue
            name, size, path = entry.text("Name") or "the hyperparameter", len(values), entry.path("Values")
            quota = job.quotas.categorical_values
            if not 1 <= size <= CATEGORICAL_VALUES:
                yield Problem(
                    path,
                    f"{spelled} of {name} must be 1 to {CATEGORICAL_VALUES} values, got {size}",
                    f"leave out {size - CATEGORICAL_VALUES} of them" if size else f"add {spelled} to {name}",
                )
            elif size > quota:
                yield Problem(
                    path,
                    f"{spelled} of {name} must be at most {quota} values, got {size}",
                    quota_fix(f"leave out {size - quota} of them", "categorical_values", size),
                    Severity.QUOTA,
                )
            yield from _repeated(entry.texts("Values"), f"{spelled} of {name}")


def _repeated(values: list[tuple[Path, str]], what: str) -> Iterator[Problem]:
    seen: set[str] = set()
    told: set[str] = set()
    for path, value in values:
        if value in seen and value not in told and not is_unknown(value):
            told.add(value)
            yield Problem(path, f"{what} must be distinct, got {value!r} twice", "write each value once")
        seen.add(value)


@rule(
    "hyperparameter-once",
    title="a hyperparameter is searched once in a definition",
    severity=Severity.ERROR,
    reason="every training job gets one value for a hyperparameter; two ranges for it contradict each other",
    source=_RANGES_PAGE,
    passes="hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.1, max_value: 0.3}}",
    fails=(
        "hyperparameter_ranges: {eta: null, max_depth: null, "
        "continuous_parameter_ranges: [{name: eta, min_value: 0.1, max_value: 0.3}], "
        "categorical_parameter_ranges: [{name: eta, values: ['0.1', '0.2']}]}"
    ),
)
def hyperparameter_once(job: Job) -> Iterator[Problem]:
    """Compare the names of a definition's ranges."""
    for definition in job.definitions:
        kinds: dict[str, str] = {}
        for searched in definition.ranges:
            name = searched.name
            if not name or is_unknown(name):
                continue
            if name in kinds:
                yield Problem(
                    (*searched.place, "Name"),
                    f"{name} must be searched once, got it as {kinds[name]} and as {searched.kind}",
                    f"keep one of the entries of {name}",
                )
            kinds.setdefault(name, searched.kind)


@rule(
    "static-not-searched",
    title="no hyperparameter is both static and searched",
    severity=Severity.ERROR,
    reason="a training job gets either the fixed value or one of the range; the SDK's tuner drops the fixed one",
    source=_RANGES_PAGE,
    passes="training_job_definition: {static_hyperparameters: {gamma: 1}}",
    fails="training_job_definition: {static_hyperparameters: {eta: 0.2}}",
)
def static_not_searched(job: Job) -> Iterator[Problem]:
    """Look for searched names among the static ones."""
    for definition in job.definitions:
        static = definition.structure("StaticHyperParameters")
        for name in dict.fromkeys(searched.name for searched in definition.ranges):
            if name and name in static.raw and not is_unknown(name):
                yield Problem(
                    static.path(name),
                    f"{name} must be either static or searched, got both",
                    f"remove {name} from {job.spell('StaticHyperParameters')}, or remove its range",
                )


@rule(
    "static-count",
    title="static hyperparameters keep the API's number and lengths",
    severity=Severity.ERROR,
    reason=(
        "a request holds 100 static hyperparameters, and a training job 100 in all, of which the service adds "
        f"{OBJECTIVE_HYPERPARAMETER} itself; a name has at most 256 characters, a value 2,500"
    ),
    source=_RANGES_PAGE,
    passes="training_job_definition: {static_hyperparameters: {tree_method: hist}}",
    fails=f"training_job_definition: {{static_hyperparameters: {{interaction_constraints: '{'[0, 1], ' * 313}'}}}}",
)
def static_count(job: Job) -> Iterator[Problem]:
    """Count the static hyperparameters and measure their names and values."""
    spelled = job.spell("StaticHyperParameters")
    for definition in job.definitions:
        static = definition.structure("StaticHyperParameters")
        size, searched = len(static.raw), len({searched.name for searched in definition.ranges})
        room = STATIC_HYPERPARAMETERS - 1 - searched
        if size > STATIC_HYPERPARAMETERS:
            yield Problem(
                static.place,
                f"{spelled} must have at most {STATIC_HYPERPARAMETERS} entries, got {size}",
                f"keep {max(room, 0)} or fewer",
            )
        elif size and searched <= STATIC_HYPERPARAMETERS and size > room:
            yield Problem(
                static.place,
                f"static and searched hyperparameters together must be at most {STATIC_HYPERPARAMETERS - 1}, because "
                f"SageMaker adds {OBJECTIVE_HYPERPARAMETER}; got {size} static and {searched} searched",
                f"remove {size - room} of {spelled}",
            )
        for name, value in static.raw.items():
            yield from _lengths(str(name), value, static.path(name), spelled)


def _lengths(name: str, value: object, path: Path, spelled: str) -> Iterator[Problem]:
    if len(settled(name)) > KEY_LENGTH and not is_unknown(name):
        yield Problem(
            path,
            f"a name of {spelled} must have at most {KEY_LENGTH} characters, got {len(name)}: {name[:40]!r}...",
            "shorten the name",
        )
    if not isinstance(value, str) or is_unknown(value):
        return
    if len(settled(value)) > VALUE_LENGTH:
        yield Problem(
            path,
            f"{name} must have at most {VALUE_LENGTH:,} characters, got {len(value):,}",
            f"shorten {name}, or put it in a file in an input channel",
        )
    elif "\n" in value:
        yield Problem(
            path,
            f"{name} must be one line, got {value.count(chr(10)) + 1} lines",
            f"write {name} on one line, or put it in a file in an input channel",
        )


@rule(
    "reserved-names",
    title="no hyperparameter has a name that the service keeps for itself",
    severity=Severity.ERROR,
    reason=(
        f"the guide tells that the service adds {OBJECTIVE_HYPERPARAMETER}, and Describe shows others that begin with "
        "an underscore; a few containers read static ones such as XGBoost's _kfold, which a copy of the job's "
        "description would lose, so those are a warning"
    ),
    source=_RANGES_PAGE,
    passes="training_job_definition: {static_hyperparameters: {tree_method: hist}}",
    fails=f"training_job_definition: {{static_hyperparameters: {{{OBJECTIVE_HYPERPARAMETER}: 'validation:auc'}}}}",
)
def reserved_names(job: Job) -> Iterator[Problem]:
    """Look for names that begin with an underscore."""
    for definition in job.definitions:
        for searched in definition.ranges:
            if searched.name.startswith("_"):
                yield Problem(
                    (*searched.place, "Name"),
                    f"a searched hyperparameter must not begin with an underscore, got {searched.name}",
                    f"rename {searched.name}",
                )
        if job.declaration.form is Form.DESCRIBE:
            continue  # what the service has added
        static = definition.structure("StaticHyperParameters")
        for name in (str(key) for key in static.raw if str(key).startswith("_")):
            own = name == OBJECTIVE_HYPERPARAMETER
            yield Problem(
                static.path(name),
                f"{name} is SageMaker's own hyperparameter, got it as a static one"
                if own
                else f"names that begin with an underscore are SageMaker's own, got {name}",
                f"remove {name}; SageMaker sets it" if own else f"remove {name}, unless the container documents it",
                None if own else Severity.WARNING,
            )


@rule(
    "few-hyperparameters-advice",
    title="there are enough training jobs for the hyperparameters searched",
    severity=Severity.WARNING,
    reason=(
        "the guide's best practices: the difficulty depends first of all on the number of hyperparameters, and a "
        "search of much fewer converges faster"
    ),
    source=_ADVICE_PAGE,
    passes="resource_limits: {max_number_of_training_jobs: 5}",
    fails=(
        "{resource_limits: {max_number_of_training_jobs: 5}, "
        "hyperparameter_ranges: {gamma: {type: Continuous, min_value: 0, max_value: 5}, "
        "subsample: {type: Continuous, min_value: 0.5, max_value: 1}}}"
    ),
)
def few_hyperparameters_advice(job: Job) -> Iterator[Problem]:
    """Compare the number of training jobs with the number of searched hyperparameters."""
    total = job.limits.whole("MaxNumberOfTrainingJobs")
    count = sum(len(definition.ranges) for definition in job.definitions)
    if total is None or total < 1 or job.strategy == "Grid" or count <= _FEW_HYPERPARAMETERS:
        return
    if total < _JOBS_PER_HYPERPARAMETER * count:
        spelled = job.spell("MaxNumberOfTrainingJobs")
        yield Problem(
            job.limits.path("MaxNumberOfTrainingJobs"),
            f"{spelled} is few for a search of {count} hyperparameters, got {total}",
            f"search fewer hyperparameters, or raise {spelled} to {_JOBS_PER_HYPERPARAMETER * count} or more",
        )
