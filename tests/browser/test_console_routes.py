"""The console's routes through Flask's own client: who is let in, what is answered, what is written. No browser."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from flask import Flask
from flask.testing import FlaskClient

from hpo_constructs.account import Account
from hpo_constructs.console import folder
from hpo_constructs.console.application import create_app
from hpo_constructs.console.security import Guard
from hpo_constructs.documents import read_text
from hpo_constructs.errors import HpoError
from hpo_constructs.rules import check
from hpo_constructs.wizard import Draft

PORT = 8765
OWN = f"http://127.0.0.1:{PORT}"
GOOD = {
    "name": "churn",
    "training_job_definition.output_data_config.s3_output_path": "s3://models/churn/",
    "training_job_definition.input_data_config.train.s3_uri": "s3://data/train/",
    "training_job_definition.input_data_config.validation.s3_uri": "s3://data/validation/",
}


class Visitor:
    """A browser in so far as it keeps cookies and sends the headers that browsers send."""

    def __init__(self, app: Flask, guard: Guard) -> None:
        self.client: FlaskClient = app.test_client()
        self.guard = guard

    def sign_in(self) -> Visitor:
        assert self.get(f"/?token={self.guard.token}").status_code == 303
        return self

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(
            path, base_url=OWN, headers={key.replace("_", "-"): text for key, text in headers.items()}
        )

    def post(self, path: str, data: dict[str, Any] | None = None, *, csrf: bool = True, **headers: str) -> Any:
        sent = {"Origin": OWN, "Sec-Fetch-Site": "same-origin"}
        sent |= {key.replace("_", "-"): text for key, text in headers.items()}
        form = {**(data or {}), **({"csrf_token": self.csrf()} if csrf else {})}
        given = {key: text for key, text in sent.items() if text}
        return self.client.post(path, base_url=OWN, data=form, headers=given)

    def csrf(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/new").text)
        return found[1] if found else "none"


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


@pytest.fixture
def guard() -> Guard:
    return Guard(PORT)


@pytest.fixture
def app(guard: Guard, templates: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    # Nothing listens there: an account that cannot be asked.
    values = {"AWS_ENDPOINT_URL": "http://localhost:9", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in {**values, "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    return create_app(Account(), guard, templates=templates)


@pytest.fixture
def stranger(app: Flask, guard: Guard) -> Visitor:
    return Visitor(app, guard)


@pytest.fixture
def owner(app: Flask, guard: Guard) -> Visitor:
    return Visitor(app, guard).sign_in()


# Who is let in


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil.example:{PORT}",
        f"0.0.0.0:{PORT}",
        "",
    ],
)
def test_another_host_name_is_refused(owner: Visitor, host: str) -> None:
    for path in ("/", "/new", "/static/console.css", "/plots"):
        answer = owner.get(path, Host=host)
        assert answer.status_code == 403
        assert "hpo" not in answer.text


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_names_of_this_machine_are_let_in(owner: Visitor, host: str) -> None:
    assert owner.get("/static/console.css", Host=host).status_code == 200


def test_without_the_token_there_is_nothing_but_the_question_for_it(stranger: Visitor) -> None:
    for path in ("/", "/new", "/jobs/x", "/jobs/x/report", "/jobs/x/plots.json", "/declared", "/nothing"):
        answer = stranger.get(path)
        assert answer.status_code == 403
        assert 'name="token"' in answer.text
        assert "csrf_token" not in answer.text
        assert "Set-Cookie" not in answer.headers
    assert stranger.get("/?token=wrong").status_code == 403
    assert stranger.get("/?token=%ED%A0%80").status_code == 403
    assert stranger.get("/", Cookie=f"hpo-console-{PORT}=wrong").status_code == 403


def test_the_token_leaves_the_address_and_becomes_a_cookie_of_this_site_alone(stranger: Visitor) -> None:
    answer = stranger.get(f"/new?token={stranger.guard.token}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/new")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert stranger.guard.token not in cookie
    assert stranger.get("/new").status_code == 200


def test_the_token_can_be_typed(stranger: Visitor) -> None:
    assert stranger.post("/", {"token": "wrong"}, csrf=False).status_code == 403
    assert stranger.post("/", {"token": stranger.guard.token}, csrf=False).status_code == 303
    assert stranger.get("/new").status_code == 200
    other = Visitor(stranger.client.application, stranger.guard)
    assert other.post("/", {"token": other.guard.token}, csrf=False, Origin="http://evil.example").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Origin": "http://127.0.0.1:1", "Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "", "Sec_Fetch_Site": ""},
        {"Origin": f"http://localhost:{PORT}"},
    ],
    ids=lambda headers: ",".join(f"{key}={text}" for key, text in headers.items()),
)
def test_a_change_that_another_site_asks_for_is_refused(owner: Visitor, headers: dict[str, str]) -> None:
    for path in ("/new", "/new/steps", "/jobs/x/stop", "/declared/Team/x/start", "/declared/Team/x/stop"):
        answer = owner.post(path, {"kind": "image"}, **headers)
        assert answer.status_code == 403
        assert "another site" in answer.text


def test_a_change_without_the_pages_own_token_is_refused(owner: Visitor) -> None:
    assert owner.post("/new", {"kind": "image"}).status_code == 200
    for sent in ({}, {"csrf_token": "wrong"}, {"csrf_token": ""}):
        answer = owner.post("/new", {"kind": "image", **sent}, csrf=False)
        assert answer.status_code == 403
        assert "older than the running console" in answer.text


def test_another_site_may_open_a_page_and_no_more(owner: Visitor) -> None:
    opened = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert owner.get("/new", **opened).status_code == 200
    for changed in ({"Sec_Fetch_Dest": "iframe"}, {"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}):
        assert owner.get("/new", **{**opened, **changed}).status_code == 403
        assert owner.get("/new", **{**opened, **changed, "Sec_Fetch_Site": "same-site"}).status_code == 403


def test_other_methods_change_nothing(owner: Visitor) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        answer = owner.client.open("/new", method=method, base_url=OWN, headers={"Origin": OWN})
        assert answer.status_code == 403
    assert owner.client.open("/new", method="TRACE", base_url=OWN).status_code == 403


@pytest.mark.parametrize("path", ["/", "/new", "/nothing", "/static/console.css", "/plots", "/jobs/x"])
def test_every_answer_is_sealed(owner: Visitor, path: str) -> None:
    headers = owner.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == ("'self'" if path == "/plots" else "'none'")
    assert headers["X-Frame-Options"] == ("SAMEORIGIN" if path == "/plots" else "DENY")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert path.startswith(("/static", "/plots")) or headers["Cache-Control"] == "no-store"


def test_a_page_holds_no_script_or_style_of_its_own(owner: Visitor) -> None:
    for path in ("/", "/new", "/plots"):
        text = owner.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)
        assert not re.search(r"<style|\bstyle=|\bon[a-z]+=", text)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_plotly_comes_out_of_its_package(stranger: Visitor) -> None:
    answer = stranger.get("/plots/plotly.js")
    assert answer.mimetype == "text/javascript"
    assert answer.data[:200].startswith(b"/**\n* plotly.js")


# What is answered when something is wrong


def test_an_account_that_cannot_be_asked_is_one_sentence_in_a_page_that_works(owner: Visitor) -> None:
    for path in (
        "/",
        "/declared",
        "/jobs/churn",
        "/jobs/churn/training/x",
        "/jobs/churn/report",
        "/jobs/churn/plots.json",
    ):
        answer = owner.get(path)
        assert answer.status_code == 502
        text = html.unescape(answer.text)
        assert "whether the local endpoint still runs (`hpo local up`)" in text
        assert 'aria-label="Main"' in text
        assert "Traceback" not in text
    assert owner.get("/new").status_code == 200


def listed(name: str, status: str) -> dict[str, Any]:
    """A summary of ListHyperParameterTuningJobs."""
    now = datetime.now(UTC)
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/{name}",
        "HyperParameterTuningJobStatus": status,
        "Strategy": "Random",
        "CreationTime": now,
        "LastModifiedTime": now,
        "TrainingJobStatusCounters": {"Completed": 3},
        "ObjectiveStatusCounters": {},
    }


@contextmanager
def answering(account: Account) -> Iterator[tuple[Stubber, Stubber]]:
    """The account's answers from SageMaker and CloudFormation, in their order; none may be left over."""
    with Stubber(account.client("sagemaker")) as sagemaker, Stubber(account.client("cloudformation")) as cloudformation:
        yield sagemaker, cloudformation
        sagemaker.assert_no_pending_responses()
        cloudformation.assert_no_pending_responses()


def test_a_refreshing_page_asks_again_for_what_can_have_changed_only(guard: Guard, app: Flask) -> None:
    account = Account()
    owner = Visitor(create_app(account, guard, templates=None), guard).sign_in()
    limits = {"MaxParallelTrainingJobs": 1}

    def asked(sagemaker: Stubber, name: str, status: str, *, describe: bool) -> None:
        job = listed(name, status)
        # The same job as before, as long as its time of change is.
        job["LastModifiedTime"] = datetime(2026, 1, 1, tzinfo=UTC)
        sagemaker.add_response("list_hyper_parameter_tuning_jobs", {"HyperParameterTuningJobSummaries": [job]})
        if describe:
            job.pop("Strategy")
            job["HyperParameterTuningJobConfig"] = {"Strategy": "Random", "ResourceLimits": limits}
            expected = {"HyperParameterTuningJobName": name}
            sagemaker.add_response("describe_hyper_parameter_tuning_job", job, expected)

    with answering(account) as (sagemaker, cloudformation):
        cloudformation.add_response("describe_stacks", {"Stacks": []})
        asked(sagemaker, "ended", "Completed", describe=True)
        assert 'data-refresh="20"' in owner.get("/").text
        asked(sagemaker, "ended", "Completed", describe=False)
        assert owner.get("/", X_Refresh="1").status_code == 200
        for _ in range(2):
            asked(sagemaker, "running", "InProgress", describe=True)
            assert 'data-refresh="4"' in owner.get("/", X_Refresh="1").text


def test_who_may_not_see_stacks_sees_tuning_jobs(guard: Guard, app: Flask) -> None:
    account = Account()
    owner = Visitor(create_app(account, guard, templates=None), guard).sign_in()
    with answering(account) as (sagemaker, cloudformation):
        for _ in range(2):
            cloudformation.add_client_error("describe_stacks", "AccessDenied", "no <b>way</b>")
        sagemaker.add_response("list_hyper_parameter_tuning_jobs", {"HyperParameterTuningJobSummaries": []})
        page = owner.get("/")
        assert page.status_code == 200
        assert "do not allow cloudformation:DescribeStacks (no &lt;b&gt;way&lt;/b&gt;)" in page.text
        assert "No tuning job has run here yet." in page.text
        assert "The declared jobs cannot be told" in owner.get("/declared").text


def test_a_wrong_address_is_told(owner: Visitor) -> None:
    assert owner.get("/nothing").status_code == 404
    for path, message in (
        ("/?status=Odd", "status must be one of Completed"),
        ("/?sort=odd", "sort must be one of started"),
        ("/?page=0", "page must be a number from 1"),
        ("/?page=²", "page must be a number from 1"),
    ):
        answer = owner.get(path)
        assert answer.status_code == 400
        assert message in html.unescape(answer.text)


def test_what_an_address_says_is_escaped(owner: Visitor) -> None:
    for path in ("/jobs/%3Cimg src=x onerror=alert(1)%3E/stop", "/?status=%3Cscript%3Ealert(1)%3C/script%3E"):
        text = owner.get(path).text
        assert "<img" not in text
        assert "<script>" not in text
    assert 'href="/?status=' not in owner.get("/?_scheme=javascript&_external=1&status=Odd").text


def test_a_mistake_of_the_consoles_own_is_no_traceback_in_the_page(app: Flask, owner: Visitor) -> None:
    def fail() -> str:
        raise RuntimeError("secret detail")

    app.view_functions["wizard.start"] = fail
    answer = owner.get("/new")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.text
    assert "secret detail" not in answer.text


# The wizard


def begun(owner: Visitor, **form: str) -> str:
    answer = owner.post("/new", {"kind": "built-in", "algorithm": "xgboost", "region": "us-east-1", **form})
    assert answer.status_code == 200
    text: str = answer.text
    return text


def carried(text: str) -> dict[str, Any]:
    """The draft in a page."""
    found = re.search(r'name="draft" value="([^"]*)"', text)
    assert found is not None
    data: dict[str, Any] = json.loads(html.unescape(found[1]))
    return data


def sent(draft: Draft | dict[str, Any], step: str, action: str, **values: str) -> dict[str, str]:
    data = draft.to_dict() if isinstance(draft, Draft) else draft
    return {"draft": json.dumps(data), "step": step, "action": action, **values}


def complete() -> Draft:
    draft = Draft.for_builtin("xgboost")
    for path, value in GOOD.items():
        draft.set(path, value)
    return draft


def heading(text: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", text, re.S)
    assert found is not None
    return html.unescape(found[1]).strip()


def test_steps_follow_each_other_once_their_answers_are_right(owner: Visitor) -> None:
    page = begun(owner)
    assert heading(page) == "Job settings"
    assert 'value="xgboost-tuning"' in page
    page = owner.post("/new/steps", sent(carried(page), "job", "next", **{"v:name": "no good!"})).text
    assert heading(page) == "Job settings"
    assert "name must be letters and digits" in page
    assert 'aria-invalid="true"' in page
    page = owner.post("/new/steps", sent(carried(page), "job", "next", **{"v:name": "churn"})).text
    assert heading(page) == "Training job definition: xgboost"
    assert "is required" not in page  # nobody has had the chance to answer yet
    page = owner.post("/new/steps", sent(carried(page), "definition-0", "next")).text
    assert "s3_output_path is required" in html.unescape(page)
    typed = {f"v:{path}": value for path, value in GOOD.items()}
    page = owner.post("/new/steps", sent(carried(page), "definition-0", "next", **typed)).text
    assert heading(page) == "Resource limits"
    page = owner.post("/new/steps", sent(carried(page), "limits", "next")).text
    assert heading(page) == "Review"
    assert "Nothing is wrong with it" in page
    answer = owner.post("/new/steps", sent(carried(page), "review", "download"))
    assert answer.headers["Content-Disposition"] == "attachment; filename=churn.yaml"
    assert check(read_text(answer.text, "churn.yaml")) == []


def test_what_cannot_be_read_stays_in_its_control_with_the_reason(owner: Visitor) -> None:
    answer = owner.post(
        "/new/steps", sent(complete(), "limits", "stay", **{"v:resource_limits.max_number_of_training_jobs": "many"})
    )
    text = html.unescape(answer.text)
    assert "max_number_of_training_jobs must be a whole number such as 10, got 'many'" in text
    assert 'value="many"' in text
    assert carried(answer.text)["template"]["resource_limits"]["max_number_of_training_jobs"] == 25


def test_rows_are_added_and_removed_by_their_buttons_only(owner: Visitor) -> None:
    ranges = "hyperparameter_ranges"
    page = owner.post("/new/steps", sent(complete(), "definition-0", f"add:{ranges}", **{f"r:{ranges}": "gamma"})).text
    assert carried(page)["template"][ranges]["gamma"]["max_value"] == 5
    page = owner.post("/new/steps", sent(carried(page), "definition-0", "stay", **{f"v:{ranges}.gamma": " "})).text
    assert "gamma needs a value" in page
    assert "gamma" in carried(page)["template"][ranges]
    page = owner.post("/new/steps", sent(carried(page), "definition-0", f"remove:{ranges}.gamma")).text
    assert "gamma" not in carried(page)["template"][ranges]
    for typed, message in (
        ({}, "a name is needed"),
        ({f"r:{ranges}": "eta"}, "there is eta already"),
        ({f"r:{ranges}": "own"}, "own needs a value"),
    ):
        answer = owner.post("/new/steps", sent(complete(), "definition-0", f"add:{ranges}", **typed)).text
        assert message in answer


def test_definitions_are_added_cloned_and_removed(owner: Visitor) -> None:
    page = owner.post("/new/steps", sent(complete(), "job", "add-definition", new_definition="linear-learner")).text
    assert heading(page) == "Training job definition: linear-learner"
    page = owner.post("/new/steps", sent(carried(page), "definition-1", "clone-definition:1")).text
    assert heading(page) == "Training job definition: linear-learner-2"
    assert len(carried(page)["template"]["training_job_definitions"]) == 3
    for _ in range(2):
        page = owner.post("/new/steps", sent(carried(page), "definition-1", "remove-definition:1")).text
    assert "training_job_definition" in carried(page)["template"]
    answer = owner.post("/new/steps", sent(carried(page), "definition-0", "remove-definition:0")).text
    assert "needs at least one definition" in answer


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"draft": "{", "step": "job"}, "does not carry a draft"),
        ({"draft": "[" * 100_000, "step": "job"}, "does not carry a draft"),
        ({"draft": "{}", "step": "job"}, "not a draft"),
        ({"draft": json.dumps(Draft.new().to_dict()), "step": "odd"}, "no step 'odd'"),
        ({"draft": json.dumps(Draft.new().to_dict()), "step": "job", "action": "rm"}, "action must be one of"),
    ],
)
def test_a_page_that_was_tampered_with_is_refused_in_one_sentence(
    owner: Visitor, form: dict[str, str], message: str
) -> None:
    answer = owner.post("/new/steps", form)
    assert answer.status_code == 400
    assert message in html.unescape(answer.text)


@pytest.mark.parametrize(
    "action", ["go:odd", "clone-definition:7", "remove-definition:x", "builtin:0", "remove:no.such", "add:name"]
)
def test_a_button_that_cannot_do_it_says_so(owner: Visitor, action: str) -> None:
    answer = owner.post("/new/steps", sent(complete(), "definition-0", action))
    assert answer.status_code == 200
    assert 'class="summary bad"' in answer.text


def test_ways_to_begin(owner: Visitor) -> None:
    template = complete().template()
    page = owner.post("/new", {"kind": "text", "text": template}).text
    assert 'value="churn-2"' in page
    for form, message in (
        ({"kind": "text", "text": " "}, "choose a file, or paste its text"),
        ({"kind": "text", "text": "a: 1"}, "the text"),
        ({"kind": "built-in", "algorithm": "no such"}, "no such"),
        ({"kind": "built-in", "algorithm": "xgboost", "region": "mars-1"}, "mars-1"),
        ({"kind": "odd"}, "kind must be one of"),
    ):
        answer = owner.post("/new", form)
        assert answer.status_code == 200
        assert message in html.unescape(answer.text)
        assert heading(answer.text) == "New template"


# What is written


def test_a_template_is_written_once_and_replaced_by_consent_only(owner: Visitor, templates: Path) -> None:
    def write(**form: str) -> str:
        text: str = owner.post("/new/steps", sent(complete(), "review", "write", **form)).text
        return html.unescape(text)

    assert "Written:" in write(file="churn.yaml")
    file = templates / "churn.yaml"
    assert check(read_text(file.read_text(), "churn.yaml")) == []
    file.write_text("# somebody's work\n")
    refused = write(file="churn.yaml")
    assert "is there already" in refused
    digest = re.search(r'name="replacing" value="([0-9a-f]{64})"', refused)
    assert digest is not None
    file.write_text("# newer work\n")
    assert "is there already" in write(file="churn.yaml", replacing=digest[1])
    assert file.read_text() == "# newer work\n"
    digest = re.search(r'name="replacing" value="([0-9a-f]{64})"', write(file="churn.yaml"))
    assert digest is not None
    assert "Written:" in write(file="churn.yaml", replacing=digest[1])
    assert "name: churn" in file.read_text()
    assert [one.name for one in templates.iterdir()] == ["churn.yaml"]


def test_a_template_with_errors_is_written_by_consent_only(owner: Visitor, templates: Path) -> None:
    draft = complete()
    draft.set("strategy", "Odd")
    text = owner.post("/new/steps", sent(draft, "review", "write", file="churn.yaml")).text
    assert "the template has" in text
    assert list(templates.iterdir()) == []
    assert "Written:" in owner.post("/new/steps", sent(draft, "review", "write", file="churn.yaml", insist="1")).text


@pytest.mark.parametrize(
    "name",
    [
        "../churn.yaml", "/churn.yaml", "a/../../churn.yaml", "churn.txt", "churn", "", ".yaml", ".hidden.yaml",
        "a//b.yaml/..", "churn.yaml\0", "..\\churn.yaml", "C:churn.yaml", "~/churn.yaml", "link/churn.yaml",
        "linked.yaml", "none/churn.yaml", "x" * 300 + ".yaml",
    ],
)  # fmt: skip
def test_nothing_is_written_outside_of_the_folder(owner: Visitor, templates: Path, name: str) -> None:
    outside = templates.parent / "outside"
    outside.mkdir()
    (templates / "link").symlink_to(outside)
    (templates / "linked.yaml").symlink_to(outside / "target.yaml")
    before = sorted(templates.parent.rglob("*"))
    answer = owner.post("/new/steps", sent(complete(), "review", "write", file=name))
    assert 'class="finding error"' in answer.text
    assert "Written:" not in answer.text
    assert sorted(templates.parent.rglob("*")) == before


def test_a_template_goes_into_a_folder_below_and_keeps_the_umask(templates: Path) -> None:
    (templates / "team").mkdir()
    written = folder.write(templates, "team/churn.yml", "name: churn\n")
    plain = templates / "plain"
    plain.touch()
    assert written.stat().st_mode == plain.stat().st_mode


def test_what_is_no_file_is_not_replaced(templates: Path) -> None:
    (templates / "churn.yaml").mkdir()
    with pytest.raises(HpoError, match="is no file that can be read"):
        folder.write(templates, "churn.yaml", "x")
    assert [one.name for one in templates.iterdir()] == ["churn.yaml"]


def test_without_a_folder_nothing_is_written(guard: Guard, app: Flask) -> None:
    owner = Visitor(create_app(Account(), guard, templates=None), guard).sign_in()
    page = owner.post("/new/steps", sent(complete(), "review", "write", file="churn.yaml")).text
    assert "may not write files" in html.unescape(page)


# Colours


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(owner: Visitor, theme: int) -> None:
    sheet = owner.get("/static/console.css").text
    pairs = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", sheet)
    colours = {name: values[theme] for name, *values in pairs}
    grounds = ("ground", "surface", "sunken")
    texts = [(text, ground) for text in ("text", "quiet", "accent") for ground in grounds]
    texts += [(tone, f"{tone}-ground") for tone in ("good", "busy", "warn", "bad")]
    texts += [("on-accent", "accent"), ("text", "bad-ground"), ("text", "warn-ground"), ("accent", "good-ground")]
    for text, ground in texts:
        light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
    line, surface = sorted((luminance(colours["strong-line"]), luminance(colours["surface"])), reverse=True)
    assert (line + 0.05) / (surface + 0.05) >= 3
