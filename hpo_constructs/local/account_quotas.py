"""SageMaker's quotas as the Service Quotas API lists them, for the account that the endpoint plays.

Source: https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..quotas import Quotas, edition
from ..quotas.service_quotas import SERVICE_CODE, account_answer

TARGET = "ServiceQuotasV20190624"
_OPERATIONS = ("ListServiceQuotas", "ListAWSDefaultServiceQuotas")
_LARGEST_PAGE = 100

ServiceQuotasHandler = Callable[[str, Mapping[str, Any]], "dict[str, Any] | None"]


def service_quotas(quotas: Quotas | None) -> ServiceQuotasHandler:
    """What answers the API's operations; None for one that is not about SageMaker's quotas, which is moto's.

    Args:
        quotas: The account's quotas; the default edition without them.
    """
    stated, defaults = account_answer(quotas or edition()), account_answer(edition())

    def handle(operation: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        if operation not in _OPERATIONS or body.get("ServiceCode") != SERVICE_CODE:
            return None
        listed = stated if operation == "ListServiceQuotas" else defaults
        token = str(body.get("NextToken", ""))
        first = int(token) if token.isdecimal() else 0
        end = first + min(_LARGEST_PAGE, int(body.get("MaxResults", _LARGEST_PAGE)))
        page: dict[str, Any] = {"Quotas": listed[first:end]}
        return {**page, "NextToken": str(end)} if end < len(listed) else page

    return handle
