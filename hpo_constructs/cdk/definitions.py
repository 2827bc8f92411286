"""The text of the tuning jobs' state machines, and what many of them share in a template.

All but the request is nearly the same for every job. A template of a few jobs holds each definition whole, so that
people can read it; in one of many the equal pieces stand once, in a mapping, because a template may have 1 MB. What
is deployed is the same text.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

from aws_cdk import CfnMapping, Fn, Stack, Token
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from hpo_handlers.contract import Key

from ..workflow import StateName, definition
from .late import late
from .place import PSEUDO_PARAMETERS, TOKEN, Place, has_token

# Up to so many jobs of a stack have their definitions whole.
WHOLE_DEFINITIONS: Final = 10
_MAPPING: Final = "HpoStateMachines"
_TEXTS: Final = "Texts"
# A reference to the mapping takes about half of it.
_SHORTEST_SHARED: Final = 100
# In texts and lists, and as numbers.
_ANY_TOKEN: Final = re.compile(r"\{Token\[|-1\.88815458970\d*e\+289")
# What each job has of its own stands in the frame as these; JSON escapes the first character, so that no other text
# is the same.
_REQUEST, _PREFIX, _NAME, _TIMEOUT = (f"\0{name}" for name in ("request", "prefix", "name", "timeout"))
_OWN: Final = frozenset(json.dumps(each) for each in (_REQUEST, _PREFIX, _NAME, _TIMEOUT))
_CUTS: Final = re.compile(rf'("\\u0000\w+"|{TOKEN.pattern})')


class Definitions:
    """The definitions of a stack's tuning jobs."""

    def __init__(self, scope: Construct, functions: Mapping[str, str]) -> None:
        """Starts without any.

        Args:
            scope: The construct that holds the mapping.
            functions: ARN of each function by its id.
        """
        self._scope = scope
        self._stack = Stack.of(scope)
        self._functions = functions
        self._frames: dict[str, _Frame] = {}
        self._mapping: CfnMapping | None = None
        self._references: dict[str, str] = {}
        self._whole: list[tuple[sfn.StateMachine, _Frame, Mapping[str, str]]] = []

    def made(
        self,
        request: Mapping[str, Any],
        make: Callable[[str], sfn.StateMachine],
        *,
        output_prefix: str,
        timeout_seconds: int,
        policy: Mapping[str, Any] | None,
        overlap: str,
        plain_tokens: Iterable[str],
    ) -> sfn.StateMachine:
        """A state machine made of a definition's text; when there are many, the earlier ones share theirs too.

        Args:
            request: The complete request.
            make: Makes the state machine.
            output_prefix: Path of the SSM parameters.
            timeout_seconds: How long an execution may take.
            policy: The publishing policy.
            overlap: What a run does while another one is running.
            plain_tokens: Tokens in the request beside those of the stack's place that stand for texts which need no
                escapes in JSON, such as ARNs.
        """
        frame = self._frame(policy, overlap)
        own = {
            _json(_REQUEST): _request(request, self._stack, plain_tokens),
            _json(_PREFIX): _json(output_prefix),
            _json(_NAME): _json(str(request.get("HyperParameterTuningJobName", ""))),
            _json(_TIMEOUT): str(timeout_seconds),
        }
        if self._mapping is None and len(self._whole) < WHOLE_DEFINITIONS:
            machine = make(_filled(frame.pieces, own))
            self._whole.append((machine, frame, own))
            return machine
        if self._mapping is None:
            self._mapping = CfnMapping(self._scope, "Definitions")
            self._mapping.override_logical_id(_MAPPING)
            for machine, of_machine, values in self._whole:
                resource = machine.node.default_child
                assert isinstance(resource, sfn.CfnStateMachine)  # noqa: S101 - for the type checker
                resource.definition_string = _filled(self._shared(self._mapping, of_machine), values)
        return make(_filled(self._shared(self._mapping, frame), own))

    def _frame(self, policy: Mapping[str, Any] | None, overlap: str) -> "_Frame":
        """What all jobs with the same settings have in common; putting it together takes longer than filling it in."""
        settings = _json([policy, overlap])
        if settings not in self._frames:
            machine = definition(
                {"HyperParameterTuningJobName": _NAME},
                output_prefix=_PREFIX,
                functions=self._functions,
                policy=policy,
                overlap=overlap,
                partition=Place.of(self._stack).partition,
            )
            first = {**machine["States"][StateName.REQUEST], "Result": {Key.REQUEST: _REQUEST}}
            states = {**machine["States"], StateName.REQUEST: first}
            self._frames[settings] = _Frame(_json({**machine, "TimeoutSeconds": _TIMEOUT, "States": states}))
        return self._frames[settings]

    def _shared(self, mapping: CfnMapping, frame: "_Frame") -> Sequence[str]:
        if frame.shared is None:
            pieces = [
                piece if len(piece) < _SHORTEST_SHARED or _CUTS.fullmatch(piece) else self._reference(mapping, piece)
                for piece in frame.pieces
            ]
            frame.shared = [piece if piece in _OWN else self._resolved_once(piece) for piece in _joined(pieces)]
        return frame.shared

    def _resolved_once(self, text: str) -> str:
        """A token for a text with tokens: the CDK would resolve them for every state machine."""
        return Token.as_string(late(lambda: self._stack.resolve(text))) if has_token(text) else text

    def _reference(self, mapping: CfnMapping, piece: str) -> str:
        if piece not in self._references:
            # Of its content, so that further jobs leave the template of the others alone.
            key = sha256(piece.encode()).hexdigest()[:8]
            mapping.set_value(_TEXTS, key, piece)
            self._references[piece] = Fn.find_in_map(_MAPPING, _TEXTS, key)
        return self._references[piece]


class _Frame:
    """A definition's JSON text without what each job has of its own.

    Attributes:
        pieces: The text, cut around what is a job's own or known at deployment only.
        shared: The same with references to the mapping.
    """

    def __init__(self, text: str) -> None:
        self.pieces: Sequence[str] = [piece for piece in _CUTS.split(text) if piece]
        self.shared: Sequence[str] | None = None


def _joined(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces with those that stand between what is a job's own put together."""
    for own, group in groupby(pieces, _OWN.__contains__):
        together = list(group)
        yield from together if own else ["".join(together)]


def _filled(pieces: Sequence[str], own: Mapping[str, str]) -> str:
    return "".join(own.get(piece, piece) for piece in pieces)


def _request(request: Mapping[str, Any], stack: Stack, plain_tokens: Iterable[str]) -> str:
    """The request's JSON text."""
    try:
        text = json.dumps(request, separators=(",", ":"), ensure_ascii=False)
    except TypeError:  # a token that is an object
        return stack.to_json_string(request)
    place = Place.of(stack)
    settled = place.replaced(text, dict.fromkeys(PSEUDO_PARAMETERS, ""))
    for each in (place.stack_name, *plain_tokens):
        if has_token(each):
            settled = settled.replace(each, "")
    # Tokens of other kinds are the CDK's to write; its call takes longer than all else here.
    return stack.to_json_string(request) if _ANY_TOKEN.search(settled) else text


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
