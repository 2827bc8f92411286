"""The text of the tuning jobs' state machines, and what many of them share in a template.

All but the request is nearly the same for every job. A template of a few jobs holds each definition whole, so that
people can read it; in one of many the equal pieces stand once, in a mapping, because a template may have 1 MB. What
is deployed is the same text.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from aws_cdk import CfnMapping, Fn, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from hpo_handlers.contract import Key

from ..workflow import StateName

# Up to so many jobs of a stack have their definitions whole.
WHOLE_DEFINITIONS: Final = 10
_MAPPING: Final = "HpoStateMachines"
_TEXTS: Final = "Texts"
# A reference to the mapping takes about half of it.
_SHORTEST_SHARED: Final = 100
# JSON escapes the character, so that no other text of a definition is the same.
_REQUEST: Final = "\0request"
_TOKEN: Final = r"\$\{Token\[[^\]]*\]\}"  # noqa: S105 - the CDK's placeholders


def pieces(definition: Mapping[str, Any], own: Sequence[Any], stack: Stack) -> list[str]:
    """The definition's JSON text, cut around what is a job's own or known at deployment only.

    Args:
        definition: What `workflow.definition` gives.
        own: Values in it that other jobs do not have; the request is known as one.
        stack: The stack.
    """
    first = definition["States"][StateName.REQUEST]
    states = {**definition["States"], StateName.REQUEST: {**first, "Result": {Key.REQUEST: _REQUEST}}}
    text = _json({**definition, "States": states})
    cuts = "|".join((*(re.escape(_json(value)) for value in own), _TOKEN))
    # The CDK's JSON, because a request may hold tokens of any kind.
    request = stack.to_json_string(first["Result"][Key.REQUEST])
    before, after = text.split(_json(_REQUEST))
    return [*_cut(cuts, before), request, *_cut(cuts, after)]


def _cut(cuts: str, text: str) -> list[str]:
    return [piece for piece in re.split(f"({cuts})", text) if piece]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class Definitions:
    """The definitions of a stack's tuning jobs."""

    def __init__(self, scope: Construct) -> None:
        self._scope = scope
        self._mapping: CfnMapping | None = None
        self._references: dict[str, str] = {}
        self._whole: list[tuple[sfn.StateMachine, list[str]]] = []

    def made(self, pieces: list[str], make: Callable[[str], sfn.StateMachine]) -> sfn.StateMachine:
        """A state machine made of the definition's text; when there are many, the earlier ones share theirs too."""
        if self._mapping is None and len(self._whole) < WHOLE_DEFINITIONS:
            machine = make("".join(pieces))
            self._whole.append((machine, pieces))
            return machine
        if self._mapping is None:
            self._mapping = CfnMapping(self._scope, "Definitions")
            self._mapping.override_logical_id(_MAPPING)
            for machine, earlier in self._whole:
                resource = machine.node.default_child
                assert isinstance(resource, sfn.CfnStateMachine)  # noqa: S101 - for the type checker
                resource.definition_string = self._shared(self._mapping, earlier)
        return make(self._shared(self._mapping, pieces))

    def _shared(self, mapping: CfnMapping, pieces: list[str]) -> str:
        return "".join(
            piece if len(piece) < _SHORTEST_SHARED or re.search(_TOKEN, piece) else self._reference(mapping, piece)
            for piece in pieces
        )

    def _reference(self, mapping: CfnMapping, piece: str) -> str:
        if piece not in self._references:
            # Of its content, so that further jobs leave the template of the others alone.
            key = sha256(piece.encode()).hexdigest()[:8]
            mapping.set_value(_TEXTS, key, piece)
            self._references[piece] = Fn.find_in_map(_MAPPING, _TEXTS, key)
        return self._references[piece]
