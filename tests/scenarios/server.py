"""The local endpoint with a scripted SageMaker in the place of real training, and faults on the way to it.

The program of `ScriptedEndpoint`. What a tuning job does is a script: a JSON file in the folder `scripts` of the
endpoint's work folder, named after the run's tuning job or after the declared one. Its members:

- `statuses`: what one Describe after the other tells, the last one from then on;
- `best`: the best objective value, or null;
- `counters`, `failures`: the training jobs by status, and reasons of failed ones;
- `more`: further members of Describe's answer;
- `faults`: a list of `[operation, number of the call, what]`. `throttle`, `error` and `reject` answer in the place of
  the call; `lose` answers an error after the call has worked; `crash` kills the function's process after it;
  `abort` stops the execution before it, and `abort after` after it. `PutParameter` is an operation, too.

The log of all calls is `calls.jsonl` in the work folder.
"""

import io
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpo_constructs.local import lambda_runner, server
from hpo_constructs.local.middleware import Services
from hpo_handlers.contract import tuning_job_name

ACCOUNT, REGION = "123456789012", "us-east-1"
CHANGING = {"InProgress", "Stopping"}
_STATUSES = {
    "throttle": ("ThrottlingException", 400),
    "error": ("InternalFailure", 500),
    "lose": ("InternalFailure", 500),
}
_STATUSES["reject"] = ("ValidationException", 400)


def _arn(name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/{name}"


class ScriptedError(Exception):
    """An error of the API, in the form that the middleware knows."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class ScriptedJob:
    """A tuning job that does what its script says."""

    def __init__(self, name: str, request: dict[str, Any], script: dict[str, Any]) -> None:
        self.name, self.request, self.script = name, request, script
        self.created_at = datetime.now(UTC)
        self.looks = 0
        self.stopping: str | None = None

    def status(self, *, look: bool = False) -> str:
        if self.stopping is not None:
            status, self.stopping = self.stopping, "Stopped" if look else self.stopping
            return status
        statuses: list[str] = self.script.get("statuses", ["InProgress", "Completed"])
        status = statuses[min(self.looks, len(statuses) - 1)]
        self.looks += look
        return status

    def stop(self) -> None:
        if self.status() != "InProgress":
            raise ScriptedError("ValidationException", f"the tuning job is in status {self.status()}")
        self.stopping = "Stopping"

    def describe(self) -> dict[str, Any]:
        status = self.status(look=True)
        objective = self.request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        answer = {
            **self.request,
            "HyperParameterTuningJobArn": _arn(self.name),
            "HyperParameterTuningJobStatus": status,
            "CreationTime": self.created_at,
            "LastModifiedTime": self.created_at,
            "TrainingJobStatusCounters": self.script.get("counters", {"Completed": 3}),
            "ObjectiveStatusCounters": {"Succeeded": 3, "Pending": 0, "Failed": 0},
            **self.script.get("more", {}),
        }
        best = self.script.get("best", 0.9)
        if best is not None:
            answer["BestTrainingJob"] = {
                "TrainingJobName": f"{self.name}-001",
                "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{self.name}-001",
                "CreationTime": self.created_at,
                "TrainingJobStatus": "Completed",
                "TunedHyperParameters": {"eta": "0.3"},
                "FinalHyperParameterTuningJobObjectiveMetric": {**objective, "Value": best},
            }
        return answer


class ScriptedSageMaker:
    """Answers the operations that the functions call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._jobs: dict[str, ScriptedJob] = {}
        self._calls: Counter[tuple[str, str]] = Counter()
        # By tuning job: the execution that it belongs to, and the process of the function that serves it.
        self._executions: dict[str, str] = {}
        self._workers: dict[str, Any] = {}

    def served(self, event: Any, worker: Any) -> None:
        """Notes which process serves which tuning job."""
        if not isinstance(event, dict):
            return
        execution, name = event.get("ExecutionArn"), event.get("HyperParameterTuningJobName")
        declared = event.get("DeclaredName") or event.get("Request", {}).get("HyperParameterTuningJobName")
        if execution and declared:
            name = tuning_job_name(declared, execution)
            self._executions[name] = execution
        if name:
            self._workers[name] = worker

    def answers(self, operation: str, body: dict[str, Any]) -> bool:
        return True

    def handle(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation == "ListHyperParameterTuningJobs":
            return self._list()
        training_job = body.get("TrainingJobName", "")
        name = body.get("HyperParameterTuningJobName") or training_job.removesuffix("-001")
        return self.faulty(operation, name, lambda: self._answer(operation, name, body))

    def faulty(self, operation: str, name: str, call: Callable[[], Any]) -> Any:
        """Makes a call, with the fault that its script has for it."""
        with self._lock:
            self._calls[operation, name] += 1
            number = self._calls[operation, name]
            faults = [fault[2] for fault in self.script(name).get("faults", ()) if fault[:2] == [operation, number]]
            fault = faults[0] if faults else ""
            with (self._folder / "calls.jsonl").open("a") as log:
                log.write(json.dumps([time.time(), operation, name, fault]) + "\n")
        if fault == "abort":
            self._abort(name)
        if fault in {"throttle", "error", "reject"}:
            raise ScriptedError(_STATUSES[fault][0], f"{fault} of the script", _STATUSES[fault][1])
        answer = call()
        if fault == "abort after":
            self._abort(name)
        if fault == "lose":
            raise ScriptedError(*("InternalFailure", "the answer is lost"), 500)
        if fault == "crash":
            self._workers[name].kill()
        return answer

    def script(self, name: str) -> dict[str, Any]:
        for stem in (name, name.rpartition("-")[0]):
            file = self._folder / "scripts" / f"{stem}.json"
            if stem and file.exists():
                script: dict[str, Any] = json.loads(file.read_text())
                return script
        return {}

    def _abort(self, name: str) -> None:
        from moto.stepfunctions.parser.models import stepfunctions_parser_backends

        backend: Any = stepfunctions_parser_backends[ACCOUNT][REGION]
        execution = backend.describe_execution(self._executions[name])
        execution.stop(stop_date=datetime.now(UTC), error="Aborted", cause="by the script")

    def _answer(self, operation: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if operation == "CreateHyperParameterTuningJob":
                if name in self._jobs:
                    raise ScriptedError("ResourceInUse", f"a tuning job with the name {name} already exists")
                self._jobs[name] = ScriptedJob(name, body, self.script(name))
                return {"HyperParameterTuningJobArn": _arn(name)}
            job = self._jobs.get(name)
            if job is None:
                raise ScriptedError("ResourceNotFound", f"Could not find {name}")
            if operation == "DescribeHyperParameterTuningJob":
                return job.describe()
            if operation == "StopHyperParameterTuningJob":
                job.stop()
                return {}
            if operation == "DescribeTrainingJob":
                return {
                    "TrainingJobName": body["TrainingJobName"],
                    "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{body['TrainingJobName']}",
                    "ModelArtifacts": {"S3ModelArtifacts": f"s3://models/{name}/model.tar.gz"},
                    "AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "File"},
                    "TrainingJobStatus": "Completed",
                    "SecondaryStatus": "Completed",
                    "StoppingCondition": {},
                    "CreationTime": job.created_at,
                }
            if operation == "ListTrainingJobsForHyperParameterTuningJob":
                return {
                    "TrainingJobSummaries": [
                        {
                            "TrainingJobName": f"{name}-{number:03}",
                            "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}-{number:03}",
                            "CreationTime": job.created_at,
                            "TrainingJobStatus": "Failed",
                            "TunedHyperParameters": {},
                            "FailureReason": reason,
                        }
                        for number, reason in enumerate(job.script.get("failures", ()), start=1)
                    ]
                }
        raise ScriptedError("UnknownOperation", operation)

    def _list(self) -> dict[str, Any]:
        with self._lock:
            return {
                "HyperParameterTuningJobSummaries": [
                    {
                        "HyperParameterTuningJobName": job.name,
                        "HyperParameterTuningJobArn": _arn(job.name),
                        "HyperParameterTuningJobStatus": job.status(),
                        "Strategy": "Bayesian",
                        "CreationTime": job.created_at,
                        "TrainingJobStatusCounters": {},
                        "ObjectiveStatusCounters": {},
                    }
                    for job in self._jobs.values()
                ]
            }


class FaultyParameterStore:
    """moto, with the scripts' faults before and after PutParameter."""

    def __init__(self, moto: Callable[..., Iterable[bytes]], sagemaker: ScriptedSageMaker) -> None:
        self._moto, self._sagemaker = moto, sagemaker

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") != "AmazonSSM.PutParameter":
            return self._moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        # The declared name is the last part of the prefix.
        declared = json.loads(body)["Name"].split("/")[-2]
        try:
            answer: Iterable[bytes] = self._sagemaker.faulty(
                "PutParameter", declared, lambda: list(self._moto(environ, start_response))
            )
        except ScriptedError as error:
            content = json.dumps({"__type": error.code, "message": error.message}).encode()
            headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(content)))]
            start_response(f"{error.status} Error", headers, True)
            return [content]
        return answer


class ScriptedServer(server.Server):
    """The server with the scripted SageMaker."""

    def _services(self) -> Services:
        # Many runs at a time: a process that starts costs more than all its work.
        lambda_runner.MAX_IDLE_PER_FUNCTION, lambda_runner.MAX_IDLE = 6, 30
        services = super()._services()
        sagemaker = ScriptedSageMaker(self._work_dir)
        send = lambda_runner._Worker.send

        def noted(worker: Any, request: dict[str, Any]) -> None:
            sagemaker.served(request["event"], worker)
            send(worker, request)

        lambda_runner._Worker.send = noted  # type: ignore[method-assign]
        services.sagemaker = sagemaker
        services.api_error = ScriptedError
        services.moto = FaultyParameterStore(services.moto, sagemaker)
        return services


if __name__ == "__main__":
    server.Server = ScriptedServer  # type: ignore[misc]
    server.main(sys.argv[1:])
