"""The pictures of a search, from a record alone."""

from __future__ import annotations

import math
from typing import Any

from nncompare.studies.tune.charts import charts
from nncompare.studies.tune.record import TuneGoal, TuneRecord, TuneSearch, TuneTrial


def searched(*params: dict[str, Any]) -> dict[str, Any]:
    """Title -> picture of a search with these trials; the later ones are worse."""
    trials = [
        TuneTrial(number=number, runtime="torch", state="complete", values=(number + 1,), params=of)
        for number, of in enumerate(params)
    ]
    search = TuneSearch(runtime="torch", study="s/torch", requested=len(trials))
    record = TuneRecord(
        id="s",
        name="s",
        created="2026-01-01T00:00:00+00:00",
        experiment={},
        environment={},
        goals=(TuneGoal(name="val_loss", goal="minimize"),),
        searches=(search,),
        trials=tuple(trials),
    )
    return {title: chart.to_dict() for title, chart in charts(record, search).items()}


def test_a_parameter_that_is_null_in_every_trial_has_an_axis_without_figures() -> None:
    pictures = searched({"train.clip": None, "lr": 0.1}, {"train.clip": None, "lr": 0.2})
    assert list(pictures) == ["History", "Parallel coordinates", "Slices"]


def test_axes_of_parallel_coordinates_run_from_the_smallest_to_the_largest_value() -> None:
    pictures = searched({"lr": 1e-4, "act": "relu"}, {"lr": 1e-2, "act": "tanh"}, {"lr": 1e-3})
    (rows, _) = pictures["Parallel coordinates"]["datasets"].values()
    places = {(row["axis"], row["trial"]): row["place"] for row in rows}
    assert (places["lr", 0], places["lr", 1]) == (0, 1)
    assert math.isclose(places["lr", 2], 0.5)  # a wide range has a logarithmic axis
    assert places["val_loss", 2] == 1
