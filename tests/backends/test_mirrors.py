"""The backends' folders mirror each other: who knows one knows all.

Read from the source, so that no framework is imported. What one framework truly lacks, or alone
has, stands here with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from nncompare import backends

FOLDER = Path(backends.__file__ or "").parent
# a folder with a backend.py is one; engines have none
BACKENDS = tuple(sorted(path.parent.name for path in FOLDER.glob("*/backend.py")))

FILES: dict[str, tuple[set[str], str]] = {
    "device.py": (
        {"torch"},
        "TensorFlow's devices are those of an engine, for both backends that compute with it",
    ),
    "layout.py": ({"torch"}, "the others keep tensors in the canonical layout"),
    "start.py": ({"tensorflow"}, "only there no layer draws its own initial weights"),
}
"""File -> the backends that have it, and why the others do not."""

_OWN_LOOP = "Model.fit draws from one pipeline; the loops that are ours cut the plan themselves"
_OWN_MODULE = "raw TensorFlow has no layers: the module and its forward pass are ours"
_UNROLLED = "raw TensorFlow has no recurrent layer: ours writes short sequences out"

EXCEPTIONS: dict[str, dict[str, tuple[set[str], str]]] = {
    "layers/recurrent.py": {
        "LONGEST_UNROLLED": ({"tensorflow"}, _UNROLLED),
        "LONGEST_UNROLLED_COMPILED": ({"tensorflow"}, _UNROLLED),
        "longest_unrolled": ({"tensorflow"}, _UNROLLED),
    },
    "losses.py": {
        "target_dtype": ({"torch"}, "the others take class numbers of any integer type"),
    },
    "lowering.py": {
        "Lowered": ({"tensorflow"}, _OWN_MODULE),
        "Pass": ({"tensorflow"}, _OWN_MODULE),
        "affine": ({"tensorflow"}, _OWN_MODULE),
        "forward": ({"tensorflow"}, _OWN_MODULE),
        "walk": ({"tensorflow"}, _OWN_MODULE),
        "Masks": ({"torch"}, "modules read shared masks; Keras's layers keep theirs in a variable"),
        "Stored": (
            {"torch", "keras"},
            "their layers have layouts of their own; raw TensorFlow's variables are canonical",
        ),
    },
    "optimizers.py": {
        "Optimizer": ({"tensorflow"}, "raw TensorFlow has no base class of optimizers"),
        "Table": ({"keras"}, "Keras reads rates through a schedule, the others in their own loop"),
        "clip": ({"torch", "tensorflow"}, "Keras's optimizers clip by themselves"),
        "implementation": ({"torch"}, "only PyTorch has several implementations of one rule"),
        "l2_is_weight_decay": ({"torch"}, "only in PyTorch code L2 is an optimizer's argument"),
        "native_optimizer": (
            {"tensorflow", "keras"},
            "PyTorch's own optimizers are the canonical formulas",
        ),
    },
    "pipeline.py": {
        "Padding": ({"tensorflow"}, "only there a loop is traced for a length"),
        "Run": ({"tensorflow"}, _OWN_LOOP),
    },
}
"""File -> name -> the backends that have it, and why the others do not."""


def files(backend: str) -> set[str]:
    folder = FOLDER / backend
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}


def names(backend: str, file: str) -> set[str]:
    """Public names that the file defines; a class's name may begin with the backend's."""
    tree = ast.parse((FOLDER / backend / file).read_text(encoding="utf-8"))
    prefix = backend.capitalize()
    return {
        name.removeprefix(prefix)
        for statement in tree.body
        for name in _defined(statement)
        if not name.startswith("_")
    }


def _defined(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))


ALL_FILES = sorted(set().union(*map(files, BACKENDS)))


def test_every_backend_has_the_same_files() -> None:
    assert {"torch", "tensorflow", "keras"} <= {*BACKENDS}
    for file in ALL_FILES:
        having = {backend for backend in BACKENDS if file in files(backend)}
        expected, _ = FILES.get(file, (set(BACKENDS), ""))
        assert having == expected, f"{file} stands in {sorted(having)} alone"


@pytest.mark.parametrize("file", [file for file in ALL_FILES if file not in FILES])
def test_a_file_has_the_same_public_names_in_every_backend(file: str) -> None:
    defined = {backend: names(backend, file) for backend in BACKENDS}
    allowed = EXCEPTIONS.get(file, {})
    for name in sorted(set().union(*defined.values())):
        having = {backend for backend in BACKENDS if name in defined[backend]}
        if having == set(BACKENDS):
            assert name not in allowed, f"{name}: all have it; it is no exception any more"
            continue
        if name.startswith("Aligned"):
            # Keras names an optimizer's variables after its class: a name may not begin with _
            assert having == {"keras"}, name
            continue
        canonical = name.removeprefix("native_")
        if canonical != name:
            # a framework's own form of a layer or an optimizer: only where it is another than the
            # canonical one, and always beside it
            assert all(canonical in defined[backend] for backend in having), name
            continue
        assert name in allowed, f"{file}: {name} stands in {sorted(having)} alone"
        assert having == allowed[name][0], name


def test_exceptions_are_about_names_that_exist() -> None:
    for file, allowed in EXCEPTIONS.items():
        for name, (having, reason) in allowed.items():
            assert reason
            for backend in having:
                assert name in names(backend, file), f"{backend}/{file} has no {name}"


def test_every_backend_imports_its_own_layers() -> None:
    """A file of layers that nobody imports would register nothing."""
    for backend in BACKENDS:
        folder = FOLDER / backend / "layers"
        imported = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
        listed = {
            alias.name
            for statement in imported.body
            if isinstance(statement, ast.ImportFrom)
            for alias in statement.names
        }
        assert listed == {path.stem for path in folder.glob("*.py")} - {"__init__"}


_REGISTERING = ("lowering", "native_lowering", "optimizer", "native_optimizer")


def forms(backend: str) -> Iterator[tuple[str, str, str]]:
    """Every registered function: its name, the class that it is registered for, and what it says
    that it takes.
    """
    folder = FOLDER / backend
    for path in (*folder.glob("layers/*.py"), folder / "optimizers.py"):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(statement, ast.FunctionDef):
                continue
            for decorator in statement.decorator_list:
                match decorator:
                    case ast.Call(func=ast.Name(id=name), args=[kind]) if name in _REGISTERING:
                        first = statement.args.args[0].annotation
                        assert first is not None, statement.name
                        yield statement.name, ast.unparse(kind), ast.unparse(first)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_form_takes_what_it_is_registered_for(backend: str) -> None:
    """A decorator takes any function of the backend's shape; that it is of this layer stands here."""
    found = list(forms(backend))
    for name, kind, takes in found:
        assert takes in (kind, f"Node[{kind}]", f"Lowered[{kind}]"), name
    assert len(found) >= 20


def test_what_most_names_are() -> None:
    """The measure of the mirror: nearly every public name is the same in all three."""
    shared = single = 0
    for file in ALL_FILES:
        if file in FILES:
            continue
        defined = [names(backend, file) for backend in BACKENDS]
        shared += len(set.intersection(*defined))
        single += len(set.union(*defined) - set.intersection(*defined))
    assert shared >= 56
    assert shared > single
