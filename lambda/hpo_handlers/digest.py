"""Why the training jobs of a tuning job failed, in one text: reasons with their numbers and links to logs."""

import re
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from .service import client, logger

# The console's host in each partition: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/
_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_LOG_GROUP: Final = "/aws/sagemaker/TrainingJobs"
_MOST_JOBS: Final = 1000
_MOST_REASONS: Final = 10
_LINKS: Final = 3
_LONGEST_REASON: Final = 600


def failure_digest(job: dict[str, Any], room: int) -> str:
    """The failed training jobs of a tuning job, grouped by reason, the commonest first; empty without any.

    The digest explains a failure and must not become one: where the training jobs cannot be listed it says so.

    Args:
        job: the answer of DescribeHyperParameterTuningJob.
        room: the most characters.
    """
    name = job["HyperParameterTuningJobName"]
    try:
        groups = _groups(name)
    except Exception:
        logger.exception("cannot list the training jobs of %s", name)
        return "\nthe reasons of the failed training jobs could not be read"[:room]
    if not groups:
        return ""
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    text = f"\nreasons of the {sum(map(len, groups.values()))} failed training jobs:"
    for reason, names in ordered[:_MOST_REASONS]:
        entry = f"\n- {len(names)} times: {reason}"
        entry += "".join(
            f"\n  log of {each}: {_link(job['HyperParameterTuningJobArn'], each)}" for each in names[:_LINKS]
        )
        if len(text) + len(entry) > room - 100:
            break
        text += entry
    logger.error(
        "training jobs of %s failed",
        name,
        extra={
            "tuning_job_name": name,
            "failures": [
                {"reason": reason, "count": len(names), "training_jobs": names[:_LINKS]} for reason, names in ordered
            ],
        },
    )
    return text[:room]


def _groups(name: str) -> dict[str, list[str]]:
    """Names of failed training jobs by reason."""
    pages = (
        client("sagemaker")
        .get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        .paginate(HyperParameterTuningJobName=name, StatusEquals="Failed", PaginationConfig={"PageSize": 100})
    )
    found = (summary for page in pages for summary in page["TrainingJobSummaries"])
    groups: dict[str, list[str]] = {}
    for summary in islice(found, _MOST_JOBS):
        job_name = summary["TrainingJobName"]
        reason = summary.get("FailureReason") or "no reason given"
        groups.setdefault(_common(reason, job_name), []).append(job_name)
    return groups


def _common(reason: str, job_name: str) -> str:
    """A reason without what differs from one training job to the next: its name, addresses and times."""
    text = reason.replace(job_name, "<training job>")
    text = re.sub(r"\b\d{4}-\d\d-\d\d[T ][\d:.,]+Z?", "<time>", text)
    text = re.sub(r"\b(0x)?[0-9a-f]{8,}\b", "<id>", text)
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _link(tuning_job_arn: str, training_job: str) -> str:
    """The training job's log streams in the CloudWatch console, whose links encode twice and write `$` for `%`."""
    _, partition, _, region, *_ = tuning_job_arn.split(":")
    host = _CONSOLES.get(partition, _CONSOLES["aws"])
    group = quote(quote(_LOG_GROUP, safe=""), safe="").replace("%", "$")
    stream = quote(f"?logStreamNameFilter={quote(f'{training_job}/', safe='')}", safe="").replace("%", "$")
    return f"https://{region}.{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}{stream}"
