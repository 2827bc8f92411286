"""Rules about the search: its strategy, its resource limits and when it ends."""

import math
from collections.abc import Iterator

from .builtins import builtin_of
from .finding import Severity
from .instances import node_count
from .job import RANGE_KINDS, Definition, Job, is_unknown, parse_number
from .missing import is_missing
from .quota_text import quota_fix
from .registry import API, GUIDE, Example, Problem, rule

_LIMITS_PAGE = f"{GUIDE}automatic-model-tuning-limits.html"
_STRATEGIES_PAGE = f"{GUIDE}automatic-model-tuning-how-it-works.html"
_ADVICE_PAGE = f"{GUIDE}automatic-model-tuning-considerations.html"
_RANGES_PAGE = f"{GUIDE}automatic-model-tuning-define-ranges.html"
_MULTI_ALGORITHM_PAGE = f"{GUIDE}multiple-algorithm-hpo-create-tuning-jobs.html"
_RESOURCE_LIMITS_PAGE = f"{API}API_ResourceLimits.html"
_HYPERBAND_PAGE = f"{API}API_HyperbandStrategyConfig.html"

_PARALLEL, _TOTAL = "MaxParallelTrainingJobs", "MaxNumberOfTrainingJobs"
_EARLY_STOPPING = "TrainingJobEarlyStoppingType"
# What AWS raises a quota to, by the guide's page of limits.
_PARALLEL_RAISABLE_TO = 100
_RANDOM_TOTAL_RAISABLE_TO = 10_000


def _day_text(seconds: int) -> str:
    days = seconds / 86_400
    return f"{days:g} days" if days != 1 else "1 day"


@rule(
    "parallel-at-most-total",
    title="no more training jobs run at the same time than in all",
    severity=Severity.ERROR,
    reason=(
        "more training jobs at once than in all cannot be: one of the two numbers is a slip. The pages on resource "
        "limits name both maxima and no relation between them, and no answer of the service is on record; the "
        "examples of AWS never ask for more at once than in all"
    ),
    source=_RESOURCE_LIMITS_PAGE,
    passes="resource_limits: {max_parallel_training_jobs: 2, max_number_of_training_jobs: 6}",
    fails="resource_limits: {max_parallel_training_jobs: 2, max_number_of_training_jobs: 1}",
)
def parallel_at_most_total(job: Job) -> Iterator[Problem]:
    """Compare the two numbers."""
    parallel, total = job.limits.whole(_PARALLEL), job.limits.whole(_TOTAL)
    if parallel is not None and total is not None and parallel > total >= 1:
        spelled = job.spell(_PARALLEL)
        yield Problem(
            job.limits.path(_PARALLEL),
            f"{spelled} must be <= {job.spell(_TOTAL)}, got {parallel} > {total}",
            f"lower {spelled} to {total} or less",
        )


@rule(
    "parallel-training-jobs",
    title="the training jobs at the same time are within the quota",
    severity=Severity.QUOTA,
    reason="an account allows a tuning job 10 training jobs at the same time by default; AWS raises it to 100 at most",
    source=_LIMITS_PAGE,
    passes=Example(
        "resource_limits: {max_parallel_training_jobs: 4, max_number_of_training_jobs: 12}\n"
        "training_job_definition: {resource_config: {instance_count: 4}}",
        quotas={"parallel_training_jobs": 4},
    ),
    fails=Example(
        "resource_limits: {max_parallel_training_jobs: 12, max_number_of_training_jobs: 100}\n"
        "training_job_definition: {resource_config: {instance_count: 1}}",
    ),
)
def parallel_training_jobs(job: Job) -> Iterator[Problem]:
    """Compare with the quota."""
    parallel, quota = job.limits.whole(_PARALLEL), job.quotas.parallel_training_jobs
    if parallel is not None and parallel > quota:
        spelled = job.spell(_PARALLEL)
        action = f"lower {spelled} to {quota} or less"
        yield Problem(
            job.limits.path(_PARALLEL),
            f"{spelled} must be at most {quota}, the account's quota, got {parallel}",
            quota_fix(action, "parallel_training_jobs", parallel, _PARALLEL_RAISABLE_TO),
        )


@rule(
    "total-training-jobs",
    title="the training jobs of a tuning job are within the quota",
    severity=Severity.QUOTA,
    reason=(
        "an account allows a tuning job 500 training jobs by the older edition of the guide and 750 by the present "
        "one; for random search AWS raises it to 10,000 at most"
    ),
    source=_LIMITS_PAGE,
    passes="resource_limits: {max_number_of_training_jobs: 500}",
    fails="resource_limits: {max_number_of_training_jobs: 501}",
)
def total_training_jobs(job: Job) -> Iterator[Problem]:
    """Compare with the quota."""
    total, quota = job.limits.whole(_TOTAL), job.quotas.training_jobs_of(job.strategy)
    if total is not None and total > quota:
        spelled = job.spell(_TOTAL)
        most = _RANDOM_TOTAL_RAISABLE_TO if job.strategy == "Random" else None
        own = job.strategy == "Random" and job.quotas.random_training_jobs is not None
        stated = "random_training_jobs" if own else "training_jobs"
        yield Problem(
            job.limits.path(_TOTAL),
            f"{spelled} must be at most {quota:,}, the account's quota, got {total:,}",
            quota_fix(f"lower {spelled} to {quota} or less", stated, total, most),
        )


@rule(
    "tuning-run-time",
    title="the longest run of a tuning job is within the quota",
    severity=Severity.QUOTA,
    reason="a tuning job may run 30 days by the guide, though the API's own model takes numbers up to half a year",
    source=_LIMITS_PAGE,
    passes="resource_limits: {max_runtime_in_seconds: 2592000}",
    fails="resource_limits: {max_runtime_in_seconds: 2592001}",
)
def tuning_run_time(job: Job) -> Iterator[Problem]:
    """Compare with the quota."""
    seconds, quota = job.limits.whole("MaxRuntimeInSeconds"), job.quotas.tuning_job_runtime_in_seconds
    if seconds is not None and seconds > quota:
        spelled = job.spell("MaxRuntimeInSeconds")
        yield Problem(
            job.limits.path("MaxRuntimeInSeconds"),
            f"{spelled} of a tuning job must be at most {quota:,} seconds ({_day_text(quota)}), the account's quota, "
            f"got {seconds:,}",
            quota_fix(f"lower {spelled} to {quota} or less", "tuning_job_runtime_in_seconds", seconds),
        )


@rule(
    "total-jobs-stated",
    title="the number of training jobs is stated, unless it follows from a grid or autotune chooses it",
    severity=Severity.ERROR,
    reason=(
        "the API's model leaves it open because a grid's size follows from its values and autotune chooses limits; "
        "for every other search it is asked for, and the SageMaker Python SDK writes 1 where its user gives none"
    ),
    source=_RESOURCE_LIMITS_PAGE,
    passes="resource_limits: {max_number_of_training_jobs: 12}",
    fails="resource_limits: {max_number_of_training_jobs: null}",
)
def total_jobs_stated(job: Job) -> Iterator[Problem]:
    """Look for the number."""
    if job.autotune or job.strategy in {None, "Grid"} or not is_missing(job, job.limits, _TOTAL):
        return
    spelled = job.spell(_TOTAL)
    yield Problem(
        job.limits.path(_TOTAL),
        f"{spelled} is required with {job.spell('Strategy')} {job.strategy}, got none",
        f"add {spelled}",
    )


@rule(
    "parallel-within-nodes",
    title="no more training jobs run at the same time than nodes are requested over all definitions",
    severity=Severity.WARNING,
    reason=(
        "the guide's page on tuning jobs for one or more algorithms says that the number of parallel jobs should not "
        "exceed the nodes requested across all training job definitions"
    ),
    source=_MULTI_ALGORITHM_PAGE,
    passes="resource_limits: {max_parallel_training_jobs: 2}",
    fails="resource_limits: {max_parallel_training_jobs: 3}",
)
def parallel_within_nodes(job: Job) -> Iterator[Problem]:
    """Compare with the sum of the instance counts."""
    parallel = job.limits.whole(_PARALLEL)
    counts = [node_count(definition) for definition in job.definitions]
    known = [count for count in counts if count is not None and count >= 1]
    if parallel is None or not counts or len(known) < len(counts):
        return
    nodes = sum(known)
    if parallel > nodes:
        spelled = job.spell(_PARALLEL)
        where = f"the nodes requested over all {len(counts)} definitions" if job.several else "the nodes requested"
        yield Problem(
            job.limits.path(_PARALLEL),
            f"{spelled} should not exceed {where}, got {parallel} > {nodes}",
            f"lower {spelled} to {nodes}, or acknowledge that every training job gets its own instances",
        )


def combinations(definition: Definition) -> int | None:
    """How many distinct combinations of hyperparameters a definition has.

    None where they are without number, or where a range is not readable or not in order, which other rules report.
    """
    if not definition.range_holder.raw.keys() <= RANGE_KINDS.keys():
        return None
    product = 1
    for searched in definition.ranges:
        if searched.kind == "Categorical" and (not searched.values or any(map(is_unknown, searched.values))):
            return None
        if searched.kind == "Integer" and (
            searched.low is None
            or searched.high is None
            or not searched.low < searched.high
            or not (searched.low.is_integer() and searched.high.is_integer())
        ):
            return None
        # Not isfinite: the widest integer range has more values than a float can say.
        if searched.count == math.inf:
            return None
        product *= int(searched.count)
    return product if definition.ranges else None


def all_combinations(job: Job) -> int | None:
    """The distinct combinations of all definitions together; None where those of one are not known."""
    # A template's range that could not be read is not among the ranges.
    counts = [] if job.declaration.faults else [combinations(definition) for definition in job.definitions]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


@rule(
    "enough-combinations",
    title="a finite search space has at least as many combinations as training jobs are asked for",
    severity=Severity.ERROR,
    reason=(
        "where only integers and categorical values are searched, SageMaker counts the distinct combinations and "
        'answers "You don\'t have enough combinations of hyperparameter ranges" when they are fewer than '
        "MaxNumberOfTrainingJobs"
    ),
    source="https://github.com/aws/amazon-sagemaker-operator-for-k8s/issues/123",
    passes="hyperparameter_ranges: {eta: null, max_depth: {type: Integer, min_value: 3, max_value: 22}}",
    fails="hyperparameter_ranges: {eta: null, max_depth: {type: Integer, min_value: 3, max_value: 21}}",
)
def enough_combinations(job: Job) -> Iterator[Problem]:
    """Count the combinations of a finite space."""
    total = job.limits.whole(_TOTAL)
    if total is None or job.strategy == "Grid":
        return
    count = all_combinations(job)
    if count is not None and count < total:
        spelled = job.spell(_TOTAL)
        where = "the ranges of all definitions together" if job.several else "the ranges"
        yield Problem(
            job.limits.path(_TOTAL),
            f"{spelled} must be at most {count:,}, the distinct combinations of {where}, got {total:,}",
            f"lower {spelled} to {count} or less, or widen the ranges",
        )


# Three rounds are what the guide's own example of a tuning job has: 10 training jobs, 3 at a time.
_FEWEST_ROUNDS = 3


@rule(
    "bayesian-parallel-advice",
    title=f"a Bayesian search has at least {_FEWEST_ROUNDS} rounds of training jobs to learn from",
    severity=Severity.WARNING,
    reason=(
        "Bayesian search chooses from what finished training jobs have shown, and so cannot massively scale, says the "
        "guide; with all training jobs at once it is a random search. The bound of three rounds is this library's: "
        "it is what the guide's example has, with 10 training jobs and 3 at a time"
    ),
    source=_ADVICE_PAGE,
    passes="resource_limits: {max_parallel_training_jobs: 2, max_number_of_training_jobs: 6}",
    fails="resource_limits: {max_parallel_training_jobs: 2, max_number_of_training_jobs: 5}",
)
def bayesian_parallel_advice(job: Job) -> Iterator[Problem]:
    """Compare the training jobs at once with those in all."""
    parallel, total = job.limits.whole(_PARALLEL), job.limits.whole(_TOTAL)
    if job.strategy != "Bayesian" or parallel is None or total is None or not 1 < parallel <= total:
        return
    if total < _FEWEST_ROUNDS * parallel:
        spelled, fewer = job.spell(_PARALLEL), max(1, total // _FEWEST_ROUNDS)
        yield Problem(
            job.limits.path(_PARALLEL),
            f"{spelled} of {parallel} leaves a Bayesian search of {total} training jobs fewer than {_FEWEST_ROUNDS} "
            "full rounds to learn from",
            f"lower {spelled} to {fewer}, or search with {job.spell('Strategy')} Random",
        )


@rule(
    "early-stopping-single",
    title="training jobs are stopped early with one algorithm only",
    severity=Severity.ERROR,
    reason="early stopping compares training jobs epoch by epoch and is only available when tuning a single algorithm",
    source=_MULTI_ALGORITHM_PAGE,
    passes=Example("training_job_early_stopping_type: 'Off'", several=True),
    fails=Example("training_job_early_stopping_type: Auto", several=True),
)
def early_stopping_single(job: Job) -> Iterator[Problem]:
    """Look for early stopping with several definitions."""
    # With Hyperband the same value has a finding of its own.
    if job.several and job.config.text(_EARLY_STOPPING) == "Auto" and job.strategy != "Hyperband":
        spelled = job.spell(_EARLY_STOPPING)
        yield Problem(
            job.config.path(_EARLY_STOPPING),
            f"{spelled} must be Off with several algorithms, got Auto with {len(job.definitions)} definitions",
            f"write {spelled}: Off, or tune one algorithm",
        )


@rule(
    "warm-start-single",
    title="a warm start is made with one algorithm only",
    severity=Severity.ERROR,
    reason="what parents have learned holds for one algorithm; a warm start is only available when tuning a single one",
    source=_MULTI_ALGORITHM_PAGE,
    passes="""\
warm_start_config:
  warm_start_type: TransferLearning
  parent_hyperparameter_tuning_jobs: [churn-2025]
""",
    fails=Example(
        """\
warm_start_config:
  warm_start_type: TransferLearning
  parent_hyperparameter_tuning_jobs: [churn-2025]
""",
        several=True,
    ),
)
def warm_start_single(job: Job) -> Iterator[Problem]:
    """Look for a warm start with several definitions."""
    if job.several and "WarmStartConfig" in job:
        spelled = job.spell("WarmStartConfig")
        yield Problem(
            job.path("WarmStartConfig"),
            f"{spelled} must not be given with several algorithms, got it with {len(job.definitions)} definitions",
            f"remove {spelled}, or tune one algorithm",
        )


@rule(
    "early-stopping-support",
    title="early stopping is asked for where the algorithm reports its objective after every epoch",
    severity=Severity.WARNING,
    reason=(
        "early stopping compares the objective after each epoch; the guide lists the built-in algorithms that emit "
        "it, linear learner with objective_loss only, and says that others may follow"
    ),
    source=f"{GUIDE}automatic-model-tuning-early-stopping.html",
    passes="training_job_early_stopping_type: Auto",
    fails="""\
training_job_early_stopping_type: Auto
objective: {metric_name: "test:msd", type: Minimize}
hyperparameter_ranges:
  eta: null
  max_depth: null
  extra_center_factor: {type: Integer, min_value: 4, max_value: 10}
  mini_batch_size: {type: Integer, min_value: 3000, max_value: 15000}
training_job_definition:
  algorithm_specification: {training_image: "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"}
  static_hyperparameters: {num_round: null, objective: null, eval_metric: null, k: 5, feature_dim: 8}
  input_data_config: {validation: null, test: {s3_uri: "s3://example-data/churn/test/", content_type: text/csv}}
""",
)
def early_stopping_support(job: Job) -> Iterator[Problem]:
    """Look the algorithm and its objective up."""
    if job.config.text(_EARLY_STOPPING) != "Auto" or len(job.definitions) != 1 or job.strategy == "Hyperband":
        return
    definition = job.definitions[0]
    algorithm, metric = builtin_of(definition), definition.objective.text("MetricName")
    if algorithm is None or metric is None or is_unknown(metric) or algorithm.stops_early(metric):
        return
    spelled = job.spell(_EARLY_STOPPING)
    with_others = ", ".join(algorithm.early_stopping_metrics)
    why = f"reports only {with_others}" if algorithm.early_stopping else "is not listed as reporting its objective"
    yield Problem(
        job.config.path(_EARLY_STOPPING),
        f"{spelled} Auto has no effect on {metric}: {algorithm.title} {why} after every epoch",
        f"write {spelled}: Off" + (f", or choose {with_others} as the objective" if with_others else ""),
    )


@rule(
    "hyperband-early-stopping-off",
    title="early stopping is off with Hyperband",
    severity=Severity.ERROR,
    reason="Hyperband stops training jobs by its own mechanism, and the API asks for Off beside it",
    source=f"{API}API_HyperParameterTuningJobConfig.html",
    passes="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}
training_job_early_stopping_type: "Off"
""",
    fails="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}
training_job_early_stopping_type: Auto
""",
)
def hyperband_early_stopping_off(job: Job) -> Iterator[Problem]:
    """Look for early stopping beside Hyperband."""
    if job.strategy == "Hyperband" and job.config.text(_EARLY_STOPPING) == "Auto":
        spelled = job.spell(_EARLY_STOPPING)
        yield Problem(
            job.config.path(_EARLY_STOPPING),
            f"{spelled} must be Off with {job.spell('Strategy')} Hyperband, got Auto",
            f"write {spelled}: Off, or leave it out",
        )


@rule(
    "hyperband-iterative",
    title="Hyperband searches iterative algorithms only",
    severity=Severity.ERROR,
    reason=(
        "Hyperband gives promising training jobs more iterations; an algorithm without iterations, such as k-nearest "
        "neighbors, has none to give. Built-in algorithms that the guide calls iterative, or leaves open, pass"
    ),
    source=_MULTI_ALGORITHM_PAGE,
    passes="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}
""",
    fails="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}
objective: {metric_name: "test:accuracy", type: Maximize}
hyperparameter_ranges:
  eta: null
  max_depth: null
  k: {type: Integer, min_value: 1, max_value: 1024}
training_job_definition:
  algorithm_specification: {training_image: "382416733822.dkr.ecr.us-east-1.amazonaws.com/knn:1"}
  static_hyperparameters:
    {num_round: null, objective: null, eval_metric: null, feature_dim: 8, predictor_type: classifier, sample_size: 256}
  input_data_config: {validation: null, test: {s3_uri: "s3://example-data/churn/test/", content_type: text/csv}}
""",
)
def hyperband_iterative(job: Job) -> Iterator[Problem]:
    """Look the algorithms up."""
    if job.strategy != "Hyperband":
        return
    for definition in job.definitions:
        algorithm = builtin_of(definition)
        if algorithm is not None and algorithm.iterative is False:
            yield Problem(
                definition.algorithm.path("TrainingImage"),
                f"{job.spell('Strategy')} Hyperband needs an iterative algorithm, got {algorithm.title}",
                f"search with {job.spell('Strategy')} Bayesian or Random, or choose an iterative algorithm",
            )


@rule(
    "hyperband-config-only",
    title="a strategy configuration is given with Hyperband only",
    severity=Severity.ERROR,
    reason="Hyperband is the only strategy that has settings; the API asks to give them for it alone",
    source=f"{API}API_HyperParameterTuningJobConfig.html",
    passes="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}
""",
    fails="strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}",
)
def hyperband_config_only(job: Job) -> Iterator[Problem]:
    """Look for a configuration beside another strategy."""
    if job.strategy in {"Bayesian", "Random", "Grid"} and job.config.structure("StrategyConfig").present:
        spelled, strategy = job.spell("StrategyConfig"), job.spell("Strategy")
        yield Problem(
            job.config.path("StrategyConfig"),
            f"{spelled} must only be given with {strategy} Hyperband, got it with {job.strategy}",
            f"remove {spelled}, or write {strategy}: Hyperband",
        )


_MOST_RESOURCE = 20_000


@rule(
    "hyperband-resources",
    title=f"Hyperband's least resource is below its most, and that is at most {_MOST_RESOURCE:,}",
    severity=Severity.ERROR,
    reason=(
        "Hyperband stops training jobs between the two numbers of iterations, so the least has to be below the most; "
        "the API's text allows 20,000 epochs at most, which its model does not hold"
    ),
    source=_HYPERBAND_PAGE,
    passes="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 20000}}
""",
    fails="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 50, max_resource: 50}}
""",
)
def hyperband_resources(job: Job) -> Iterator[Problem]:
    """Compare the two resources."""
    if job.strategy != "Hyperband":
        return
    settings = job.config.structure("StrategyConfig").structure("HyperbandStrategyConfig")
    least, most = settings.whole("MinResource"), settings.whole("MaxResource")
    low, high = job.spell("MinResource"), job.spell("MaxResource")
    if most is not None and most > _MOST_RESOURCE:
        yield Problem(
            settings.path("MaxResource"),
            f"{high} must be at most {_MOST_RESOURCE:,}, got {most:,}",
            f"lower {high} to {_MOST_RESOURCE} or less",
        )
    if least is not None and most is not None and 1 <= most <= least:
        yield Problem(
            settings.path("MinResource"),
            f"{low} must be < {high}, got {least:,} >= {most:,}",
            f"lower {low} below {most}, or raise {high}",
        )


# Static hyperparameters from which the service infers MaxResource.
_RESOURCE_NAMES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")


def _max_resource_missing(job: Job, definition: Definition) -> bool:
    """Whether the service can neither read nor infer Hyperband's most resource for a definition."""
    if job.strategy != "Hyperband" or any(name in definition.static for name in _RESOURCE_NAMES):
        return False
    holder = job.config
    for member in ("StrategyConfig", "HyperbandStrategyConfig"):
        inner = holder.structure(member)
        if not inner.present:
            return is_missing(job, holder, member)
        holder = inner
    return is_missing(job, holder, "MaxResource")


@rule(
    "hyperband-max-inferable",
    title="Hyperband's most resource is given, or can be inferred from a static hyperparameter",
    severity=Severity.ERROR,
    reason=(
        "without MaxResource the service looks for one of the static hyperparameters "
        f'{", ".join(_RESOURCE_NAMES)}, and answers that it "could not be inferred from provided static '
        'hyperparameters" when there is none'
    ),
    source=_HYPERBAND_PAGE,
    passes="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {max_resource: 50}}
""",
    fails="strategy: Hyperband",
)
def hyperband_max_inferable(job: Job) -> Iterator[Problem]:
    """Look for what the most resource can be read from."""
    lacking = [definition for definition in job.definitions if _max_resource_missing(job, definition)]
    if lacking:
        spelled = job.spell("MaxResource")
        whose = f" of {', '.join(definition.label for definition in lacking)}" if job.several else ""
        yield Problem(
            job.config.path("StrategyConfig", "HyperbandStrategyConfig", "MaxResource"),
            f"{spelled} is required with {job.spell('Strategy')} Hyperband, because no static hyperparameter{whose} "
            f"is called {', '.join(_RESOURCE_NAMES[:-1])} or {_RESOURCE_NAMES[-1]}",
            f"add {job.spell('StrategyConfig')} with {job.spell('HyperbandStrategyConfig')} and {spelled}",
        )


@rule(
    "hyperband-resource-not-tuned",
    title="Hyperband does not search the hyperparameter that it uses as its resource",
    severity=Severity.WARNING,
    reason=(
        "Hyperband decides itself how many epochs a training job gets; a search over the same number works against "
        "it. The guide says nothing of it: this follows from how the strategy works"
    ),
    source=_STRATEGIES_PAGE,
    passes="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}
""",
    fails="""\
strategy: Hyperband
strategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}
training_job_definition: {static_hyperparameters: {num_round: null}}
hyperparameter_ranges: {num_round: {type: Integer, min_value: 10, max_value: 100}}
""",
)
def hyperband_resource_not_tuned(job: Job) -> Iterator[Problem]:
    """Look for the resource among the ranges."""
    if job.strategy != "Hyperband":
        return
    for definition in job.definitions:
        algorithm = builtin_of(definition)
        resources = algorithm.resource_hyperparameters if algorithm else _RESOURCE_NAMES
        for searched in definition.ranges:
            # A resource that is searched and so cannot be inferred has its finding already.
            if searched.name in resources and not _max_resource_missing(job, definition):
                yield Problem(
                    searched.place,
                    f"{searched.name} should not be searched with {job.spell('Strategy')} Hyperband, which sets the "
                    "number of iterations itself",
                    f"make {searched.name} a static hyperparameter",
                )


@rule(
    "grid-categorical",
    title="a grid search has categorical ranges only",
    severity=Severity.ERROR,
    reason="a grid tries every combination of listed values; only categorical parameters are supported with it",
    source=_STRATEGIES_PAGE,
    passes="""\
strategy: Grid
resource_limits: {max_number_of_training_jobs: null}
hyperparameter_ranges: {eta: ["0.1", "0.3"], max_depth: ["3", "6", "9"]}
""",
    fails="""\
strategy: Grid
resource_limits: {max_number_of_training_jobs: null}
hyperparameter_ranges: {eta: ["0.1", "0.3"]}
""",
)
def grid_categorical(job: Job) -> Iterator[Problem]:
    """Look for other ranges."""
    if job.strategy != "Grid":
        return
    for definition in job.definitions:
        for searched in definition.ranges:
            if searched.kind in {"Continuous", "Integer"}:
                yield Problem(
                    searched.place,
                    f"{searched.name} must be categorical with {job.spell('Strategy')} Grid, got the "
                    f"{searched.kind.lower()} range {searched.low_text} to {searched.high_text}",
                    f"list the values of {searched.name} to try, or choose another {job.spell('Strategy')}",
                )


def grid_size(job: Job) -> int | None:
    """The combinations of a grid; None without one, where they are not known, or where autotune may change them."""
    if job.strategy != "Grid" or job.autotune:
        return None
    # Other ranges are the finding of grid-categorical.
    if any(found.kind != "Categorical" for definition in job.definitions for found in definition.ranges):
        return None
    return all_combinations(job)


@rule(
    "grid-count",
    title="a grid's number of training jobs is left out or equals its combinations",
    severity=Severity.ERROR,
    reason=(
        "the number of training jobs of a grid search follows from the values; the guide says that it need not be "
        "given, and should equal the total number of distinct combinations if it is"
    ),
    source=_STRATEGIES_PAGE,
    passes="""\
strategy: Grid
resource_limits: {max_number_of_training_jobs: 6}
hyperparameter_ranges: {eta: ["0.1", "0.3"], max_depth: ["3", "6", "9"]}
""",
    fails="""\
strategy: Grid
resource_limits: {max_number_of_training_jobs: 20}
hyperparameter_ranges: {eta: ["0.1", "0.3"], max_depth: ["3", "6", "9"]}
""",
)
def grid_count(job: Job) -> Iterator[Problem]:
    """Compare the number with the combinations."""
    total, size = job.limits.whole(_TOTAL), grid_size(job)
    if total is not None and size is not None and total != size:
        spelled = job.spell(_TOTAL)
        yield Problem(
            job.limits.path(_TOTAL),
            f"{spelled} must be {size:,}, the distinct combinations of the grid, got {total:,}",
            f"leave {spelled} out, or write {size}",
        )


@rule(
    "grid-total",
    title="the combinations of a grid are within the quota of training jobs",
    severity=Severity.QUOTA,
    reason=(
        "every combination of a grid is a training job, also when their number is inferred (a number that is stated "
        "is compared by total-training-jobs)"
    ),
    source=_LIMITS_PAGE,
    passes="""\
strategy: Grid
resource_limits: {max_number_of_training_jobs: null}
hyperparameter_ranges: {eta: ["0.1", "0.3"], max_depth: ["3", "6", "9"]}
""",
    fails=Example(
        """\
strategy: Grid
resource_limits: {max_number_of_training_jobs: null}
hyperparameter_ranges: {eta: ["0.1", "0.3"], max_depth: ["3", "6", "9"]}
""",
        quotas={"training_jobs": 5},
    ),
)
def grid_total(job: Job) -> Iterator[Problem]:
    """Compare the inferred number with the quota."""
    size, quota = grid_size(job), job.quotas.training_jobs
    if size is not None and size > quota and not job.limits.raw.get(_TOTAL):
        yield Problem(
            job.definitions[0].range_holder.place,
            f"the grid has {size:,} distinct combinations, above the account's quota of {quota:,} training jobs",
            quota_fix("list fewer values", "training_jobs", size),
        )


_LARGEST_SEED = 2**32 - 1


@rule(
    "random-seed-range",
    title=f"the random seed is a whole number of 0 to {_LARGEST_SEED:,}",
    severity=Severity.ERROR,
    reason=(
        "a seed starts a generator that takes 32 bits without a sign. The API's model holds the lower bound only, and "
        "the guide asks for an integer"
    ),
    source=_ADVICE_PAGE,
    passes="random_seed: 4294967295",
    fails="random_seed: 4294967296",
)
def random_seed_range(job: Job) -> Iterator[Problem]:
    """Compare with the smallest and the largest seed."""
    seed = job.config.whole("RandomSeed")
    if seed is not None and not 0 <= seed <= _LARGEST_SEED:
        spelled = job.spell("RandomSeed")
        yield Problem(
            job.config.path("RandomSeed"),
            f"{spelled} must be 0 to {_LARGEST_SEED}, got {seed}",
            f"set {spelled} to 0 to {_LARGEST_SEED}",
        )


# Objective metrics of the built-in algorithms by what their values can be, without the data set before the colon.
_UP_TO_ONE = frozenset(
    (
        "accuracy",
        "accuracy_score",
        "auc",
        "auc_mu",
        "average_precision",
        "balancedaccuracy",
        "binary_classification_accuracy",
        "binary_f_beta",
        "discriminator_auc",
        "f1",
        "f1_score",
        "macro_f_beta",
        "macro_precision",
        "macro_recall",
        "map",
        "miou",
        "multiclass_accuracy",
        "multiclass_top_k_accuracy",
        "ndcg",
        "pixel_accuracy",
        "precision",
        "recall",
        "roc_auc_score",
    )
)
_ONE_AT_BEST = frozenset({"r2"})
_FROM_ZERO = frozenset(
    (
        "absolute_loss",
        "binary_classification_cross_entropy",
        "binary_error",
        "binary_logloss",
        "cross_entropy",
        "error",
        "l1",
        "l2",
        "logloss",
        "mae",
        "mean_squared_error",
        "medianabsoluteerror",
        "merror",
        "mlogloss",
        "mse",
        "multi_error",
        "multi_logloss",
        "rmse",
        "msd",
        "ssd",
    )
)
_ERROR_SHARES = frozenset({"binary_error", "error", "merror", "multi_error"})


@rule(
    "completion-target-direction",
    title="the target of the objective can be reached, and is not reached before the search begins",
    severity=Severity.WARNING,
    reason=(
        "a tuning job ends when its objective reaches the target: with an accuracy above 1 it never does, with one of "
        "0 it does at once. Only the metrics of built-in algorithms are judged, whose bounds are known"
    ),
    source=f"{API}API_TuningJobCompletionCriteria.html",
    passes="tuning_job_completion_criteria: {target_objective_metric_value: 0.95}",
    fails="tuning_job_completion_criteria: {target_objective_metric_value: 95}",
)
def completion_target_direction(job: Job) -> Iterator[Problem]:
    """Compare the target with the bounds of the objective metric."""
    criteria = job.config.structure("TuningJobCompletionCriteria")
    target = criteria.number("TargetObjectiveMetricValue")
    if target is None:
        return
    for definition in job.definitions:
        algorithm, metric = builtin_of(definition), definition.objective.text("MetricName")
        if algorithm is None or metric is None:
            continue
        direction = algorithm.objective_metrics.get(metric)
        # Against the metric's direction the other rule speaks.
        if direction is None or direction != definition.objective.text("Type"):
            continue
        if fault := _target_fault(metric.rpartition(":")[2].lower(), direction, target):
            spelled = job.spell("TargetObjectiveMetricValue")
            yield Problem(
                criteria.path("TargetObjectiveMetricValue"),
                f"{spelled} of {target:g} {fault} {metric}",
                f"set {spelled} to a value of {metric} that is good enough",
            )
            return


def _target_fault(metric: str, direction: str, target: float) -> str | None:
    if direction == "Maximize":
        if target > 1 and metric in _UP_TO_ONE | _ONE_AT_BEST:
            return "can never be reached by"
        return "is reached at once by" if target <= 0 and metric in _UP_TO_ONE else None
    if target < 0 and metric in _FROM_ZERO:
        return "can never be reached by"
    return "is reached at once by" if target >= 1 and metric in _ERROR_SHARES else None


_FEWEST_NOT_IMPROVING = 3


@rule(
    "completion-not-improving",
    title="the training jobs without improvement that end a search are at least 3, and fewer than its training jobs",
    severity=Severity.WARNING,
    reason=(
        "the API takes numbers from 3, which is an error below; a search that ends after as many training jobs anyway "
        "never ends for want of improvement"
    ),
    source=f"{API}API_BestObjectiveNotImproving.html",
    passes="""\
tuning_job_completion_criteria:
  best_objective_not_improving: {max_number_of_training_jobs_not_improving: 5}
""",
    fails="""\
tuning_job_completion_criteria:
  best_objective_not_improving: {max_number_of_training_jobs_not_improving: 20}
""",
)
def completion_not_improving(job: Job) -> Iterator[Problem]:
    """Compare with the API's minimum and with the number of training jobs."""
    member = "MaxNumberOfTrainingJobsNotImproving"
    criteria = job.config.structure("TuningJobCompletionCriteria").structure("BestObjectiveNotImproving")
    number, total = criteria.whole(member), job.limits.whole(_TOTAL)
    spelled = job.spell(member)
    if number is not None and number < _FEWEST_NOT_IMPROVING:
        yield Problem(
            criteria.path(member),
            f"{spelled} must be >= {_FEWEST_NOT_IMPROVING}, got {number}",
            f"raise {spelled} to {_FEWEST_NOT_IMPROVING} or more",
            Severity.ERROR,
        )
    elif number is not None and total is not None and number >= total:
        yield Problem(
            criteria.path(member),
            f"{spelled} should be < {job.spell(_TOTAL)} to have an effect, got {number} >= {total}",
            f"lower {spelled} below {total}" if total > 3 else f"remove {spelled}",
        )


@rule(
    "autotune-mode",
    title="hyperparameters whose range SageMaker chooses need autotune",
    severity=Severity.ERROR,
    reason=(
        "the guide's two steps are an example value for each hyperparameter, and autotune enabled; without it nobody "
        "chooses the range. A hyperparameter that stands in a range as well is the finding of hyperparameter-once"
    ),
    source=_RANGES_PAGE,
    passes="""\
autotune: {mode: Enabled}
hyperparameter_ranges: {gamma: {type: Auto, value_hint: 8}}
""",
    fails="hyperparameter_ranges: {gamma: {type: Auto, value_hint: 8}}",
)
def autotune_mode(job: Job) -> Iterator[Problem]:
    """Look for automatic parameters without autotune."""
    if "Autotune" in job.raw or not is_missing(job, job, "Autotune"):
        return
    for definition in job.definitions:
        first = next((found for found in definition.ranges if found.kind == "Auto"), None)
        if first is not None:
            autotune = f"{job.spell('Autotune')} with {job.spell('Mode')} Enabled"
            yield Problem(
                first.place,
                f"{first.name or 'an automatic parameter'} has no range of its own and so needs {autotune}, got none",
                f"add {autotune}, or give a range",
            )
            return


@rule(
    "auto-parameter-hint",
    title="the example value of a hyperparameter under autotune is a number",
    severity=Severity.ERROR,
    reason=(
        "SageMaker guesses the kind and the bounds of a range from the example value; one that is empty or not "
        "finite has no range around it. Text is passed on by the SageMaker Python SDK, too, and SageMaker decides "
        "whether such a hyperparameter is eligible: it is warned about only"
    ),
    source=f"{API}API_AutoParameter.html",
    passes="""\
autotune: {mode: Enabled}
hyperparameter_ranges: {gamma: {type: Auto, value_hint: 8}}
""",
    fails="""\
autotune: {mode: Enabled}
hyperparameter_ranges: {gamma: {type: Auto, value_hint: ""}}
""",
)
def auto_parameter_hint(job: Job) -> Iterator[Problem]:
    """Read the example values."""
    for definition in job.definitions:
        for searched in definition.ranges:
            if searched.kind != "Auto" or searched.hint is None or is_unknown(searched.hint):
                continue
            if parse_number(searched.hint) is not None:
                continue
            hint = searched.hint.strip().lower().lstrip("+-")
            empty = hint in {"", "nan", "inf", "infinity"}
            spelled = job.spell("ValueHint")
            yield Problem(
                (*searched.place, "ValueHint"),
                f"{spelled} of {searched.name} {'must' if empty else 'should'} be a number, got {searched.hint!r}",
                f"give a typical value of {searched.name}",
                None if empty else Severity.WARNING,
            )
