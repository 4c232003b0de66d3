"""The `freerecall` command: the service, the terminal's practice, decks, and grading in bulk."""

import io
import sqlite3
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from freerecall import __version__, cli_deck, cli_eval, cli_exam, cli_user
from freerecall.cli_options import (
    ApiBase,
    Data,
    Grader,
    Model,
    check_input,
    check_output,
    grading,
    open_store,
    progress,
    settings,
)
from freerecall.errors import FreerecallError, InputError

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
    batch: Annotated[
        bool, typer.Option("--batch", help="Ask through the provider's batch endpoint: half price, hours.")
    ] = False,
) -> None:
    """Grade every row of a JSON Lines file; one row out for each row in, in the same order.

    Killed, the same command goes on where it stopped.
    """
    from freerecall.evaluation.batch import grade_batch, prefetch

    check_input(source)
    check_output(out)
    mode, llm = grading(grader, model, api_base)
    if batch and llm is not None:
        count = prefetch(source, out, mode=mode, llm=llm, on_status=lambda told: typer.echo(told, err=True))
        typer.echo(f"{count} answers through the batch endpoint", err=True)
    with progress("Grading") as on_progress:
        summary = grade_batch(source, out, mode=mode, llm=llm, on_progress=on_progress)
    graded = summary.rows - summary.bad
    typer.echo(f"{graded} of {summary.rows} rows graded to {out}", err=True)
    if summary.bad:
        typer.echo(f'{summary.bad} rows could not be graded: their "error" says why', err=True)


app.add_typer(cli_deck.app, name="deck")
app.add_typer(cli_exam.app, name="exam")
app.add_typer(cli_eval.app, name="eval")
app.add_typer(cli_user.app, name="user")
app.command("calibrate")(cli_eval.calibrate_command)


@app.command("import")
def import_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A deck file.")],
    format: Annotated[
        str | None, typer.Option("--format", metavar="F", help="Default: told by the content.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is in it; store nothing.")] = False,
    data: Data = None,
) -> None:
    """Add a deck, or bring it up to date; unchanged cards keep their history."""
    from freerecall.decks import read_deck
    from freerecall.library import put_import, remarks

    result = read_deck(file, format)
    if dry_run:
        typer.echo(f"{result.deck.id}: {result.deck.title}: {len(result.deck.cards)} cards, nothing stored")
        for kind, count in Counter(card.kind.value for card in result.deck.cards).items():
            typer.echo(f"{count} {kind}")
        for card_id, remark in remarks(result):
            typer.echo(f"{card_id}: {remark}")
        return
    with open_store(context, data) as store, progress("Importing") as on_progress:
        change = put_import(store, result, on_progress=on_progress)
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

    with open_store(context, data) as store:
        sys.stdout.buffer.write(write_deck(store.deck(deck), format, store.history("local", deck)))
        sys.stdout.flush()


@app.command("decks")
def decks_command(context: typer.Context, data: Data = None) -> None:
    """List the decks: id, cards, how many are due and how many are new."""
    with open_store(context, data) as store:
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
    only: Annotated[str, typer.Option(help="all, due, new, or cram (any card, unscheduled).")] = "all",
    tag: Annotated[str, typer.Option(help="Only cards with this tag.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Draw the order; the same seed, the same.")] = None,
    grader: Grader = None,
    model: Model = None,
    api_base: ApiBase = None,
    data: Data = None,
) -> None:
    """Practise in the terminal: answer what is due, see the evidence, override what is wrong."""
    import uuid

    from freerecall.store import Only, Session
    from freerecall.study import study

    if only not in set(Only):
        raise InputError(f"--only is {only!r}; it must be one of {', '.join(Only)}")
    session = Session(Only(only), tag, seed, uuid.uuid4().hex if only == Only.CRAM else "")
    mode, llm = grading(grader, model, api_base)
    with open_store(context, data) as store:
        study(store, deck, mode=mode, llm=llm, session=session)


@app.command("settings")
def settings_command(context: typer.Context, data: Data = None) -> None:
    """Check the settings and show those in force; of keys and tokens, only that they are there."""
    from freerecall.settings import check_folder, in_force, remarks

    chosen = settings(data=data or context.find_root().obj)
    check_folder(chosen.data)
    rows = in_force(chosen)
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, value, source in rows:
        typer.echo(f"{name:<{name_width}}  {value:<{value_width}}  {source}")
    for remark in remarks():
        typer.echo(remark, err=True)


@app.command("doctor")
def doctor_command(context: typer.Context, data: Data = None) -> None:
    """Check the store: the file, its references, the schedule against the log of reviews."""
    from freerecall.store.check import check

    with open_store(context, data) as store:
        wrong = check(store)
    for line in wrong[:100]:
        typer.echo(line)
    if wrong:
        typer.echo(f"{len(wrong)} things are wrong", err=True)
        raise typer.Exit(1)
    typer.echo("all is sound")


@app.command("backup")
def backup_command(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; it must not be there yet.")],
    data: Data = None,
) -> None:
    """Copy the store while the service runs. To restore, put the copy in its place."""
    from freerecall.store.check import backup

    check_output(target)
    with open_store(context, data) as store:
        backup(store, target)
    typer.echo(f"copied to {target}")
