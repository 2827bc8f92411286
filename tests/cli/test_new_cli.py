"""`hpo new` as a person uses it in a terminal, and as a script does with flags."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from hpo_constructs.documents import read, read_text
from hpo_constructs.rules import check
from hpo_constructs.rules.examples import SEVERAL, SINGLE
from hpo_constructs.wizard import Draft

HPO = [sys.executable, "-m", "hpo_constructs.cli.__main__"]
UP, DOWN, CLEAR, CTRL_C = "\x1b[A", "\x1b[B", "\x15", "\x03"
DATA = ["--train", "s3://my-data/train/", "--validation", "s3://my-data/validation/", "--output-path", "s3://models/"]
XGBOOST = ["--algorithm", "xgboost", "--name", "churn", *DATA]
KEPT = Path(".hpo/new.draft.json")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, which the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def environment(**changed: str) -> dict[str, str]:
    """The environment of a laptop without AWS; prompts do not wait for a terminal's answers."""
    left_out = {"NO_COLOR", "AWS_REGION", "AWS_DEFAULT_REGION", "COLUMNS", "LINES"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm", **changed}


def hpo(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """The command without a terminal, as a script runs it."""
    return subprocess.run(
        [*HPO, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=environment(**changed),
    )


class Terminal:
    """The command in a pseudo-terminal of 80 columns."""

    def __init__(self, *arguments: str, **changed: str) -> None:
        self.child = pexpect.spawn(
            HPO[0],
            [*HPO[1:], *arguments],
            env=environment(**changed),  # type: ignore[arg-type]
            dimensions=(40, 80),
            timeout=30,
            encoding="utf-8",
        )
        self.seen = ""

    def see(self, text: str) -> str:
        """Wait for a text; gives what was printed before it."""
        self.child.expect_exact(text)
        self.seen += self.child.before + self.child.after
        return plain(self.child.before)

    def answer(self, prompt: str, text: str | None = None) -> None:
        """Answer a question: the text takes the place of what is suggested; without one, the suggestion is taken."""
        self.see(prompt)
        self.child.send(f"{'' if text is None else text}\r")

    def replace(self, prompt: str, text: str) -> None:
        """Answer a question of the wizard with keys, whose suggestion stands in the line."""
        self.answer(prompt, f"{CLEAR}{text}")

    def end(self) -> int:
        """Wait for the end; the exit code."""
        self.child.expect(pexpect.EOF)
        self.seen += self.child.before
        self.child.close()
        return int(self.child.exitstatus)

    @property
    def text(self) -> str:
        """All that was printed, without what moves the cursor."""
        return plain(self.seen)


def plain(text: str) -> str:
    """A text without escapes."""
    return _ESCAPES.sub("", text)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals, closed at the end of the test."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.child.close(force=True)


# Without a terminal


def test_flags_alone_write_a_template_that_check_accepts() -> None:
    done = hpo("new", *XGBOOST, "--max-jobs", "30", "--set", "hyperparameter_ranges.eta=0.05 to 0.5 log")
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote templates/churn.yaml" in done.stdout and "hpo run templates/churn.yaml" in done.stdout
    (declaration,) = read("templates/churn.yaml")
    assert check(declaration) == []
    assert declaration.request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 30
    assert "scaling_type: Logarithmic" in Path("templates/churn.yaml").read_text(encoding="utf-8")
    assert sorted(path.name for path in Path("templates").iterdir()) == ["churn.yaml"]
    assert hpo("check", "templates").returncode == 0


def test_the_template_goes_to_standard_output_and_into_check() -> None:
    done = hpo("new", *XGBOOST, "-o", "-", "--region", "eu-west-1")
    (declaration,) = read_text(done.stdout, "stdin.yaml")
    assert check(declaration) == [] and "eu-west-1" in done.stdout
    assert not Path("templates").exists()


def test_what_is_missing_is_told_at_once_with_the_flags() -> None:
    done = hpo("new", "--algorithm", "kmeans", "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    for flag in (
        "--name NAME",
        "--train S3_URI",
        "--channel test=S3_URI",
        "--output-path S3_URI",
        "--set static_hyper",
    ):
        assert flag in done.stderr, done.stderr
    assert "6 answers are missing" in done.stderr
    stated = ["--set", "static_hyperparameters.k=5", "--set", "static_hyperparameters.feature_dim=9"]
    done = hpo("new", "--algorithm", "kmeans", "--name", "groups", *DATA[:2], *DATA[4:], "--channel", "test=s3://my-data/test/",
               *stated)  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = hpo("new")
    assert done.returncode == 2 and "--algorithm NAME" in done.stderr


def test_the_command_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/wizard.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^    hpo (new --yes (?:.*\\\n)*.*)$", page, re.MULTILINE)
    done = hpo(*shlex.split(command.replace("\\\n", " ")))
    assert (done.returncode, done.stderr) == (0, "")
    (declaration,) = read("templates/churn.yaml")
    assert check(declaration) == [] and declaration.request["Tags"] == [{"Key": "team", "Value": "risk"}]


def test_findings_stop_the_writing() -> None:
    done = hpo("new", *XGBOOST, "--parallel", "40", "--strategy", "Baysian")
    assert done.returncode == 1
    assert "parallel-training-jobs" in done.stderr and "write Bayesian" in done.stderr
    assert "nothing was written" in done.stderr and not Path("templates").exists()
    assert hpo("new", *XGBOOST, "--parallel", "40", "--force").returncode == 0
    assert hpo("check", "templates").returncode == 1


def test_the_quotas_of_the_folders_cdk_json_count() -> None:
    arguments = ["new", *XGBOOST, "--parallel", "12", "--instance-count", "12"]
    Path("cdk.json").write_text(
        json.dumps({"context": {"hpo:quotas": {"parallel_training_jobs": 50, "instances_per_type": 200,
                                               "instances_total": 200}}})
    )  # fmt: skip
    done = hpo(*arguments)
    assert "parallel-training-jobs" not in done.stderr, done.stderr


def test_an_existing_file_is_not_written_over() -> None:
    Path("mine.yaml").write_text("# mine\n", encoding="utf-8")
    done = hpo("new", *XGBOOST, "-o", "mine.yaml")
    assert done.returncode == 2 and "mine.yaml exists" in done.stderr
    assert Path("mine.yaml").read_text(encoding="utf-8") == "# mine\n"
    assert hpo("new", *XGBOOST, "-o", "mine.yaml", "--force").returncode == 0
    assert hpo("check", "mine.yaml").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algorithm", "xgbost"], "did you mean xgboost?"),
        (["--algorithm", "xgboost", "--image", "mine:1"], "--algorithm and --image are ways to begin; choose one"),
        (["--algorithm", "xgboost", "--region", "mars-1"], "region 'mars-1' has no image of xgboost"),
        (["--algorithm", "xgboost", "--set", "strategy"], "--set takes PATH=VALUE, got 'strategy'"),
        (["--algorithm", "xgboost", "--set", "strateg=Grid"], "did you mean strategy?"),
        (["--algorithm", "xgboost", "--channel", "s3://x/"], "--channel takes NAME=S3_URI"),
        (["--from", "missing.yaml"], "missing.yaml: no such file"),
        (["--resume"], "no draft is kept in this folder"),
        ([*XGBOOST, "-o", "/proc/no/such.yaml"], "cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str) -> None:
    done = hpo("new", *arguments, "--yes")
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not Path("templates").exists()


def test_a_clone_of_a_file() -> None:
    Path("old.yaml").write_text(SINGLE, encoding="utf-8")
    done = hpo("new", "--from", "old.yaml", "--yes")
    assert done.returncode == 2 and "--name NAME" in done.stderr and "1 answer is missing" in done.stderr
    assert hpo("new", "--from", "old.yaml", "--name", "again", "--set", "random_seed=7").returncode == 0
    (old,), (new,) = read("old.yaml"), read("templates/again.yaml")
    expected = {**old.request, "HyperParameterTuningJobName": "again"}
    expected["HyperParameterTuningJobConfig"] = {**expected["HyperParameterTuningJobConfig"], "RandomSeed": 7}
    assert new.request == expected


def test_a_path_without_its_definition_holds_for_every_one() -> None:
    Path("old.yaml").write_text(SEVERAL, encoding="utf-8")
    done = hpo("new", "--from", "old.yaml", "--name", "again", "--output-path", "s3://other/", "--set",
               "training_job_definitions[1].resource_config.instance_count=3")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (new,) = read("templates/again.yaml")
    definitions = new.request["TrainingJobDefinitions"]
    assert {item["OutputDataConfig"]["S3OutputPath"] for item in definitions} == {"s3://other/"}
    assert definitions[1]["ResourceConfig"]["InstanceCount"] == 3


def test_a_clone_of_a_job_on_the_account() -> None:
    from moto.server import ThreadedMotoServer

    (source,) = read_text(SINGLE, "single.yaml")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        account = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "us-east-1",
        }
        import boto3

        client = boto3.client(
            "sagemaker", endpoint_url=account["AWS_ENDPOINT_URL"], region_name="us-east-1", aws_access_key_id="x",
            aws_secret_access_key="x",
        )  # fmt: skip
        role = "arn:aws:iam::123456789012:role/training"
        definition = {**source.request["TrainingJobDefinition"], "RoleArn": role}
        client.create_hyper_parameter_tuning_job(
            **{**source.request, "HyperParameterTuningJobName": "churn-1f0c2a9b7d", "TrainingJobDefinition": definition}
        )
        done = hpo("new", "--from", "churn-1f0c2a9b7d", "--name", "again", **account)
        assert done.returncode == 0, done.stderr
        missing = hpo("new", "--from", "nothing", "--name", "again", **account)
        assert missing.returncode == 2 and "there is no tuning job 'nothing'" in missing.stderr
    finally:
        server.stop()
    (new,) = read("templates/again.yaml")
    assert new.request["TrainingJobDefinition"] == definition
    assert "Cloned from churn-1f0c2a9b7d" in Path("templates/again.yaml").read_text(encoding="utf-8")


def test_algorithms_are_listed_and_completed() -> None:
    listed = hpo("new", "--list-algorithms")
    assert listed.returncode == 0 and re.search(r"^xgboost +XGBoost$", listed.stdout, re.MULTILINE)
    from hpo_constructs.cli.new import _algorithm_names

    assert _algorithm_names("xg") == ["xgboost"]


def test_a_check_does_not_load_the_prompts() -> None:
    Path("job.yaml").write_text(SINGLE, encoding="utf-8")
    code = (
        "import sys; sys.argv = ['hpo', 'check', 'job.yaml']\n"
        "from hpo_constructs.cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('questionary', 'prompt_toolkit', 'hpo_constructs.wizard') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


# In a terminal


def to_the_end_of_the_definition(terminal: Terminal, *, finished: bool = False) -> None:
    """Take what is suggested in a definition of xgboost whose data is stated."""
    terminal.answer("Searched hyperparameters:")
    prompts = ["Output path:", "Instance type:", "Instances:", "Volume size:", "Longest training job:"]
    for prompt in [] if finished else prompts:
        terminal.answer(prompt)


def test_from_the_first_question_to_the_template(terminals: list[Terminal]) -> None:
    terminal = Terminal("new")
    terminals.append(terminal)
    terminal.answer("Begin:")
    terminal.answer("Algorithm:")
    terminal.answer("Built-in algorithm:", "xgb")
    terminal.answer("Region:")
    terminal.replace("Name:", "-churn")
    terminal.see("name must be letters and digits with hyphens between them, got '-churn'")
    terminal.see("fix: write churn")
    terminal.replace("Name:", "churn")
    terminal.answer("Strategy:")
    terminal.answer("Objective metric:")
    terminal.answer("Job settings:")
    terminal.answer("Searched hyperparameters:")
    terminal.replace("train: S3 URI:", "s3://my-data/train/")
    terminal.replace("validation: S3 URI:", "my-data")
    terminal.see("must be an S3 URI")
    terminal.replace("validation: S3 URI:", "s3://my-data/validation/")
    terminal.replace("Output path:", "s3://models/")
    for prompt in ("Instance type:", "Instances:", "Volume size:", "Longest training job:"):
        terminal.answer(prompt)
    terminal.answer("Training job definition:")
    terminal.replace("Training jobs in all:", "many")
    terminal.see("must be a whole number")
    terminal.replace("Training jobs in all:", "30")
    terminal.answer("Training jobs at the same time:")
    terminal.answer("Resource limits:")
    terminal.see("hpo check has nothing to object")
    terminal.answer("Review:")
    terminal.answer("Write to:")
    assert terminal.end() == 0
    assert "hpo check templates/churn.yaml" in terminal.text
    (declaration,) = read("templates/churn.yaml")
    assert check(declaration) == [] and declaration.name == "churn"
    assert not KEPT.exists()


def test_going_back_and_a_second_definition(terminals: list[Terminal]) -> None:
    terminal = Terminal("new", *XGBOOST)
    terminals.append(terminal)
    terminal.replace("Name:", "<")
    terminal.see("This is the first question")
    terminal.replace("Name:", "other")
    terminal.answer("Strategy:", UP)  # the last entry is Back
    terminal.replace("Name:", "churn-2")
    terminal.answer("Strategy:")
    terminal.answer("Objective metric:")
    terminal.answer("Job settings:")
    to_the_end_of_the_definition(terminal)
    terminal.answer("Training job definition:", DOWN * 3)
    terminal.answer("Algorithm:")
    terminal.answer("Built-in algorithm:", "linear-l")
    terminal.answer("Region:")
    terminal.see("The tuning job has 2 definitions now")
    terminal.see("Training job definition: linear-learner")
    terminal.replace("Definition name:", "linear")
    terminal.answer("Objective metric:")
    terminal.answer("Searched hyperparameters:")
    terminal.replace("train: S3 URI:", "s3://my-data/train/")
    terminal.replace("validation: S3 URI:", "s3://my-data/validation/")
    for prompt in ("Output path:", "Instance type:", "Instances:", "Volume size:", "Longest training job:"):
        terminal.answer(prompt)
    terminal.answer("Training job definition:")
    terminal.answer("Training jobs in all:")
    terminal.answer("Training jobs at the same time:")
    terminal.answer("Resource limits:")
    terminal.answer("Review:", DOWN)  # back to the job settings, whose questions are answered
    terminal.answer("Job settings:")  # and on to the review
    terminal.answer("Review:")
    terminal.answer("Write to:")
    assert terminal.end() == 0
    (declaration,) = read("templates/churn-2.yaml")
    assert check(declaration) == []
    names = [item["DefinitionName"] for item in declaration.request["TrainingJobDefinitions"]]
    assert names == ["xgboost", "linear"]


def test_ctrl_c_keeps_the_draft_and_resume_goes_on(terminals: list[Terminal]) -> None:
    terminal = Terminal("new", *XGBOOST)
    terminals.append(terminal)
    terminal.answer("Name:")
    terminal.answer("Strategy:", DOWN)
    terminal.see("Objective metric:")
    terminal.child.send(CTRL_C)
    assert terminal.end() == 130
    assert "go on with `hpo new --resume`" in terminal.text
    kept = json.loads(KEPT.read_text(encoding="utf-8"))["template"]
    assert (kept["name"], kept["strategy"]) == ("churn", "Random")

    done = hpo("new", "--resume", "--yes", "-o", "-")
    assert done.returncode == 0 and "strategy: Random" in done.stdout

    again = Terminal("new")
    terminals.append(again)
    again.answer("Begin:")  # the kept draft comes first
    again.see("Training job definition: xgboost")
    again.see("Searched hyperparameters:")
    again.child.send(CTRL_C)
    assert again.end() == 130


def test_a_file_is_written_over_only_when_asked(terminals: list[Terminal], folder: Path) -> None:
    file = folder / "mine.yaml"
    file.write_text("# mine\n", encoding="utf-8")
    Path("full.yaml").write_text(SEVERAL, encoding="utf-8")
    draft = Draft.from_text(SEVERAL, name="again")
    draft.reach("review")
    KEPT.parent.mkdir()
    KEPT.write_text(json.dumps(draft.to_dict()), encoding="utf-8")
    terminal = Terminal("new", "--resume", "-o", "mine.yaml", TERM="dumb")
    terminals.append(terminal)
    terminal.answer("Review [1]: ")
    terminal.answer("Write to [mine.yaml]: ")
    terminal.see("mine.yaml exists; write over it [1]: ")
    terminal.child.send("\r")
    terminal.answer("Write to [mine.yaml]: ", "other.yaml")
    assert terminal.end() == 0
    assert file.read_text(encoding="utf-8") == "# mine\n"
    (old,), (new,) = read("full.yaml"), read("other.yaml")
    assert new.request == {**old.request, "HyperParameterTuningJobName": "again"}


def test_a_dumb_terminal_gets_lines_and_numbers(terminals: list[Terminal]) -> None:
    terminal = Terminal("new", "--image", "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1", TERM="dumb")
    terminals.append(terminal)
    terminal.answer("Name: ", "digits")
    terminal.answer("Strategy [1]: ", "Tree")
    terminal.see("write a number from 1 to 5, got 'Tree'")
    terminal.answer("Strategy [1]: ", "random")
    terminal.answer("Objective metric: ", "?")
    terminal.see("https://docs.aws.amazon.com/sagemaker/")
    terminal.answer("Objective metric: ", "")
    terminal.see("objective metric is needed")
    terminal.answer("Objective metric: ", "accuracy")
    terminal.answer("Direction [1]: ")
    terminal.answer("Job settings [1]: ")
    terminal.answer("Training image [")
    terminal.answer("Metrics [1]: ")
    terminal.answer("Name: ", "accuracy")
    terminal.answer("accuracy: ", "accuracy=([0-9.]+")
    terminal.see("fix:")
    terminal.answer("accuracy [", "accuracy=([0-9.]+)")
    terminal.answer("Metrics [1]: ")
    terminal.answer("Searched hyperparameters [1]: ")
    terminal.answer("Name: ", "rate")
    terminal.answer("rate: ", "0.1 to")
    terminal.see("rate must be a range such as 0.1 to 0.5")
    terminal.answer("rate [0.1 to]: ", "0.001 to 0.5 log")
    terminal.answer("Searched hyperparameters [1]: ")
    terminal.answer("Input channels [2]: ")
    terminal.answer("Name: ", "train")
    terminal.answer("train: S3 URI: ", "s3://my-data/train/")
    terminal.answer("train: Content type: ", "text/csv")
    terminal.answer("Input channels [1]: ")
    terminal.answer("Output path: ", "s3://models/")
    for prompt in ("Instance type [", "Instances [", "Volume size [", "Longest training job [", "definition [1]",
                   "Training jobs in all [", "at the same time [", "Resource limits [1]"):  # fmt: skip
        terminal.answer(prompt)
    terminal.see("hpo check has nothing to object")
    terminal.answer("Review [1]: ")
    terminal.answer("Write to [templates/digits.yaml]: ")
    assert terminal.end() == 0
    assert "\x1b" not in terminal.seen
    (declaration,) = read("templates/digits.yaml")
    assert check(declaration) == []


def test_no_color_is_kept_to(terminals: list[Terminal]) -> None:
    coloured, colourless = Terminal("new", *XGBOOST), Terminal("new", *XGBOOST, NO_COLOR="1")
    terminals += [coloured, colourless]
    for terminal in terminals:
        terminal.answer("Name:")
        terminal.see("Bayesian")
        terminal.see("Back")
    colours = re.compile(r"\x1b\[[0-9;]*3[0-7][;m]|\x1b\[[0-9;]*9[0-7][;m]")
    assert colours.search(coloured.seen) and not colours.search(colourless.seen)


def test_every_line_fits_the_terminal(terminals: list[Terminal]) -> None:
    terminal = Terminal("new", *XGBOOST)
    terminals.append(terminal)
    for prompt in ("Name:", "Strategy:", "Objective metric:"):
        terminal.answer(prompt)
    terminal.see("Change or add a setting")
    terminal.see("Back")
    assert max(len(line) for line in terminal.text.split("\n")) <= 80


def test_what_does_not_apply_any_more_can_be_removed(terminals: list[Terminal]) -> None:
    hyperband = SINGLE.replace("strategy: Bayesian", "strategy: Random") + (
        "strategy_config: {hyperband_strategy_config: {max_resource: 30}}\n"
    )
    Path("old.yaml").write_text(hyperband, encoding="utf-8")
    terminal = Terminal("new", "--from", "old.yaml", TERM="dumb")
    terminals.append(terminal)
    terminal.answer("Name [", "again")
    terminal.see("does not apply: for the strategy Hyperband only")
    terminal.answer("iterations [1]: ")
    terminal.answer("Job settings [1]: ")
    terminal.see("hpo check has nothing to object")
    terminal.see("Review [1]: ")
    terminal.child.send(CTRL_C)
    assert terminal.end() == 130
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))["template"]
    assert "strategy_config" not in kept and kept["name"] == "again"
