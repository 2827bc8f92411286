"""The local endpoint as a process: start, environment, and that nothing survives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest

from hpo_constructs.errors import LocalError
from hpo_constructs.local import LocalEndpoint

from .conftest import until
from .test_endpoint_lambda import Function, archive

STARTER = """
    import os, sys, time
    from pathlib import Path
    from hpo_constructs.local import LocalEndpoint
    endpoint = LocalEndpoint().start()
    print(endpoint.pid, endpoint.url, endpoint.work_dir, flush=True)
    time.sleep(600)
"""


def session_members(leader: int) -> list[int]:
    """The live processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[3]) == leader:
                found.append(int(entry.name))
    return found


def test_the_health_path_answers(endpoint: LocalEndpoint) -> None:
    address = f"{endpoint.url}/_hpo/health"
    with urllib.request.urlopen(address, timeout=10) as response:  # noqa: S310 - the endpoint's own URL
        answer = json.load(response)
    assert answer["status"] in {"starting", "ok"}
    assert (answer["account_id"], answer["region"], answer["pid"]) == ("123456789012", "us-east-1", endpoint.pid)


def test_the_environment_keeps_clients_on_the_endpoint(endpoint: LocalEndpoint) -> None:
    """Whatever AWS settings a user has, a child process reaches this endpoint with made-up credentials."""
    hostile = {
        **os.environ,
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
        "AWS_CONFIG_FILE": "/nowhere",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    program = """
        import boto3, json
        session = boto3.Session()
        credentials = session.get_credentials().get_frozen_credentials()
        print(json.dumps([session.client("sts").get_caller_identity()["Account"], credentials.access_key,
                          credentials.token, session.region_name]))
    """
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=endpoint.child_environment(hostile),
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    assert json.loads(output) == ["123456789012", "local", "local", "us-east-1"]
    assert "AWS_ENDPOINT_URL_STS" not in endpoint.child_environment(hostile)


def test_a_client_needs_none_of_the_users_configuration(
    endpoint: LocalEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    with pytest.raises(botocore.exceptions.ProfileNotFound):
        boto3.Session().client("sts")
    fresh = LocalEndpoint()
    with fresh:
        assert fresh.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_a_call_that_is_not_offered_says_so(endpoint: LocalEndpoint) -> None:
    for service, call in (("cloudtrail", "lookup_events"), ("lambda", "get_account_settings")):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            getattr(endpoint.client(service), call)()
        assert refused.value.response["Error"]["Code"] in {"NotImplemented", "InternalFailure", "404"}
    assert endpoint.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_moto_keeps_the_rest_of_sagemaker(endpoint: LocalEndpoint) -> None:
    assert endpoint.client("sagemaker").list_models()["Models"] == []


def test_tuning_jobs_are_the_engines(endpoint: LocalEndpoint) -> None:
    sagemaker = endpoint.client("sagemaker")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nothing-here")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFound"


def test_properties_need_a_running_endpoint() -> None:
    with pytest.raises(LocalError, match="not running"):
        _ = LocalEndpoint().url


def test_stop_leaves_nothing() -> None:
    endpoint = LocalEndpoint().start()
    made = Function(endpoint, "left", "import time\ndef handler(event, context):\n    return 1")
    made.call()
    leader, work_dir = endpoint.pid, endpoint.work_dir
    assert len(session_members(leader)) >= 3
    endpoint.stop()
    assert session_members(leader) == []
    assert not work_dir.exists()
    assert not endpoint.is_running
    endpoint.stop()


def test_a_work_dir_of_the_users_is_kept(tmp_path: Path) -> None:
    with LocalEndpoint(work_dir=tmp_path / "work") as endpoint:
        assert endpoint.log_file.read_text().startswith("ready http://localhost:")
    assert (tmp_path / "work" / "endpoint.log").exists()


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port} on 127.0.0.1 cannot be taken: it is in use"):
            LocalEndpoint(port=port).start()
        run = _server("--port", str(port))
    assert run.returncode == 1
    assert run.stderr.strip().splitlines() == [
        f"port {port} on 127.0.0.1 cannot be taken: it is in use; choose another one or 0"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "0.0.0.0"), "host must be a loopback address"),  # noqa: S104 - that it is refused is the test
        (("--wait-scale", "0"), "wait-scale must be above 0 and at most 1, got 0"),
        (("--port", "70000"), "port must be within 0 and 65535, got 70000"),
        (("--images", "/nowhere.json"), "images: cannot read /nowhere.json"),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[str, ...], message: str) -> None:
    run = _server(*arguments)
    assert run.returncode != 0
    assert message in run.stderr
    assert "Traceback" not in run.stderr


def _server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpo_constructs.local.server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_ctrl_c_ends_a_server_run_by_hand() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo_constructs.local.server"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready http://localhost:")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors


def _started() -> tuple[subprocess.Popen[str], int, str, Path]:
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(STARTER)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, url, work_dir = parent.stdout.readline().split()
    return parent, int(pid), url, Path(work_dir)


def _call_a_function(url: str) -> None:
    """Leave a function running that has started a process of its own."""

    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        return boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys)

    role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = """
        import subprocess, time
        def handler(event, context):
            subprocess.Popen(["sleep", "300"])
            time.sleep(300)
    """
    client("lambda").create_function(
        FunctionName="f",
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": archive(code)},
        Timeout=300,
    )
    client("lambda").invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")


def _commands(pids: list[int]) -> list[str]:
    return [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in pids]


@pytest.mark.parametrize("victim", ["parent", "server", "both"])
def test_a_kill_leaves_nothing(victim: str) -> None:
    """Parent or server may be killed with no chance to clean up: workers and their children end too."""
    parent, server, url, work_dir = _started()
    try:
        _call_a_function(url)
        until(lambda: any(command.startswith("sleep") for command in _commands(session_members(server))))
        if victim in {"server", "both"}:
            os.kill(server, signal.SIGKILL)
        if victim in {"parent", "both"}:
            parent.kill()
            parent.wait()
        until(lambda: not session_members(server), seconds=15)
        until(lambda: not work_dir.exists(), seconds=5)
    finally:
        parent.kill()
        parent.wait()


def test_it_starts_quickly() -> None:
    started = time.monotonic()
    with LocalEndpoint():
        # About one second on an idle machine; a loaded one is given more.
        assert time.monotonic() - started < 15
