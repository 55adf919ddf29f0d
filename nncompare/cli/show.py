"""``nncompare show``: the resolved experiment with its layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nncompare.terminal import options

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from nncompare.spec.data import Signature
    from nncompare.spec.experiment import Experiment
    from nncompare.spec.model import Model, Node


def show(
    config: options.Config,
    overrides: options.Overrides = None,
    backend: options.Backends = None,
    device: options.Device = None,
    rounds: options.Rounds = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Print the resolved experiment: layers, shapes, parameters, FLOPs.

    The YAML that is printed has every default written out and runs as it is.
    """
    from nncompare.data import signature
    from nncompare.terminal.console import out, print_json

    settings = {"device": device, "rounds": rounds, "seed": seed, "threads": threads}
    experiment = options.load_experiment(config, overrides, backends=backend, **settings)
    needs = signature(experiment.data, experiment.task)
    model = experiment.resolve(needs)
    if as_json:
        print_json(document(experiment, needs, model))
    else:
        _print(out(), experiment, needs, model)


def document(experiment: Experiment, needs: Signature, model: Model) -> dict[str, Any]:
    """What ``--json`` prints. FLOPs are estimates, of one example unless the name says
    otherwise.
    """
    from nncompare.config.load import to_mapping

    return {
        "schema_version": 1,
        "kind": "show",
        "experiment": to_mapping(experiment),
        "signature": {
            "input": list(needs.input.shape),
            "vocabulary": needs.input.vocabulary,
            "outputs": needs.outputs,
            "per_step": needs.per_step,
        },
        "layers": [_layer(node) for node in model.nodes],
        "totals": {
            "parameters": model.trainable_count,
            "running_statistics": _running(model),
            "forward_flops": model.flops,
            "batch_size": experiment.train.batch_size,
            "flops_per_step": model.training_flops(experiment.train.batch_size),
        },
    }


def _layer(node: Node) -> dict[str, Any]:
    layer = node.layer.model_dump(mode="json", exclude={"type", "layers", "shortcut"})
    found: dict[str, Any] = {
        "name": node.name,
        "type": node.layer.type,
        "fields": layer,
        "input": list(node.input.shape),
        "output": list(node.output.shape),
        "parameters": {item.name: list(item.shape) for item in node.parameters},
        "parameter_count": _trainable(node),
        "forward_flops": node.flops,
    }
    # a residual or a bidirectional layer holds others
    if node.children:
        found["layers"] = [_layer(child) for child in node.children]
        found["shortcut"] = [_layer(child) for child in node.shortcut]
    return found


def _trainable(node: Node) -> int:
    """Trained numbers of a node and of what is inside it."""
    return sum(item.size for inner in node.walk() for item in inner.parameters if item.trainable)


def _running(model: Model) -> int:
    return sum(item.size for item in model.parameters.values() if not item.trainable)


def _print(console: Console, experiment: Experiment, needs: Signature, model: Model) -> None:
    from rich.text import Text

    from nncompare.config.load import dump

    console.print(Text("Experiment", "bold"))
    console.print(Text(dump(experiment).rstrip()), soft_wrap=True)
    console.print()
    console.print(Text("Model", "bold"))
    console.print(_table(model))
    console.print()
    running = f" and {_running(model):,} running statistics" if _running(model) else ""
    batch = experiment.train.batch_size
    flops = _short(model.training_flops(batch))
    facts = (
        ("data", _data(experiment, needs)),
        ("parameters", f"{model.trainable_count:,}{running}"),
        ("FLOPs", f"{model.flops:,} for the forward pass of one example (estimate)"),
        ("a step", f"about {flops}FLOPs for {batch:,} examples, forward and backward"),
    )
    for name, value in facts:
        console.print(Text.assemble((f"{name:<11}", "cyan"), value), soft_wrap=True)


def _data(experiment: Experiment, needs: Signature) -> str:
    """``digits: (8, 8, 1) → 10 classes``: what a model takes and gives."""
    one, many = ("output", "outputs")
    # the others have numbers as outputs
    if experiment.task == "classification":
        one, many = ("class", "classes")
    targets = f"{needs.outputs} {one if needs.outputs == 1 else many}"
    at = " at every step" if needs.per_step else ""
    return f"{experiment.data.name}: {needs.input} → {targets}{at}"


def _short(value: float) -> str:
    for prefix in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.3g} {prefix}"
        value /= 1000
    return f"{value:.3g} T"


def _rows(
    nodes: tuple[Node, ...], indent: int = 0, mark: str = ""
) -> Iterator[tuple[str, Node, bool]]:
    for node in nodes:
        yield f"{'  ' * indent}{mark}{node.name}", node, indent == 0
        yield from _rows(node.children, indent + 1)
        yield from _rows(node.shortcut, indent + 1, "shortcut: ")


def _table(model: Model) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_footer=True, header_style="bold"
    )
    table.add_column("layer", "total", no_wrap=True)
    table.add_column("settings", overflow="fold")
    table.add_column("output", str(model.output), no_wrap=True)
    table.add_column("parameters", f"{model.trainable_count:,}", justify="right", no_wrap=True)
    table.add_column("FLOPs", f"{model.flops:,}", justify="right", no_wrap=True)
    table.add_row("input", "", str(model.input), "", "")
    for name, node, top in _rows(model.nodes):
        # what stands inside a residual is counted in its row already
        style = "" if top else "dim"
        counts = (f"{_trainable(node):,}", f"{node.flops:,}")
        cells = (name, node.layer.label(), str(node.output), *counts)
        table.add_row(*(Text(cell, style) for cell in cells))
    return table
