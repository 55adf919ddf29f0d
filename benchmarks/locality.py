"""Counts which files a new layer, optimizer, data set, command or backend touches, and holds the
count to what the pages ``docs/add-a-….md`` promise.

``python -m benchmarks.locality`` looks at the working tree against HEAD; name a commit or a range
(``abc123``, ``main..mine``) to look at history. The kind is read off the files; ``--kind`` says it
where several were added. Exit code 1 if the promise is broken, 2 if the kind cannot be told.

``python -m benchmarks.locality --mentions batch_norm rmsprop digits`` counts instead in which rooms
of the package these names stand: a name in a room that no promise lists is a fact away from home.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ROOMS: tuple[tuple[str, str], ...] = (
    # of native.md its table of the frameworks' defaults
    ("generated", r"docs/(configuration|native)\.md"),
    ("changelog", r"CHANGELOG\.md"),
    ("layer", r"nncompare/spec/layers/\w+\.py"),
    ("optimizer", r"nncompare/spec/(training|optimizers/\w+)\.py"),
    ("runtimes", r"nncompare/spec/runtimes\.py"),
    ("formula", r"nncompare/numerics/(reference/\w+|updates|updates/\w+)\.py"),
    ("cases", r"nncompare/testing/cases\.py"),
    ("backend", r"nncompare/backends/\w+/.+"),
    ("data set", r"nncompare/data/\w+\.py"),
    ("commands", r"nncompare/cli/__init__\.py"),
    ("command", r"nncompare/studies/\w+/.+"),
    ("command", r"nncompare/cli/\w+\.py"),
    ("extra", r"pyproject\.toml"),
    ("tests", r"tests/.+"),
    ("docs", r".+\.md"),
    ("package", r"nncompare/.+"),
    ("other", r".+"),
)
"""Room and the paths in it; the first that fits counts."""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a change of one kind may touch.

    Args:
        rooms: where its files may be.
        files: how many files it may touch there, generated ones not counted; None: any number.
        lines: room -> how many lines it may add or change there.
    """

    rooms: frozenset[str]
    files: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict)


PROMISES: dict[str, Promise] = {
    "layer": Promise(
        rooms=frozenset({"layer", "formula", "backend", "cases", "changelog"}), files=7
    ),
    "optimizer": Promise(
        rooms=frozenset({"optimizer", "formula", "backend", "cases", "changelog"}),
        files=7,
    ),
    "data set": Promise(rooms=frozenset({"data set", "tests", "changelog"}), files=3),
    "command": Promise(
        rooms=frozenset({"command", "commands", "tests", "changelog"}), lines={"commands": 4}
    ),
    "backend": Promise(
        rooms=frozenset({"backend", "runtimes", "extra", "tests", "changelog", "docs"})
    ),
}
"""Kind of change -> what it may touch."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One file that a commit touches.

    Args:
        path: from the root of the repository.
        is_new: the commit adds it.
        lines: added, or changed.
    """

    path: str
    is_new: bool = False
    lines: int = 0

    @property
    def room(self) -> str:
        """The part of the repository that the file belongs to."""
        return next(room for room, paths in ROOMS if re.fullmatch(paths, self.path))


def changes(repository: Path, revision: str | None) -> list[Change]:
    """What a commit or a range touches; None: the working tree against HEAD, new files included.

    Raises:
        subprocess.CalledProcessError: git knows no such revision.
    """
    compared = ["HEAD"] if revision is None else _ends(revision)
    counted = _git(repository, "diff", "--numstat", "--no-renames", "-z", *compared)
    added = _git(repository, "diff", "--name-only", "--diff-filter=A", "--no-renames", *compared)
    new = set(added.splitlines())
    found = []
    for record in counted.split("\0"):
        if record:
            lines, _, path = record.split("\t")
            # binary files have a dash in place of a count
            found.append(Change(path=path, is_new=path in new, lines=int(lines.strip("-") or 0)))
    if revision is None:
        untracked = _git(repository, "ls-files", "--others", "--exclude-standard")
        for path in untracked.splitlines():
            text = (repository / path).read_bytes()
            found.append(Change(path=path, is_new=True, lines=text.count(b"\n")))
    return sorted(found, key=lambda change: change.path)


def _ends(revision: str) -> list[str]:
    """What ``git diff`` compares: a commit with its parent, or the ends of a range."""
    return [revision] if ".." in revision else [f"{revision}^", revision]


def _git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True
    ).stdout


def kind_of(found: Sequence[Change]) -> str | None:
    """What a change adds, as far as its files tell; None if they do not."""
    rooms = {change.room for change in found}
    new = [change for change in found if change.is_new]
    if any(change.room == "backend" and change.path.endswith("/backend.py") for change in new):
        return "backend"
    for kind in ("layer", "optimizer"):
        if kind in rooms and "formula" in rooms:
            return kind
    if "commands" in rooms:
        return "command"
    if any(change.room == "data set" for change in new):
        return "data set"
    return None


def broken(kind: str, found: Sequence[Change]) -> list[str]:
    """Why a change keeps no promise of its kind, one line each; empty if it does."""
    promise = PROMISES[kind]
    counted = [change for change in found if change.room != "generated"]
    reasons = [
        f"{change.path}: {_a(kind)} should not touch {_article(change.room)}"
        for change in counted
        if change.room not in promise.rooms
    ]
    if promise.files is not None and len(counted) > promise.files:
        reasons.append(f"{len(counted)} files, promised are {promise.files}")
    for room, limit in promise.lines.items():
        lines = sum(change.lines for change in counted if change.room == room)
        if lines > limit:
            reasons.append(f"{lines} lines of the room {room!r}, promised are {limit}")
    folders = {_folder(change.path) for change in counted if change.room == kind}
    if kind in ("command", "backend") and len(folders) > 1:
        reasons.append(f"{len(folders)} folders: {', '.join(sorted(folders))}; promised is one")
    return reasons


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _article(room: str) -> str:
    return "another part of the package" if room == "package" else f"the room {room!r}"


def _folder(path: str) -> str:
    """``nncompare/studies/run`` of all that stands in it; a file of ``nncompare/cli`` is itself."""
    parts = path.split("/")
    return "/".join(parts[:3])


def mentions(name: str, package: Path) -> dict[str, list[str]]:
    """Room -> the files of the package that mention a name as a whole word."""
    word = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
    found: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        if word.search(path.read_text(encoding="utf-8")):
            change = Change(path=path.relative_to(package.parent).as_posix())
            found.setdefault(change.room, []).append(change.path)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the count; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.locality", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("revision", nargs="?", help="a commit or a range; default: working tree")
    parser.add_argument("--kind", choices=list(PROMISES), help="what the change adds")
    parser.add_argument("--mentions", nargs="+", metavar="NAME", help="count names instead")
    asked = parser.parse_args(arguments)
    if asked.mentions:
        _print_mentions(asked.mentions)
        return 0

    found = changes(ROOT, asked.revision)
    for change in found:
        new = "new" if change.is_new else ""
        print(f"{change.room:<10} {new:<4} {change.lines:>5} lines  {change.path}")
    kind = asked.kind or kind_of(found)
    if kind is None:
        print(f"{len(found)} files; which of {', '.join(PROMISES)} is added? Say --kind")
        return 2
    counted = sum(change.room != "generated" for change in found)
    reasons = broken(kind, found)
    print(f"{_a(kind)}: {counted} files, {'too much' if reasons else 'as promised'}")
    for reason in reasons:
        print(f"  {reason}")
    return 1 if reasons else 0


def _print_mentions(names: Sequence[str]) -> None:
    for name in names:
        found = mentions(name, ROOT / "nncompare")
        total = sum(len(files) for files in found.values())
        print(f"{name}: {total} files")
        for room, files in found.items():
            print(f"  {room:<10} {len(files):>3}  {' '.join(files)}")


if __name__ == "__main__":
    sys.exit(main())
