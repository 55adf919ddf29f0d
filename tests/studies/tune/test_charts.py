"""The pictures of a search, from a record alone."""

from __future__ import annotations

import math
from typing import Any

from nncompare.studies.tune.charts import charts
from nncompare.studies.tune.page import to_html
from nncompare.studies.tune.record import TrialState, TuneGoal, TuneRecord, TuneSearch, TuneTrial


def trial(number: int, params: dict[str, Any], state: TrialState = "complete") -> TuneTrial:
    """The later one is worse."""
    value = number + 1.0
    return TuneTrial(
        number=number,
        runtime="torch",
        state=state,
        values=(value,),
        params=params,
        intermediate={"1": 2 * value, "2": value},
    )


def record_of(trials: list[TuneTrial], **fields: Any) -> TuneRecord:
    search = TuneSearch(
        runtime="torch", study="s/torch", requested=len(trials), versions={"torch": "2.13.0"}
    )
    return TuneRecord(
        id="s",
        name="s",
        created="2026-01-01T00:00:00+00:00",
        experiment={},
        environment={"nncompare": "0.1.0", "python": "3.11.7"},
        goals=(TuneGoal(name="val_loss", goal="minimize"),),
        searches=(search,),
        trials=tuple(trials),
        **fields,
    )


def pictures_of(record: TuneRecord) -> dict[str, Any]:
    """Title -> picture."""
    (search,) = record.searches
    return {title: chart.to_dict() for title, chart in charts(record, search).items()}


def searched(*params: dict[str, Any]) -> dict[str, Any]:
    """Title -> picture of a search with these trials."""
    return pictures_of(record_of([trial(number, of) for number, of in enumerate(params)]))


def found(picture: Any, key: str) -> list[Any]:
    """Every value of a key, wherever in the picture."""
    if isinstance(picture, list):
        return [value for item in picture for value in found(item, key)]
    if not isinstance(picture, dict):
        return []
    here = [picture[key]] if key in picture else []
    return here + [value for item in picture.values() for value in found(item, key)]


def test_a_legend_has_the_states_that_occur() -> None:
    params = [{"lr": 0.1, "act": "relu"}, {"lr": 0.2, "act": "tanh"}]
    done = [trial(number, of) for number, of in enumerate(params)]
    for states, more in [
        (["complete"], []),
        (["complete", "pruned"], [trial(2, params[0], "pruned")]),
        (["complete", "running"], [trial(2, params[0], "running")]),
    ]:
        for title, picture in pictures_of(record_of(done + more)).items():
            scales = [
                item.get("scale", {}) for item in found(picture, "color") if isinstance(item, dict)
            ]
            domains = [scale["domain"] for scale in scales if "domain" in scale]
            assert all(domain == states for domain in domains), title
            assert domains or title == "Parallel coordinates"
            for scale in [*found(picture, "shape"), *found(picture, "strokeDash")]:
                assert scale["scale"]["domain"] == states
                assert len(scale["scale"]["range"]) == len(states)


def test_every_picture_of_trials_marks_the_best() -> None:
    trials = [trial(number, {"lr": 0.1 * (number + 1), "act": "relu"}) for number in range(3)]
    better = trial(3, {"lr": 0.5, "act": "relu"}).model_copy(update={"values": (0.25,)})
    pictures = pictures_of(record_of([*trials, better]))
    assert list(pictures) == [
        "History",
        "Parallel coordinates",
        "Slices",
        "Values after every epoch",
    ]
    for title, picture in pictures.items():
        words = [mark for mark in found(picture, "mark") if mark.get("text") == "best"]
        assert len(words) == (2 if title == "Slices" else 1), title
        rows = [
            rows
            for rows in picture["datasets"].values()
            if {row.get("trial") for row in rows} == {3}
        ]
        assert rows, title


def test_the_page_says_when_with_what_and_how_and_fits_a_phone() -> None:
    trials = [trial(0, {"lr": 0.1}), trial(1, {"lr": 0.2})]
    text = to_html(record_of(trials, jobs=2, per_backend=True, storage="postgresql://me:…@host/db"))
    head, _, body = text.partition("<body>")
    assert '<meta name="viewport" content="width=device-width,initial-scale=1">' in head
    about = body.partition("<pre>")[0]
    for said in (
        "2026-01-01 00:00:00 UTC",
        "nncompare 0.1.0",
        "Python 3.11.7",
        "torch 2.13.0",
        "nncompare tune experiment.yaml --jobs 2 --per-backend --storage postgresql://me:…@host/db",
    ):
        assert said in about
    assert "--" not in to_html(record_of(trials)).partition("<body>")[2].partition("<pre>")[0]


def test_a_parameter_that_is_null_in_every_trial_has_an_axis_without_figures() -> None:
    pictures = searched({"train.clip": None, "lr": 0.1}, {"train.clip": None, "lr": 0.2})
    assert list(pictures)[:3] == ["History", "Parallel coordinates", "Slices"]


def test_axes_of_parallel_coordinates_run_from_the_smallest_to_the_largest_value() -> None:
    pictures = searched({"lr": 1e-4, "act": "relu"}, {"lr": 1e-2, "act": "tanh"}, {"lr": 1e-3})
    rows = max(pictures["Parallel coordinates"]["datasets"].values(), key=len)
    places = {(row["axis"], row["trial"]): row["place"] for row in rows}
    assert (places["lr", 0], places["lr", 1]) == (0, 1)
    assert math.isclose(places["lr", 2], 0.5)  # a wide range has a logarithmic axis
    assert places["val_loss", 2] == 1
