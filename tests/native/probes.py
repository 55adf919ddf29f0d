"""Questions to one backend besides the twins: how weights start, what the ledger says, what becomes
of tokens.

Each is called with the backend, the runtime's name and ``opened`` of ``worker``; each answers in
plain JSON.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nncompare.backends.registry import Unsupported
from nncompare.numerics import reference
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.schedules import make_plan
from nncompare.spec.layers import TensorSpec
from nncompare.spec.training import Sgd
from nncompare.testing.case import Case
from nncompare.worker.pieces import FixedGate, pieces_of
from tests.native.cases import CASES, TABLE, TOKENS

Open = Callable[..., Any]
PROBES: dict[str, Callable[[Any, str, Open], Any]] = {}


def probe(function: Callable[[Any, str, Open], Any]) -> Callable[[Any, str, Open], Any]:
    PROBES[function.__name__] = function
    return function


def _native(name: str, layers: list[dict[str, Any]], shape: TensorSpec, **train: Any) -> Case:
    return Case(
        name=name,
        layers=layers,
        input=shape,
        train={"convention": "native", "optimizer": {"name": "adam"}, **train},
    )


WIDE = [
    {"type": "embedding", "units": 64},
    {"type": "position"},
    {"type": "lstm", "units": 40, "return_sequences": True},
    {"type": "gru", "units": 40, "return_sequences": True},
    {"type": "rnn", "units": 64, "return_sequences": True},
    {"type": "attention", "heads": 4},
    {"type": "layer_norm"},
    {"type": "reshape", "shape": [8, 8, 64]},
    {"type": "conv2d", "filters": 32},
    {"type": "batch_norm"},
    {"type": "flatten"},
    {"type": "dense", "units": 16},
    {"type": "dense", "units": 3, "initializer": {"name": "uniform", "scale": 0.5}},
]


@probe
def starts(_backend: Any, _runtime: str, opened: Open) -> Any:
    """The ledger's words for every parameter, and its figures: one large layer of each kind."""
    session, job = opened(_native("native/starts", WIDE, TensorSpec((64,), 50)))
    words = {
        name.removesuffix(" starts"): text
        for name, text in session.settings().items()
        if name.endswith("starts")
    }
    kinds = {node.name: node.layer.type for node in job.model.walk()}
    found = {}
    for name, value in session.params().items():
        node, _, parameter = name.partition(".")
        if "running" not in parameter:
            flat = value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value
            own, _, given = words[f"{kinds[node]}.{parameter}"].partition(" and nncompare's ")
            text = f"nncompare's {given}" if name == "dense_2.kernel" else own
            gram = (
                flat @ flat.T if flat.ndim == 2 and len(flat) <= flat.shape[1] else np.zeros((0, 0))
            )
            found[name] = {
                "words": text,
                "shape": value.shape,
                "largest": np.abs(value).max(),
                "deviation": value.std(),
                "values": value.tolist() if value.ndim == 1 and value.size <= 200 else None,
                "not orthogonal": np.abs(gram - np.eye(len(gram))).max() if gram.size else None,
            }
    return found


@probe
def seeds(_backend: Any, _runtime: str, opened: Open) -> Any:
    """Weights of two sessions with the same seed, and of one with another."""
    weights = []
    for seed in (1, 1, 2):
        session, _ = opened(CASES["tokens/adam"], seed=seed)
        weights.append(session.params())
    first, again, other = weights
    drawn = [name for name, value in first.items() if np.unique(value).size > 2]
    return {
        "again": all(np.array_equal(first[name], again[name]) for name in first),
        "drawn": drawn,
        "unmoved": [name for name in drawn if np.array_equal(first[name], other[name])],
    }


@probe
def settings(_backend: Any, runtime: str, opened: Open) -> Any:
    """What three experiments report in both conventions."""
    found = {}
    train = {"clip_norm": 1.0, "penalty": {"l2": 0.01}, "dtype": "float32"}
    experiments = {
        "mlp": (TABLE, TensorSpec((6,)), {"name": "adamw"}),
        "cnn": (CNN, TensorSpec((7, 7, 2)), {"name": "rmsprop", "momentum": 0.5}),
        "lstm": (TOKENS, TensorSpec((6,), 5), {"name": "sgd", "momentum": 0.9}),
    }
    for name, (layers, shape, optimizer) in experiments.items():
        for convention in ("aligned", "native"):
            section = {**train, "optimizer": optimizer, "convention": convention}
            session, _ = opened(_native(f"native/{name}", layers, shape, **section))
            found[f"{name}/{convention}"] = session.settings()
    return found


CNN = [
    {"type": "conv2d", "filters": 4},
    {"type": "batch_norm"},
    {"type": "relu"},
    {"type": "avg_pool2d", "padding": "same"},
    {"type": "dropout", "rate": 0.1},
    {"type": "flatten"},
    {"type": "dense", "units": 3},
]


@probe
def canonical(_backend: Any, runtime: str, opened: Open) -> Any:
    """Canonical weights in a native session: what its layers give, against the formulas with the
    native values.
    """
    found = {}
    for name in ("table/adam", "tokens/adam"):
        session, job = opened(CASES[name])
        params = initial_params(job.model, job.seed)
        session.load(params)
        x = CASES[name].data.test.x
        found[name] = np.abs(session.predict(x) - reference.forward(job.model, params, x)).max()
        found[f"{name} added"] = {
            k: np.abs(v).max() for k, v in session.params().items() if k not in params
        }
    return found


def _counting(name: str, optimizer: dict[str, Any]) -> Case:
    """Four times token 1 and never token 2; targets such that every step has a gradient."""
    layers = [
        {"type": "embedding", "units": 4},
        {"type": "mean_time"},
        {"type": "dense", "units": 3},
    ]
    return _native(f"native/{name}", layers, TensorSpec((4,), 3), optimizer=optimizer)


@probe
def repeated_token(_backend: Any, runtime: str, opened: Open) -> Any:
    """The first Adam step of a token that occurs four times in every example, in learning rates."""
    found = {}
    for convention in ("aligned", "native"):
        case = _counting("repeated", {"name": "adam", "lr": 1e-3, "epsilon": 1e-12})
        case = replace(
            case, train={**case.train, "convention": convention}, examples=1, batch_size=1
        )
        case.data.train.x[:] = 1
        session, job = opened(case)
        before = session.params()["embedding_1.table"]
        plan = make_plan(job.experiment.train, 1, job.seed)
        session.train(plan, FixedGate(pieces_of(plan)))
        moved = np.abs(session.params()["embedding_1.table"] - before) / 1e-3
        found[convention] = [moved[1].max(), moved[2].max()]
    return found


@probe
def absent_token(_backend: Any, runtime: str, opened: Open) -> Any:
    """How far token 1 moves in a step of momentum in which it does not occur, after one in which it
    did.
    """
    return {convention: _drift(opened, convention) for convention in ("aligned", "native")}


def _drift(opened: Open, convention: str) -> float:
    case = _counting("absent", {"name": "sgd", "lr": 0.1, "momentum": 0.9})
    case = replace(case, train={**case.train, "convention": convention}, examples=2, batch_size=1)
    plan = case.plan
    first = int(plan.rows(0)[0])
    case.data.train.x[first], case.data.train.x[1 - first] = 1, 2
    session, _ = opened(case)
    tables: list[Any] = []
    session.train(
        plan,
        FixedGate(
            pieces_of(plan, 1), lambda _: tables.append(session.params()["embedding_1.table"])
        ),
    )
    return float(np.abs(tables[2] - tables[1])[1].max())


@probe
def running_variance(_backend: Any, runtime: str, opened: Open) -> Any:
    """The batch variance that enters the running one, over the biased batch variance: 1, or 4/3
    with four examples.
    """
    layers = [{"type": "batch_norm"}, {"type": "dense", "units": 3}]
    case = replace(_native("native/variance", layers, TensorSpec((6,))), examples=4)
    session, job = opened(case)
    plan = make_plan(job.experiment.train, 4, job.seed)
    session.train(plan, FixedGate(pieces_of(plan)))
    momentum = job.model.nodes[0].layer.momentum  # type: ignore[attr-defined]
    entered = (session.params()["batch_norm_1.running_variance"] - (1 - momentum)) / momentum
    return (entered / case.data.train.x.var(axis=0)).tolist()


@probe
def defaults(backend: Any, _runtime: str, _opened: Open) -> Any:
    """What the backend has a default for."""
    return backend.defaults


@probe
def unknown_optimizer(_backend: Any, runtime: str, _open: Open) -> str:
    """What a backend says of an optimizer that it has no native form of."""
    module = importlib.import_module(f"nncompare.backends.{runtime}.optimizers")

    class UnheardOf(Sgd):
        """One that a backend forgot; that it is a kind of another is no excuse."""

    try:
        module.OPTIMIZERS.find(UnheardOf, native=True)
    except Unsupported as error:
        return str(error)
    return "made something else of it"
