"""The `freerecall` command: the service, the terminal's practice, decks, and grading in bulk."""

import io
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freerecall import __version__, cli_eval
from freerecall.cli_options import (
    ApiBase,
    Data,
    Grader,
    Model,
    check_input,
    check_output,
    grading,
    progress,
    settings,
)
from freerecall.errors import FreerecallError

if TYPE_CHECKING:  # imported inside the commands that need them, so that --help is quick
    from freerecall.store import Store

app = typer.Typer(
    help="Type what you remember; get an honest 1-5 rating with the evidence for it.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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

        serve(settings(data=data), host, port)


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

    check_input(source)
    check_output(out)
    mode, llm = grading(grader, model, api_base)
    with progress("Grading") as on_progress:
        summary = grade_batch(source, out, mode=mode, llm=llm, on_progress=on_progress)
    graded = summary.rows - summary.bad
    typer.echo(f"{graded} of {summary.rows} rows graded to {out}", err=True)
    if summary.bad:
        typer.echo(f'{summary.bad} rows could not be graded: their "error" says why', err=True)


app.add_typer(cli_eval.app, name="eval")
app.command("calibrate")(cli_eval.calibrate_command)


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
    from freerecall.library import import_deck

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
    format: Annotated[
        str, typer.Option("--format", metavar="F", help="One of those in docs/decks.md.")
    ] = "toml",
    data: Data = None,
) -> None:
    """Write a deck to standard output."""
    from freerecall.decks import write_deck

    with _store(context, data) as store:
        sys.stdout.buffer.write(write_deck(store.deck(deck), format, store.history("local", deck)))
        sys.stdout.flush()


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

    mode, llm = grading(grader, model, api_base)
    with _store(context, data) as store:
        study(store, deck, mode=mode, llm=llm)


@contextmanager
def _store(context: typer.Context, data: Path | None) -> "Iterator[Store]":
    """Open the store, with the bundled decks in it and every stored answer graded."""
    from freerecall import library, practice
    from freerecall.store import Store

    with Store.open(settings(data=data or context.obj).database) as store:
        library.load_bundled(store)
        practice.recover(store, datetime.now(UTC))
        yield store
