"""`hpo check` and its siblings as a person or a pipeline runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from hpo_constructs.cli.__main__ import app
from hpo_constructs.documents import read
from hpo_constructs.rules import rules
from hpo_constructs.rules.examples import SEVERAL, SINGLE

PARALLEL = "max_parallel_training_jobs: 2"
BROKEN = SINGLE.replace("Bayesian", "Baysian")
ABOVE_QUOTA = SINGLE.replace(PARALLEL, "max_parallel_training_jobs: 11").replace(
    "instance_count: 2", "instance_count: 1"
)
ADVISED = SINGLE.replace(PARALLEL, "max_parallel_training_jobs: 3")  # more than the nodes requested


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, which the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> str:
    """A file of the folder."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return name


def hpo(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, list(arguments))


def run_hpo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as `hpo` starts it."""
    return subprocess.run(
        [sys.executable, "-m", "hpo_constructs.cli.__main__", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_a_clean_template() -> None:
    done = run_hpo("check", write("churn.yaml", SINGLE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 tuning job checked: no findings\n", "")


def test_findings_as_text() -> None:
    done = run_hpo("check", write("jobs/churn.yaml", BROKEN))
    assert done.returncode == 1
    headline, message, fix, see, _, summary = done.stdout.splitlines()
    assert headline == "shape error  jobs/churn.yaml:2:11  strategy"
    assert message == "  strategy must be one of Bayesian, Random, Hyperband, Grid, got 'Baysian'"
    assert fix == "  fix: write Bayesian"
    assert see.startswith("  see: https://docs.aws.amazon.com/")
    assert summary == "1 tuning job checked: 1 error"
    assert "\x1b" not in done.stdout


def test_findings_as_json() -> None:
    done = run_hpo("check", "--format", "json", write("churn.yaml", BROKEN))
    assert done.returncode == 1
    body = json.loads(done.stdout)
    assert (body["checked"], body["unreadable"]) == (1, [])
    (finding,) = body["findings"]
    assert {"rule", "severity", "path", "message", "fix", "source", "file", "line", "column"} <= finding.keys()
    assert (finding["rule"], finding["severity"], finding["path"]) == ("shape", "error", "strategy")
    assert (finding["file"], finding["line"], finding["column"]) == ("churn.yaml", 2, 11)


def test_findings_as_sarif() -> None:
    done = run_hpo("check", "--format", "sarif", write("churn.yaml", BROKEN), "gone.yaml")
    assert done.returncode == 2
    (run,) = json.loads(done.stdout)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["shape"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"] == "no such file"


def test_findings_as_github_annotations() -> None:
    done = run_hpo("check", "--format", "github", write("churn.yaml", BROKEN))
    assert done.returncode == 1
    assert done.stdout.startswith(
        "::error file=churn.yaml,line=2,col=11,title=shape strategy::strategy must be one of "
    )
    assert done.stdout.splitlines()[-1] == "1 tuning job checked: 1 error"


def test_an_unknown_format() -> None:
    done = run_hpo("check", "--format", "xml", write("churn.yaml", SINGLE))
    assert done.returncode == 2
    assert "xml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_is_read_with_those_below_it() -> None:
    write("jobs/one.yaml", SINGLE)
    write("jobs/below/two.yml", BROKEN.replace("name: churn", "name: second"))
    write(
        "jobs/below/three.json", json.dumps(read(write("three.yaml", SEVERAL))[0].request).replace('"churn"', '"third"')
    )
    write("jobs/.hidden/four.yaml", BROKEN)
    write("jobs/node_modules/five.yaml", BROKEN)
    write("jobs/other.yaml", "replicas: 3\n")
    write("jobs/notes.txt", BROKEN)
    done = run_hpo("check", "--format", "json", "jobs")
    body = json.loads(done.stdout)
    assert body["checked"] == 3
    assert body["unreadable"] == []
    assert [finding["file"] for finding in body["findings"] if finding["rule"] == "shape"] == ["jobs/below/two.yml"]
    assert "declare no tuning job and were left out: 1" in run_hpo("check", "jobs").stderr


def test_a_file_that_is_named_must_declare_a_job() -> None:
    done = run_hpo("check", write("other.yaml", "replicas: 3\n"), write("churn.yaml", BROKEN))
    assert done.returncode == 2
    assert "other.yaml:1:1\n  declares no tuning job" in done.stdout
    assert "churn.yaml:2:11" in done.stdout  # the other file is checked all the same


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("binary.yaml", b"\x00\x01\xff\xfe", "not UTF-8 text: byte 2 is 0xff"),
        ("control.yaml", b"name: a\x00b\n", "the file is not text"),
        ("broken.yaml", b"name: [churn\n", "not readable as YAML or JSON"),
        ("twice.yaml", b"name: one\nname: two\n", "the key name stands twice, first in line 1"),
        ("empty.yaml", b"", "declares no tuning job: the file is empty"),
        ("deep.json", b"[" * 100_000 + b"]" * 100_000, "nested more than 60 levels deep"),
        ("text.yaml", b"just words\n", "declares no tuning job"),
    ],
)
def test_bad_input_is_named_and_the_rest_is_checked(name: str, content: bytes, message: str) -> None:
    Path(name).write_bytes(content)
    done = run_hpo("check", name, write("churn.yaml", BROKEN))
    assert done.returncode == 2
    assert f"unreadable  {name}" in done.stdout
    assert message in done.stdout
    assert "1 tuning job checked: 1 error, 1 unreadable file" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_missing_file_and_an_empty_folder() -> None:
    Path("void").mkdir()
    done = run_hpo("check", "gone.yaml", "void")
    assert done.returncode == 2
    assert "unreadable  gone.yaml\n  no such file" in done.stdout
    assert "unreadable  void\n  holds no *.yaml, *.yml or *.json file" in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_and_a_folder_without_permission() -> None:
    write("closed.yaml", SINGLE)
    write("shut/churn.yaml", SINGLE)
    Path("closed.yaml").chmod(0)
    Path("shut").chmod(0)
    try:
        done = run_hpo("check", "closed.yaml", "shut")
    finally:
        Path("shut").chmod(0o700)
    assert done.returncode == 2
    assert "unreadable  closed.yaml\n  cannot be read: Permission denied" in done.stdout
    assert "unreadable  shut\n  cannot be listed: Permission denied" in done.stdout


def test_wrong_use() -> None:
    assert run_hpo("check").returncode == 2
    assert run_hpo("check", "--no-such-option", "x").returncode == 2


def test_quotas_of_an_edition_or_a_file() -> None:
    name = write("churn.yaml", ABOVE_QUOTA)
    assert "hpo:quotas" in (done := hpo("check", name)).output
    assert done.exit_code == 1
    raised = {"parallel_training_jobs": 100}
    assert hpo("check", "--quotas", write("quotas.json", json.dumps(raised)), name).exit_code == 0
    assert hpo("check", "--quotas", write("quotas.yaml", yaml.safe_dump(raised)), name).exit_code == 0
    assert (
        hpo("check", "--quotas", write("cdk.json", json.dumps({"context": {"hpo:quotas": raised}})), name).exit_code
        == 0
    )
    many = write("many.yaml", SINGLE.replace("max_number_of_training_jobs: 20", "max_number_of_training_jobs: 600"))
    Path("cdk.json").unlink()
    assert hpo("check", many).exit_code == 1
    assert hpo("check", "--quotas", "aws-2026", many).exit_code == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("aws-1999", "--quotas must be an edition (developer-guide, aws-2026) or a file, got 'aws-1999': no such file"),
        ("typo.yaml", "typo.yaml: there is no quota 'paralel_training_jobs'; did you mean parallel_training_jobs?"),
        ("text.yaml", "text.yaml: parallel_training_jobs must be a whole number of at least 0, got 'ten'"),
        ("broken.yaml", "broken.yaml:2:1: not readable as YAML or JSON"),
    ],
)
def test_bad_quotas(option: str, message: str) -> None:
    write("typo.yaml", "paralel_training_jobs: 10\n")
    write("text.yaml", "parallel_training_jobs: ten\n")
    write("broken.yaml", "parallel_training_jobs: [\n")
    done = run_hpo("check", "--quotas", option, write("churn.yaml", SINGLE))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"hpo: {message}")
    assert len(done.stderr.splitlines()) == 1


def test_the_context_of_the_folders_cdk_json_states_quotas() -> None:
    name = write("churn.yaml", ABOVE_QUOTA)
    assert hpo("check", name).exit_code == 1
    write("cdk.json", json.dumps({"context": {"hpo:quotas": {"parallel_training_jobs": 100}}}))
    assert hpo("check", name).exit_code == 0
    assert hpo("check", "--quotas", "developer-guide", name).exit_code == 1  # the option goes before
    write("cdk.json", json.dumps({"context": {"hpo:quotas": "aws-1999"}}))
    done = run_hpo("check", name)
    assert (done.returncode, done.stderr.split(":")[1]) == (2, " cdk.json, context hpo")


def test_a_template_states_its_quotas_itself() -> None:
    name = write("churn.yaml", f"{ABOVE_QUOTA}quotas: {{parallel_training_jobs: 100}}\n")
    assert hpo("check", name).exit_code == 0


def test_warnings_fail_when_asked_to() -> None:
    name = write("churn.yaml", ADVISED)
    done = hpo("check", name)
    assert done.exit_code == 0
    assert "1 tuning job checked: 1 warning" in done.output
    assert hpo("check", "--strict", name).exit_code == 1


def test_values_known_at_deployment_only_are_counted_and_listed_on_request() -> None:
    name = write(
        "churn.yaml", SINGLE.replace("role_arn: arn:aws:iam::123456789012:role/tuning", "role_arn: ${Token[Role]}")
    )
    done = hpo("check", name)
    assert done.exit_code == 0
    assert "1 value not checked (known at deployment only)" in done.output
    assert "role_arn" not in done.output
    assert "role_arn is known at deployment only" in hpo("check", "--show-unknown", name).output


def test_colour_is_for_terminals() -> None:
    name = write("churn.yaml", BROKEN)
    script = (
        "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'hpo_constructs.cli.__main__', 'check', "
        f"{name!r}]) >> 8)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    command = [sys.executable, "-c", script]
    coloured = subprocess.run(
        command, capture_output=True, check=False, env=environment, timeout=60, stdin=subprocess.DEVNULL
    )
    assert coloured.returncode == 1
    assert b"\x1b[31m" in coloured.stdout
    without = subprocess.run(
        command,
        capture_output=True,
        check=False,
        env={**environment, "NO_COLOR": "1"},
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert without.returncode == 1
    assert b"\x1b[" not in without.stdout


def test_a_reader_that_leaves_early() -> None:
    # More than a pipe holds, so that the command still writes when its reader has gone.
    definition = SINGLE.split("training_job_definition:")[1]
    text = "".join(
        f"---\nname: job-{number}\nstrategy: Nothing\nresource_limits: {{}}\ntraining_job_definition:{definition}"
        for number in range(150)
    )
    command = f"{sys.executable} -m hpo_constructs.cli.__main__ check {write('many.yaml', text)} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_render_and_import_are_inverse() -> None:
    rendered = run_hpo("render", write("churn.yaml", SINGLE))
    assert rendered.returncode == 0
    assert json.loads(rendered.stdout)["HyperParameterTuningJobName"] == "churn"
    imported = run_hpo("import", write("request.json", rendered.stdout))
    assert imported.returncode == 0
    assert run_hpo("render", write("again.yaml", imported.stdout)).stdout == rendered.stdout


def test_import_of_what_is_no_declaration() -> None:
    done = run_hpo("import", "gone.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "hpo: gone.yaml: no such file\n")


def test_schema_rules_and_explain() -> None:
    assert json.loads(hpo("schema").output)["$schema"].endswith("2020-12/schema")
    assert [line.split()[0] for line in hpo("rules").output.splitlines()] == list(rules())
    assert hpo("rules", "--markdown").output.startswith("# Rules\n")
    assert "why: " in hpo("explain", "shape").output
    done = run_hpo("explain", "shap")
    assert (done.returncode, done.stderr) == (2, "hpo: there is no rule 'shap'; did you mean shape?\n")
