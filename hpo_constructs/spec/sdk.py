"""A tuner of the SageMaker Python SDK as a request of CreateHyperParameterTuningJob.

The SDK builds the request itself, up to the moment in which its AWS client would send it: nothing that a tuner can say
is lost, and nothing has to be known here of how the SDK stores it.
"""

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Never

from ..errors import SpecError

_EVENT = "provide-client-params.sagemaker.CreateHyperParameterTuningJob"
_TIME_STAMP = re.compile(r"-\d{6}-\d{4}$")


class _Built(BaseException):
    """Carries the request out of the SDK; not an Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__()
        self.request = request


def request_of_tuner(tuner: Any, inputs: Any = None, name: str | None = None) -> dict[str, Any]:
    """The request that a tuner's `fit` (SDK 2) or `tune` (SDK 3) would send; nothing is sent.

    Raises:
        SpecError: The object is no tuner, or the SDK cannot build a request of it.
    """
    start = _start_of(tuner)
    name = name or getattr(tuner, "base_tuning_job_name", None)
    try:
        with _sending_stopped(tuner):
            start(_apart(tuner), inputs, name)
    except _Built as built:
        request = built.request
    except Exception as error:
        raise SpecError(
            f"the SageMaker SDK cannot build the request of this tuner: {type(error).__name__}: {error}"
        ) from error
    else:
        raise SpecError(
            "the tuner's session sends no CreateHyperParameterTuningJob request: give its estimator an ordinary "
            f"sagemaker Session instead of a {type(tuner.sagemaker_session).__name__}"
        )
    if name is None:
        # The SDK's own names are an image's name with the time, which a declaration does not have.
        request["HyperParameterTuningJobName"] = _TIME_STAMP.sub("", request["HyperParameterTuningJobName"])
    return request


def _start_of(tuner: Any) -> Callable[[Any, Any, str | None], None]:
    """How a tuner of either SDK is started."""
    if hasattr(tuner, "model_trainer"):
        if tuner.model_trainer is None:
            raise SpecError(
                "version 3 of the SageMaker SDK sends tuners of several model trainers in no request; "
                "declare training_job_definitions, or make one tuner of each"
            )
        return lambda apart, inputs, name: apart.tune(inputs, job_name=name, wait=False)
    if hasattr(tuner, "estimator") and hasattr(tuner, "fit"):
        if tuner.estimator is None:  # for several estimators the SDK takes its own default for a mistake
            return lambda apart, inputs, name: apart.fit(inputs, job_name=name, include_cls_metadata={}, wait=False)
        return lambda apart, inputs, name: apart.fit(inputs, job_name=name, wait=False)
    raise SpecError(f"from_tuner takes a HyperparameterTuner of the SageMaker Python SDK, got a {type(tuner).__name__}")


def _apart(tuner: Any) -> Any:
    """A tuner that can be started and leaves the caller's as it is."""
    apart = copy.copy(tuner)
    if tuner.tags is not None:
        apart.tags = list(tuner.tags)
    return apart


@contextmanager
def _sending_stopped(tuner: Any) -> Iterator[None]:
    """Take the request from the AWS client of the tuner's session before it is sent."""
    session = tuner.sagemaker_session
    emitters = [session.sagemaker_client.meta.events]
    if hasattr(tuner, "model_trainer"):
        sdk = import_module("sagemaker.core.utils.utils")
        client = sdk.SageMakerClient(session=session.boto_session, region_name=session.boto_region_name)
        emitters.append(client.get_client("sagemaker").meta.events)
    for emitter in emitters:
        emitter.register_first(_EVENT, _take, unique_id="hpo-constructs")
    try:
        yield
    finally:
        for emitter in emitters:
            emitter.unregister(_EVENT, unique_id="hpo-constructs")


def _take(params: dict[str, Any], **_event: Any) -> Never:
    raise _Built(copy.deepcopy(params))
