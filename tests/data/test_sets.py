"""Every data set: shapes, types, determinism, disjoint parts, figures of the training part only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from nncompare.data import fetch, prepare, signature
from nncompare.data.base import PARTS, Data
from nncompare.errors import DataError
from nncompare.spec.data import DATA
from nncompare.spec.experiment import AnyData
from tests.data import write_mnist

SPEC: TypeAdapter[Any] = TypeAdapter(AnyData)
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("mnist", "classification", {}),
    ("mnist_rows", "classification", {}),
    ("digits", "classification", {}),
    ("digits_rows", "classification", {}),
    ("breast_cancer", "binary", {}),
    ("diabetes", "regression", {}),
    ("pattern", "classification", {"pattern": (0, 1, 2, 1)}),
    ("text", "classification", {"window": 8}),
    ("adding", "regression", {"length": 7, "examples": 40}),
    ("random", "classification", {"shape": (6, 3), "outputs": 4, "examples": 50}),
    ("random", "binary", {"shape": (6,), "outputs": 4, "examples": 50}),
    ("random", "regression", {"shape": (6,), "outputs": 4, "examples": 50}),
    ("random", "classification", {"shape": (6,), "vocabulary": 9, "outputs": 3, "examples": 50}),
]
IDS = [
    f"{name}-{task}-{'tokens' if 'vocabulary' in more else 'plain'}" for name, task, more in CASES
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tiny MNIST and a tiny text."""
    root = tmp_path / "data"
    write_mnist(root / "mnist")
    (root / "input.txt").write_text(
        "the cat sat on the mat; the dog sat on the log.\n" * 20, encoding="utf-8"
    )
    monkeypatch.setenv("NNCOMPARE_DATA_DIR", str(root))
    return root


def make(name: str, task: Any, *, seed: int = 0, dtype: str = "float32", **fields: Any) -> Data:
    return prepare(SPEC.validate_python({"name": name, **fields}), task, seed=seed, dtype=dtype)


def arrays(data: Data) -> list[Any]:
    return [array for part in PARTS for array in (getattr(data, part).x, getattr(data, part).y)]


def test_every_data_set_is_tested() -> None:
    assert {name for name, _, _ in CASES} == set(DATA)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "task", "fields"), CASES, ids=IDS)
def test_arrays_are_what_the_signature_says(
    name: str, task: Any, fields: dict[str, Any], dtype: str
) -> None:
    spec = SPEC.validate_python({"name": name, **fields})
    wanted = signature(spec, task)
    data = prepare(spec, task, seed=0, dtype=dtype)
    assert data.signature == wanted
    for part in PARTS:
        split = getattr(data, part)
        assert len(split) > 0
        assert split.x.shape[1:] == wanted.input.shape
        assert split.x.flags.c_contiguous
        assert split.x.dtype == (np.int32 if wanted.input.is_tokens else np.dtype(dtype))
        if wanted.input.is_tokens:
            assert split.x.min() >= 0
            assert split.x.max() < (wanted.input.vocabulary or 0)
        if task == "classification":
            assert split.y.shape == (len(split), *(wanted.input.shape if wanted.per_step else ()))
            assert split.y.dtype == np.int32
            assert split.y.min() >= 0
            assert split.y.max() < wanted.outputs
        else:
            assert split.y.shape == (len(split), wanted.outputs)
            assert split.y.dtype == np.dtype(dtype)
        if task == "binary":
            assert wanted.outputs == 1
            assert set(np.unique(split.y)) == {0.0, 1.0}
    assert data.digests
    assert data.notes


@pytest.mark.parametrize(("name", "task", "fields"), CASES, ids=IDS)
def test_the_seed_decides_everything(name: str, task: Any, fields: dict[str, Any]) -> None:
    first, again, other = (make(name, task, seed=seed, **fields) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(arrays(first), arrays(again), strict=True))
    assert first.digests == again.digests
    same = all(np.array_equal(a, b) for a, b in zip(arrays(first), arrays(other), strict=True))
    assert same == (name == "text"), "the parts of a text are consecutive, all others are drawn"


@pytest.mark.parametrize(
    "name", ["mnist", "digits", "breast_cancer", "diabetes", "adding", "random"]
)
def test_no_example_is_in_two_parts(name: str) -> None:
    fields = {"examples": 60} if name in ("adding", "random") else {}
    data = make(name, DATA[name].tasks[0], dtype="float64", **fields)
    rows = [
        [row.tobytes() for row in getattr(data, part).x.reshape(len(getattr(data, part)), -1)]
        for part in PARTS
    ]
    everything = [row for part in rows for row in part]
    assert len(set(everything)) == len(everything)


def test_shares_of_the_parts() -> None:
    data = make("diabetes", "regression", test=0.25, validation=0.5)
    assert [len(getattr(data, part)) for part in PARTS] == [166, 166, 110]
    limited = make("diabetes", "regression", test=0.25, validation=0.5, limit=20)
    assert [len(getattr(limited, part)) for part in PARTS] == [10, 10, 110]
    assert np.array_equal(limited.test.x.argmax(axis=0), data.test.x.argmax(axis=0)), (
        "the test part is not limited"
    )


def test_mnist_keeps_its_own_test_set() -> None:
    data = make("mnist", "classification", limit=30)
    assert [len(getattr(data, part)) for part in PARTS] == [24, 6, 20]
    assert data.test.y.tolist() == [row % 10 for row in range(20)]


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_classes_are_stratified(name: str) -> None:
    data = make(name, "classification")
    for part in ("train", "validation"):
        counts = np.bincount(getattr(data, part).y, minlength=10)
        assert counts.max() - counts.min() <= max(1, 0.05 * counts.sum())
        assert counts.min() > 0


def test_rows_are_the_image() -> None:
    image, rows = make("digits", "classification"), make("digits_rows", "classification")
    assert np.array_equal(image.train.x[..., 0], rows.train.x)
    assert np.array_equal(image.train.y, rows.train.y)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_pixels_are_normalized_with_the_training_part(name: str) -> None:
    data = make(name, "classification", dtype="float64")
    assert data.train.x.mean() == pytest.approx(0, abs=1e-12)
    assert data.train.x.std() == pytest.approx(1, abs=1e-12)
    assert abs(data.test.x.mean()) > 1e-9
    raw = make(name, "classification", dtype="float64", normalize=False)
    assert raw.train.x.min() == 0
    assert raw.train.x.max() == 1
    assert len(np.unique(raw.train.x)) == (17 if name == "digits" else 256)


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes"])
def test_features_are_normalized_with_the_training_part(name: str) -> None:
    data = make(name, DATA[name].tasks[0], dtype="float64")
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1, atol=1e-12)
    assert np.abs(data.test.x.mean(axis=0)).max() > 1e-3


def test_the_diabetes_target_is_standardized_and_said_so() -> None:
    data = make("diabetes", "regression", dtype="float64", normalize=False)
    assert data.train.y.mean() == pytest.approx(0, abs=1e-12)
    assert data.train.y.std() == pytest.approx(1, abs=1e-12)
    assert data.train.x.mean() > 1, "raw features"
    assert any("target standardized" in note for note in data.notes)


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes"])
def test_the_held_back_rows_do_not_touch_the_training_part(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sklearn.datasets

    task = DATA[name].tasks[0]
    honest = make(name, task, dtype="float64")
    load = getattr(sklearn.datasets, f"load_{name}")
    raw = make(name, task, dtype="float64", normalize=False)
    train_rows = {row.tobytes() for row in raw.train.x}

    def spoiled(**options: Any) -> Any:
        x, y = load(**options)
        held = np.array([row.tobytes() not in train_rows for row in x.astype(np.float64)])
        assert held.sum() == len(raw.validation) + len(raw.test)
        return np.where(held[:, None], x * 1000, x), (
            y if name == "breast_cancer" else np.where(held, y * 1000, y)
        )

    monkeypatch.setattr(sklearn.datasets, f"load_{name}", spoiled)
    other = make(name, task, dtype="float64")
    assert np.array_equal(honest.train.x, other.train.x)
    assert np.array_equal(honest.train.y, other.train.y)
    assert not np.array_equal(honest.validation.x, other.validation.x)


def test_pattern_windows_name_the_next_token() -> None:
    data = make("pattern", "classification", pattern=(0, 1, 2), repeats=50, window=5)
    assert sum(len(getattr(data, part)) for part in PARTS) == 145
    for part in PARTS:
        split = getattr(data, part)
        assert np.array_equal((split.x[:, 0] + np.arange(1, 5)[:, None]).T % 3, split.x[:, 1:])
        assert np.array_equal((split.x[:, -1] + 1) % 3, split.y)


def test_adding_marks_one_step_of_each_half() -> None:
    data = make("adding", "regression", dtype="float64", length=7, examples=300)
    for part in PARTS:
        x, y = getattr(data, part).x, getattr(data, part).y
        values, marks = x[..., 0], x[..., 1]
        assert set(np.unique(marks)) == {0.0, 1.0}
        assert (marks[:, :3].sum(axis=1) == 1).all()
        assert (marks[:, 3:].sum(axis=1) == 1).all()
        assert 0 <= values.min() <= values.max() < 1
        np.testing.assert_allclose((values * marks).sum(axis=1), y[:, 0], rtol=1e-15)
    steps = data.train.x[..., 1].any(axis=0)
    assert steps.all(), "every step is marked somewhere"


@pytest.mark.parametrize(
    ("name", "task", "fields", "words"),
    [
        ("digits", "regression", {}, "task: regression does not fit data digits.*classification"),
        ("pattern", "classification", {"pattern": (0, 0)}, "data.pattern: only token 0"),
        ("random", "classification", {"outputs": 1}, "data.outputs: 1 class.*task: binary"),
        (
            "random",
            "classification",
            {"shape": (2, 3), "vocabulary": 4},
            r"data.shape: \[2, 3\].*one axis",
        ),
    ],
)
def test_impossible_settings_are_refused_early(
    name: str, task: Any, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        signature(SPEC.validate_python({"name": name, **fields}), task)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        (
            "adding",
            {"examples": 11, "test": 0.01},
            "data.test: 0.01 of 11 examples is none; raise it",
        ),
        (
            "adding",
            {"examples": 11, "validation": 0.01},
            "data.validation: 0.01 of 9 examples is none; raise it",
        ),
        (
            "adding",
            {"limit": 2, "validation": 0.1},
            "data.validation: 0.1 of 2 .*none.*raise data.limit",
        ),
        (
            "adding",
            {"limit": 2, "validation": 0.9},
            "leaves none for training; lower it or raise data.limit",
        ),
        ("pattern", {"repeats": 2, "window": 6}, "data.window: 6 leaves nothing to predict"),
    ],
)
def test_empty_parts_are_refused(name: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        make(name, DATA[name].tasks[0], **fields)


def test_too_large_for_memory_is_a_data_error() -> None:
    with pytest.raises(DataError, match="random does not fit into memory"):
        make("random", "regression", shape=(10**6, 10**5), examples=10**6)


def test_fetch_says_when_nothing_is_downloaded() -> None:
    said: list[str] = []
    assert fetch("digits", report=said.append) is None
    assert "nothing to download" in said[0]
    with pytest.raises(DataError, match=r"no data set 'mnits'; did you mean 'mnist'\?"):
        fetch("mnits")


def test_importing_and_asking_signatures_stays_light() -> None:
    code = (
        "import sys; from nncompare.data import signature; from nncompare.spec.data import DATA;"
        " Digits = DATA['digits']; Mnist = DATA['mnist']\nsignature(Digits(name='digits'), 'classification'); signature(Mnist(name='mnist'),"
        " 'classification')\nprint([name for name in ('sklearn', 'scipy', 'pooch', 'requests') if"
        " name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
