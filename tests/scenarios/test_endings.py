"""Every way in which a run can end: given the declaration and the API's answers, the calls, the end and the outputs."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from hpo_handlers.contract import tuning_job_name

from .conftest import Deployed, request, until

CREATE, DESCRIBE = "CreateHyperParameterTuningJob", "DescribeHyperParameterTuningJob"
STOP, LIST = "StopHyperParameterTuningJob", "ListTrainingJobsForHyperParameterTuningJob"
BEST = "DescribeTrainingJob"


@dataclass(frozen=True)
class Scenario:
    """Given a job's script, the end of its run.

    Attributes:
        id: What is tried.
        script: What the API answers; see `server.py`.
        job: Which of the stack's jobs runs.
        status: The execution's status.
        error: Its error's name.
        cause: Parts of its cause.
        calls: The calls about the tuning job; not compared without.
        tuning_job: The tuning job's status in the end; None when there is none.
        best: The published best objective value after the run; None when nothing is published.
    """

    id: str
    script: dict[str, Any]
    job: str = "Plain"
    status: str = "SUCCEEDED"
    error: str | None = None
    cause: tuple[str, ...] = ()
    calls: list[str] | None = field(default=None)
    tuning_job: str | None = "Completed"
    best: float | None = 0.9


FAILED = {"status": "FAILED", "best": None}
SCENARIOS = [
    Scenario(
        "completed",
        {"statuses": ["InProgress", "InProgress", "Completed"]},
        calls=[CREATE, DESCRIBE, DESCRIBE, DESCRIBE, DESCRIBE, BEST],
    ),
    Scenario(
        "throttled create",
        {"faults": [[CREATE, 1, "throttle"]]},
        calls=[f"{CREATE} (throttle)", CREATE, *[DESCRIBE] * 3, BEST],
    ),
    Scenario(
        "answer of the create lost",
        {"faults": [[CREATE, 1, "lose"]]},
        calls=[f"{CREATE} (lose)", CREATE, *[DESCRIBE] * 3, BEST],
    ),
    Scenario(
        "function killed after the create",
        {"faults": [[CREATE, 1, "crash"]]},
        calls=[f"{CREATE} (crash)", CREATE, *[DESCRIBE] * 3, BEST],
    ),
    Scenario("function killed in a poll", {"faults": [[DESCRIBE, 1, "crash"]]}),
    Scenario(
        "outage of the control plane in a poll", {"faults": [[DESCRIBE, number, "error"] for number in range(1, 8)]}
    ),
    Scenario("outage before the publication", {"faults": [[BEST, number, "throttle"] for number in range(1, 5)]}),
    Scenario(
        "create rejected",
        {"faults": [[CREATE, 1, "reject"]]},
        error="ServiceRequestRejected",
        cause=("reject of the script", "was not created"),
        calls=[f"{CREATE} (reject)", DESCRIBE, DESCRIBE, DESCRIBE],
        tuning_job=None,
        **FAILED,
    ),
    Scenario(
        "poll rejected: the tuning job is stopped",
        {"statuses": ["InProgress"], "faults": [[DESCRIBE, 1, "reject"]]},
        error="ServiceRequestRejected",
        cause=("is being stopped",),
        tuning_job="Stopped",
        **FAILED,
    ),
    Scenario(
        "publication rejected: nothing is published",
        {"faults": [[BEST, 1, "reject"]]},
        error="ServiceRequestRejected",
        cause=("describing training job",),
        **FAILED,
    ),
    Scenario(
        "failed, with the reasons",
        {
            "statuses": ["Failed"],
            "best": None,
            "counters": {"NonRetryableError": 3},
            "failures": ["AlgorithmError: bad label 17", "AlgorithmError: bad label 17", "CapacityError: none"],
            "more": {"FailureReason": "No training job succeeded after 5 attempts."},
        },
        error="HyperparameterTuningJobFailed",
        cause=(
            "No training job succeeded after 5 attempts. (training jobs: 3 NonRetryableError)",
            "- 2 times: AlgorithmError: bad label 17",
            "- 1 times: CapacityError: none",
            "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3D",
        ),
        tuning_job="Failed",
        **FAILED,
    ),
    Scenario(
        "stopped by hand",
        {"statuses": ["InProgress", "Stopping", "Stopped"]},
        error="HyperparameterTuningJobStopped",
        tuning_job="Stopped",
        **FAILED,
    ),
    Scenario("completed without a best", {"best": None}, error="NoBestTrainingJob", **FAILED),
    Scenario(
        "poll rejected, the tuning job has ended",
        {"faults": [[DESCRIBE, 1, "reject"]], "statuses": ["Completed"]},
        error="ServiceRequestRejected",
        **FAILED,
    ),
    Scenario("stopped by hand, accepted", {"statuses": ["Stopped"]}, job="Gated", tuning_job="Stopped"),
    Scenario(
        "too few training jobs",
        {"statuses": ["Stopped"], "counters": {"Completed": 1}},
        job="Gated",
        error="TooFewTrainingJobsCompleted",
        cause=("completed 1 training jobs, min_completed_training_jobs is 2",),
        tuning_job="Stopped",
        **FAILED,
    ),
    Scenario(
        "not good enough",
        {"best": 0.79},
        job="Gated",
        error="ObjectiveValueNotReached",
        cause=("is 0.79, required_objective_value is 0.8 (Maximize)",),
        **FAILED,
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_scenario(jobs: Deployed, unique: str, scenario: Scenario) -> None:
    execution = jobs.execution_arn(scenario.job, unique)
    declared = scenario.job.lower()
    name = tuning_job_name(declared, execution)
    before = jobs.parameters(scenario.job)
    jobs.script(name, **scenario.script)
    ended = jobs.ended(jobs.start(scenario.job, unique))
    assert (ended["status"], ended.get("error")) == (scenario.status, scenario.error), ended.get("cause")
    for part in scenario.cause:
        assert part in ended["cause"]
    until(lambda: jobs.statuses().get(name) != "InProgress")
    if scenario.tuning_job == "Stopped" and jobs.statuses().get(name) == "Stopping":
        jobs.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert jobs.statuses().get(name) == scenario.tuning_job
    if scenario.calls is not None:
        # The guard may look too, when the run has failed.
        calls = jobs.calls(name)
        assert calls[: len(scenario.calls)] == scenario.calls[: len(calls)]
    after = jobs.parameters(scenario.job)
    if scenario.best is None:
        facts = {key for key in before if key not in {"tuning-job-name", "tuning-job-status", "updated-at"}}
        assert {key: after[key] for key in facts} == {key: before[key] for key in facts}
        assert after.get("best") == before.get("best")
    else:
        best = json.loads(after["best"])
        assert (best["objective-metric-value"], best["tuning-job-name"]) == (scenario.best, name)
        assert json.loads(ended["output"]) == best
        assert after["best-training-job-name"] == f"{name}-001"
        assert after["tuning-job-name"] == name


def test_a_best_is_replaced_by_a_better_one_only(jobs: Deployed, unique: str) -> None:
    """`replace_best_by` is 0.05: less leaves the published best, and the run succeeds."""
    for number, (value, published) in enumerate([(0.85, 0.85), (0.88, 0.85), (0.91, 0.91), (0.95, 0.91)]):
        execution = jobs.execution_arn("Margin", f"{unique}-{number}")
        jobs.script(tuning_job_name("margin", execution), best=value)
        ended = jobs.ended(jobs.start("Margin", f"{unique}-{number}"))
        assert ended["status"] == "SUCCEEDED"
        output, parameters = json.loads(ended["output"]), jobs.parameters("Margin")
        assert (output["objective-metric-value"], output["published"]) == (value, value == published)
        assert json.loads(parameters["best"])["objective-metric-value"] == published
        assert float(parameters["objective-metric-value"]) == published
        assert parameters["tuning-job-name"] == tuning_job_name("margin", execution)


def test_parameters_are_complete_after_an_outage_between_them(jobs: Deployed, unique: str) -> None:
    """The publication breaks off between two parameters; its second attempt is this run's own, not a worse one."""
    execution = jobs.execution_arn("Broken", unique)
    name = tuning_job_name("broken", execution)
    # Three attempts of one call fail: the function gives up and is called again.
    jobs.script("broken", faults=[["PutParameter", number, "throttle"] for number in (4, 5, 6)])
    ended = jobs.ended(jobs.start("Broken", unique))
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    best, parameters = json.loads(ended["output"]), jobs.parameters("Broken")
    assert json.loads(parameters["best"]) == best
    assert parameters["model-artifacts"] == f"s3://models/{name}/model.tar.gz"
    assert parameters["tuning-job-name"] == parameters["best-training-job-name"].removesuffix("-001") == name


@pytest.mark.parametrize("when", ["abort", "abort after"])
def test_an_execution_aborted_while_it_creates_leaves_nothing_running(jobs: Deployed, unique: str, when: str) -> None:
    execution = jobs.execution_arn("Plain", unique)
    name = tuning_job_name("plain", execution)
    jobs.script(name, statuses=["InProgress"], faults=[[CREATE, 1, when]])
    assert jobs.ended(jobs.start("Plain", unique))["status"] == "ABORTED"
    until(lambda: jobs.statuses().get(name) in {"Stopping", "Stopped"})
    assert STOP in jobs.calls(name)


def test_an_aborted_execution_stops_its_tuning_job(jobs: Deployed, unique: str) -> None:
    execution = jobs.execution_arn("Plain", unique)
    name = tuning_job_name("plain", execution)
    jobs.script(name, statuses=["InProgress"], faults=[[STOP, number, "throttle"] for number in range(1, 6)])
    jobs.start("Plain", unique)
    until(lambda: jobs.statuses().get(name) == "InProgress")
    jobs.stepfunctions.stop_execution(executionArn=execution)
    # Also when the service is throttled for longer than a function lives.
    until(lambda: jobs.statuses().get(name) in {"Stopping", "Stopped"})


def test_a_fragment_runs_inside_your_own_state_machine(jobs: Deployed, unique: str) -> None:
    """Its result is below its path, the rest of the state is as it was; its guard watches your machine."""
    execution = jobs.execution_arn("Own", unique)
    name = tuning_job_name("inner", execution)
    jobs.script(name, best=0.7)
    jobs.stepfunctions.start_execution(
        stateMachineArn=jobs.machine("Own"), name=unique, input=json.dumps({"kept": [1, 2]})
    )
    ended = jobs.ended(execution)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    assert output["kept"] == [1, 2]
    assert output["tuned"]["model-artifacts"] == f"s3://models/{name}/model.tar.gz"
    assert output["after"] == output["tuned"]["objective-metric-value"] == 0.7

    aborted = jobs.execution_arn("Own", f"{unique}-aborted")
    name = tuning_job_name("inner", aborted)
    jobs.script(name, statuses=["InProgress"])
    jobs.stepfunctions.start_execution(stateMachineArn=jobs.machine("Own"), name=f"{unique}-aborted", input="{}")
    until(lambda: jobs.statuses().get(name) == "InProgress")
    jobs.stepfunctions.stop_execution(executionArn=aborted)
    until(lambda: jobs.statuses().get(name) in {"Stopping", "Stopped"})


def test_jobs_of_a_large_stack_run(deployed: Deployed) -> None:
    """Their definitions stand in pieces in the template; the first and the last job run like any other."""
    from hpo_constructs.cdk.definitions import WHOLE_DEFINITIONS

    def build(stack: Any) -> None:
        from hpo_constructs.cdk import TuningJob
        from hpo_constructs.spec import TuningJobSpec

        for number in range(WHOLE_DEFINITIONS + 1):
            TuningJob(stack, f"Many{number}", spec=TuningJobSpec.from_request(request(f"many{number}")))

    deployed.deploy("many", build)
    for job in ("Many0", f"Many{WHOLE_DEFINITIONS}"):
        execution = deployed.start(job)
        assert deployed.ended(execution)["status"] == "SUCCEEDED"
        assert deployed.status(job.lower(), execution) == "Completed"
        assert deployed.parameters(job)["objective-metric-value"] == "0.9"
