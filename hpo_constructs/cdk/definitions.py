"""The text of the tuning jobs' state machines, and what many of them share in a template.

All but the request is nearly the same for every job. A stack's first definitions stand in the template whole, so that
people can read them; of further ones the equal pieces stand once, in a mapping, because a template may have 1 MB. What
is deployed is the same text.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

from aws_cdk import CfnMapping, Stack, Token
from constructs import Construct

from hpo_handlers.contract import Key

from ..workflow import StateName, definition
from .place import PSEUDO_PARAMETERS, TOKEN, Place, has_token
from .references import References

# So many jobs of a stack have their definitions whole.
WHOLE_DEFINITIONS: Final = 10
_MAPPING: Final = "HpoStateMachines"
_TEXTS: Final = "Texts"
# A reference to the mapping takes about half of it.
_SHORTEST_SHARED: Final = 100
# In texts and lists, and as numbers.
_ANY_TOKEN: Final = re.compile(r"\{Token\[|-1\.88815458970\d*e\+289")
_json: Final = json.JSONEncoder(separators=(",", ":")).encode
# What each job has of its own stands in the frame as these; JSON escapes the first character, so that no other text
# is the same.
_REQUEST, _PREFIX, _NAME, _TIMEOUT = (f"\0{name}" for name in ("request", "prefix", "name", "timeout"))
# As they stand in the frame's text.
_HOLES: Final = tuple(json.dumps(each) for each in (_REQUEST, _PREFIX, _NAME, _TIMEOUT))
_OWN: Final = frozenset(_HOLES)
_CUTS: Final = re.compile(rf'("\\u0000\w+"|{TOKEN.pattern})')


class Definitions:
    """The definitions of a stack's tuning jobs."""

    def __init__(self, scope: Construct, stack: Stack, functions: Mapping[str, str], references: References) -> None:
        """Starts without any.

        Args:
            scope: The construct that holds the mapping.
            stack: Its stack.
            functions: ARN of each function by its id.
            references: The stack's references, the functions' among them.
        """
        self._scope = scope
        self._stack = stack
        self._functions = functions
        self._frames: dict[str, _Frame] = {}
        self._mapping: CfnMapping | None = None
        self._references = references
        self._made = 0

    def text(
        self,
        request: Mapping[str, Any],
        *,
        output_prefix: str,
        timeout_seconds: int,
        policy: Mapping[str, Any] | None,
        overlap: str,
        plain_tokens: Iterable[str],
    ) -> str:
        """The definition of a further tuning job's state machine.

        Args:
            request: The complete request.
            output_prefix: Path of the SSM parameters.
            timeout_seconds: How long an execution may take.
            policy: The publishing policy.
            overlap: What a run does while another one is running.
            plain_tokens: Tokens in the request beside those of the stack's place that stand for texts which need no
                escapes in JSON, such as ARNs.
        """
        frame = self._frame(policy, overlap)
        texts = (
            _request(request, self._stack, plain_tokens),
            _json(output_prefix),
            _json(str(request.get("HyperParameterTuningJobName", ""))),
            str(timeout_seconds),
        )
        self._made += 1
        sections = self._whole(frame) if self._made <= WHOLE_DEFINITIONS else self._shared(frame)
        own = dict(zip(_HOLES, texts, strict=True))
        return "".join(own.get(section, section) for section in sections)

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

    def _whole(self, frame: "_Frame") -> Sequence[str]:
        if frame.whole is None:
            frame.whole = self._sections(frame.pieces, {})
        return frame.whole

    def _shared(self, frame: "_Frame") -> Sequence[str]:
        if frame.shared is None:
            # Of their content, so that further jobs leave the template of the others alone.
            keys = {
                piece: sha256(piece.encode()).hexdigest()[:8]
                for piece in frame.pieces
                if len(piece) >= _SHORTEST_SHARED and not _CUTS.fullmatch(piece)
            }
            self._share({key: piece for piece, key in keys.items()})
            frame.shared = self._sections(frame.pieces, keys)
        return frame.shared

    def _share(self, texts: Mapping[str, str]) -> None:
        if self._mapping is None:
            self._mapping = CfnMapping(self._scope, "Definitions", mapping={_TEXTS: dict(texts)})
            self._mapping.override_logical_id(_MAPPING)
        else:
            for key, text in texts.items():
                self._mapping.set_value(_TEXTS, key, text)

    def _sections(self, pieces: Iterable[str], keys: Mapping[str, str]) -> Sequence[str]:
        """The pieces with those that stand between what is a job's own put together."""
        sections: list[str] = []
        for own, group in groupby(pieces, _OWN.__contains__):
            together = list(group)
            sections += together if own else [self._joined(together, keys)]
        return sections

    def _joined(self, pieces: Sequence[str], keys: Mapping[str, str]) -> str:
        """The text of pieces, or a token for it: the CDK would resolve theirs for every state machine."""
        if not keys and not has_token(text := "".join(pieces)):
            return text

        def parts(references: References) -> dict[str, Any]:
            known = (
                {"Fn::FindInMap": [_MAPPING, _TEXTS, keys[piece]]} if piece in keys else references.function(piece)
                for piece in pieces
            )
            return {"Fn::Join": ["", list(known)]}

        return Token.as_string(self._references.late(parts))


class _Frame:
    """A definition's JSON text without what each job has of its own.

    Attributes:
        pieces: The text, cut around what is a job's own or known at deployment only.
        whole: What stands around what is a job's own.
        shared: The same with references to the mapping.
    """

    def __init__(self, text: str) -> None:
        self.pieces: Sequence[str] = [piece for piece in _CUTS.split(text) if piece]
        self.whole: Sequence[str] | None = None
        self.shared: Sequence[str] | None = None


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
