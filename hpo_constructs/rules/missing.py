"""Whether a member is really missing, or only misspelled."""

from difflib import get_close_matches
from functools import cache

from ..spec.shapes import shape_model
from .job import Job, Structure


def is_missing(job: Job, structure: Structure, member: str) -> bool:
    """Whether a structure has no such member, and no unknown key that was probably meant to be it.

    The rule `shape` reports unknown keys with what they were meant to be: that a required member is not there is then
    no fault of its own.
    """
    if not structure.present or member in structure.raw:
        return False
    # The reader of templates leaves unknown keys of the configuration at the top level.
    keys = {*structure.raw, *job.raw} if structure is job.config else {*structure.raw}
    unknown = [str(key) for key in keys if key not in _members()]
    return not any(get_close_matches(key, [job.spell(member)], n=1, cutoff=0.6) for key in unknown)


@cache
def _members() -> frozenset[str]:
    return frozenset(name for shape in shape_model().shapes.values() for name in shape.members or ())
