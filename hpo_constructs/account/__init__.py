"""What runs and ran on an account: AWS's or the local endpoint's, whichever the AWS configuration names."""

from .access import Account, AccountError, DeniedError, MissingError
from .declared import DeclaredJob, Job, declared_jobs, find
from .runs import Run, Stopping, look, ran, start, stop, training_jobs, watch

__all__ = [
    "Account",
    "AccountError",
    "DeclaredJob",
    "DeniedError",
    "Job",
    "MissingError",
    "Run",
    "Stopping",
    "declared_jobs",
    "find",
    "look",
    "ran",
    "start",
    "stop",
    "training_jobs",
    "watch",
]
