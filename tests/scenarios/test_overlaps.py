"""Runs of one job that overlap: one after the other, skipped, or side by side."""

import json
from typing import Any

from hpo_handlers.contract import tuning_job_name

from .conftest import Deployed, until


def running(jobs: Deployed, job: str, name: str) -> str:
    """Starts a run whose tuning job goes on until it is stopped."""
    execution = jobs.execution_arn(job, name)
    jobs.script(tuning_job_name(job.lower(), execution), statuses=["InProgress"])
    jobs.start(job, name)
    until(lambda: jobs.status(job.lower(), execution) == "InProgress")
    return execution


def finish(jobs: Deployed, job: str, execution: str) -> None:
    jobs.script(tuning_job_name(job.lower(), execution), statuses=["InProgress"])
    jobs.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=tuning_job_name(job.lower(), execution))
    jobs.ended(execution)


def output(jobs: Deployed, execution: str) -> Any:
    ended = jobs.ended(execution)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    return json.loads(ended["output"])


def test_queued_runs_follow_each_other_and_the_latest_takes_the_place_of_others(jobs: Deployed, unique: str) -> None:
    first = running(jobs, "Queued", f"{unique}-1")
    second = jobs.start("Queued", f"{unique}-2")
    # It has asked for its turn, and waits.
    until(lambda: jobs.parameters("Queued")["latest-execution"] == second)
    third = jobs.start("Queued", f"{unique}-3")
    assert output(jobs, second)["Turn"] == "Never"
    assert third in output(jobs, second)["Reason"]
    assert jobs.status("queued", second) is None
    assert jobs.status("queued", third) is None
    finish(jobs, "Queued", first)
    assert output(jobs, third)["tuning-job-name"] == tuning_job_name("queued", third)


def test_a_run_that_was_aborted_is_in_nobody_s_way(jobs: Deployed, unique: str) -> None:
    first = running(jobs, "Queued", f"{unique}-1")
    second = jobs.start("Queued", f"{unique}-2")
    jobs.stepfunctions.stop_execution(executionArn=first)
    assert output(jobs, second)["tuning-job-name"] == tuning_job_name("queued", second)


def test_skipped_runs_end_at_once(jobs: Deployed, unique: str) -> None:
    first = running(jobs, "Skipping", f"{unique}-1")
    second = jobs.start("Skipping", f"{unique}-2")
    assert output(jobs, second)["Turn"] == "Never"
    assert first in output(jobs, second)["Reason"]
    finish(jobs, "Skipping", first)
    third = jobs.start("Skipping", f"{unique}-3")
    assert output(jobs, third)["tuning-job-name"] == tuning_job_name("skipping", third)


def test_of_runs_that_start_together_one_goes_on(jobs: Deployed, unique: str) -> None:
    names = [f"{unique}-{number}" for number in range(5)]
    for name in names:
        execution = jobs.execution_arn("Skipping", name)
        jobs.script(tuning_job_name("skipping", execution), statuses=["InProgress"] * 30 + ["Completed"])
    executions = [jobs.start("Skipping", name) for name in names]
    turns = [output(jobs, execution).get("Turn", "Now") for execution in executions]
    assert sorted(turns) == ["Never"] * 4 + ["Now"]


def test_runs_may_overlap(jobs: Deployed, unique: str) -> None:
    first = running(jobs, "Plain", f"{unique}-1")
    second = running(jobs, "Plain", f"{unique}-2")
    finish(jobs, "Plain", first)
    finish(jobs, "Plain", second)
