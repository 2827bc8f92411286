"""Many runs at a time, each with faults drawn from a seed: none has two tuning jobs, an orphan, or a wrong end."""

import json
import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hpo_handlers.contract import tuning_job_name

from .conftest import Deployed, until

RUNS = 200
SEED = os.environ.get("HPO_CHAOS_SEED", "2026")
CREATE, DESCRIBE, BEST = "CreateHyperParameterTuningJob", "DescribeHyperParameterTuningJob", "DescribeTrainingJob"
ENDS = ["completed"] * 11 + ["failed"] * 2 + ["stopped"] * 2 + ["rejected"] + ["aborted"] * 4
ABORTS = [
    [CREATE, 1, "abort"],
    [CREATE, 1, "abort after"],
    [DESCRIBE, 1, "abort"],
    [DESCRIBE, 2, "abort after"],
    [BEST, 1, "abort"],
]
# A process that starts costs as much as ten runs: few are killed.
TEMPORARY = ["throttle"] * 8 + ["error"] * 4 + ["lose"] * 8 + ["crash"] * 2


@dataclass(frozen=True)
class Plan:
    """What happens to a run, and how it has to end."""

    script: dict[str, Any]
    status: str
    error: str | None


def plan(number: int) -> Plan:
    """The plan of a run: the same for the same seed."""
    dice = random.Random(f"{SEED}-{number}")  # noqa: S311 - dice, not secrets
    end = dice.choice(ENDS)
    faults: list[list[Any]] = []
    statuses = ["InProgress"] * dice.randint(0, 1)
    if end == "aborted":
        faults.append(dice.choice(ABORTS))
    if end == "rejected":
        faults.append([CREATE, 1, "reject"])
    for _ in range(dice.choice([0, 0, 1, 1, 2])):
        operation, call = dice.choice([(CREATE, 1), (CREATE, 2), (DESCRIBE, 1), (DESCRIBE, 2), (BEST, 1)])
        faults.append([operation, call, dice.choice(TEMPORARY)])
    last = {"failed": "Failed", "stopped": "Stopped"}.get(end, "Completed")
    script = {"statuses": [*statuses, last], "faults": faults, "best": round(dice.random(), 3)}
    status, error = {
        "completed": ("SUCCEEDED", None),
        "failed": ("FAILED", "HyperparameterTuningJobFailed"),
        "stopped": ("FAILED", "HyperparameterTuningJobStopped"),
        "rejected": ("FAILED", "ServiceRequestRejected"),
        "aborted": ("ABORTED", "Aborted"),
    }[end]
    return Plan(script, status, error)


def test_chaos(jobs: Deployed) -> None:
    plans = {jobs.execution_arn("Chaos", f"chaos-{number:03}"): plan(number) for number in range(RUNS)}
    dice = random.Random(SEED)  # noqa: S311
    writes = [["PutParameter", number, dice.choice(["throttle", "error", "lose"])] for number in range(20, 1500, 40)]
    jobs.script("chaos", faults=writes)
    for execution, planned in plans.items():
        jobs.script(tuning_job_name("chaos", execution), **planned.script)

    def run(execution: str) -> dict[str, Any]:
        jobs.start("Chaos", execution.rpartition(":")[2])
        while (found := jobs.stepfunctions.describe_execution(executionArn=execution))["status"] == "RUNNING":
            time.sleep(0.3)
        return dict(found)

    with ThreadPoolExecutor(6) as pool:
        ended = dict(zip(plans, pool.map(run, plans), strict=True))

    wrong = {
        execution: (found["status"], found.get("error"), found.get("cause", "")[:300], plans[execution])
        for execution, found in ended.items()
        if (found["status"], found.get("error")) != (plans[execution].status, plans[execution].error)
    }
    assert wrong == {}, f"seed {SEED}"

    # No orphan: whatever was created is ended, or being stopped, soon after its execution has ended.
    names = {tuning_job_name("chaos", execution): execution for execution in plans}
    until(lambda: not [n for n, status in jobs.statuses().items() if n in names and status == "InProgress"])

    # One tuning job for each execution: of all attempts to create it at most one worked.
    created = Counter(name for name in jobs.statuses() if name.startswith("chaos-"))
    assert set(created) <= set(names)
    assert set(created.values()) == {1}
    rejected = {name for name, execution in names.items() if plans[execution].error == "ServiceRequestRejected"}
    assert not rejected & set(created)
    assert {name for name, execution in names.items() if plans[execution].status == "SUCCEEDED"} <= set(created)

    # What is published is one successful run's, whole.
    best = json.loads(jobs.parameters("Chaos")["best"])
    execution = names[best["tuning-job-name"]]
    assert plans[execution].status in {"SUCCEEDED", "ABORTED"}
    assert best["objective-metric-value"] == plans[execution].script["best"]
    outputs = {json.loads(found["output"])["tuning-job-name"] for found in ended.values() if "output" in found}
    assert outputs == {name for name, each in names.items() if plans[each].status == "SUCCEEDED"}
    assert Counter(each.status for each in plans.values()).keys() == {"SUCCEEDED", "FAILED", "ABORTED"}
