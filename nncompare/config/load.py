"""From a YAML file and overrides to a checked ``Experiment``, and back.

Every problem is found in one pass and said with ``file:line:column``, the source line and a caret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from nncompare.config import messages, space
from nncompare.config.document import Document, parse, read_file
from nncompare.config.dump import dump, to_mapping
from nncompare.config.located import Located, Origin, Part, from_python
from nncompare.config.overrides import Override, OverrideError, apply
from nncompare.errors import ConfigError, DataError, Problem, ShapeError
from nncompare.spec.data import DATA, DataSet, Signature, Task
from nncompare.spec.experiment import Experiment

SignatureOf = Callable[[DataSet, Task], Signature]
"""``nncompare.data.signature``: what a model must take and give."""

_MODEL_KEYS = ("task", "data", "model")
"""The keys that decide the model's shapes."""


def load(
    path: str | Path,
    overrides: Sequence[str | Override] = (),
    *,
    backends: Sequence[str] = (),
    signature_of: SignatureOf | None = None,
) -> Experiment:
    """Reads and checks an experiment file.

    Args:
        path: a YAML file of at most 1 MiB.
        overrides: ``"train.optimizer.lr=3e-4"``, in this order, before the file is checked.
        backends: runtimes in place of the file's.
        signature_of: with it the model's shapes are resolved too, and impossible ones are problems.

    Raises:
        ConfigError: with every problem and its position.
        DataError: from ``signature_of``: what decides the shapes cannot be found out (a text file
            is missing).
    """
    path = Path(path)
    document = parse(read_file(path), str(path))
    return _checked(document, name_from(path), str(path), overrides, backends, signature_of)


def load_mapping(
    mapping: Mapping[str, Any],
    overrides: Sequence[str | Override] = (),
    *,
    backends: Sequence[str] = (),
    signature_of: SignatureOf | None = None,
) -> Experiment:
    """Checks an experiment that is given as a mapping; else as ``load``.

    Raises:
        ConfigError, DataError: as ``load``.
    """
    document = Document(from_python(mapping, Origin()))
    return _checked(document, "experiment", "", overrides, backends, signature_of)


def name_from(path: Path) -> str:
    """A file's name as the name of its experiment."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return name[:64] or "experiment"


def _checked(
    document: Document,
    name: str,
    source: str,
    overrides: Sequence[str | Override],
    backends: Sequence[str],
    signature_of: SignatureOf | None,
) -> Experiment:
    problems = list(document.problems)
    root = document.root
    if root is None or not root.is_mapping:
        raise ConfigError(problems or [_no_mapping(root, source)])
    root, bad = _overridden(root, overrides, backends)
    problems += bad
    root = _defaults(root, name)
    experiment, found = _validated(root)
    problems += [problem for problem in found if not _is_within(problem.path, document.spoilt)]
    problems += _wrong_task(root)
    if signature_of is not None:
        problems += _wrong_shapes(root, experiment, problems, signature_of)
    if experiment is not None and not problems:
        problems += space.problems(
            root, experiment, lambda changed: _of_candidate(changed, signature_of)
        )
    if problems or experiment is None:
        raise ConfigError(sorted(dict.fromkeys(problems), key=_position))
    return experiment


def _of_candidate(root: Located, signature_of: SignatureOf | None) -> list[Problem]:
    """What is wrong with the experiment at one point of a search."""
    experiment, problems = _validated(root)
    problems = [*problems, *_wrong_task(root)]
    if signature_of is not None:
        problems += _wrong_shapes(root, experiment, problems, signature_of)
    return problems


def _position(problem: Problem) -> tuple[bool, int, int]:
    """Down the file, then the arguments in their order."""
    return problem.line is None, problem.line or 0, problem.column or 0


def _is_within(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _no_mapping(root: Located | None, source: str) -> Problem:
    if root is None or root.value is None:
        message = (
            "the file holds no experiment: it is empty or only comments; 'nncompare init' writes"
            " one to start from"
        )
        return (root.origin if root else Origin(source)).problem((), message)
    kind = "a list" if root.is_list else "one value"
    return root.origin.problem(
        (), f"the file is {kind}, but an experiment is keys with values: data: …, model: …"
    )


def _overridden(
    root: Located, overrides: Sequence[str | Override], backends: Sequence[str]
) -> tuple[Located, list[Problem]]:
    problems = []
    for item in overrides:
        try:
            root = apply(root, Override.parse(item) if isinstance(item, str) else item)
        except OverrideError as error:
            problems.append(error.problem)
    if backends:
        names = [
            Located(name, Origin(f"--backend {name}"), Origin(f"--backend {name}"))
            for name in backends
        ]
        origin = Origin("--backend")
        root = root.with_child("backends", Located(names, origin, origin, 1 + len(names)))
    return root, problems


def _defaults(root: Located, name: str) -> Located:
    """The file's stem as the name, and the data set's own task, where the file gives none."""
    if "name" not in root.value:
        root = root.with_child("name", from_python(name, root.origin))
    data, depth = root.find(("data", "name"))
    known = DATA.get(data.value) if depth == 2 and isinstance(data.value, str) else None
    if "task" not in root.value and known is not None:
        root = root.with_child("task", from_python(known.tasks[0], root.origin))
    return root


def _validated(root: Located) -> tuple[Experiment | None, list[Problem]]:
    try:
        return Experiment.model_validate(root.plain()), []
    except ValidationError as error:
        details: list[Any] = error.errors(include_url=False, include_input=False)
        return None, messages.problems(details, root)


def _wrong_task(root: Located) -> list[Problem]:
    data, found = root.find(("data", "name"))
    task, given = root.find(("task",))
    known = DATA.get(data.value) if found == 2 and isinstance(data.value, str) else None
    if known is None or not given or task.value in known.tasks or task.value not in get_args(Task):
        return []
    message = (
        f"{task.value!r} does not fit data set {data.value}. Allowed: {', '.join(known.tasks)}"
    )
    return [task.place.problem(("task",), message)]


def _wrong_shapes(
    root: Located,
    experiment: Experiment | None,
    problems: Sequence[Problem],
    signature_of: SignatureOf,
) -> list[Problem]:
    """The model's first impossible shape. Problems elsewhere in the file do not hide it."""
    if any(problem.path.split(".")[0] in (*_MODEL_KEYS, "") for problem in problems):
        return []
    if experiment is None:
        part = replace(
            root, value={key: root.value[key] for key in _MODEL_KEYS if key in root.value}
        )
        experiment, found = _validated(part)
        if experiment is None or found:
            return []
    try:
        experiment.resolve(signature_of(experiment.data, experiment.task))
    except ShapeError as error:
        path: list[Part] = [int(part) if part.isdigit() else part for part in error.path.split(".")]
        node, depth = root.find(path)
        place = node.place if depth == len(path) else (node.key or node.origin)
        return [place.problem(path, error.message)]
    except DataError:
        if not problems:
            raise
    return []


__all__ = ["Override", "SignatureOf", "dump", "load", "load_mapping", "name_from", "to_mapping"]
