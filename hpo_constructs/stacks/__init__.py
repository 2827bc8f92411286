"""Stacks that an app composes: a team's templates in, a stack out."""

from .tuning_stack import TuningStack

__all__ = ["TuningStack"]
