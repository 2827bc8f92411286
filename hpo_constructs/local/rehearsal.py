"""A declared tuning job run on this machine: the synthesized stack, deployed to the local endpoint by the CDK CLI.

The steps are those of a real account, and so are the tools: CDK bootstrap and deploy, StartExecution, and then the
SageMaker, Step Functions and SSM APIs to watch and to read.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_handlers.contract import tuning_job_name

from ..errors import LocalError
from ..spec.declaration import Declaration

if TYPE_CHECKING:
    from .endpoint import LocalEndpoint

STACK_NAME = "HpoLocal"
# The release that reads this library's cloud assembly; npm's latest tag is an older build.
CDK_CLI = "2.1148.1"
_LOG_TAIL_LINES = 25
_POLL_SECONDS = 0.5
_STOP_TIMEOUT_SECONDS = 30.0

# CloudFormation's pseudo parameters have these values on the endpoint.
_PSEUDO = ("${AWS::AccountId}", "${AWS::Region}", "${AWS::Partition}", "${AWS::URLSuffix}")


@dataclass(frozen=True)
class LocalBlock:
    """What a template's `local` block says; paths are relative to the template's folder.

    Attributes:
        prepare: Command that makes the data, run in the template's folder; empty without one.
        data: Files or folders by the S3 prefix that they are uploaded to.
        commands: Image patterns with the command that stands in for the image, as the image mapping has them.
    """

    prepare: tuple[str, ...] = ()
    data: Mapping[str, Path] = field(default_factory=dict)
    commands: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, declaration: Declaration) -> LocalBlock:
        """Read the block of a template.

        Raises:
            LocalError: A member has the wrong type; the message says what it has to be.
        """
        block = declaration.local
        folder = Path(declaration.file).resolve().parent if declaration.file else Path.cwd()
        prepare = block.get("prepare") or []
        if not isinstance(prepare, list) or not all(isinstance(word, str) for word in prepare):
            raise LocalError(f"local.prepare must be a list of words, such as [python, prepare.py], got {prepare!r}")
        data = block.get("data") or {}
        if not isinstance(data, dict) or not all(isinstance(path, str) for path in data.values()):
            raise LocalError(f"local.data must be a mapping from S3 prefixes to files or folders, got {data!r}")
        for prefix in data:
            if not str(prefix).startswith("s3://"):
                raise LocalError(f"local.data must be keyed by S3 prefixes such as s3://bucket/train/, got {prefix!r}")
        return cls(
            prepare=tuple(prepare),
            data={str(prefix): (folder / path).resolve() for prefix, path in data.items()},
            commands=tuple(image_entries(block.get("commands") or [], folder, "local.commands")),
        )


def image_entries(entries: Any, folder: Path, where: str) -> list[dict[str, Any]]:
    """The mapping from training images to local commands, in the form that the endpoint takes.

    Args:
        entries: What a template's `local.commands` or a mapping file says.
        folder: The folder that directories are relative to, and the default one.
        where: How messages name the entries.

    Raises:
        LocalError: An entry has the wrong form; the message says what it has to be.
    """
    shape = "{image: pattern, command: [program, …], directory: folder (optional)}"
    if not isinstance(entries, list):
        raise LocalError(f"{where} must be a list of {shape}, got {entries!r}")
    found = []
    for number, entry in enumerate(entries):
        name = f"{where}[{number}]"
        if not isinstance(entry, dict) or entry.keys() - {"image", "command", "directory"}:
            raise LocalError(f"{name} must be {shape}, got {entry!r}")
        command, directory = entry.get("command"), entry.get("directory", ".")
        if not isinstance(entry.get("image"), str):
            raise LocalError(f"{name}.image must be an image's URI or a pattern with *, got {entry.get('image')!r}")
        if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
            raise LocalError(f"{name}.command must be a list of words, got {command!r}")
        if not isinstance(directory, str) or not (folder / directory).is_dir():
            raise LocalError(f"{name}.directory must be a folder, got {directory!r}, which is none in {folder}")
        found.append(
            {
                "image": entry["image"],
                "command": _with_this_python(command),
                "directory": str((folder / directory).resolve()),
            }
        )
    return found


def _with_this_python(command: Sequence[str]) -> list[str]:
    """`python` is the interpreter that runs this library: the packages that it knows are there."""
    return [sys.executable if command[0] in {"python", "python3"} else command[0], *command[1:]]


def refuse_unknown_images(declaration: Declaration, images: Sequence[Mapping[str, Any]]) -> None:
    """Tell before anything is started when a training image has no local program.

    Raises:
        LocalError: The message names every such image, what is known and the fix.
    """
    from .algorithms import local_program

    request = declaration.request
    definitions = [request.get("TrainingJobDefinition"), *request.get("TrainingJobDefinitions", ())]
    faults = []
    for definition in filter(None, definitions):
        image = definition["AlgorithmSpecification"].get("TrainingImage")
        if image is None:
            faults.append("an algorithm resource (algorithm_name) has no image that a local program could stand in for")
            continue
        try:
            local_program(image, images, definition.get("StaticHyperParameters"))
        except LookupError as error:
            faults.append(str(error))
    if faults:
        raise LocalError("; ".join(dict.fromkeys(faults)))


class Rehearsal:
    """One declared job, run on an endpoint.

    Args:
        endpoint: The running endpoint.
        declaration: The declared job.
        template: The file that declares it; the stack is synthesized from it.
        log: File that takes what the CDK CLI and the preparation print.
    """

    def __init__(self, endpoint: LocalEndpoint, declaration: Declaration, template: Path, log: Path) -> None:
        self._endpoint = endpoint
        self._declaration = declaration
        self._template = template.resolve()
        self._log = log
        self._block = LocalBlock.of(declaration)
        self._outputs: dict[str, str] = {}
        self._execution_arn = ""

    # --- before the run ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the data, and fill the buckets that the declaration names.

        Raises:
            LocalError: The command fails, or a file or folder of `local.data` is not there.
        """
        if self._block.prepare:
            command = _with_this_python(self._block.prepare)
            shown = " ".join(self._block.prepare)
            try:
                done = self._logged(command, cwd=self._template.parent, environment=dict(os.environ))
            except FileNotFoundError:
                raise LocalError(f"local.prepare cannot run {shown!r}: there is no program {command[0]!r}") from None
            if done != 0:
                raise LocalError(f"local.prepare failed: {shown!r} ended with exit code {done}{self._log_tail()}")
        missing = [f"{path} (for {prefix})" for prefix, path in self._block.data.items() if not path.exists()]
        if missing:
            raise LocalError(f"local.data names what is not there: {', '.join(missing)}")
        s3 = self._endpoint.client("s3")
        for bucket in sorted(self._buckets()):
            s3.create_bucket(Bucket=bucket, **self._bucket_place())
        uploads = [
            (path, *_split(self._settled(prefix)), file)
            for prefix, path in self._block.data.items()
            for file in _files(path)
        ]
        for path, bucket, prefix, file in uploads:
            key = prefix if path.is_file() and not prefix.endswith("/") else None
            s3.upload_file(
                str(file), bucket, key or f"{prefix.rstrip('/')}/{file.relative_to(_base(path))}".lstrip("/")
            )

    def _buckets(self) -> set[str]:
        uris = [*self._block.data, *_s3_uris(self._declaration.request)]
        return {_split(self._settled(uri))[0] for uri in uris}

    def _bucket_place(self) -> dict[str, Any]:
        region = self._endpoint.region
        return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}

    def _settled(self, text: str) -> str:
        values = (self._endpoint.account_id, self._endpoint.region, "aws", "amazonaws.com")
        for name, value in zip(_PSEUDO, values, strict=True):
            text = text.replace(name, value)
        return text

    def bootstrap(self) -> None:
        """Run `cdk bootstrap`.

        Raises:
            LocalError: The CDK CLI or its Node is missing, or the command fails.
        """
        # In a folder of its own: beside a cdk.json the CLI would synthesize that app first.
        folder = self._endpoint.work_dir / "bootstrap"
        folder.mkdir(exist_ok=True)
        self._cdk("bootstrap", f"aws://{self._endpoint.account_id}/{self._endpoint.region}", cwd=folder)

    def prepare_and_bootstrap(self) -> None:
        """Both at once: they wait for different things."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            for done in [pool.submit(self.prepare), pool.submit(self.bootstrap)]:
                done.result()

    def deploy(self) -> None:
        """Run `cdk deploy` on the stack that the template declares.

        Raises:
            LocalError: Synthesis or deployment fails; the message holds the end of what the CDK CLI printed.
        """
        assembly = self._endpoint.work_dir / "cdk.out"
        outputs = self._endpoint.work_dir / "outputs.json"
        app = [sys.executable, "-m", "hpo_constructs.stacks", str(self._template), "--stack-name", STACK_NAME]
        self._cdk(
            "deploy",
            *("--app", shlex.join(app)),
            *("--output", str(assembly)),
            *("--outputs-file", str(outputs)),
            *("--require-approval", "never"),
        )
        self._outputs = json.loads(outputs.read_text(encoding="utf-8")).get(STACK_NAME, {})

    def _cdk(self, *arguments: str, cwd: Path | None = None) -> None:
        # Node and the CLI of this environment come first: those of the machine may be too old for the CDK.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        for program, remedy in (
            ("node", "install hpo-constructs[local], or Node 22 or later"),
            ("cdk", f"npm install -g aws-cdk@{CDK_CLI}"),
        ):
            if shutil.which(program, path=path) is None:
                raise LocalError(f"the program {program} is not on the PATH: {remedy}")
        # The CDK's own validation of the template takes seconds; cdk synth has it, a rehearsal shows more.
        environment = {**self._endpoint.child_environment(), "PATH": path, "CDK_VALIDATION": "false"}
        done = self._logged(
            [str(shutil.which("cdk", path=path)), *arguments, "--ci", "--no-color"], cwd=cwd, environment=environment
        )
        if done != 0:
            raise LocalError(f"cdk {arguments[0]} failed with exit code {done}{self._log_tail()}")

    def _logged(self, command: list[str], *, cwd: Path | None, environment: dict[str, str]) -> int:
        """Run a command with its output in the log; Ctrl-C ends its whole process group."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
                raise

    def _log_tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LOG_TAIL_LINES:]
        return ":\n" + "\n".join(f"  {line}" for line in lines) if lines else ""

    # --- the run ----------------------------------------------------------------------------------------------

    @property
    def tuning_job(self) -> str:
        """The tuning job's name in this run; empty before the start."""
        return tuning_job_name(self._declaration.name, self._execution_arn) if self._execution_arn else ""

    def start(self) -> None:
        """Start the state machine.

        Raises:
            LocalError: The stack has no state machine for the job.
        """
        arn = next((value for key, value in self._outputs.items() if key.endswith("StateMachineArn")), None)
        if arn is None:
            raise LocalError(f"the deployed stack has no output for the state machine of {self._declaration.name}")
        execution = self._endpoint.client("stepfunctions").start_execution(stateMachineArn=arn)
        self._execution_arn = execution["executionArn"]

    def watch(self) -> Iterator[Run]:
        """The state of the run, every half second, until the execution has ended."""
        while True:
            run = self.look()
            yield run
            if run.ended:
                return
            time.sleep(_POLL_SECONDS)

    def look(self) -> Run:
        """The state of the run now."""
        execution = self._endpoint.client("stepfunctions").describe_execution(executionArn=self._execution_arn)
        sagemaker = self._endpoint.client("sagemaker")
        job: dict[str, Any] | None = None
        training_jobs: list[dict[str, Any]] = []
        try:
            job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=self.tuning_job)
            pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
                HyperParameterTuningJobName=self.tuning_job
            )
            training_jobs = [item for page in pages for item in page["TrainingJobSummaries"]]
        except sagemaker.exceptions.ResourceNotFound:
            pass  # the state machine has not created it yet
        return Run(execution, job, training_jobs)

    @property
    def output_prefix(self) -> str:
        """The path of the published SSM parameters, with a slash at its end; empty before the deployment."""
        return next((value for key, value in self._outputs.items() if key.endswith("OutputPrefix")), "")

    def outputs(self) -> dict[str, str]:
        """The published SSM parameters by name, as read back from the endpoint."""
        if not self.output_prefix:
            return {}
        paginator = self._endpoint.client("ssm").get_paginator("get_parameters_by_path")
        pages = paginator.paginate(Path=self.output_prefix.rstrip("/"), Recursive=True)
        return {item["Name"]: item["Value"] for page in pages for item in page["Parameters"]}

    def stop(self) -> Run | None:
        """Stop the tuning job and the execution; the last state, or None when nothing had started."""
        if not self._execution_arn:
            return None
        sagemaker = self._endpoint.client("sagemaker")
        run = self.look()
        if run.job is not None and run.job["HyperParameterTuningJobStatus"] == "InProgress":
            sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=self.tuning_job)
            deadline = time.monotonic() + _STOP_TIMEOUT_SECONDS
            while run.job and run.job["HyperParameterTuningJobStatus"] in {"InProgress", "Stopping"}:
                if time.monotonic() > deadline:
                    break
                time.sleep(_POLL_SECONDS)
                run = self.look()
        if not run.ended:
            self._endpoint.client("stepfunctions").stop_execution(
                executionArn=self._execution_arn, error="Interrupted", cause="stopped by the user"
            )
        return run

    # --- after the run ----------------------------------------------------------------------------------------

    def save(self, folder: Path, run: Run) -> None:
        """Keep what the run has brought: the best model, the training jobs, the outputs and the logs."""
        folder.mkdir(parents=True, exist_ok=True)
        self._write(folder / "training-jobs.json", run.training_jobs)
        if run.job is not None:
            self._write(folder / "tuning-job.json", run.job)
        self._write(folder / "outputs.json", self.outputs())
        shutil.copyfile(self._log, folder / "cdk.log")
        self._save_logs(folder / "logs", run)
        best = (run.job or {}).get("BestTrainingJob")
        if best is None:
            return
        described = self._endpoint.client("sagemaker").describe_training_job(TrainingJobName=best["TrainingJobName"])
        uri = described.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
        if uri.endswith(".tar.gz"):
            bucket, key = _split(uri)
            self._endpoint.client("s3").download_file(bucket, key, str(folder / "model.tar.gz"))

    def training_log(self, training_job: str) -> list[str]:
        """The lines that a training job has printed, from CloudWatch Logs on the endpoint."""
        logs = self._endpoint.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{training_job}/")
        except logs.exceptions.ResourceNotFoundException:
            return []
        lines: list[str] = []
        for stream in streams["logStreams"]:
            token: dict[str, str] = {}
            while True:
                page = logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, **token
                )
                lines += [event["message"] for event in page["events"]]
                if not page["events"] or token.get("nextToken") == page["nextForwardToken"]:
                    break
                token = {"nextToken": page["nextForwardToken"]}
        return lines

    def _save_logs(self, folder: Path, run: Run) -> None:
        folder.mkdir(exist_ok=True)
        for item in run.training_jobs:
            name = item["TrainingJobName"]
            text = "\n".join(self.training_log(name))
            (folder / f"{name}.log").write_text(f"{text}\n", encoding="utf-8")

    @staticmethod
    def _write(file: Path, value: Any) -> None:
        file.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """The state of a run.

    Attributes:
        execution: Answer of DescribeExecution.
        job: Answer of DescribeHyperParameterTuningJob; None before the tuning job exists.
        training_jobs: The summaries of ListTrainingJobsForHyperParameterTuningJob.
    """

    execution: Mapping[str, Any]
    job: Mapping[str, Any] | None
    training_jobs: Sequence[Mapping[str, Any]]

    @property
    def ended(self) -> bool:
        """Whether the state machine's execution has ended."""
        return bool(self.execution["status"] != "RUNNING")

    @property
    def succeeded(self) -> bool:
        """Whether the execution has ended well."""
        return bool(self.execution["status"] == "SUCCEEDED")

    @property
    def reason(self) -> str:
        """Why the execution has failed."""
        error, cause = self.execution.get("error", ""), self.execution.get("cause", "")
        return ": ".join(part for part in (error, cause) if part) or str(self.execution["status"])


def _s3_uris(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith("s3://"):
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _s3_uris(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _s3_uris(item)


def _split(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from (file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith("."))


def _base(path: Path) -> Path:
    return path.parent if path.is_file() else path
