"""Forward formulas of every layer in NumPy float64: the judge of all backends.

One file mirrors each file of ``spec.layers``. ``FORWARD`` maps a layer's ``type`` to its formula;
``@formula(Dense)`` above a function is all that a new one needs.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from nncompare.numerics import losses
from nncompare.numerics.reference.registry import FORWARD
from nncompare.numerics.reference.run import Array, Forward, Masks, Params, Run
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.data import Task
from nncompare.spec.model import Model
from nncompare.spec.training import Penalty

for _module in pkgutil.iter_modules(__path__):
    # a module registers its formulas when it is imported
    import_module(f"{__name__}.{_module.name}")


def outputs(
    model: Model,
    params: Params,
    x: Array,
    *,
    training: bool = False,
    masks: Masks | None = None,
    semantics: Semantics = ALIGNED,
) -> dict[str, Array]:
    """The output of every node, in order of computation.

    Args:
        model: resolved layers.
        params: canonical parameters, running statistics included.
        x: ``(N, *model.input.shape)``, numbers or integer tokens.
        training: batch statistics in BatchNorm, masks in dropout; running statistics stay as they
            are.
        masks: ``masks(node, shape)`` gives the values that the dropout ``node`` keeps; needed for
            dropout in training.
        semantics: what layers mean where frameworks differ.

    Returns:
        Node name -> ``(N, *node.output.shape)`` float64. The layers inside a residual come before
        it, those of the shortcut after those around which it leads.
    """
    return _run(model, params, x, training, masks, semantics).outputs


def forward(
    model: Model,
    params: Params,
    x: Array,
    *,
    training: bool = False,
    masks: Masks | None = None,
    semantics: Semantics = ALIGNED,
) -> Array:
    """The model's output: logits or values, ``(N, *model.output.shape)``."""
    made = outputs(model, params, x, training=training, masks=masks, semantics=semantics)
    return made[model.nodes[-1].name]


def loss(
    model: Model,
    task: Task,
    params: Params,
    x: Array,
    y: Array,
    *,
    penalty: Penalty | None = None,
    training: bool = True,
    masks: Masks | None = None,
    semantics: Semantics = ALIGNED,
) -> float:
    """The minimized loss of one batch: data loss plus penalties, as far as they stand in it."""
    run = _run(model, params, x, training, masks, semantics)
    value = losses.data_loss(task, run.logits(model, task, x), y)
    if penalty is None:
        return value
    return value + losses.penalty(params, model, penalty.l1, penalty.l2, semantics=semantics)


def new_running(
    model: Model,
    params: Params,
    x: Array,
    masks: Masks | None = None,
    semantics: Semantics = ALIGNED,
) -> Params:
    """Running statistics after training on the batch ``x``: ``running = (1 - momentum) running +
    momentum batch`` with the unbiased batch variance (Ioffe and Szegedy 2015, Algorithm 2), or
    with the biased one where ``semantics`` says so.
    """
    run = _run(model, params, x, True, masks, semantics)
    found: Params = {}
    for node in model.walk():
        momentum = node.layer.running_momentum
        if momentum is None:
            continue
        for kind, batch in run.statistics[node.name].items():
            name = f"{node.name}.{kind}"
            found[name] = (1 - momentum) * params[name] + momentum * batch
    return found


def _run(
    model: Model,
    params: Params,
    x: Array,
    training: bool,
    masks: Masks | None,
    semantics: Semantics,
) -> Run:
    run = Run(params=params, forward=FORWARD, training=training, masks=masks, semantics=semantics)
    run.chain(model.nodes, x)
    return run


__all__ = [
    "FORWARD",
    "Forward",
    "Masks",
    "Run",
    "forward",
    "loss",
    "new_running",
    "outputs",
]
