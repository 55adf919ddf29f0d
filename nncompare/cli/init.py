"""``nncompare init``: an experiment file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nncompare.errors import UsageError, unknown_name
from nncompare.terminal.completion import data_sets, offering

_TEMPLATE = """\
# An experiment for nncompare: {title}.
#
#   {run}  train it on every runtime and compare
#   {show}  layers, shapes, parameters
#   {list}  what else can stand here
#
# Any value can be changed from the command line: nncompare run {file} train.optimizer.lr=3e-4

name: {name}
task: {task:<30}# {tasks}

data:
  name: {data}
  validation: 0.2                   # share of the training examples held back

{model}
train:
  epochs: {epochs}
  batch_size: {batch}
  optimizer: {{name: adam, lr: {lr}}} # sgd, adam, adamw, rmsprop
  # schedule: {{name: cosine}}        # constant, step, exponential, cosine
  # early_stopping: {{metric: val_loss, patience: 3}}
  seed: 0                           # keys weights, batch order and splits
  dtype: float32                    # float64: the runtimes agree to about 1e-12

# Leave out what is not installed: such a row says how to install it.
backends: [{runtimes}]
"""
_DENSE = """\
model:
  family: mlp                       # mlp, cnn, rnn, attention, or layers: an explicit list
  hidden: [64, 32]                  # one size a layer
  activation: relu                  # relu, leaky_relu, gelu, sigmoid, tanh
  # dropout: 0.2
  initializer: kaiming_normal       # nncompare list initializers
"""
_RECURRENT = """\
model:
  family: rnn                       # mlp, cnn, rnn, attention, or layers: an explicit list
  cell: lstm                        # rnn, lstm, gru
  hidden: 32
  depth: 1                          # recurrent layers
  # dropout: 0.2
"""
_TOKENS = _RECURRENT.replace(
    "  hidden:", "  embedding: 16                     # numbers a token\n  hidden:"
)
_MODELS = {"dense": _DENSE, "recurrent": _RECURRENT, "tokens": _TOKENS}


def text(name: str, data: str, file: str) -> str:
    """A commented experiment file for a data set."""
    from nncompare.spec.data import DATA
    from nncompare.spec.runtimes import DEFAULT_RUNTIMES

    known = DATA[data]
    width = len(f"nncompare show {file}")
    starter = known.starter
    return _TEMPLATE.format(
        title=known.title,
        file=file,
        run=f"nncompare run {file}".ljust(width),
        show=f"nncompare show {file}".ljust(width),
        list="nncompare list".ljust(width),
        name=name,
        task=known.tasks[0],
        tasks=" | ".join(known.tasks) if len(known.tasks) > 1 else "the only task of this data set",
        data=data,
        model=_MODELS[starter.model],
        epochs=starter.epochs,
        batch=starter.batch_size,
        lr=_short(starter.learning_rate),
        runtimes=", ".join(DEFAULT_RUNTIMES),
    )


def _short(number: float) -> str:
    """``1e-3``, as people write it."""
    # 1e-3 and not 1e-03
    mantissa, _, exponent = f"{number:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def init(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The file's name; .yaml is added.")
    ] = "experiment",
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="NAME",
            help="Data set; digits needs no download.",
            autocompletion=offering(data_sets),
        ),
    ] = "digits",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a commented experiment file to start from. Offline with digits, the default."""
    from nncompare.config.load import name_from
    from nncompare.spec.data import DATA
    from nncompare.terminal.console import out

    if data not in DATA:
        raise UsageError(unknown_name("no data set", data, DATA))
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else Path(f"{name}.yaml")
    content = text(name_from(path), data, str(path))
    try:
        # one step: a check before it could be overtaken by another program
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        problem = "exists already; choose another name, or --force to replace it"
        raise UsageError(f"{path} {problem}") from None
    except (OSError, ValueError) as error:
        # an embedded null byte is a ValueError, which no system call has seen
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be written: {reason}") from None
    console = out()
    console.print(f"wrote {path}", markup=False, soft_wrap=True)
    console.print(f"next: nncompare run {path}", markup=False, soft_wrap=True)
