"""The quotas as the Service Quotas API knows them: names, codes, and whether they can be raised.

The codes are the same in every account and region. Where no public list names a code there is none here, and
`lookup_command` says how to find it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from .needs import Pool

if TYPE_CHECKING:
    from . import Quotas

SERVICE_CODE = "sagemaker"
# The quota of an instance type, and of one for spot training.
INSTANCES, SPOT_INSTANCES = "instances", "spot_instances"
_OF_TYPES = {INSTANCES, SPOT_INSTANCES}
# A quota that is part of another one's name in hpo:quotas.
_NOT_STATED = {"spot_instances_per_training_job"}


@dataclass(frozen=True, slots=True)
class ServiceQuota:
    """A quota of an account and region.

    Attributes:
        name: The name in Service Quotas; None for a limit that the guide names and Service Quotas does not list.
        code: The quota's code, such as `L-11294128`; None where it has to be looked up.
        default: The value of a new account; None where it is the account's own.
        adjustable: Whether an increase can be asked for.
        raisable_to: The most that AWS raises it to; None where no page names a bound.
    """

    name: str | None
    code: str | None
    default: int | None
    adjustable: bool
    raisable_to: int | None


def service_quota(quota: str, instance_type: str | None = None) -> ServiceQuota:
    """A quota by its name in `hpo:quotas`, of an instance type where it is one of a type.

    Raises:
        KeyError: There is no such quota.
    """
    facts = _data()["quotas"][quota]
    name, code = facts["name"], facts.get("code")
    if instance_type is not None:
        name, code = name.format(type=instance_type), facts["codes"].get(instance_type)
    return ServiceQuota(name, code, facts["default"], facts["adjustable"], facts["raisable_to"])


def account_values(answer: Iterable[Mapping[str, Any]], pools: Iterable[Pool]) -> dict[str, Any]:
    """What an account allows, in the form of `hpo:quotas`, from the answers of the Service Quotas API.

    Quotas are found by their names; what the answers do not hold is left out.

    Args:
        answer: The quotas of ListServiceQuotas for the service code sagemaker.
        pools: The kinds of instances whose quotas are wanted.
    """
    by_name = {str(quota["QuotaName"]).casefold(): int(quota["Value"]) for quota in answer if "Value" in quota}
    values: dict[str, Any] = {}
    for quota in _data()["quotas"]:
        name = _data()["quotas"][quota]["name"]
        if quota not in _OF_TYPES and quota not in _NOT_STATED and name and name.casefold() in by_name:
            values[quota] = by_name[name.casefold()]
    for pool in pools:
        quota = SPOT_INSTANCES if pool.spot else INSTANCES
        name = service_quota(quota, pool.instance_type).name or ""
        if name.casefold() in by_name:
            values.setdefault(quota, {})[pool.instance_type] = by_name[name.casefold()]
    return values


def account_answer(quotas: Quotas) -> list[dict[str, Any]]:
    """The quotas of ListServiceQuotas of an account that has these values; what is not known is left out."""
    answer = []
    for quota, facts in _data()["quotas"].items():
        if quota in _OF_TYPES:
            own: Mapping[str, int] = getattr(quotas, quota)
            values = {kind: own.get(kind, quotas.instances_per_type) for kind in facts["codes"]}
            rows = [(facts["name"].format(type=kind), facts["codes"][kind], value) for kind, value in values.items()]
        else:
            rows = [(facts["name"], facts["code"], getattr(quotas, quota, None))]
        answer += [
            {
                "ServiceCode": SERVICE_CODE,
                "QuotaName": name,
                "QuotaCode": code,
                "Value": float(value),
                "Adjustable": facts["adjustable"],
                "GlobalQuota": False,
            }
            for name, code, value in rows
            if name and code and value is not None
        ]
    return answer


def increase_command(code: str, value: int, region: str | None = None) -> str:
    """The command that asks for an increase of a quota to a value."""
    return _command(
        "request-service-quota-increase", "--quota-code", code, "--desired-value", str(value), region=region
    )


def lookup_command(name: str, region: str | None = None) -> str:
    """The command that looks up the code and the present value of a quota by its name."""
    query = f"Quotas[?QuotaName=='{name}'].[QuotaCode, Value]"
    return _command("list-service-quotas", "--query", query, "--output", "text", region=region)


def _command(verb: str, *options: str, region: str | None) -> str:
    where = ["--region", region] if region else []
    return shlex.join(["aws", "service-quotas", verb, "--service-code", SERVICE_CODE, *options, *where])


@cache
def _data() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("data/service-quotas-2026-11.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data
