"""How a search is run: what was asked for besides the file, checked, and what follows from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from nncompare.config.load import to_mapping
from nncompare.errors import UsageError
from nncompare.launch.resources import usable_threads
from nncompare.spec.experiment import Experiment
from nncompare.spec.tune import TIMED, Tune

DECISIVE = ("name", "task", "data", "model", "train", "tune")
"""Sections that decide the trials of one runtime, wherever they are trained."""
JOBS_PER_PROCESSOR = 2
"""More workers than that only take each other's time and memory."""
RESUMABLE = (
    "tune.trials",
    "tune.timeout",
    "tune.trial_timeout",
    "tune.max_failures",
    "tune.confirm",
    "measure.timeout_s",
)
"""What may be changed when a search goes on; anything else would mix two searches."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How a search is run.

    Args:
        jobs: workers at the same time.
        per_backend: one search for each runtime; else one on the first, confirmed on all.
        storage: URL of a database; None: a journal in the result folder.
    """

    jobs: int = 1
    per_backend: bool = False
    storage: str | None = None


def check_options(experiment: Experiment, options: SearchOptions) -> Tune:
    """The section to search by.

    Raises:
        UsageError: there is none, or it does not go with the options.
    """
    if experiment.tune is None:
        raise UsageError(
            "the experiment has no tune: section; it names the parameters to search, see"
            " docs/tune.md"
        )
    if options.jobs < 1:
        raise UsageError(f"--jobs {options.jobs}: at least 1")
    if options.jobs > most_jobs():
        raise UsageError(
            f"--jobs {options.jobs}: at most {most_jobs()} here, {JOBS_PER_PROCESSOR} for each"
            f" processor that this process may use ({usable_threads()})"
        )
    timed = [goal.name for goal in experiment.tune.metric if goal.name in TIMED]
    # Trainings beside each other take each other's processors.
    if options.jobs > 1 and timed:
        raise UsageError(
            f"--jobs {options.jobs}: {timed[0]} cannot be a goal while trainings disturb each"
            " other; use --jobs 1"
        )
    return experiment.tune


def most_jobs() -> int:
    """Workers that make sense on this machine."""
    return JOBS_PER_PROCESSOR * usable_threads()


def is_resumable(path: str) -> bool:
    """Whether a dotted path may be changed when a search goes on."""
    return any(f"{path}.".startswith(f"{name}.") for name in RESUMABLE)


def threads_of(experiment: Experiment, jobs: int) -> int:
    """Threads of each of ``jobs`` workers: what this process may use, shared out, and at most what
    the file says.
    """
    share = max(1, usable_threads() // jobs)
    return min(share, usable_threads(experiment.measure.threads))


def study_name(experiment: Experiment, runtime: str, *, shared: bool) -> str:
    """``digits-mlp/torch``; in a database with a hash of what is searched, so that the same command
    on another machine works on the same study and another experiment does not.
    """
    name = f"{experiment.name}/{runtime}"
    # A journal holds one experiment only.
    if not shared:
        return name
    mapping = to_mapping(experiment)
    searched = {}
    for key, value in mapping["tune"].items():
        # A longer search is the same one.
        if not is_resumable(f"tune.{key}"):
            searched[key] = value
    parts = [mapping[key] for key in ("task", "data", "model", "train")]
    text = json.dumps([parts, searched, runtime], sort_keys=True)
    return f"{name}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"
