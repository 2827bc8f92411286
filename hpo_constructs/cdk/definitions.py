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
from typing import Any, Final

from aws_cdk import CfnMapping, Fn, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from hpo_handlers.contract import Key

from ..workflow import StateName
from .place import PSEUDO_PARAMETERS, Place

# Up to so many jobs of a stack have their definitions whole.
WHOLE_DEFINITIONS: Final = 10
_MAPPING: Final = "HpoStateMachines"
_TEXTS: Final = "Texts"
# A reference to the mapping takes about half of it.
_SHORTEST_SHARED: Final = 100
# JSON escapes the character, so that no other text of a definition is the same.
_REQUEST: Final = "\0request"
_TOKEN: Final = re.compile(r"(\$\{Token\[[^\]]*\]\})")  # the CDK's placeholders
# In texts and lists, and as numbers.
_ANY_TOKEN: Final = re.compile(r"\{Token\[|-1\.88815458970\d*e\+289")


def pieces(
    definition: Mapping[str, Any], own: Sequence[Any], stack: Stack, plain_tokens: Iterable[str] = ()
) -> list[str]:
    """The definition's JSON text, cut around what is a job's own or known at deployment only.

    Args:
        definition: What `workflow.definition` gives.
        own: Values in it that other jobs do not have; the request is known as one.
        stack: The stack.
        plain_tokens: Tokens in the request beside those of the stack's place that stand for texts which need no
            escapes in JSON, such as ARNs.
    """
    first = definition["States"][StateName.REQUEST]
    states = {**definition["States"], StateName.REQUEST: {**first, "Result": {Key.REQUEST: _REQUEST}}}
    text = _json({**definition, "States": states})
    texts = [_json(value) for value in own]
    request = _request(first["Result"][Key.REQUEST], stack, plain_tokens)
    before, after = text.split(_json(_REQUEST))
    return [*_cut(texts, before), request, *_cut(texts, after)]


def _request(request: Mapping[str, Any], stack: Stack, plain_tokens: Iterable[str]) -> str:
    """The request's JSON text."""
    try:
        text = json.dumps(request, separators=(",", ":"), ensure_ascii=False)
    except TypeError:  # a token that is an object
        return stack.to_json_string(request)
    place = Place.of(stack)
    settled = place.replaced(text, dict.fromkeys(PSEUDO_PARAMETERS, ""))
    for each in (place.stack_name, *plain_tokens):
        if "${Token[" in each:
            settled = settled.replace(each, "")
    # Tokens of other kinds are the CDK's to write; its call takes longer than all else here.
    return stack.to_json_string(request) if _ANY_TOKEN.search(settled) else text


def _cut(texts: Sequence[str], text: str) -> Iterator[str]:
    """The text cut around tokens and the texts."""
    # Not one pattern of all: it would have to be compiled for every job.
    for number, piece in enumerate(_TOKEN.split(text)):
        if number % 2:
            yield piece
            continue
        for own in texts:
            before, found, behind = piece.partition(own)
            if found:
                yield from _cut(texts, before)
                yield own
                yield from _cut(texts, behind)
                break
        else:
            if piece:
                yield piece


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
            piece if len(piece) < _SHORTEST_SHARED or _TOKEN.search(piece) else self._reference(mapping, piece)
            for piece in pieces
        )

    def _reference(self, mapping: CfnMapping, piece: str) -> str:
        if piece not in self._references:
            # Of its content, so that further jobs leave the template of the others alone.
            key = sha256(piece.encode()).hexdigest()[:8]
            mapping.set_value(_TEXTS, key, piece)
            self._references[piece] = Fn.find_in_map(_MAPPING, _TEXTS, key)
        return self._references[piece]
