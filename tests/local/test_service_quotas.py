"""The quotas of the account that the endpoint plays, as the Service Quotas API lists them."""

import json
import subprocess
import sys
from pathlib import Path

from hpo_constructs.local import LocalEndpoint

ROOT = Path(__file__).parents[2]


def test_hpo_quotas_reads_the_endpoints_account(tmp_path: Path) -> None:
    with LocalEndpoint(quotas={"parallel_training_jobs": 37, "instances": {"ml.m5.large": 3}}) as endpoint:
        client = endpoint.client("service-quotas")
        pages = client.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
        listed = {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"]}
        assert len(listed) > 100  # more than one page
        assert listed["ml.m5.large for training job usage"] == 3
        command = [sys.executable, "-m", "hpo_constructs.cli", "quotas", "--account", "--json"]
        done = subprocess.run(
            [*command, str(ROOT / "examples" / "single")],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=endpoint.child_environment(),
        )
    assert done.returncode == 1, done.stderr
    needs = {row["quota"]: row for row in json.loads(done.stdout)["requirements"]}
    assert needs["parallel_training_jobs"]["allowed"] == 37
    assert (needs["instances"]["needed"], needs["instances"]["allowed"]) == (4, 3)
