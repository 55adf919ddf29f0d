"""From the studies in the storage to the document of the search."""

from __future__ import annotations

import math
import warnings
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nncompare.config.load import dump
from nncompare.config.space import file_values
from nncompare.spec.experiment import Experiment
from nncompare.spec.tune import Tune
from nncompare.studies.tune.record import TuneBest, TuneGoal, TuneSearch, TuneTrial
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial import experiment_of
from nncompare.studies.tune.trial_attributes import STATES, ranked_trials

_OWN_FIELDS = ("status", "reason", "runtime", "seconds", "epochs")
"""User attributes that are fields of the record's trial; the others are its metrics."""
_LEAST_FOR_IMPORTANCE = 4
"""Complete trials."""


def goals(tune: Tune) -> tuple[TuneGoal, ...]:
    """What is optimized, with the direction of each goal."""
    return tuple(TuneGoal(name=goal.name, goal=goal.direction) for goal in tune.metric)


def trials(study: StoredStudy, runtime: str, tune: Tune) -> list[TuneTrial]:
    """Every trial that was begun, by its number."""
    begun = [item for item in study.trials() if item.state != TrialState.WAITING]
    return [_trial(item, runtime, tune) for item in begun]


def _trial(item: FrozenTrial, runtime: str, tune: Tune) -> TuneTrial:
    notes = item.user_attrs
    metrics = {}
    for name, value in notes.items():
        if name not in _OWN_FIELDS and _is_figure(value):
            metrics[name] = value
    intermediate = {}
    for step, value in sorted(item.intermediate_values.items()):
        # JSON knows no infinity; a trial that diverged says so in its reason.
        if math.isfinite(value):
            intermediate[str(step)] = value
    values = None
    if item.values is not None and all(map(math.isfinite, item.values)):
        values = tuple(item.values)
    return TuneTrial(
        number=item.number,
        runtime=runtime,
        state=STATES[item.state],
        values=values,
        params=_params(item, tune),
        intermediate=intermediate,
        reason=notes.get("reason"),
        status=notes.get("status"),
        seconds=notes.get("seconds"),
        epochs=notes.get("epochs"),
        metrics=metrics,
    )


def _is_figure(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _params(item: FrozenTrial, tune: Tune) -> dict[str, Any]:
    """Path -> value as the file would hold it, in the order of the file."""
    # A study that plain Optuna has gone on with may have parameters of its own.
    own = {name: value for name, value in item.params.items() if name in tune.parameters}
    known = file_values(tune, own)
    return {name: known[name] for name in tune.parameters if name in known}


def search(
    study: StoredStudy, runtime: str, tune: Tune, requested: int, stopped: str | None
) -> TuneSearch:
    """One runtime's search in figures."""
    states = [item.state for item in study.trials()]
    best = ranked_trials(study, tune.directions)
    importance, note = _importance(study)
    return TuneSearch(
        runtime=runtime,
        study=study.name,
        requested=requested,
        complete=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAIL),
        best=_best(best[0], runtime, tune) if best else None,
        pareto=tuple(item.number for item in best) if len(tune.metric) > 1 else (),
        importance=importance,
        importance_note=note,
        stopped=stopped,
    )


def search_not_begun(runtime: str, requested: int, stopped: str | None) -> TuneSearch:
    """The figures of a runtime that was not searched at all."""
    return TuneSearch(runtime=runtime, study="", requested=requested, stopped=stopped)


def _best(item: FrozenTrial, runtime: str, tune: Tune) -> TuneBest:
    values = tuple(item.values or ())
    return TuneBest(
        trial=item.number,
        runtime=runtime,
        value=values[0],
        values=values,
        params=_params(item, tune),
    )


def best_of(searches: list[TuneSearch], tune: Tune) -> TuneBest | None:
    """The best of all runtimes by the first goal."""
    sign = -1 if tune.directions[0] == "maximize" else 1
    found = [item.best for item in searches if item.best is not None]
    return min(found, key=lambda best: sign * best.value, default=None)


def _importance(study: StoredStudy) -> tuple[dict[str, float], str | None]:
    """Shares of the first goal's variance (fANOVA, Hutter et al. 2014), largest first; or why there
    are none.
    """
    done = study.trials(TrialState.COMPLETE)
    if len(done) < _LEAST_FOR_IMPORTANCE:
        return {}, f"needs {_LEAST_FOR_IMPORTANCE} complete trials, there are {len(done)}"
    if len({tuple(item.values or ()) for item in done}) < 2:
        return {}, "all complete trials have the same value"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                study.optuna_study(),
                evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
                target=lambda item: item.values[0],
            )
    except (ValueError, RuntimeError) as error:
        return {}, str(error).splitlines()[0]
    shares = {name: float(value) for name, value in found.items() if math.isfinite(value)}
    return shares, None if shares else "no variance to share"


def best_yaml(experiment: Experiment, item: TuneBest, study: StoredStudy, threads: int) -> str:
    """The best trial as a file that ``nncompare run`` takes: its values in place, no search, the
    same threads.
    """
    tune = experiment.tune
    assert tune is not None, "a search has a tune section"
    found = experiment_of(experiment, study.trial(item.trial).params)
    measure = found.measure.model_copy(update={"threads": threads})
    others = [name for name in experiment.backends if name != item.runtime]
    found = found.model_copy(update={"measure": measure, "backends": (item.runtime, *others)})
    named = ", ".join(
        f"{goal.name} {value!r}" for goal, value in zip(tune.metric, item.values, strict=True)
    )
    folded = (
        f" (means over {tune.folds} folds, so not what one training gives)" if tune.folds else ""
    )
    head = f"# Trial {item.trial} of {study.name} on {item.runtime}: {named}{folded}\n"
    if not tune.folds:
        head += "# nncompare run gives the same figures on the same machine.\n"
    return head + dump(found)
