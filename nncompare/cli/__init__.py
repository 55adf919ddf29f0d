"""The ``nncompare`` command. A command's module is imported when the command is invoked, and not
before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from nncompare.errors import ExitCode, NncompareError
from nncompare.terminal import interrupts, streams


@dataclass(frozen=True)
class Command:
    """Where a command lives, and its line in the help.

    Args:
        module: imported when the command is invoked. It has a function of the command's name (with
            underscores), or an ``app`` with subcommands.
        line: what the command does.
    """

    module: str
    line: str


COMMANDS = {
    "run": Command(
        "nncompare.studies.run.command",
        "Train an experiment on every runtime; compare time and loss.",
    ),
    "verify": Command(
        "nncompare.studies.verify.command", "Prove that the runtimes compute the same function."
    ),
    "compare-conventions": Command(
        "nncompare.studies.conventions.command",
        "Train aligned and native; what do the defaults cost?",
    ),
    "gradcheck": Command(
        "nncompare.studies.gradcheck.command",
        "Differentiate a formula in every framework, by every method.",
    ),
    "tune": Command(
        "nncompare.studies.tune.command",
        "Search hyperparameters with Optuna; write the best experiment.",
    ),
    "validate": Command(
        "nncompare.cli.validate", "Check experiment files; every problem with its position."
    ),
    "show": Command(
        "nncompare.cli.show", "Print the resolved experiment, its layers, shapes and FLOPs."
    ),
    "doctor": Command(
        "nncompare.studies.doctor.command",
        "Frameworks, devices, threads, data: what works, what to mend.",
    ),
    "list": Command(
        "nncompare.cli.list_", "Families, layers, data sets, optimizers, initializers, runtimes."
    ),
    "init": Command("nncompare.cli.init", "Write a commented experiment file to start from."),
    "schema": Command(
        "nncompare.cli.schema", "Print the JSON Schema of experiment files, for editors."
    ),
    "data": Command("nncompare.cli.data", "Download and check data sets ahead of time."),
}
"""Every command in the order of the help."""

_CLICK_ERROR: Any = next(
    cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException"
)


def _wants_rich() -> bool:
    """Boxes and colours in the help only where a terminal shows them."""
    return bool(sys.stdout and sys.stdout.isatty()) or bool(os.environ.get("FORCE_COLOR"))


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


class _Lazy(TyperCommand):
    """Stands for a command in the help; becomes the real one when it is invoked."""

    def get_short_help_str(self, limit: int = 45) -> str:
        """The whole line: what does not fit beside the names is wrapped, not cut."""
        return self.help or ""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return _load(str(self.name)).make_context(info_name, args, parent=parent, **extra)


def _app(**settings: Any) -> typer.Typer:
    return typer.Typer(
        rich_markup_mode="rich" if _wants_rich() else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def _load(name: str) -> Any:
    """The command itself: a module's function of the same name, or its ``app`` if it has
    subcommands.
    """
    word = f"{name}_" if name == "list" else name.replace("-", "_")
    module = import_module(COMMANDS[name].module)
    # subcommands are a group of their own
    if hasattr(module, "app"):
        module.app.rich_markup_mode = "rich" if _wants_rich() else None
        app = module.app
    else:
        app = _app(add_completion=False)
        app.command(name)(getattr(module, word))
    command = get_command(app)
    interrupts.command_begins()
    return command


def _say_version(wanted: bool) -> None:
    if wanted:
        from nncompare.version import __version__

        typer.echo(f"nncompare {__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    """Is it the same network, and which is faster here? PyTorch, TensorFlow and Keras on one
    experiment.
    """
    # a bare `nncompare` is a question
    if ctx.invoked_subcommand is None and not version:
        typer.echo(ctx.get_help())


def build() -> Any:
    """The command with its subcommands."""
    app = _app(cls=_Group, invoke_without_command=True)
    app.callback()(_root)
    group: Any = get_command(app)
    for name, command in COMMANDS.items():
        group.add_command(_Lazy(name=name, help=command.line), name)
    return group


def call(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code. A user's mistake is a message on stderr, no
    traceback.
    """
    try:
        code = build().main(list(arguments), prog_name="nncompare", standalone_mode=False)
        sys.stdout.flush()
        # a command without an exit code has ended well
        return code if isinstance(code, int) else 0
    except _CLICK_ERROR as error:
        error.show()
        return int(error.exit_code)
    # a user's mistake; everything else is ours, and shows its traceback
    except NncompareError as error:
        from nncompare.terminal.console import report_error

        report_error(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED


def main() -> None:
    """The command line of this process, and its exit code."""
    streams.guard()
    code = call(sys.argv[1:])
    interrupts.command_has_ended()
    sys.exit(streams.lost_output(code))
