"""The wizard without its face: a draft of a team template, its steps and fields, and what is wrong with them.

`hpo new` asks in a terminal, `hpo console` in a browser; both stand on this. A draft is always readable and knows for
each finding of the rules which question it belongs to.
"""

from .draft import AlgorithmChoice, Draft, DraftFinding
from .fields import Choice, Field, Kind, Row, Step
from .questions import REVIEW
from .starting import tunable_algorithms

__all__ = [
    "REVIEW",
    "AlgorithmChoice",
    "Choice",
    "Draft",
    "DraftFinding",
    "Field",
    "Kind",
    "Row",
    "Step",
    "tunable_algorithms",
]
