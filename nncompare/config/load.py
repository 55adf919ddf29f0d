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
from nncompare.config.document import Document, parse
from nncompare.config.dump import dump, to_mapping
from nncompare.config.files import read_file
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


def load_text(text: str, source: str, *, signature_of: SignatureOf | None = None) -> Experiment:
    """Checks an experiment that is given as the text of a file; else as ``load``.

    Args:
        source: where the text stands, for messages.

    Raises:
        ConfigError, DataError: as ``load``.
    """
    return _checked(parse(text, source), "experiment", source, (), (), signature_of)


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
    """The experiment, or every problem of the file and the overrides together.

    Args:
        name: of the experiment, where the file gives none.
        source: the file's name, for messages.
    """
    root = document.root
    if root is None or not root.is_mapping:
        raise ConfigError(document.problems or [_no_mapping(root, source)])
    root, wrong_overrides = _overridden(root, overrides, backends)
    document.problems += wrong_overrides
    root = _defaults(root, name)
    experiment, problems = _examined(root, document, signature_of)
    # The search space is tried on the file's other values, so these must be right first.
    if experiment is not None and not problems:

        def check(changed: Located) -> list[Problem]:
            return _examined(changed, document, signature_of)[1]

        problems += space.problems(root, experiment, check)
    if problems or experiment is None:
        raise ConfigError(sorted(dict.fromkeys(problems), key=_position))
    return experiment


def _examined(
    root: Located, document: Document, signature_of: SignatureOf | None
) -> tuple[Experiment | None, list[Problem]]:
    """The experiment and all problems; with none of these there is an experiment.

    Args:
        root: the file with its overrides, or one point of a search in it.
        document: what was wrong with the file before.
    """
    experiment, found = _validated(root)
    problems = list(document.problems)
    for problem in found:
        # A value that could not be read has been complained about, and reads as null here.
        if not _is_within(problem.path, document.spoilt):
            problems.append(problem)
    problems += _wrong_task(root)
    if signature_of is not None:
        problems += _wrong_shapes(root, experiment, problems, signature_of)
    return experiment, problems


def _position(problem: Problem) -> tuple[bool, int, int]:
    """Down the file, then the arguments in their order."""
    return problem.line is None, problem.line or 0, problem.column or 0


def _is_within(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _no_mapping(root: Located | None, source: str) -> Problem:
    """What to say of a file whose top level is no mapping."""
    origin = root.origin if root is not None else Origin(source)
    message = (
        "the file holds no experiment: it is empty or only comments; 'nncompare init' writes"
        " one to start from"
    )
    if root is not None and root.value is not None:
        kind = "a list" if root.is_list else "one value"
        message = f"the file is {kind}, but an experiment is keys with values: data: …, model: …"
    return origin.problem((), message)


def _overridden(
    root: Located, overrides: Sequence[str | Override], backends: Sequence[str]
) -> tuple[Located, list[Problem]]:
    """The file with the overrides in it, and what is wrong with those that could not be applied."""
    problems = []
    for item in overrides:
        try:
            override = Override.parse(item) if isinstance(item, str) else item
            root = apply(root, override)
        except OverrideError as error:
            problems.append(error.problem)
    if backends:
        # Each name has the option that gave it as its origin, so that a message shows it.
        names = [from_python(name, Origin(f"--backend {name}")) for name in backends]
        origin = Origin("--backend")
        root = root.with_child("backends", Located(names, origin, origin))
    return root, problems


def _defaults(root: Located, name: str) -> Located:
    """The file's stem as the name, and the data set's own task, where the file gives none."""
    if "name" not in root.value:
        root = root.with_child("name", from_python(name, root.origin))
    known = _data_set(root)
    if "task" not in root.value and known is not None:
        root = root.with_child("task", from_python(known.tasks[0], root.origin))
    return root


def _validated(root: Located) -> tuple[Experiment | None, list[Problem]]:
    """The experiment, or None and what pydantic says about the file in words of ours."""
    try:
        return Experiment.model_validate(root.plain()), []
    except ValidationError as error:
        details: list[Any] = error.errors(include_url=False, include_input=False)
        return None, messages.problems(details, root)


def _wrong_task(root: Located) -> list[Problem]:
    """A task that the data set does not have."""
    known = _data_set(root)
    task = root.child("task")
    if known is None or task is None:
        return []
    # A word that is no task at all is a problem of its own, which is found elsewhere.
    if task.value in known.tasks or task.value not in get_args(Task):
        return []
    data, _ = root.find(("data", "name"))
    allowed = ", ".join(known.tasks)
    message = f"{task.value!r} does not fit data set {data.value}. Allowed: {allowed}"
    return [task.place.problem(("task",), message)]


def _data_set(root: Located) -> type[DataSet] | None:
    """The class of the data set that the file names, if there is such a one."""
    data, depth = root.find(("data", "name"))
    if depth < 2 or not isinstance(data.value, str):
        return None
    return DATA.get(data.value)


def _wrong_shapes(
    root: Located,
    experiment: Experiment | None,
    problems: Sequence[Problem],
    signature_of: SignatureOf,
) -> list[Problem]:
    """The model's first impossible shape. Problems elsewhere in the file do not hide it."""
    touched = {problem.path.split(".")[0] for problem in problems}
    # A problem without a path is one of the whole file.
    if touched & {*_MODEL_KEYS, ""}:
        return []
    if experiment is None:
        # Something else is wrong: the keys that decide the shapes are checked alone.
        values = {key: root.value[key] for key in _MODEL_KEYS if key in root.value}
        experiment, found = _validated(replace(root, value=values))
        if experiment is None or found:
            return []
    try:
        experiment.resolve(signature_of(experiment.data, experiment.task))
    except ShapeError as error:
        path: list[Part] = [int(part) if part.isdigit() else part for part in error.path.split(".")]
        return [root.place_of(path).problem(path, error.message)]
    except DataError:
        # Missing data are worth an error only where the file itself is right.
        if not problems:
            raise
    return []


__all__ = ["Override", "SignatureOf", "dump", "load", "load_mapping", "name_from", "to_mapping"]
