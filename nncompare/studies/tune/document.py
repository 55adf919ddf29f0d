"""From the studies in the storage to the document of the search."""

from __future__ import annotations

import math
import warnings
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nncompare.config.load import dump
from nncompare.config.space import file_values
from nncompare.spec.tune import Tune
from nncompare.studies.tune.plan import SearchPlan
from nncompare.studies.tune.record import TuneBest, TuneSearch, TuneTrial
from nncompare.studies.tune.stored_study import StoredStudy
from nncompare.studies.tune.trial_attributes import OPTUNA_STATES, VERSION, ranked_trials

_WORDS = {state: word for word, state in OPTUNA_STATES.items()}
_OWN_FIELDS = ("status", "reason", "seconds", "epochs")
"""User attributes that are fields of the record's trial; the other figures are its metrics."""
_LEAST_FOR_IMPORTANCE = 4
"""Complete trials."""


def trials(study: StoredStudy, runtime: str, tune: Tune) -> list[TuneTrial]:
    """Every trial that was begun, by its number."""
    begun = [item for item in study.trials() if item.state != TrialState.WAITING]
    return [trial(item, runtime, tune) for item in begun]


def trial(item: FrozenTrial, runtime: str, tune: Tune) -> TuneTrial:
    """One trial as the record has it."""
    # JSON knows no infinity; a trial that diverged says so in its reason.
    intermediate = {}
    for step, value in sorted(item.intermediate_values.items()):
        if math.isfinite(value):
            intermediate[str(step)] = value
    values = None
    if item.values is not None and all(map(math.isfinite, item.values)):
        values = tuple(item.values)
    metrics = dict(item.user_attrs)
    own = {name: metrics.pop(name, None) for name in _OWN_FIELDS}
    return TuneTrial(
        number=item.number,
        runtime=runtime,
        state=_WORDS[item.state],
        values=values,
        params=_params(item, tune),
        intermediate=intermediate,
        metrics={name: value for name, value in metrics.items() if _is_figure(value)},
        **own,
    )


def _is_figure(value: Any) -> bool:
    # A bool is an int to Python, and no figure.
    return type(value) in (int, float) and math.isfinite(value)


def _params(item: FrozenTrial, tune: Tune) -> dict[str, Any]:
    """Path -> value as the file would hold it, in the order of the file."""
    known = file_values(tune, item.params)
    return {name: known[name] for name in tune.parameters if name in known}


def search(
    study: StoredStudy, runtime: str, tune: Tune, requested: int, stopped: str | None
) -> TuneSearch:
    """One runtime's search in figures."""
    states = [item.state for item in study.trials()]
    ranked = ranked_trials(study, tune)
    importance, note = _importance(study)
    return TuneSearch(
        runtime=runtime,
        study=study.name,
        requested=requested,
        complete=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAIL),
        best=_best(ranked[0], runtime, tune) if ranked else None,
        pareto=tuple(item.number for item in ranked) if len(tune.metric) > 1 else (),
        importance=importance,
        importance_note=note,
        stopped=stopped,
        versions=_versions(study),
    )


def _versions(study: StoredStudy) -> dict[str, str]:
    """Package -> version, as the last trial that trained has seen it."""
    found = {}
    for item in study.trials():
        for name, value in item.user_attrs.items():
            if name.startswith(VERSION):
                found[name.removeprefix(VERSION)] = str(value)
    return found


def _best(item: FrozenTrial, runtime: str, tune: Tune) -> TuneBest:
    return TuneBest(
        trial=item.number,
        runtime=runtime,
        value=item.values[0],
        values=tuple(item.values),
        params=_params(item, tune),
    )


def best_of(searches: list[TuneSearch], tune: Tune) -> TuneBest | None:
    """The best of all runtimes by the first goal."""
    sign = tune.metric[0].sign
    found = [item.best for item in searches if item.best is not None]
    return min(found, key=lambda best: sign * best.value, default=None)


def _importance(study: StoredStudy) -> tuple[dict[str, float], str | None]:
    """Shares of the first goal's variance (fANOVA, Hutter et al. 2014), largest first; or why there
    are none.
    """
    done = study.trials(TrialState.COMPLETE)
    if len(done) < _LEAST_FOR_IMPORTANCE:
        return {}, f"needs {_LEAST_FOR_IMPORTANCE} complete trials, there are {len(done)}"
    # Without variance there is nothing to share out.
    if len({tuple(item.values) for item in done}) < 2:
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


def best_yaml(plan: SearchPlan, item: TuneBest, study: StoredStudy) -> str:
    """The best trial as a file that ``nncompare run`` takes: its values in place, no search, the
    same threads.
    """
    tune = plan.tune
    found = plan.experiment_of(study.trial(item.trial).params)
    measure = found.measure.model_copy(update={"threads": plan.threads})
    others = [name for name in found.backends if name != item.runtime]
    found = found.model_copy(update={"measure": measure, "backends": (item.runtime, *others)})
    figures = zip(tune.metric, item.values, strict=True)
    named = ", ".join(f"{goal.name} {value!r}" for goal, value in figures)
    head = f"# Trial {item.trial} of {study.name} on {item.runtime}: {named}"
    # A run trains on the file's own split, and not on a fold.
    if tune.folds:
        head += f" (means over {tune.folds} folds, so not what one training gives)\n"
    else:
        head += "\n# nncompare run gives the same figures on the same machine.\n"
    return head + dump(found)
