"""What a check costs, beside what people do today: synthesize and lint, or validate the request with botocore.

    .venv/bin/python bench/check.py

Each program starts cold, in its own process on one core, and the quickest of several runs counts: what else the
machine does makes runs slower, never quicker.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpo_constructs.documents import read
from hpo_constructs.rules.examples import SINGLE

BIN = Path(sys.executable).parent
JOBS = 1000
AIMS = {"cold": 0.4, "many": 2.0}
BOTOCORE = """\
import json, sys, botocore.session
from botocore.validate import ParamValidator
model = botocore.session.get_session().get_service_model("sagemaker")
shape = model.operation_model("CreateHyperParameterTuningJob").input_shape
assert not ParamValidator().validate(json.load(open(sys.argv[1])), shape).has_errors()
"""


def seconds(command: list[str], folder: Path, runs: int) -> float:
    """The quickest of several runs of a command."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    pinned = ["taskset", "-c", "0", *command] if shutil.which("taskset") else command
    quickest = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(pinned, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        quickest = min(quickest, time.perf_counter() - start)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return quickest


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many = folder / "many"
        many.mkdir()
        template = folder / "churn.yaml"
        template.write_text(SINGLE, encoding="utf-8")
        for number in range(JOBS):
            job = SINGLE.replace("name: churn", f"name: churn-{number}").replace(
                "max_parallel_training_jobs: 2", "max_parallel_training_jobs: 1"
            )
            (many / f"{number:04}.yaml").write_text(job, encoding="utf-8")
        quotas = folder / "quotas.json"
        quotas.write_text(
            json.dumps({"concurrent_tuning_jobs": JOBS, "instances_per_type": 2 * JOBS, "instances_total": 2 * JOBS})
        )
        request = folder / "request.json"
        request.write_text(json.dumps(read(template)[0].request), encoding="utf-8")

        hpo = str(BIN / "hpo")
        synth = f"{sys.executable} -m hpo_constructs.stacks {template}"
        cold = seconds([hpo, "check", str(template)], folder, 7)
        rows = [
            ("hpo check, one template, cold", cold),
            (
                "botocore's validator, its request, cold",
                seconds([sys.executable, "-c", BOTOCORE, str(request)], folder, 5),
            ),
            ("cdk synth -q, one template", seconds([str(BIN / "cdk"), "synth", "-q", "--app", synth], folder, 2)),
        ]
        (stack,) = (folder / "cdk.out").glob("*.template.json")
        rows.append(("cfn-lint, the synthesized template", seconds([str(BIN / "cfn-lint"), str(stack)], folder, 2)))
        hundreds = seconds([hpo, "check", "--quotas", str(quotas), str(many)], folder, 3)
        rows.append((f"hpo check, {JOBS:,} templates in one call", hundreds))
    for label, value in rows:
        print(f"{label:<42} {value:7.2f} s  {value / cold:6.1f} x")
    print(f"one template of {JOBS:,}: {1000 * hundreds / JOBS:.2f} ms")
    missed = [
        label for label, aim, value in (("cold", AIMS["cold"], cold), ("many", AIMS["many"], hundreds)) if value > aim
    ]
    print(
        "aims: " + ", ".join(f"{label} {aim:g} s" for label, aim in AIMS.items()),
        "missed:" if missed else "kept",
        *missed,
    )


if __name__ == "__main__":
    main()
