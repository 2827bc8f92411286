"""Values that are known only when everything is defined."""

from collections.abc import Callable
from typing import Any

import jsii
from aws_cdk import IResolvable, IStableAnyProducer, Lazy


def late(make: Callable[[], Any]) -> IResolvable:
    """A value that is made once, at synthesis; its strings are no members of an enum (see `plain`)."""
    return Lazy.any(_Produced(make))


def plain(value: Any) -> Any:
    """The value with plain strings: jsii takes the members of an enum for its own kind."""
    match value:
        case str():
            return str(value)
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return value


@jsii.implements(IStableAnyProducer)
class _Produced:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def produce(self) -> Any:
        return self._make()
