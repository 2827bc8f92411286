"""A declared tuning job deployed on this machine: the synthesized stack, brought to the local endpoint by the CDK CLI.

The steps are those of a real account, and so are the tools: CDK bootstrap and deploy. The run itself is started,
watched and read as on any account.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LocalError
from ..spec.declaration import Declaration
from .image_mapping import image_entries, with_this_python

if TYPE_CHECKING:
    from .endpoint import LocalEndpoint

STACK_NAME = "HpoLocal"
# The release that reads this library's cloud assembly; npm's latest tag is an older build.
CDK_CLI = "2.1148.1"
_LOG_TAIL_LINES = 25

# CloudFormation's pseudo parameters have these values on the endpoint.
_PSEUDO = ("${AWS::AccountId}", "${AWS::Region}", "${AWS::Partition}", "${AWS::URLSuffix}")


@dataclass(frozen=True)
class LocalBlock:
    """What a template's `local` block says; paths are relative to the template's folder.

    Attributes:
        prepare: Command that makes the data, run in the template's folder; empty without one.
        data: Files or folders by the S3 prefix that they are uploaded to.
        commands: Image patterns with what stands in for the image, as the image mapping has them.
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


def refuse_unknown_images(declaration: Declaration, images: Sequence[Mapping[str, Any]]) -> None:
    """Tell before anything is started when a training image cannot run on this machine.

    Raises:
        LocalError: The message names every such image, why, and the fix.
    """
    from .algorithms import local_program
    from .containers import ContainerError, Engines

    engines = Engines()
    request = declaration.request
    definitions = [request.get("TrainingJobDefinition"), *request.get("TrainingJobDefinitions", ())]
    faults = []
    for definition in filter(None, definitions):
        image = definition["AlgorithmSpecification"].get("TrainingImage")
        if image is None:
            faults.append("an algorithm resource (algorithm_name) has no image that a local program could stand in for")
            continue
        try:
            program = local_program(image, images, definition.get("StaticHyperParameters"))
            if program.container is not None:
                engines.find(program.container.engine)
                if program.container.image or "${" not in image:
                    engines.image(program.container, image)
        except (LookupError, ContainerError) as error:
            faults.append(str(error))
    if faults:
        raise LocalError("; ".join(dict.fromkeys(faults)))


class Rehearsal:
    """One declared job, made ready to run on an endpoint.

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

    def prepare(self) -> None:
        """Make the data, and fill the buckets that the declaration names.

        Raises:
            LocalError: The command fails, or a file or folder of `local.data` is not there.
        """
        if self._block.prepare:
            command = with_this_python(self._block.prepare)
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

    def deploy(self) -> tuple[str, str]:
        """Run `cdk deploy` on the stack that the template declares: the state machine's ARN and the outputs' path.

        Raises:
            LocalError: Synthesis or deployment fails; the message holds the end of what the CDK CLI printed. Or the
                stack has no state machine for the job.
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
        found = json.loads(outputs.read_text(encoding="utf-8")).get(STACK_NAME, {})
        machine, prefix = (
            next((value for key, value in found.items() if key.endswith(name)), None)
            for name in ("StateMachineArn", "OutputPrefix")
        )
        if machine is None or prefix is None:
            raise LocalError(f"the deployed stack has no output for the state machine of {self._declaration.name}")
        return machine, prefix

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
