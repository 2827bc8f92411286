"""How moto is changed in the running server."""

from typing import Any


def replace(owner: Any, name: str, value: Any) -> Any:
    """Put something in the place of an attribute of moto's; what was there before.

    Raises:
        RuntimeError: There is no such attribute: this is not the release of moto that the code was made for.
    """
    if not hasattr(owner, name):
        raise RuntimeError(f"{owner} has no {name}: install the release of moto that hpo-constructs[local] names")
    former = getattr(owner, name)
    setattr(owner, name, value)
    return former
