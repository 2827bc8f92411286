"""`hpo console` as a program: its address, its port, its end, and what it says when it cannot begin."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hpo_constructs.console.serving import DEFAULT_PORT, listening

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
    "AWS_ENDPOINT_URL": "http://localhost:9",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "PYTHONUNBUFFERED": "1",
}


def hpo(*arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; `code` comes before it in the same process."""
    program = f"{code}\nfrom hpo_constructs.cli.__main__ import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", program, "console", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**ENVIRONMENT, **environment},
    )


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running console and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo_constructs.cli", "console", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **environment},
    )
    assert process.stdout is not None
    try:
        yield process, next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def status(address: str, **headers: str) -> int:
    place = urlsplit(address)
    connection = HTTPConnection(str(place.hostname), place.port, timeout=10)
    try:
        connection.request("GET", place.path or "/", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted_and_ends_quietly(how: signal.Signals) -> None:
    with running("--port", "0") as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", address)
        own = address.partition("/?")[0]
        assert status(f"{own}/static/console.css") == 200
        assert status(own) == 403
        assert status(own, Host="evil.example") == 403
        process.send_signal(how)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "ended\n")
    with pytest.raises(OSError, match="refused"):
        status(own)


def test_each_start_has_another_secret() -> None:
    with running("--port", "0") as (_, first), running("--port", "0") as (_, second):
        assert first.partition("token=")[2] != second.partition("token=")[2]


def test_it_listens_on_the_loopback_interface_alone() -> None:
    with listening(0) as found:
        host, port = found.getsockname()
        assert host == "127.0.0.1"
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))


def test_the_next_port_is_taken_where_the_usual_one_is_taken() -> None:
    with ExitStack() as held:
        ports = [held.enter_context(listening(None)).getsockname()[1] for _ in range(3)]
    assert ports == sorted(set(ports))
    assert all(DEFAULT_PORT <= port < DEFAULT_PORT + 20 for port in ports)


def test_a_port_that_is_stated_and_taken_is_one_sentence() -> None:
    with listening(0) as taken:
        port = taken.getsockname()[1]
        done = hpo("--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"hpo: port {port} is taken on 127.0.0.1; choose another with --port, or --port 0 for a free one\n"
    )


@pytest.mark.parametrize("package", ["flask", "waitress"])
def test_without_its_packages_it_says_what_to_install(package: str) -> None:
    done = hpo(code=f"import sys; sys.modules[{package!r}] = None")
    assert done.returncode == 2
    assert done.stderr == f"hpo: {package} is not installed: pip install 'hpo-constructs[console]'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--templates", "/nowhere/at/all"), "--templates must be a folder that exists, got /nowhere/at/all"),
        (("--profile", "nobody"), "aws configure list-profiles"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    done = hpo("--port", "0", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_browser_is_opened_with_the_whole_address(tmp_path: Path) -> None:
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part && mv {tmp_path}/opened.part {tmp_path}/opened\n')
    script.chmod(0o755)
    with running("--port", "0", "--open", BROWSER=f"{script} %s") as (_, address):
        deadline = time.monotonic() + 20
        while not (tmp_path / "opened").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert (tmp_path / "opened").read_text().strip() == address


def test_other_commands_do_not_load_it() -> None:
    loaded = "print(*sorted({'flask', 'waitress', 'boto3'} & set(sys.modules)))"
    code = f"import sys; import hpo_constructs.cli.__main__; {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout == "\n"
