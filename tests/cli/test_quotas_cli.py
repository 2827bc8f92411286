"""`hpo quotas`, with a Service Quotas API on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hpo_constructs.cli.__main__ import app
from hpo_constructs.cli.cdk_json import with_context
from hpo_constructs.errors import DocumentError, HpoError
from hpo_constructs.rules.examples import SINGLE

M5 = "ml.m5.xlarge"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ten jobs of 20 training jobs at once, as in the guide's example, as the working directory."""
    monkeypatch.chdir(tmp_path)
    templates = tmp_path / "templates"
    templates.mkdir()
    for number in range(10):
        text = SINGLE.replace("name: churn", f"name: churn-{number}", 1)
        text = text.replace("max_parallel_training_jobs: 2", "max_parallel_training_jobs: 20")
        text = text.replace("max_number_of_training_jobs: 20", "max_number_of_training_jobs: 100")
        text = text.replace("instance_count: 2", "instance_count: 1").replace(M5, "ml.m4.xlarge")
        (templates / f"churn-{number}.yaml").write_text(text)
    return tmp_path


def quotas(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ["quotas", *arguments])
    if status != 2 and result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def test_the_plan_as_json(folder: Path) -> None:
    found = json.loads(quotas("templates", "--json", status=1).stdout)
    needed = {one["title"]: (one["needed"], one["allowed"], one["action"]) for one in found["requirements"]}
    assert needed["tuning jobs at once"] == (10, 100, "no increase")
    assert needed["training jobs at once of a tuning job"] == (20, 10, "request 20")
    assert needed["instances of ml.m4.xlarge"] == (200, 20, "request 200")
    assert found["fits"] is False
    assert len(found["requirements"][-2]["jobs"]) == 10
    assert found["costs"]["all"]["instance_hours"] == pytest.approx(10 * 100)


def test_the_plan_as_a_table_says_what_to_do(folder: Path) -> None:
    output = quotas("templates", status=1).stdout
    (line,) = [line for line in output.splitlines() if line.startswith("instances of ml.m4.xlarge")]
    assert line.split("  ")[0] == "instances of ml.m4.xlarge"
    assert "200" in line
    assert "request 200" in line
    assert "churn-0 20, churn-1 20, churn-2 20 and 7 more" in line
    assert "10 tuning jobs planned: 3 above what the account allows" in output
    assert "concurrency: all tuning jobs at once" in output


def test_the_requests_are_commands_and_comments_only(folder: Path) -> None:
    lines = quotas("templates", "--requests", "--region", "eu-west-1", status=1).stdout.splitlines()
    commands = [line for line in lines if not line.startswith("#")]
    assert len(commands) == 3
    assert all(
        line.startswith("aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code L-")
        and line.endswith("--region eu-west-1")
        for line in commands
    )


def test_a_type_without_a_code_is_looked_up(folder: Path) -> None:
    for file in (folder / "templates").iterdir():
        file.write_text(file.read_text().replace("ml.m4.xlarge", "ml.p3.2xlarge"))
    lines = quotas("templates", "--requests", status=1).stdout.splitlines()
    at = lines.index("# ml.p3.2xlarge for training job usage: 200 needed, 20 allowed")
    assert "not in the library's data" in lines[at + 1]
    assert lines[at + 2].startswith("aws service-quotas list-service-quotas ")
    assert "ml.p3.2xlarge for training job usage" in lines[at + 2]
    assert "L-" not in lines[at + 2]


def test_stated_quotas_of_cdk_json_make_it_fit(folder: Path) -> None:
    stated = {"parallel_training_jobs": 20, "instances": {"ml.m4.xlarge": 200}, "instances_total": 200}
    (folder / "cdk.json").write_text(json.dumps({"context": {"hpo:quotas": stated}}))
    output = quotas("templates").stdout
    assert "10 tuning jobs planned: all fits" in output
    assert quotas("templates", "--requests").stdout == ""


def test_jobs_in_turn_are_counted_once(folder: Path) -> None:
    names = ",".join(f"churn-{number}" for number in range(10))
    found = json.loads(quotas("templates", "--json", "--in-turn", names, status=1).stdout)
    needed = {one["title"]: one["needed"] for one in found["requirements"]}
    assert (needed["tuning jobs at once"], needed["instances of ml.m4.xlarge"]) == (1, 20)


def test_a_price_list_gives_money(folder: Path) -> None:
    (folder / "prices.yaml").write_text("currency: EUR\ninstances: {ml.m4.xlarge: 0.25}\n")
    found = json.loads(quotas("templates", "--json", "--prices", "prices.yaml", status=1).stdout)
    assert found["costs"]["currency"] == "EUR"
    assert found["costs"]["all"]["cost"] == pytest.approx(250)
    assert "250.00" in quotas("templates", "--prices", "prices.yaml", status=1).stdout


def test_many_jobs_are_shown_by_the_largest(folder: Path) -> None:
    text = (folder / "templates" / "churn-0.yaml").read_text()
    for number in range(10, 45):
        (folder / "templates" / f"churn-{number}.yaml").write_text(
            text.replace("name: churn-0", f"name: churn-{number}")
        )
    lines = quotas("templates", status=1).stdout.splitlines()
    (rest,) = [line.split() for line in lines if line.startswith("25 more")]
    assert rest[2] == "2,500.0"
    assert sum(line.startswith("churn-") for line in lines) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["templates", "--write", "cdk.json"], "--write needs --account"),
        (["templates", "--prices", "none.yaml"], "no such file"),
        (["templates", "--prices", "bad.yaml"], "bad.yaml: prices has no key 'euros'"),
        (["templates", "--in-turn", "churn-0,nobody"], "--in-turn names 'nobody'"),
        (["templates", "--in-turn", "churn-0,churn-1", "--in-turn", "churn-1,churn-2"], "in two groups"),
        (["templates", "--quotas", "aws-1999"], "no such file"),
    ],
)
def test_wrong_use_is_one_sentence(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "bad.yaml").write_text("euros: 3\n")
    result = CliRunner().invoke(app, ["quotas", *arguments])
    assert isinstance(result.exception, HpoError)
    assert message in str(result.exception)


def test_an_unreadable_file_is_told_with_status_two(folder: Path) -> None:
    (folder / "templates" / "broken.yaml").write_text("name: [")
    result = quotas("templates", status=2)
    assert "broken.yaml" in result.stderr


def test_the_budget_of_cdk_json_fails_a_check(folder: Path) -> None:
    for hours, status in ((1000, 0), (999, 1)):
        stated = {"edition": "aws-2026", "parallel_training_jobs": 20}
        context = {"hpo:quotas": stated, "hpo:budget": {"max_instance_hours": hours}}
        (folder / "cdk.json").write_text(json.dumps({"context": context}))
        result = CliRunner().invoke(app, ["check", "templates"])
        assert result.exit_code == status, result.output
        assert ("budget-instance-hours" in result.stdout) is bool(status)


def test_a_wrong_budget_in_cdk_json_names_it(folder: Path) -> None:
    (folder / "cdk.json").write_text(json.dumps({"context": {"hpo:budget": {"hours": 3}}}))
    result = CliRunner().invoke(app, ["check", "templates"])
    assert "cdk.json, context hpo:budget: budget has no key 'hours'" in str(result.exception)


# The account.


class _ServiceQuotas(BaseHTTPRequestHandler):
    """ListServiceQuotas and ListAWSDefaultServiceQuotas, one quota a page."""

    server: "_Server"

    def do_POST(self) -> None:
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append((operation, request["ServiceCode"]))
        quotas_ = self.server.answers.get(operation)
        if quotas_ is None:
            self._answer(400, {"__type": "NoSuchResourceException", "message": "not here"})
            return
        page = int(request.get("NextToken", 0))
        body: dict[str, Any] = {"Quotas": quotas_[page : page + 1]}
        if page + 1 < len(quotas_):
            body["NextToken"] = str(page + 1)
        self._answer(200, body)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at the calls."""


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ServiceQuotas)
        self.answers: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[tuple[str, str]] = []


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()
        thread.join()


def entry(name: str, value: float) -> dict[str, Any]:
    return {"ServiceCode": "sagemaker", "QuotaName": name, "QuotaCode": "L-00000000", "Value": value}


def test_the_accounts_own_values_are_read_and_written(folder: Path, account: _Server) -> None:
    parallel = "Maximum number of training jobs each hyper parameter tuning job can run in parallel at once"
    account.answers = {
        "ListAWSDefaultServiceQuotas": [
            entry(parallel, 10),
            entry("ml.m4.xlarge for training job usage", 4),
            entry("Number of instances across all training jobs", 4),
        ],
        "ListServiceQuotas": [
            entry("ml.m4.xlarge for training job usage", 250),
            entry(parallel, 20),
            entry("ml.m5.xlarge for training job usage", 9),
        ],
    }
    before = (
        '{\n    "app": "python3 app.py",\n    "context": {\n        "list": ["a",   "b"],\n'
        '        "hpo:quotas": "aws-2026"\n    }\n}\n'
    )
    (folder / "cdk.json").write_text(before)
    output = quotas("templates", "--account", "--write", "cdk.json", "--json", status=1)
    found = {one["title"]: (one["allowed"], one["fits"]) for one in json.loads(output.stdout)["requirements"]}
    assert found["training jobs at once of a tuning job"] == (20, True)
    assert found["instances of ml.m4.xlarge"] == (250, True)
    assert found["training instances"] == (4, False)
    assert "hpo:quotas written to cdk.json" in output.stderr
    written = (folder / "cdk.json").read_text()
    assert json.loads(written)["context"]["hpo:quotas"] == {
        "edition": "aws-2026",
        "parallel_training_jobs": 20,
        "instances_total": 4,
        "instances": {"ml.m4.xlarge": 250},
    }
    start = before.index('"aws-2026"')
    assert written.startswith(before[:start])
    assert written.endswith(before[start + len('"aws-2026"') :])
    assert {operation for operation, _ in account.calls} == set(account.answers)
    # What was written is taken from now on.
    assert "1 above what the account allows" in quotas("templates", status=1).stdout


def test_an_endpoint_without_the_quotas_of_sagemaker_is_told(folder: Path, account: _Server) -> None:
    result = CliRunner().invoke(app, ["quotas", "templates", "--account"])
    assert isinstance(result.exception, HpoError)
    assert "does not serve the Service Quotas of SageMaker" in str(result.exception)
    assert f"http://127.0.0.1:{account.server_port}" in str(result.exception)


def test_an_account_that_cannot_be_reached_is_told(folder: Path, account: _Server, monkeypatch: Any) -> None:
    with _Server() as gone:
        port = gone.server_port
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = CliRunner().invoke(app, ["quotas", "templates", "--account"])
    assert isinstance(result.exception, HpoError)
    assert "reading the account's quotas failed" in str(result.exception)


# cdk.json.

VALUE = {"training_jobs": 3, "instances": {"x": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"app": "x"}',
        '{"context": {}}',
        '{"app": "x", "context": {"a": 1}}',
        '{\n  "app": "x",\n  "context": {\n    "a": [1,\n 2],\n    "hpo:quotas": {"old": 1}\n  },\n  "z": 1\n}\n',
        '{\n\t"context": {\n\t\t"a": "\\"hpo:quotas\\": {"\n\t}\n}\n',
        '{\n  "context": {}\n}',
        '{\n  "context": {\n  }\n}',
        "{\n}\n",
        '{"b": {"context": {"c": 1}}, "context" : { "a":1 } }',
        '{"context": {"hpo:quotas": "aws-2026", "a": 1}}',
        '{\n  "a": "ü\\u00fc \\n }"\n}',
    ],
)
def test_one_context_value_is_set_and_the_rest_stays(text: str) -> None:
    written = with_context(text, "hpo:quotas", VALUE)
    expected = json.loads(text)
    expected.setdefault("context", {})["hpo:quotas"] = VALUE
    assert json.loads(written) == expected
    # Written again it changes nothing, and taking it away gives the characters of before.
    assert with_context(written, "hpo:quotas", VALUE) == written
    old = json.loads(text).get("context", {}).get("hpo:quotas")
    if old is not None:
        assert with_context(written, "hpo:quotas", "MARK").split('"MARK"') == with_context(
            text, "hpo:quotas", "MARK"
        ).split('"MARK"')
        head, tail = with_context(text, "hpo:quotas", "MARK").split('"MARK"')
        assert text.startswith(head)
        assert text.endswith(tail)
    else:
        kept = iter(written)
        assert all(character in kept for character in text)  # nothing is lost, and in the same order


def test_lines_stand_in_the_layout_of_their_file() -> None:
    text = '{\n    "context": {\n        "a": 1\n    }\n}\n'
    assert with_context(text, "b", {"c": 2}) == (
        '{\n    "context": {\n        "a": 1,\n        "b": {\n          "c": 2\n        }\n    }\n}\n'
    )


def test_windows_lines_stay(tmp_path: Path) -> None:
    from hpo_constructs.cli.cdk_json import write_context

    file = tmp_path / "cdk.json"
    file.write_bytes(b'{\r\n  "context": {\r\n    "a": 1\r\n  }\r\n}\r\n')
    write_context(file, "b", {"c": 2})
    raw = file.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n") == 8
    assert json.loads(raw) == {"context": {"a": 1, "b": {"c": 2}}}


@pytest.mark.parametrize("text", ["[1]", '{"context": 3}', '{"context": {', "# no", '"x"'])
def test_what_is_no_cdk_json_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        with_context(text, "a", 1)
