"""The console in a real browser, with real tuning jobs on a local endpoint."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from hpo_constructs.documents import read
from hpo_constructs.local import LocalEndpoint
from hpo_constructs.rules import check
from hpo_handlers.contract import tuning_job_name

from ..cli.test_account_cli import TRAIN, Site, until

GATED = """
if values["mode"] == "gated":
    # As long as the test wants.
    while not pathlib.Path("gate").exists():
        time.sleep(0.05)
if values["mode"].startswith("<"):
    print(values["mode"], "</pre><script>window.pwned = 'log'</script>", flush=True)
    if x < 0.5:
        sys.exit(values["mode"])
"""
HOSTILE = "<img src=x onerror=\"window.pwned = 'value'\"><script>window.pwned = 'script'</script>"
SOON = 15_000


def request(name: str, mode: str, *, total: int = 3) -> dict[str, Any]:
    """A request of CreateHyperParameterTuningJob."""
    choices = [{"Name": "choice", "Values": [f"{HOSTILE}{number}" for number in range(2)]}] if mode == HOSTILE else []
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "RandomSeed": 3,
            "HyperParameterTuningJobObjective": {"MetricName": "score", "Type": "Maximize"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": total, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}],
                "CategoricalParameterRanges": choices,
            },
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1.0",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}],
            },
            "StaticHyperParameters": {"mode": mode},
            "RoleArn": "arn:aws:iam::123456789012:role/training",
            "OutputDataConfig": {"S3OutputPath": "s3://models/"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }


@dataclass
class Console:
    """A console that runs, with what it looks at.

    Attributes:
        address: Its address with the secret.
        site: The endpoint with its stack.
        templates: The folder into which the wizard may write.
    """

    address: str
    site: Site
    templates: Path

    @property
    def own(self) -> str:
        return self.address.partition("/?")[0]

    def create(self, name: str, mode: str, *, total: int = 3) -> str:
        self.site.endpoint.client("sagemaker").create_hyper_parameter_tuning_job(**request(name, mode, total=total))
        return name

    def status(self, name: str) -> str:
        found = self.site.endpoint.client("sagemaker").describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return str(found["HyperParameterTuningJobStatus"])

    def known(self, name: str) -> str | None:
        """The name, once there is such a tuning job."""
        found = self.site.endpoint.client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains=name)
        return name if found["HyperParameterTuningJobSummaries"] else None

    def ended(self, name: str) -> str:
        until(lambda: self.status(name) not in {"InProgress", "Stopping"})
        return name


@contextmanager
def console_of(environment: dict[str, str], *arguments: str) -> Iterator[str]:
    """A running `hpo console`; its address."""
    command = [sys.executable, "-m", "hpo_constructs.cli", "console", "--port", "0", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "ended\n")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    (folder / "train.py").write_text(
        TRAIN.replace('if values["mode"] == "slow"', f'{GATED}if values["mode"] == "slow"')
    )
    (folder / "templates").mkdir()
    images = [{"image": "*/own:*", "command": [sys.executable, "train.py"], "directory": str(folder)}]
    with LocalEndpoint(images=images, wait_scale=0.05) as endpoint:
        site = Site(endpoint, folder)
        site.deploy()
        templates = folder / "templates"
        with console_of(site.environment, "--templates", str(templates)) as address:
            yield Console(address, site, templates)


@dataclass
class Watch:
    """What a context's pages did that they should not have.

    Attributes:
        errors: Errors and warnings of the browser's console, exceptions and dialogs.
        away: Requests that would have left this machine.
        refused: Statuses of answers that say no.
    """

    errors: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        def loopback(url: str) -> bool:
            return re.match(r"(http://(127\.0\.0\.1|localhost):\d+/|about:|data:|blob:)", url) is not None

        def dialog(one: Any) -> None:
            if one.type != "beforeunload":
                self.errors.append(f"dialog {one.type}: {one.message}")
            one.accept()

        def said(one: Any) -> None:
            if one.type in {"error", "warning"}:
                self.errors.append(one.text)

        context.on("request", lambda one: None if loopback(one.url) else self.away.append(one.url))
        context.on("response", lambda one: self.refused.append(one.status) if one.status >= 400 else None)
        context.on("console", said)
        context.on("weberror", lambda one: self.errors.append(str(one.error)))
        context.on("dialog", dialog)

    def expect_refusals(self) -> None:
        """Take answers that said no as they were meant."""
        assert self.refused
        self.errors = [text for text in self.errors if "Failed to load resource" not in text]


Opener = Callable[..., Page]


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def opener(browser: Browser, console: Console, watch: Watch) -> Iterator[Opener]:
    """Opens the console at a path in a new window, signed in; what pages did wrong fails the test."""
    contexts: list[BrowserContext] = []

    def opened(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(SOON)
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        page.goto(console.address)
        if path != "/":
            page.goto(console.own + path)
        return page

    yield opened
    pwned = [
        found for context in contexts for page in context.pages for frame in page.frames
        if (found := frame.evaluate("window.pwned ?? null")) is not None
    ]  # fmt: skip
    for context in contexts:
        context.close()
    assert (pwned, watch.errors, watch.away) == ([], [], [])


def focused(page: Page) -> str:
    """The accessible name, or what comes close to it, of what has the focus."""
    text: str = page.evaluate(
        """() => { const one = document.activeElement;
        return one.labels?.[0]?.innerText ?? one.getAttribute("aria-label") ?? one.innerText }"""
    )
    return " ".join(text.split())


# Lists and details


def test_a_run_is_started_followed_and_stopped(console: Console, opener: Opener) -> None:
    page = opener()
    page.get_by_role("row", name="slow Team").get_by_role("link", name="Start slow").click()
    dialog = page.get_by_role("dialog", name="Start a run of slow?")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert focused(page) == "Start slow"
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("InProgress", timeout=SOON)
    name = page.url.partition("/jobs/")[2].partition("?")[0]
    expect(page.get_by_role("row", name=re.compile("InProgress"))).to_have_count(2, timeout=SOON)
    expect(page.get_by_role("img", name="2 running")).to_be_visible()
    page.get_by_role("link", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status").first).to_contain_text("is being stopped")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Stopped", timeout=SOON)
    assert console.status(name) == "Stopped"
    expect(page.locator("#pace")).to_be_empty()


def test_a_page_refreshes_and_leaves_the_reader_in_peace(console: Console, opener: Opener) -> None:
    name = console.create("gated", "gated")
    page = opener(f"/jobs/{name}", viewport={"width": 1280, "height": 500})
    rows = page.get_by_role("row", name=re.compile("InProgress"))
    expect(rows).to_have_count(2, timeout=SOON)
    page.get_by_label("Contains").fill("00")
    page.get_by_label("Contains").focus()
    page.evaluate("document.querySelector('[aria-labelledby=definitions-title] summary').click()")
    page.evaluate("window.kept = document.activeElement; scrollTo(0, 300)")
    before = page.evaluate("scrollY")
    (console.site.folder / "gate").touch()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Completed", timeout=SOON)
    expect(page.locator("#announcer")).to_contain_text("Completed, 3 of 3 training jobs, best score")
    assert page.evaluate("document.activeElement === window.kept")
    assert page.get_by_label("Contains").input_value() == "00"
    assert page.evaluate("scrollY") == before
    assert page.locator("[aria-labelledby=definitions-title] details").get_attribute("open") is None
    # The plots of what has come in between.
    frame = page.frame_locator("#plots iframe")
    expect(frame.get_by_role("heading", name="Objective over time")).to_be_visible(timeout=SOON)
    expect(frame.locator(".main-svg").first).to_be_visible()
    expect(page.locator("#pace")).to_be_empty()


def test_refreshing_can_be_paused(console: Console, opener: Opener) -> None:
    page = opener()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Refreshing is paused")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_filters_apply_while_one_types(console: Console, opener: Opener) -> None:
    for name in ("alpha-one", "alpha-two", "beta"):
        console.ended(console.create(name, "good"))
    page = opener()
    page.get_by_label("Name contains").press_sequentially("alpha")
    runs = page.get_by_role("table", name="Tuning jobs").get_by_role("rowheader")
    expect(runs).to_have_text(["alpha-two", "alpha-one"])
    assert focused(page) == "Name contains"
    assert page.url.endswith("/?text=alpha")
    page.get_by_role("table", name="Tuning jobs").get_by_role("link", name="Tuning job").click()
    expect(runs).to_have_text(["alpha-one", "alpha-two"])
    expect(page.get_by_role("columnheader", name="Tuning job")).to_have_attribute("aria-sort", "ascending")
    page.get_by_label("Status").select_option("Failed")
    expect(page.get_by_text("No tuning job matches.")).to_be_visible()
    page.get_by_label("Name contains").fill("no*such <name>")
    page.wait_for_url(re.compile("such"))
    expect(page.get_by_text("No tuning job matches.")).to_be_visible()
    page.reload()
    assert page.get_by_label("Name contains").input_value() == "no*such <name>"


def test_training_jobs_sort_and_filter(console: Console, opener: Opener) -> None:
    name = console.ended(console.create("sorted", "good", total=4))
    page = opener(f"/jobs/{name}")
    table = page.get_by_role("table", name="Training jobs")
    expect(table.get_by_role("rowheader")).to_have_count(4)
    page.get_by_label("Order").select_option("objective")
    expect(table.get_by_role("rowheader").first).to_contain_text("best")
    values = [float(text) for text in table.locator("td[data-label=Objective]").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    page.get_by_label("Contains").fill("-002-")
    expect(table.get_by_role("rowheader")).to_have_count(1)
    page.get_by_label("Contains").fill("")
    page.get_by_label("Status", exact=True).select_option("Failed")
    expect(page.get_by_text("None of the 4 training jobs matches.")).to_be_visible()


def test_a_training_job_shows_its_log(console: Console, opener: Opener) -> None:
    name = console.ended(console.create("logged", "broken"))
    page = opener(f"/jobs/{name}")
    expect(page.get_by_role("region", name="Failures")).to_contain_text("no such column: age")
    page.get_by_role("rowheader").first.get_by_role("link").click()
    expect(page.get_by_role("region", name="Lines of the log")).to_have_text(
        re.compile("epoch 4\nno such column: age"), use_inner_text=True
    )
    expect(page.get_by_text("It failed:")).to_be_visible()


def test_the_report_can_be_looked_at_and_kept(console: Console, opener: Opener) -> None:
    name = console.ended(console.create("reported", "good"))
    page = opener(f"/jobs/{name}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the report").click()
    assert download.value.suggested_filename == f"{name}.html"
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    # It may run its scripts, and has no part in the console.
    assert page.evaluate("self.origin") == "null"


def test_runs_of_equal_names_are_told_apart(console: Console, opener: Opener) -> None:
    client = console.site.endpoint.client("stepfunctions")
    machines = {one["name"]: one["stateMachineArn"] for one in client.list_state_machines()["stateMachines"]}
    (machine,) = (arn for name, arn in machines.items() if "TwinA" in name)
    run = client.start_execution(stateMachineArn=machine)["executionArn"]
    name = console.ended(console.create(tuning_job_name("twin", run), "good"))
    page = opener("/declared?text=twin")
    expect(page.get_by_role("row", name=re.compile("TwinA"))).to_contain_text("Completed")
    expect(page.get_by_role("row", name=re.compile("TwinB"))).to_contain_text("no recent run")
    for stack, count in (("TwinA", 1), ("TwinB", 0)):
        page.goto(f"{console.own}/declared/{stack}/twin")
        expect(page.get_by_role("rowheader", name=name)).to_have_count(count)


def test_a_run_that_makes_no_tuning_job_says_so(console: Console, opener: Opener) -> None:
    page = opener("/declared/TwinB/twin")
    page.get_by_role("link", name="Start a run").click()
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    expect(page.get_by_text("The run has ended without a tuning job.")).to_be_visible(timeout=SOON)


# Strangers


def test_what_a_service_says_is_never_run(console: Console, opener: Opener) -> None:
    name = console.ended(console.create("hostile", HOSTILE, total=4))
    prefix = f"/hpo/Evil/{HOSTILE.replace('/', '')}/"
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:none"
    outputs = f'{{"JStateMachineArn": {{"Value": "{machine}"}}, "JOutputPrefix": {{"Value": {json.dumps(prefix)}}}}}'
    resource = '"Topic": {"Type": "AWS::SNS::Topic"}'
    console.site.endpoint.client("cloudformation").create_stack(
        StackName="Evil", TemplateBody=f'{{"Resources": {{{resource}}}, "Outputs": {outputs}}}'
    )
    console.site.settled("Evil")
    try:
        page = opener("/declared")
        shown = page.get_by_role("row", name=re.compile("Evil"))
        expect(shown).to_contain_text("<img src=x")
        shown.get_by_role("rowheader").get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x")
        page.get_by_role("link", name="Start a run").click()
        expect(page.get_by_role("dialog")).to_contain_text("<img src=x")
    finally:
        console.site.endpoint.client("cloudformation").delete_stack(StackName="Evil")
    page.goto(f"{console.own}/jobs/{name}")
    expect(page.get_by_role("region", name="Failures")).to_contain_text("<script>")
    expect(page.get_by_role("region", name="Best training job")).to_contain_text("<img src=x onerror=")
    frame = page.frame_locator("#plots iframe")
    expect(frame.locator(".main-svg").first).to_be_visible(timeout=SOON)
    page.get_by_role("row", name=re.compile("Failed")).first.get_by_role("rowheader").get_by_role("link").click()
    expect(page.get_by_role("region", name="Lines of the log")).to_contain_text("</pre><script>")
    page.goto(f"{console.own}/jobs/{name}/report")
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    page.goto(f"{console.own}/new/clone/{name}")
    page.locator("nav.steps li").get_by_role("button", name=re.compile("definition")).click()
    expect(page.get_by_role("group", name="Searched hyperparameters").get_by_label("choice", exact=True)).to_have_value(
        re.compile("<img src=x onerror")
    )


def test_plots_have_no_way_to_the_console(console: Console, opener: Opener) -> None:
    name = console.ended(console.create("framed", "good"))
    page = opener(f"/jobs/{name}")
    expect(page.frame_locator("#plots iframe").locator(".main-svg").first).to_be_visible(timeout=SOON)
    frame = next(frame for frame in page.frames if frame.url.endswith("/plots"))
    assert frame.evaluate("self.origin") == "null"
    for attempt in ("document.cookie", "parent.document.title", "localStorage.length"):
        assert (
            frame.evaluate(f"(() => {{ try {{ return {attempt} }} catch (error) {{ return error.name }} }})()")
            == "SecurityError"
        )
    assert page.evaluate("document.cookie") == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["another port", "another site"])
def test_a_page_of_another_site_changes_nothing(console: Console, opener: Opener, watch: Watch, host: str) -> None:
    name = console.create(f"target-{host.replace('.', '-')}", "slow")
    target = f"{console.own}/jobs/{name}"
    page = opener()
    with other_site(f'<form method="post" action="{target}/stop"><button>go</button></form>') as port:
        page.goto(f"http://{host}:{port}/")
        page.get_by_role("button", name="go").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Forbidden|belongs to the person"))
        page.goto(f"http://{host}:{port}/")
        page.evaluate(
            f"fetch('{target}/stop', {{method: 'POST', mode: 'no-cors', credentials: 'include'}}).catch(() => 0)"
        )
        read_by = page.evaluate(f"fetch('{target}', {{credentials: 'include'}}).then(() => 'read', () => 'kept')")
        assert read_by == "kept"
    assert console.status(name) == "InProgress"
    console.site.endpoint.client("sagemaker").stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    watch.expect_refusals()
    expected = ("CORS policy", "ERR_BLOCKED_BY_RESPONSE", "net::ERR_FAILED")
    watch.errors = [text for text in watch.errors if not any(part in text for part in expected)]


@contextmanager
def other_site(page: str) -> Iterator[int]:
    """A site with one page; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<!doctype html><link rel=icon href='data:,'>{page}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is to be printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_the_secret_a_browser_sees_nothing(browser: Browser, console: Console) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{console.own}/jobs/x")
    expect(page.get_by_role("heading", level=1)).to_contain_text("belongs to the person who started it")
    expect(page.get_by_role("navigation", name="Main")).to_have_count(0)
    page.get_by_label("Token").fill(console.address.rpartition("=")[2])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tuning jobs")
    context.close()


# Errors


def test_an_endpoint_that_is_down(browser: Browser, console: Console, tmp_path: Path) -> None:
    environment = {**console.site.environment, "AWS_MAX_ATTEMPTS": "1"}
    gone = {**environment, "AWS_ENDPOINT_URL": "http://localhost:9"}
    with console_of(gone) as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_have_text("The account cannot be asked")
        expect(page.locator("[data-error]")).to_contain_text("`hpo local up`")
        page.get_by_role("link", name="New template").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("New template")
        page.close()


def test_a_page_says_when_the_console_has_ended(browser: Browser, console: Console) -> None:
    context = browser.new_context()
    page = context.new_page()
    with console_of(console.site.environment) as address:
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_have_text("Tuning jobs")
    page.get_by_label("Name contains").fill("x")
    expect(page.get_by_role("alert")).to_contain_text("does `hpo console` still run?")
    expect(page.get_by_role("heading", level=2, name="Runs")).to_be_visible()
    context.close()


# The wizard


def begin(page: Page, algorithm: str = "xgboost") -> None:
    form = page.get_by_role("form", name="A built-in algorithm")
    form.get_by_label("Algorithm").select_option(algorithm)
    form.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Job settings")


def following(page: Page, heading: str) -> None:
    page.locator(".walk").get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(heading)


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=name, exact=True)


def answer(page: Page, name: str) -> None:
    """Give the answers that nobody can guess."""
    box(page, "Name").fill(name)
    following(page, "Training job definition: xgboost")
    box(page, "Output path").fill("s3://models/churn/")
    for number, channel in enumerate(("train", "validation")):
        box(page, "S3 URI").nth(number).fill(f"s3://data/{channel}/")
    following(page, "Resource limits")
    following(page, "Review")


def test_from_a_built_in_algorithm_to_a_template_that_the_check_accepts(console: Console, opener: Opener) -> None:
    page = opener("/new")
    begin(page)
    answer(page, "churn")
    expect(page.get_by_text("Nothing is wrong with it")).to_be_visible()
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_text("Written:")).to_be_visible()
    file = console.templates / "churn.yaml"
    assert page.locator("pre.yaml").inner_text() == file.read_text()
    (declared,) = read(file)
    assert check(declared) == []
    # A second time the file is there.
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#file-found")).to_contain_text("is there already")
    expect(page.locator("#file")).to_be_focused()
    page.get_by_label("Replace the file that is there").check()
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_text("Written:")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download churn.yaml").click()
    assert Path(download.value.path()).read_text() == file.read_text()


def test_a_wrong_value_has_its_finding_beside_the_field_as_one_types(console: Console, opener: Opener) -> None:
    page = opener("/new")
    begin(page)
    name = box(page, "Name")
    name.fill("")
    name.press_sequentially("bad name!", delay=20)
    finding = page.locator(f"#{name.get_attribute('id')}-found")
    expect(finding).to_contain_text("name must be letters and digits with hyphens between them, got 'bad name!'")
    assert f"{name.get_attribute('id')}-found" in (name.get_attribute("aria-describedby") or "")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_be_focused()
    expect(page.locator("#announcer")).to_contain_text("1 finding. name must be")
    page.locator(".walk").get_by_role("button", name="Next").click()
    summary = page.get_by_role("region", name="1 finding in this step")
    expect(summary).to_be_focused()
    summary.get_by_role("link").click()
    expect(name).to_be_focused()
    name.fill("churn")
    expect(finding).to_be_empty()
    expect(summary).to_have_count(0)
    expect(page.locator("pre.yaml")).to_contain_text("name: churn")


def test_what_one_types_while_the_answer_is_on_its_way_stays(console: Console, opener: Opener) -> None:
    page = opener("/new")
    begin(page)
    # The metric brings its direction, and what is typed in the meantime elsewhere is kept.
    held: list[Any] = []

    def hold(route: Any) -> None:
        # The first is held back until something else is typed.
        if held:
            route.continue_()
        held.append(route)

    page.route("**/new/steps", hold)
    page.get_by_label("Objective metric").first.fill("validation:rmse")
    until(lambda: page.wait_for_timeout(50) or held, seconds=5)
    box(page, "Name").fill("typed-since")
    held[0].continue_()
    expect(page.get_by_label("Direction").first).to_have_value("Minimize")
    expect(box(page, "Name")).to_have_value("typed-since")
    expect(page.locator("pre.yaml")).to_contain_text("name: typed-since")


def test_rows_and_definitions(console: Console, opener: Opener) -> None:
    page = opener("/new")
    begin(page)
    page.locator("nav.steps").get_by_role("button", name=re.compile("definition: xgboost")).click()
    ranges = page.get_by_role("group", name="Searched hyperparameters")
    ranges.get_by_label("Name of a new entry").fill("gamma")
    page.keyboard.press("Enter")
    expect(ranges.get_by_label("gamma", exact=True)).to_be_focused()
    expect(ranges.get_by_label("gamma", exact=True)).to_have_value("0 to 5")
    expect(ranges.get_by_label("Name of a new entry")).to_have_value("")
    ranges.get_by_role("button", name="Remove eta").click()
    expect(ranges.get_by_label("eta", exact=True)).to_have_count(0)
    expect(ranges.get_by_role("heading", name="Searched hyperparameters")).to_be_focused()
    page.get_by_label("Add a definition").select_option("linear-learner")
    page.get_by_role("button", name="Add a training job definition").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Training job definition: linear-learner")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("button", name="Clone this definition").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Training job definition: linear-learner-2")
    page.get_by_role("button", name="Remove this definition").click()
    expect(page.locator("nav.steps li")).to_have_count(5)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Training job definition")


def test_a_draft_that_was_left_is_offered_again(console: Console, opener: Opener) -> None:
    page = opener("/new")
    expect(page.get_by_role("button", name="Go on with it")).to_have_count(0)
    begin(page)
    box(page, "Name").fill("left-behind")
    following(page, "definition")
    page.get_by_role("link", name="Tuning jobs").click()
    page.get_by_role("link", name="New template").click()
    page.get_by_role("button", name="Go on with it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("definition")
    expect(page.locator("pre.yaml")).to_contain_text("name: left-behind")
    page.locator("nav.steps li").get_by_role("button", name="Review").click()
    with page.expect_download():
        page.get_by_role("button", name="Download left-behind.yaml").click()
    page.get_by_role("link", name="New template").click()
    expect(page.get_by_role("button", name="Go on with it")).to_have_count(0)


def test_a_step_with_errors_can_be_left_on_purpose(console: Console, opener: Opener) -> None:
    page = opener("/new")
    begin(page)
    page.get_by_label("Hyperband").check()
    page.get_by_role("textbox", name="Hyperband: most iterations").fill("0")
    page.locator(".walk").get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Go on all the same").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("definition")
    expect(page.locator("nav.steps li.wrong")).to_contain_text("Job settings")


def test_a_job_of_the_account_is_cloned(console: Console, opener: Opener) -> None:
    name = console.ended(console.create("cloned", "good"))
    page = opener(f"/jobs/{name}")
    page.get_by_role("link", name="Clone", exact=True).click()
    expect(box(page, "Name")).to_have_value("cloned-2")
    expect(page.locator("pre.yaml")).to_contain_text("mode: good")


def test_the_keyboard_is_enough_for_the_wizard(console: Console, opener: Opener) -> None:
    page = opener("/new")

    def tab_to(name: str, most: int = 80) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if focused(page).startswith(name):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"{name} does not show its focus"
                return
        raise AssertionError(f"{name} was not reached")

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    tab_to("Algorithm")
    page.keyboard.type("xgb")
    tab_to("Begin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Job settings")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    tab_to("Name")
    page.keyboard.press("Control+A")
    page.keyboard.type("keys")
    page.keyboard.press("Enter")  # goes on, as in any form
    expect(page.get_by_role("heading", level=1)).to_contain_text("definition: xgboost")
    for _ in range(2):
        tab_to("S3 URI")
        page.keyboard.type("s3://data/any/")
    tab_to("Output path")
    page.keyboard.type("s3://models/keys/")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Resource limits")
    tab_to("Next")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Review")
    tab_to("Write")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Written:")).to_be_visible()
    assert (console.templates / "keys.yaml").exists()


def test_everything_basic_works_without_scripts(console: Console, opener: Opener) -> None:
    page = opener(java_script_enabled=False)
    page.get_by_label("Name contains").fill("unused")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="unused", exact=True).click()
    page.get_by_role("link", name="Start a run").click()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("unused-")
    started = page.url
    console.ended(until(lambda: console.known(started.partition("/jobs/")[2].partition("?")[0])))
    page.goto(started)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Completed")
    page.goto(f"{console.own}/new")
    begin(page)
    box(page, "Name").fill("")
    page.locator(".walk").get_by_role("button", name="Next").click()
    expect(page.get_by_role("region", name="1 finding in this step")).to_be_visible()
    answer(page, "plain")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_text("Written:")).to_be_visible()
    assert check(read(console.templates / "plain.yaml")) == []


# All pages


AUDIT = """() => {
  const named = (one) => one.labels?.length || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
    || one.textContent.trim() || one.type === "hidden";
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  const referred = [...document.querySelectorAll("[aria-labelledby], [aria-describedby]")].flatMap((one) =>
    [one.getAttribute("aria-labelledby"), one.getAttribute("aria-describedby")].filter(Boolean).join(" ").split(/ +/));
  const levels = [...document.querySelectorAll("h1, h2, h3")].map((one) => Number(one.localName[1]));
  return {
    unnamed: [...document.querySelectorAll("a, button, input, select, textarea, iframe[title='']")]
      .filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 120)),
    twice: ids.filter((id, place) => ids.indexOf(id) !== place),
    nowhere: referred.filter((id) => id !== "question" && !document.getElementById(id)),
    headings: levels.filter((level) => level === 1).length,
    skipped: levels.filter((level, place) => place && level > levels[place - 1] + 1).length,
    main: document.querySelectorAll("main").length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    language: document.documentElement.lang,
  }
}"""


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_every_page_is_well_formed_for_readers_and_screens(
    console: Console, opener: Opener, width: int, theme: str
) -> None:
    name = f"audited-{width}-{theme}"
    console.ended(console.create(name, "good"))
    page = opener(viewport={"width": width, "height": 740}, color_scheme=theme, reduced_motion="reduce")
    training = f"{console.own}/jobs/{name}"
    page.goto(training)
    link = page.get_by_role("rowheader").first.get_by_role("link").get_attribute("href")
    paths = ["/", "/declared", "/declared/Team/good", f"/jobs/{name}", f"/jobs/{name}/stop", str(link), "/new"]
    wrong = {}
    for path in [*paths, "wizard", "definition", "limits", "review"]:
        match path:
            case "wizard":
                page.goto(f"{console.own}/new")
                begin(page)
                box(page, "Name").fill("")
                page.locator(".walk").get_by_role("button", name="Next").click()
                expect(page.get_by_role("region", name="1 finding in this step")).to_be_visible()
            case "definition" | "limits" | "review":
                page.locator("nav.steps").locator("li").get_by_role("button", name=re.compile(path, re.I)).click()
                expect(page.locator(f"[data-step^={path}]")).to_be_visible()
            case _:
                page.goto(console.own + path)
        found = page.evaluate(AUDIT)
        expected = {"unnamed": [], "twice": [], "nowhere": [], "headings": 1, "skipped": 0, "main": 1, "wide": 0}
        if found != {**expected, "language": "en"}:
            wrong[path] = {key: value for key, value in found.items() if value != expected.get(key, "en")}
    assert wrong == {}
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(ground.split("(")[1].split(",")[0]) < 128) is (theme == "dark")
    assert page.evaluate("getComputedStyle(document.querySelector('.pill, body')).animationName") == "none"
