"""The `freerecall` command: the service, the terminal's practice, decks, and grading in bulk."""

import io
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freerecall import __version__, settings
from freerecall.errors import FreerecallError, InputError, SettingsError
from freerecall.grades import GraderMode

if TYPE_CHECKING:  # imported inside the commands that need them, so that --help is quick
    from collections.abc import Callable

    from freerecall.llm import LLM
    from freerecall.store import Store

app = typer.Typer(
    help="Type what you remember; get an honest 1-5 rating with the evidence for it.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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


def main() -> None:
    """Run the command line; what goes wrong is one line on stderr and exit code 2."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # whatever the locale, text never stops a command
    try:
        app()
    except FreerecallError as error:
        message = str(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}"
    except sqlite3.Error as error:
        message = f"the database: {error}"
    print("freerecall:", " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    data: Data = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Type what you remember; get an honest 1-5 rating with the evidence for it.

    Without a command: start the service, with its practice page and HTTP API.
    """
    if version:
        typer.echo(f"freerecall {__version__}")
        raise typer.Exit
    context.obj = data
    if context.invoked_subcommand is None:
        from freerecall.serve import serve

        serve(_settings(data=data), host, port)


@app.command("grade-batch")
def grade_batch_command(
    source: Annotated[
        Path, typer.Argument(metavar="IN.jsonl", help="Rows: id, question, reference, answer.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.jsonl", help="Written whole or not at all.")],
    grader: Grader = None,
    model: Model = None,
    api_base: ApiBase = None,
) -> None:
    """Grade every row of a JSON Lines file; one row out for each row in, in the same order."""
    from freerecall.evaluation.batch import grade_batch

    _check_input(source)
    _check_output(out)
    mode, llm = _grading(grader, model, api_base)
    with _progress("Grading") as on_progress:
        summary = grade_batch(source, out, mode=mode, llm=llm, on_progress=on_progress)
    graded = summary.rows - summary.bad
    typer.echo(f"{graded} of {summary.rows} rows graded to {out}", err=True)
    if summary.bad:
        typer.echo(f'{summary.bad} rows could not be graded: their "error" says why', err=True)


@app.command("eval")
def eval_command(
    gold: Annotated[
        Path, typer.Argument(metavar="GOLD.jsonl", help="Rows as for grade-batch, plus gold (1-5).")
    ],
    grader: Grader = None,
    model: Model = None,
    api_base: ApiBase = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures here.")
    ] = None,
) -> None:
    """Measure how well a grader agrees with gold ratings."""
    import json

    from freerecall.evaluation.run import evaluate, render

    _check_input(gold)
    if json_file is not None:
        _check_output(json_file)
    mode, llm = _grading(grader, model, api_base)
    with _progress("Grading") as on_progress:
        report = evaluate(gold, mode=mode, llm=llm, on_progress=on_progress)
    typer.echo(render(report))
    if json_file is not None:
        json_file.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")


@app.command("calibrate")
def calibrate_command(
    gold: Annotated[
        list[Path], typer.Argument(metavar="GOLD.jsonl...", help="Rows with gold ratings or labels.")
    ],
    version: Annotated[str, typer.Option(metavar="NAME", help="Name of the calibration to write.")],
) -> None:
    """Fit the embedded grader's calibration on gold rows (needs: pip install freerecall[fit])."""
    import json

    from freerecall.evaluation.calibrate import calibrate

    typer.echo(json.dumps(calibrate(gold, version), indent=2))


@app.command("import")
def import_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A deck file.")],
    format: Annotated[
        str | None, typer.Option("--format", metavar="F", help="Default: told by the content.")
    ] = None,
    data: Data = None,
) -> None:
    """Add a deck, or bring it up to date; unchanged cards keep their history."""
    from freerecall.practice import import_deck

    with _store(context, data) as store:
        result, change = import_deck(store, file, format)
    counts = {
        "added": change.added,
        "changed": change.changed,
        "unchanged": change.unchanged,
        "removed": change.removed,
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    typer.echo(f"{result.deck.id}: {result.deck.title}: {len(result.deck.cards)} cards ({told})")
    for note in result.notes:
        typer.echo(note)
    for skipped in result.skipped:
        typer.echo(f"skipped card {skipped.number} (line {skipped.line}): {skipped.reason}")


@app.command("export")
def export_command(
    context: typer.Context,
    deck: Annotated[
        str, typer.Argument(metavar="DECK", help="The deck's id, as `freerecall decks` lists it.")
    ],
    format: Annotated[str, typer.Option("--format", metavar="F", help="toml.")] = "toml",
    data: Data = None,
) -> None:
    """Write a deck to standard output."""
    from freerecall.decks import write_deck

    with _store(context, data) as store:
        typer.echo(write_deck(store.deck(deck), format), nl=False)


@app.command("decks")
def decks_command(context: typer.Context, data: Data = None) -> None:
    """List the decks: id, cards, how many are due and how many are new."""
    with _store(context, data) as store:
        decks = store.decks(datetime.now(UTC))
    rows = [("ID", "CARDS", "DUE", "NEW", "TITLE")]
    rows += [(deck.id, str(deck.cards), str(deck.due), str(deck.new), deck.title) for deck in decks]
    width = max(len(row[0]) for row in rows)
    for name, cards, due, new, title in rows:
        typer.echo(f"{name:<{width}}  {cards:>5}  {due:>5}  {new:>5}  {title}")


@app.command("study")
def study_command(
    context: typer.Context,
    deck: Annotated[
        str | None, typer.Argument(metavar="[DECK]", help="One deck's id; default: all decks.")
    ] = None,
    grader: Grader = None,
    model: Model = None,
    api_base: ApiBase = None,
    data: Data = None,
) -> None:
    """Practise in the terminal: answer what is due, see the evidence, override what is wrong."""
    from freerecall.study import study

    mode, llm = _grading(grader, model, api_base)
    with _store(context, data) as store:
        study(store, deck, mode=mode, llm=llm)


def _settings(**given: object) -> settings.Settings:
    """Return the environment's settings, but for those `given` on the command line (None: not given)."""
    options = {f"FREERECALL_{name.upper()}": str(value) for name, value in given.items() if value is not None}
    return settings.load({**os.environ, **options})


def _grading(
    grader: GraderMode | None, model: str | None, api_base: str | None
) -> "tuple[GraderMode, LLM | None]":
    """Return the grader's mode and its language model, which only the llm grader cannot do without."""
    chosen = _settings(grader=grader, model=model, api_base=api_base)
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


@contextmanager
def _store(context: typer.Context, data: Path | None) -> "Iterator[Store]":
    """Open the store, with the bundled decks in it and every stored answer graded."""
    from freerecall import practice
    from freerecall.store import Store

    with Store.open(_settings(data=data or context.obj).database) as store:
        practice.load_bundled(store)
        practice.recover(store, datetime.now(UTC))
        yield store


def _check_output(path: Path) -> None:
    """Raise InputError where `path` cannot be written, before the work is done rather than after."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first, or write elsewhere")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no ordinary file: write elsewhere")


def _check_input(path: Path) -> None:
    """Raise InputError where `path` cannot be read twice, as counting and then grading does."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no ordinary file: save the rows in one first")


@contextmanager
def _progress(label: str) -> "Iterator[Callable[[int, int], None]]":
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
