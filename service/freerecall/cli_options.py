"""What the commands of the terminal share: options, settings, checks of files, the progress bar."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freerecall import settings as environment
from freerecall.errors import InputError, SettingsError
from freerecall.grades import GraderMode

if TYPE_CHECKING:  # imported inside the functions that need them, so that --help is quick
    from collections.abc import Callable

    from freerecall.llm import LLM
    from freerecall.store import Store

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the database [FREERECALL_DATA].")
]
Grader = Annotated[
    GraderMode | None,
    typer.Option("--grader", help="Default: hybrid with a model, else embedded [FREERECALL_GRADER]."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="M", help="Language model, such as openai/gpt-5-mini [FREERECALL_MODEL]."
    ),
]
ApiBase = Annotated[
    str | None,
    typer.Option("--api-base", metavar="URL", help="OpenAI-compatible endpoint [FREERECALL_API_BASE]."),
]


def settings(**given: object) -> environment.Settings:
    """Return the environment's settings, but for those `given` on the command line (None: not given)."""
    options = {f"FREERECALL_{name.upper()}": str(value) for name, value in given.items() if value is not None}
    return environment.load({**os.environ, **options})


def grading(
    grader: GraderMode | None, model: str | None, api_base: str | None
) -> "tuple[GraderMode, LLM | None]":
    """Return the grader's mode and its language model, which only the llm grader cannot do without."""
    chosen = settings(grader=grader, model=model, api_base=api_base)
    if chosen.grader is GraderMode.EMBEDDED:
        return chosen.grader, None

    from freerecall import llm

    client = llm.from_settings(chosen)
    if client is None and chosen.grader is GraderMode.LLM:
        raise SettingsError(
            "FREERECALL_MODEL is not set: name a model with --model, or use --grader embedded"
        )
    if client is None:
        typer.echo("freerecall: no model is set (--model): embedded grades, marked provisional", err=True)
    return chosen.grader, client


def check_output(path: Path) -> None:
    """Raise InputError where `path` cannot be written, before the work is done rather than after."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first, or write elsewhere")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no ordinary file: write elsewhere")


def check_input(path: Path) -> None:
    """Raise InputError where `path` cannot be read twice, as counting and then grading does."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no ordinary file: save the rows in one first")


@contextmanager
def progress(label: str) -> "Iterator[Callable[[int, int], None]]":
    """Yield a function of (done, total) rows that draws a bar where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def open_store(context: typer.Context, data: Path | None) -> "Iterator[Store]":
    """Open the store, with the bundled decks in it and every stored answer graded."""
    from datetime import UTC, datetime

    from freerecall import library, practice
    from freerecall.store import Store

    with Store.open(settings(data=data or context.find_root().obj).database) as store:
        library.load_bundled(store)
        practice.recover(store, datetime.now(UTC))
        yield store
