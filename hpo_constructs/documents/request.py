"""Requests in the API's words: CreateHyperParameterTuningJob, Describe's answer, and the ACK manifest."""

from typing import Any

from ..catalog import recognise
from ..errors import DocumentError
from ..spec.declaration import Declaration, Form, ack_name
from ..spec.shapes import Shape, shape_model
from .nodes import Node
from .reading import RequestReader

ACK_KIND = "HyperParameterTuningJob"
ACK_GROUP = "sagemaker.services.k8s.aws"

# What the AWS CLI and boto3 put around an answer.
_ANSWER_ONLY = {"ResponseMetadata"}


def is_request(node: Node) -> bool:
    """Whether a document is a request or an answer of the API: it has at least one member of one."""
    model = shape_model()
    return node.kind == "mapping" and not node.entries.keys().isdisjoint({*(model.root.members or {})})


def is_ack_manifest(node: Node) -> bool:
    """Whether a document is a manifest of ACK's HyperParameterTuningJob."""
    if node.kind != "mapping" or "kind" not in node.entries:
        return False
    group = node.entries.get("apiVersion")
    return node.entries["kind"].text == ACK_KIND and group is not None and group.text.startswith(ACK_GROUP + "/")


def read_request(node: Node, file: str) -> Declaration:
    """The declaration of a request, or of a Describe answer without what the service has added.

    Of an answer, the members that only answers have are dropped, and what the service adds: static hyperparameters
    whose names begin with `_`, and the metric definitions of built-in algorithms, which a request must not have.
    """
    model = shape_model()
    described = not node.entries.keys().isdisjoint(model.describe_only | _ANSWER_ONLY)
    if described:
        entries = {key: value for key, value in node.entries.items() if key not in model.describe_only | _ANSWER_ONLY}
        node = Node.mapping(entries, node, node.keys)
    reader = RequestReader(_same_name, numbers_as_text=False)
    request = reader.read(node, model.root, (), "")
    reader.note((), "", node)
    form = Form.DESCRIBE if described else Form.REQUEST
    if described:
        _drop_what_the_service_adds(request)
    return Declaration(request=request, form=form, file=file, origins=reader.origins)


def read_ack_manifest(node: Node, file: str) -> Declaration:
    """The declaration of an ACK manifest: what stands under its `spec`.

    Raises:
        DocumentError: The manifest has no `spec`.
    """
    spec = node.entries.get("spec")
    if spec is None or spec.kind != "mapping":
        raise DocumentError(
            f"the manifest of a {ACK_KIND} needs a spec, got none", file=file, line=node.line, column=node.column
        )
    reader = RequestReader(_ack_member, numbers_as_text=False)
    request = reader.read(spec, shape_model().root, (), "spec")
    reader.note((), "spec", spec)
    return Declaration(request=request, form=Form.ACK, file=file, origins=reader.origins)


def _same_name(shape: Shape, key: str) -> str | None:
    return key if key in (shape.members or {}) else None


def _ack_member(shape: Shape, key: str) -> str | None:
    # Kubernetes minds the case: a key that only looks like a member would be pruned.
    return next((name for name in shape.members or {} if ack_name(name) == key), None)


def _drop_what_the_service_adds(request: dict[str, Any]) -> None:
    """Drop `_` hyperparameters, and the metric definitions that a built-in algorithm's image brings by itself."""
    several = request.get("TrainingJobDefinitions")
    for definition in [request.get("TrainingJobDefinition"), *(several if isinstance(several, list) else ())]:
        if not isinstance(definition, dict):
            continue
        static = definition.get("StaticHyperParameters")
        if isinstance(static, dict):
            for name in [name for name in static if name.startswith("_")]:
                del static[name]
        algorithm = definition.get("AlgorithmSpecification")
        if isinstance(algorithm, dict) and _is_builtin(algorithm.get("TrainingImage")):
            algorithm.pop("MetricDefinitions", None)


def _is_builtin(image: Any) -> bool:
    found = recognise(image) if isinstance(image, str) else None
    return found is not None and found.kind == "algorithm" and found.account_known
