"""Rules about the algorithm: its image, its metrics and the objective, its own hyperparameters and input modes."""

import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache

from ..catalog import (
    Algorithm,
    Hyperparameter,
    RecognisedImage,
    TunableHyperparameter,
    image_uri,
    image_versions,
    recognise_algorithm_name,
)
from ..errors import CatalogError
from ..spec.declaration import Form, Path
from .builtins import Source, Trainer, builtin_of, repository_and_tag, trainer_of
from .finding import Severity
from .job import Definition, Job, Range, is_unknown, parse_number
from .missing import is_missing
from .quota_text import quota_fix
from .registry import API, GUIDE, Example, Problem, rule

_METRICS_PAGE = f"{GUIDE}automatic-model-tuning-define-metrics-variables.html"
_CONSOLE_PAGE = f"{GUIDE}multiple-algorithm-hpo-create-tuning-jobs.html"
_ALGORITHMS_PAGE = f"{GUIDE}algos.html"
_REGISTRY_PAGE = "https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html"
_SPECIFICATION_PAGE = f"{API}API_HyperParameterAlgorithmSpecification.html"

# Metrics of XGBoost's container that the guide's table leaves out.
# Source: https://github.com/aws/sagemaker-xgboost-container (constants/xgb_constants.py)
_MORE_METRICS = {
    "xgboost": {
        **dict.fromkeys(
            (
                "validation:aucpr",
                "validation:balanced_accuracy",
                "validation:f1_binary",
                "validation:f1_macro",
                "validation:precision",
                "validation:precision_macro",
                "validation:precision_micro",
                "validation:r2",
                "validation:recall",
                "validation:recall_macro",
                "validation:recall_micro",
            ),
            "Maximize",
        ),
        **dict.fromkeys(
            (
                "validation:aft-nloglik",
                "validation:cox-nloglik",
                "validation:gamma-deviance",
                "validation:gamma-nloglik",
                "validation:mape",
                "validation:mphe",
                "validation:poisson-nloglik",
                "validation:rmsle",
                "validation:tweedie-nloglik",
            ),
            "Minimize",
        ),
    }
}

# A range this many times beyond the recommended one is far outside it.
_FAR = 10


def _trainers(job: Job) -> Iterator[tuple[Definition, Trainer]]:
    for definition in job.definitions:
        yield definition, trainer_of(definition)


def _named(algorithm: Algorithm) -> str:
    return f"the built-in algorithm {algorithm.name}"


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.75)
    return close[0] if close else ""


@rule(
    "one-algorithm-source",
    title="a definition names exactly one of a training image and an algorithm",
    severity=Severity.ERROR,
    reason="the API's model requires one of them and excludes the other, which it cannot express",
    source=_SPECIFICATION_PAGE,
    passes="training_job_definition: {algorithm_specification: {training_input_mode: File}}",
    fails="training_job_definition: {algorithm_specification: {algorithm_name: churn-model}}",
)
def one_algorithm_source(job: Job) -> Iterator[Problem]:
    """Count the two."""
    image, name = job.spell("TrainingImage"), job.spell("AlgorithmName")
    for definition in job.definitions:
        algorithm = definition.algorithm
        has_image = bool(algorithm.raw.get("TrainingImage"))
        if has_image and "AlgorithmName" in algorithm:
            yield Problem(
                algorithm.path("AlgorithmName"),
                f"exactly one of {image} and {name} must be given, got both",
                f"remove {image} or {name}",
            )
        elif is_missing(job, algorithm, "AlgorithmName") and (
            algorithm.raw.get("TrainingImage") == "" or is_missing(job, algorithm, "TrainingImage")
        ):
            yield Problem(
                algorithm.path("TrainingImage"),
                f"exactly one of {image} and {name} must be given, got none",
                f"add {image} with the URI of an image, or {name}",
            )


@rule(
    "marketplace-isolated",
    title="an algorithm of the Marketplace runs in network isolation",
    severity=Severity.ERROR,
    reason="the guide's page on creating tuning jobs: network isolation is required for products of AWS Marketplace",
    source=_CONSOLE_PAGE,
    passes="training_job_definition: {enable_network_isolation: true}",
    fails=(
        "training_job_definition: {algorithm_specification: {training_image: null, algorithm_name: "
        "'arn:aws:sagemaker:us-east-1:865070037744:algorithm/trees-15423055-57b73412d2e93e9239e4e16f83298b8f'}}"
    ),
)
def marketplace_isolated(job: Job) -> Iterator[Problem]:
    """Look for Marketplace algorithms with a network."""
    spelled = job.spell("EnableNetworkIsolation")
    for definition in job.definitions:
        name = definition.algorithm.text("AlgorithmName")
        stated = definition.raw.get("EnableNetworkIsolation")
        if name is None or (stated is not None and stated is not False):
            continue
        if not recognise_algorithm_name(name).marketplace:
            continue
        yield Problem(
            definition.path("EnableNetworkIsolation"),
            f"{spelled} must be true for an algorithm of AWS Marketplace, got {'none' if stated is None else 'false'}",
            f"write {spelled}: true",
        )


@rule(
    "metric-definitions-count",
    title="the number of metrics is within the quota",
    severity=Severity.QUOTA,
    reason="the guide's page on creating tuning jobs allows 20 metrics, although the API's list holds 40",
    source=f"{GUIDE}automatic-model-tuning-limits.html",
    passes="training_job_definition: {algorithm_specification: {training_input_mode: File}}",
    fails=Example(
        "{objective: {metric_name: b}, training_job_definition: {algorithm_specification: {"
        "training_image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:7', "
        "metric_definitions: {a: 'a=(.*?);', b: 'b=(.*?);', c: 'c=(.*?);'}}}}",
        quotas={"metric_definitions": 2},
    ),
)
def metric_definitions_count(job: Job) -> Iterator[Problem]:
    """Count the metrics of each definition."""
    spelled, quota = job.spell("MetricDefinitions"), job.quotas.metric_definitions
    for definition, trainer in _trainers(job):
        count = len(definition.algorithm.structures("MetricDefinitions"))
        if count > quota and trainer.source is not Source.BUILT_IN:
            yield Problem(
                definition.algorithm.path("MetricDefinitions"),
                f"{spelled} must be at most {quota} metrics, got {count}",
                quota_fix(f"remove {count - quota} of them", "metric_definitions", count),
            )


@rule(
    "metric-definitions-own",
    title="own containers define their metrics, built-in algorithms define none",
    severity=Severity.ERROR,
    reason=(
        "the service reads an own container's metrics from its log, and answers those of a built-in algorithm's image, "
        'in script mode too, with "You can\'t override the metric definitions for Amazon SageMaker algorithms"'
    ),
    source=_METRICS_PAGE,
    passes="training_job_definition: {algorithm_specification: {training_input_mode: File}}",
    fails="training_job_definition: {algorithm_specification: {metric_definitions: {'validation:auc': 'auc=(.*?);'}}}",
)
def metric_definitions_own(job: Job) -> Iterator[Problem]:
    """Compare the kind of the algorithm with the metrics given."""
    spelled = job.spell("MetricDefinitions")
    for definition, trainer in _trainers(job):
        algorithm = definition.algorithm
        path = algorithm.path("MetricDefinitions")
        stated = algorithm.raw.get("MetricDefinitions")
        if trainer.builtin is not None:
            # Describe shows the metrics that the service itself has filled in.
            if isinstance(stated, list | tuple) and stated and job.declaration.form is not Form.DESCRIBE:
                yield Problem(
                    path,
                    f"{spelled} must not be given for {_named(trainer.builtin)}, got {len(stated)}",
                    f"remove {spelled}; the algorithm's own metrics are there without it",
                )
        elif trainer.source in {Source.OWN, Source.FRAMEWORK} and (
            stated in ([], ()) or is_missing(job, algorithm, "MetricDefinitions")
        ):
            what = "an own container" if trainer.source is Source.OWN else "a script in a framework's image"
            yield Problem(
                path,
                f"{spelled} must define the metrics of {what}, the objective among them; got none",
                f"add {spelled} with a name and a regex that reads the value from the log",
            )


@rule(
    "objective-defined",
    title="the objective is one of the algorithm's metrics",
    severity=Severity.ERROR,
    reason=(
        "the service ranks training jobs by a metric that it knows: one of the definition's own, or one that the "
        'built-in algorithm emits; otherwise it answers "A metric is required for this hyperparameter tuning job '
        'objective"'
    ),
    source=_METRICS_PAGE,
    passes="objective: {metric_name: 'validation:logloss', type: Minimize}",
    fails="objective: {metric_name: 'validation:auk'}",
)
def objective_defined(job: Job) -> Iterator[Problem]:
    """Look the objective's metric up."""
    for definition, trainer in _trainers(job):
        name = definition.objective.text("MetricName")
        if not name or is_unknown(name):
            continue
        path = definition.objective.path("MetricName")
        if trainer.builtin is not None:
            yield from _builtin_objective(job, trainer.builtin, name, path)
        elif trainer.source in {Source.OWN, Source.FRAMEWORK}:
            yield from _own_objective(job, definition, name, path)


def _builtin_objective(job: Job, algorithm: Algorithm, name: str, path: Path) -> Iterator[Problem]:
    spelled = job.spell("MetricName")
    known = {**_MORE_METRICS.get(algorithm.name, {}), **algorithm.objective_metrics}
    if name in known:
        return
    if not algorithm.objective_metrics:
        yield Problem(
            path,
            f"{_named(algorithm)} has no documented objective metric, got {spelled} {name!r}",
            "tune another algorithm, or make sure that this one emits the metric",
            Severity.WARNING,
        )
        return
    documented = ", ".join(algorithm.objective_metrics)
    meant = _meant(name, known)
    yield Problem(
        path,
        f"{spelled} must be one of the metrics of {_named(algorithm)}: {documented}; got {name!r}",
        f"write {meant}" if meant else "choose one of these metrics",
        # The log has them, but whether the service takes them as an objective is not documented.
        Severity.WARNING if name.startswith("train:") else None,
    )


def _own_objective(job: Job, definition: Definition, name: str, path: Path) -> Iterator[Problem]:
    metrics = [metric.text("Name") for metric in definition.algorithm.structures("MetricDefinitions")]
    names = [metric for metric in metrics if metric]
    # No metrics at all, or one without a readable name, is another rule's.
    if not metrics or len(names) < len(metrics) or name in names or any(map(is_unknown, names)):
        return
    meant = _meant(name, names)
    spelled = job.spell("MetricDefinitions")
    yield Problem(
        path,
        f"{job.spell('MetricName')} must be one of the {spelled} {', '.join(names)}; got {name!r}",
        f"write {meant or names[0]}, or add {name} to {spelled}",
    )


@rule(
    "objective-direction",
    title="a built-in metric is optimized in its own direction",
    severity=Severity.WARNING,
    reason="an error to be maximized, or an accuracy to be minimized, makes the worst training job the best one",
    source=_ALGORITHMS_PAGE,
    passes="objective: {metric_name: 'validation:error', type: Minimize}",
    fails="objective: {type: Minimize}",
)
def objective_direction(job: Job) -> Iterator[Problem]:
    """Compare the objective's type with the metric's documented direction."""
    for definition in job.definitions:
        algorithm = builtin_of(definition)
        if algorithm is None:
            continue
        name, stated = definition.objective.text("MetricName"), definition.objective.text("Type")
        known = {**_MORE_METRICS.get(algorithm.name, {}), **algorithm.objective_metrics}
        wanted = known.get(name or "")
        if wanted is not None and stated in {"Maximize", "Minimize"} and stated != wanted:
            yield Problem(
                definition.objective.path("Type"),
                f"{job.spell('Type')} of the objective {name} should be {wanted}, got {stated}",
                f"write {wanted}",
            )


# What Java's regular expressions have and Python's do not, or spell otherwise: the service's engine is not
# documented, so such an expression is not called wrong.
_FOREIGN = re.compile(r"\\[pPQEhHRXGzkKxcNe]|\(\?<[A-Za-z]|&&|(?<!\\)\[[^\]]*\[|\(\?[a-z]*-?[a-z]+[:)]")
# Messages of Python's compiler about what other engines allow.
_PYTHON_ONLY = ("look-behind requires", "bad escape \\", "unknown extension", "global flags", "unknown group name")
# Numbers of several lengths, to ask an expression whether it captures any.
_NUMBERS = [text[:size] for text in ("12345678", "0.1234567", "-0.1234567") for size in range(1, 10)]
_CAN_BE_A_DIGIT = re.compile(r"[0-9.]|\\[dSwDWp]|\[\^")


@rule(
    "metric-regex",
    title="a metric's regular expression compiles and captures one number; names are unique",
    severity=Severity.ERROR,
    reason=(
        "the service searches the log with the expression and takes what its group captures, so an expression that "
        "is wrong is found after the first training job only; the guide writes one group for each metric. The engine "
        "is not documented: what only some engines accept is a warning, and so is a second group, since examples "
        "with one run"
    ),
    source=_METRICS_PAGE,
    passes=(
        "{objective: {metric_name: loss, type: Minimize}, training_job_definition: {algorithm_specification: {"
        "training_image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:7', "
        "metric_definitions: {loss: 'Loss = (.*?);'}}}}"
    ),
    fails=(
        "{objective: {metric_name: loss, type: Minimize}, training_job_definition: {algorithm_specification: {"
        "training_image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:7', "
        "metric_definitions: {loss: 'Loss = (.*?;'}}}}"
    ),
)
def metric_regex(job: Job) -> Iterator[Problem]:
    """Compile each expression, count its groups and compare the names."""
    for definition in job.definitions:
        names: set[str] = set()
        for metric in definition.algorithm.structures("MetricDefinitions"):
            name, regex = metric.text("Name"), metric.text("Regex")
            if name and not is_unknown(name):
                if name in names:
                    yield Problem(
                        metric.path("Name"),
                        f"names of {job.spell('MetricDefinitions')} must be unique, got {name!r} twice",
                        "rename one of the two metrics, or remove it",
                    )
                names.add(name)
            if not regex or is_unknown(regex):
                continue
            fault = _regex_fault(regex)
            if fault is not None:
                message, fix, severity = fault
                yield Problem(
                    metric.path("Regex"), f"{job.spell('Regex')} of {name or 'a metric'} {message}", fix, severity
                )


@lru_cache(maxsize=1024)
def _regex_fault(regex: str) -> tuple[str, str, Severity | None] | None:
    """What is wrong with an expression: message, fix, severity."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        return _refused(regex, error)
    if compiled.groups == 0:
        return (
            f"must have one capturing group for the value, got none in {regex!r}",
            "put parentheses around the part that is the number",
            # With look-around the whole match may be meant as the value.
            Severity.WARNING if "(?" in regex else None,
        )
    if compiled.groups > 1:
        return (
            f"should have one capturing group, got {compiled.groups} in {regex!r}",
            "write the groups that are not the value as (?:...)",
            Severity.WARNING,
        )
    group = _group_text(regex)
    if group is not None and not _captures_number(group):
        return (
            f"must capture a number, got ({group})",
            "let the group match digits, such as ([0-9.]+)",
            Severity.WARNING,
        )
    return None


def _refused(regex: str, error: Exception) -> tuple[str, str, Severity | None]:
    reason = str(error)
    doubtful = _FOREIGN.search(regex) is not None or reason.startswith(_PYTHON_ONLY)
    if reason.startswith("multiple repeat") and isinstance(error, re.error) and error.pos is not None:
        doubtful = doubtful or regex[error.pos : error.pos + 1] == "{"
    if doubtful:
        return (
            f"uses what not every engine of regular expressions accepts ({reason}), got {regex!r}",
            "write it without special constructs, such as loss=([0-9.]+)",
            Severity.WARNING,
        )
    return f"must be a regular expression ({reason}), got {regex!r}", "mend the expression", None


def _group_text(regex: str) -> str | None:
    """What stands in the one capturing group of an expression; None when the expression has more to it."""
    start, depth, class_start, i = -1, 0, -1, 0
    while i < len(regex):
        char = regex[i]
        if char == "\\":
            i += 2
            continue
        if class_start >= 0:
            # A bracket that stands first in a class is a member of it.
            if char == "]" and regex[class_start + 1 : i] not in {"", "^"}:
                class_start = -1
        elif char == "[":
            class_start = i
        elif char == "(":
            named = regex.startswith("(?P<", i)
            if start < 0 and (named or not regex.startswith("(?", i)):
                start, depth = (regex.index(">", i) if named else i) + 1, 0
            elif start >= 0:
                depth += 1
        elif char == ")" and start >= 0:
            if depth == 0:
                return regex[start:i]
            depth -= 1
        i += 1
    return None


def _captures_number(group: str) -> bool:
    if _CAN_BE_A_DIGIT.search(group):
        return True
    try:
        compiled = re.compile(group)
    except re.error:
        return True
    return any(compiled.fullmatch(number) for number in _NUMBERS)


@rule(
    "builtin-hyperparameter",
    title="hyperparameters are those that the built-in algorithm has, with its types",
    severity=Severity.ERROR,
    reason=(
        "the service knows what its algorithms take and refuses to search anything else, in script mode too "
        "(sagemaker-python-sdk issue 2226); a static name that the guide does not list is a warning, because "
        "XGBoost's table is a part of what its container takes, and so is one that is documented, but not as tunable: "
        "the guide itself searches XGBoost's tree_method"
    ),
    source=_ALGORITHMS_PAGE,
    passes="hyperparameter_ranges: {subsample: {type: Continuous, min_value: 0.5, max_value: 1}}",
    fails="hyperparameter_ranges: {max_deph: {type: Integer, min_value: 3, max_value: 9}}",
)
def builtin_hyperparameter(job: Job) -> Iterator[Problem]:
    """Look every hyperparameter of a built-in algorithm up."""
    for definition, trainer in _trainers(job):
        algorithm = trainer.builtin
        if algorithm is None:
            continue
        for searched in definition.ranges:
            # Names with an underscore are the service's own: another rule's.
            if searched.name and not is_unknown(searched.name) and not searched.name.startswith("_"):
                yield from _searched(algorithm, searched)
        if not trainer.script_mode:
            yield from _static(job, definition, algorithm)
            yield from _required(job, definition, algorithm)


def _searched(algorithm: Algorithm, searched: Range) -> Iterator[Problem]:
    name, path = searched.name, (*searched.place, "Name")
    known, tunable = algorithm.known.get(name), algorithm.tunable.get(name)
    if known is None and tunable is None:
        meant = _meant(name, [*algorithm.tunable, *algorithm.known])
        yield Problem(
            path,
            f"{name} is not a hyperparameter of {_named(algorithm)}; tunable: {', '.join(algorithm.tunable) or 'none'}",
            f"write {meant}" if meant else f"remove the range of {name}",
        )
        return
    mismatch = _type_mismatch(algorithm, searched, known, tunable)
    if mismatch is not None:
        yield mismatch
    elif tunable is None:
        yield Problem(
            path,
            f"{name} is not documented as tunable for {_named(algorithm)}; "
            f"tunable: {', '.join(algorithm.tunable) or 'none'}",
            f"put {name} under the static hyperparameters, or make sure that the service takes it",
            Severity.WARNING,
        )


def _type_mismatch(
    algorithm: Algorithm,
    searched: Range,
    known: Hyperparameter | None,
    tunable: TunableHyperparameter | None,
) -> Problem | None:
    name, kind = searched.name, searched.kind
    types = {item.type for item in (known, tunable) if item is not None and item.type is not None}
    if not types or kind in types or kind == "Auto":
        return None
    wanted = tunable.type if tunable is not None else next(iter(types))
    if kind in {"Continuous", "Integer"}:
        # A whole number is a number: that the service insists on the type is not documented.
        severity = Severity.WARNING if kind == "Integer" and "Continuous" in types else None
        return Problem(
            searched.place,
            f"{name} of {_named(algorithm)} takes {_kind_words(wanted)}, got {_article(kind)} {kind} range",
            f"declare the range as {wanted}" if wanted != "Text" else f"list the values of {name}",
            severity,
        )
    return _value_mismatch(algorithm, searched, known, types)


def _value_mismatch(
    algorithm: Algorithm, searched: Range, known: Hyperparameter | None, types: Collection[str]
) -> Problem | None:
    """A value of a categorical range that a numeric hyperparameter cannot take."""
    if "Text" in types or "Categorical" in types:
        return None
    words = {word.lower() for word in (*known.also, *known.choices)} if known is not None else set()
    whole = "Continuous" not in types
    for index, value in enumerate(searched.values):
        number = parse_number(value.strip('"'))
        fits = number is not None and (not whole or number.is_integer())
        if not fits and value.strip('"').lower() not in words and not is_unknown(value):
            wanted = "whole numbers" if whole else "numbers"
            return Problem(
                (*searched.place, "Values", index),
                f"values of {searched.name} of {_named(algorithm)} should be {wanted}, got {value!r}",
                f"write {wanted}",
                Severity.WARNING,
            )
    return None


def _kind_words(kind: str) -> str:
    return {"Integer": "whole numbers", "Continuous": "numbers", "Categorical": "one of its values"}.get(kind, "a text")


def _article(word: str) -> str:
    return "an" if word[0] in "AEIOU" else "a"


def _static(job: Job, definition: Definition, algorithm: Algorithm) -> Iterator[Problem]:
    static = definition.structure("StaticHyperParameters")
    for name in map(str, static.raw):
        if name in algorithm.known or name in algorithm.tunable or is_unknown(name):
            continue
        if name.startswith(("_", "sagemaker_")):
            continue
        meant = _meant(name, [*algorithm.known, *algorithm.tunable])
        also = "" if algorithm.known_complete else ", which documents a part of what it takes"
        yield Problem(
            static.path(name),
            f"{name} is not a documented hyperparameter of {_named(algorithm)}{also}",
            f"write {meant}" if meant else f"remove {name} from {job.spell('StaticHyperParameters')}",
            Severity.WARNING,
        )


def _required(job: Job, definition: Definition, algorithm: Algorithm) -> Iterator[Problem]:
    # With autotune the service may choose what is left out; what could not be read may be the one that is missing.
    if job.autotune or job.declaration.faults:
        return
    static = definition.structure("StaticHyperParameters")
    if not static.present and not is_missing(job, definition, "StaticHyperParameters"):
        return
    given = {*map(str, static.raw), *(searched.name for searched in definition.ranges)}
    if any(map(is_unknown, given)):
        return
    misspelled = given - {*algorithm.known, *algorithm.tunable}
    wanted = dict.fromkeys(algorithm.required, "")
    for item in algorithm.required_when:
        value = static.raw.get(item.when)
        if value is not None and not is_unknown(value) and (not item.values or str(value).strip('"') in item.values):
            wanted.setdefault(item.name, f" when {item.when} is {value}")
    for name, condition in wanted.items():
        # A misspelled name is one fault.
        if name in given or get_close_matches(name, misspelled, n=1, cutoff=0.75):
            continue
        yield Problem(
            static.path(name),
            f"{name} is required by {_named(algorithm)}{condition}, got none",
            f"add {name} to {job.spell('StaticHyperParameters')}, or search it",
        )


@rule(
    "range-width-advice",
    title="a built-in algorithm's range is near the recommended one",
    severity=Severity.WARNING,
    reason=(
        "the guide recommends a range for each tunable hyperparameter, and its best practices advise small ranges: "
        "training jobs far outside are mostly lost, and outside of the documented values they fail"
    ),
    source=f"{GUIDE}automatic-model-tuning-considerations.html",
    passes="hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.05, max_value: 0.5}}",
    fails="hyperparameter_ranges: {max_depth: {type: Integer, min_value: 3, max_value: 500}}",
)
def range_width_advice(job: Job) -> Iterator[Problem]:
    """Compare ranges with the documented and the recommended ones."""
    for definition, trainer in _trainers(job):
        # A script may give the names its own meaning.
        if trainer.builtin is None or trainer.script_mode:
            continue
        for searched in definition.ranges:
            low, high = searched.low, searched.high
            if low is None or high is None or low >= high:
                continue
            known = trainer.builtin.known.get(searched.name)
            tunable = trainer.builtin.tunable.get(searched.name)
            outside = _outside(low, high, known, tunable)
            if outside is not None:
                yield Problem(
                    searched.place,
                    f"the range of {searched.name} is outside of what {_named(trainer.builtin)} {outside}, "
                    f"got {searched.low_text} to {searched.high_text}",
                    f"narrow the range of {searched.name}",
                )


def _outside(
    low: float, high: float, known: Hyperparameter | None, tunable: TunableHyperparameter | None
) -> str | None:
    """What a range is outside of, in words; None when it is not."""
    least, most = (tunable.min, tunable.max) if tunable is not None else (None, None)
    if least is not None and most is not None and least <= low and high <= most:
        return None
    if known is not None:
        below = known.min is not None and (low < known.min or (known.min_exclusive and low == known.min))
        above = known.max is not None and (high > known.max or (known.max_exclusive and high == known.max))
        # A bound that only touches an excluded value is too fine a point for a table.
        if (below and low != known.min) or (above and high != known.max):
            bounds = [
                f"from {known.min:g}" if known.min is not None else "",
                f"up to {known.max:g}" if known.max is not None else "",
            ]
            return f"allows ({' '.join(filter(None, bounds))})"
    if least is None or most is None:
        return None
    far_above = most > 0 and high > most * _FAR
    far_below = (least > 0 and 0 < low < least / _FAR) or (least >= 0 > low)
    return f"is recommended to search ({least:g} to {most:g})" if far_above or far_below else None


@rule(
    "csv-file-mode",
    title="CSV data from S3 is read in File mode",
    severity=Severity.WARNING,
    reason="the guide's page on creating tuning jobs: for data in a .CSV file from Amazon S3, select File",
    source=_CONSOLE_PAGE,
    passes="training_job_definition: {algorithm_specification: {training_input_mode: FastFile}}",
    fails="training_job_definition: {input_data_config: {train: {input_mode: Pipe}}}",
)
def csv_file_mode(job: Job) -> Iterator[Problem]:
    """Look for CSV channels in Pipe mode."""
    for definition in job.definitions:
        algorithm = builtin_of(definition)
        if algorithm is not None and "Pipe" not in algorithm.input_modes:
            continue  # input-mode-supported
        general = definition.algorithm.text("TrainingInputMode")
        told = False
        for channel in definition.structures("InputDataConfig"):
            own = channel.text("InputMode")
            is_csv = (channel.text("ContentType") or "").partition(";")[0].strip().lower() == "text/csv"
            in_s3 = "S3DataSource" in channel.structure("DataSource")
            if not (is_csv and in_s3) or (own or general) != "Pipe" or (told and own is None):
                continue
            told = told or own is None
            member = "InputMode" if own else "TrainingInputMode"
            yield Problem(
                channel.path(member) if own else definition.algorithm.path(member),
                f"{job.spell(member)} should be File for the CSV data of channel "
                f"{channel.text('ChannelName') or 'without a name'}, got Pipe",
                f"write {job.spell(member)}: File",
            )


@rule(
    "input-mode-supported",
    title="the built-in algorithm reads its data in the input mode",
    severity=Severity.WARNING,
    reason=(
        "the guide's table of built-in algorithms lists the modes of each; it is older than FastFile, which shows "
        "files like File does and is not reported"
    ),
    source=f"{GUIDE}common-info-all-im-models.html",
    passes="training_job_definition: {algorithm_specification: {training_input_mode: FastFile}}",
    fails=(
        "{objective: {metric_name: 'validation:accuracy'}, hyperparameter_ranges: {eta: null, max_depth: null, "
        "learning_rate: {type: Continuous, min_value: 0.001, max_value: 0.1}}, "
        "training_job_definition: {algorithm_specification: {training_input_mode: Pipe, "
        "training_image: '382416733822.dkr.ecr.us-east-1.amazonaws.com/object2vec:1'}, "
        "static_hyperparameters: {num_round: null, objective: null, eval_metric: null, "
        "enc0_max_seq_len: 100, enc0_vocab_size: 5000}}}"
    ),
)
def input_mode_supported(job: Job) -> Iterator[Problem]:
    """Compare the input modes with the algorithm's documented ones."""
    for definition in job.definitions:
        algorithm = builtin_of(definition)
        if algorithm is None or not algorithm.input_modes:
            continue
        supported = {*algorithm.input_modes, "FastFile"} if "File" in algorithm.input_modes else algorithm.input_modes
        channels = definition.structures("InputDataConfig")
        general = definition.algorithm.text("TrainingInputMode")
        places = [(channel.path("InputMode"), "InputMode", channel.text("InputMode")) for channel in channels]
        if not channels or any(mode is None for _, _, mode in places):
            places.append((definition.algorithm.path("TrainingInputMode"), "TrainingInputMode", general))
        for path, member, mode in places:
            if mode in {"File", "Pipe", "FastFile"} and mode not in supported:
                modes = " or ".join(algorithm.input_modes)
                yield Problem(
                    path,
                    f"{job.spell(member)} of {_named(algorithm)} should be {modes}, got {mode}",
                    f"write {job.spell(member)}: {algorithm.input_modes[0]}",
                )


@rule(
    "image-region",
    title="an image of AWS comes from the registry of its region",
    severity=Severity.ERROR,
    reason=(
        "AWS publishes its images from another account in almost every region, and SageMaker pulls from the region "
        "that it runs in: an image of one region does not train in another"
    ),
    source=_REGISTRY_PAGE,
    passes=(
        "training_job_definition: {algorithm_specification: "
        "{training_image: '246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1'}}"
    ),
    fails=(
        "training_job_definition: {algorithm_specification: "
        "{training_image: '683313688378.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1'}}"
    ),
)
def image_region(job: Job) -> Iterator[Problem]:
    """Look registries up, and compare the regions of a job's images."""
    first: tuple[str, str] | None = None
    for definition, trainer in _trainers(job):
        image = trainer.image
        if image is None or not image.account_known or trainer.source not in {Source.BUILT_IN, Source.FRAMEWORK}:
            continue
        path, spelled = definition.algorithm.path("TrainingImage"), job.spell("TrainingImage")
        if image.region is None:
            yield Problem(
                path,
                f"{spelled} names the registry account {image.account} for a region that is known at deployment only",
                "make sure that the account is the one of the region; it differs from region to region",
                Severity.UNKNOWN,
            )
        elif image.registry_fits is False:
            right = _published_as(image)
            yield Problem(
                path,
                f"{spelled} names the registry account {image.account}, from which AWS publishes no {image.name} "
                f"in {image.region}" + ("" if right else " as far as the catalog knows"),
                f"write the account and region of {right}"
                if right
                else f"take the account of {image.name} in {image.region} from the page below",
                # A region that is newer than the catalog
                None if right else Severity.UNKNOWN,
            )
        elif first is None:
            first = (image.region, definition.label)
        elif image.region != first[0]:
            yield Problem(
                path,
                f"{spelled} must be of one region in a tuning job, got {image.region} and, for {first[1]}, {first[0]}",
                f"take the image of {first[0]}",
            )


def _published_as(image: RecognisedImage) -> str | None:
    """The URI that AWS publishes an image's algorithm or framework under in its region; None when not known."""
    try:
        return image_uri(image.name, image.region or "", image.version, "ml.m5.xlarge")
    except CatalogError:
        return None


@rule(
    "image-tag-latest",
    title="the image's tag names a version that stays",
    severity=Severity.WARNING,
    reason=(
        "a moving tag makes two runs of one declaration train with different code; the guide's page on XGBoost says "
        "not to use :latest and :1"
    ),
    source=_REGISTRY_PAGE,
    passes=(
        "training_job_definition: {algorithm_specification: "
        "{training_image: '683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1'}}"
    ),
    fails=(
        "training_job_definition: {algorithm_specification: "
        "{training_image: '811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest'}}"
    ),
)
def image_tag_latest(job: Job) -> Iterator[Problem]:
    """Look for tags that move."""
    for definition, trainer in _trainers(job):
        text, image = definition.algorithm.text("TrainingImage"), trainer.image
        if not text or trainer.source not in {Source.BUILT_IN, Source.FRAMEWORK, Source.OWN}:
            continue
        _, tag, digest = repository_and_tag(text)
        published = image is not None and trainer.source is not Source.OWN
        # An algorithm that AWS publishes under one tag only has nothing to pin; an own tag of 1 is the owner's word.
        moving = image.moving and image.pinnable if image is not None and published else tag in {"", "latest"}
        if digest or not moving or "${" in tag:
            continue
        pin = "a version's tag or a digest"
        if image is not None and image.pinnable and trainer.source is Source.BUILT_IN:
            pin = f"a version such as {image_versions(image.name)[-1]}"
        yield Problem(
            definition.algorithm.path("TrainingImage"),
            f"{job.spell('TrainingImage')} should name a version, got {f'the tag {tag}' if tag else 'no tag'}",
            f"pin {pin}",
        )
