"""`freerecall deck`: settings of a deck, its schedule fitted, key points drafted."""

import asyncio
from typing import Annotated

import typer

from freerecall.cli_options import ApiBase, Data, Model, grading, open_store
from freerecall.errors import LLMError, SettingsError
from freerecall.grades import GraderMode

app = typer.Typer(help="Settings of a deck, its schedule, its key points.", no_args_is_help=True)

DeckId = Annotated[str, typer.Argument(metavar="DECK", help="The deck's id, as `freerecall decks` lists it.")]


@app.command("settings")
def settings_command(
    context: typer.Context,
    deck: DeckId,
    new_per_day: Annotated[int | None, typer.Option(help="New cards a day; -1: no limit.")] = None,
    reviews_per_day: Annotated[int | None, typer.Option(help="Reviews a day; -1: no limit.")] = None,
    retention: Annotated[float | None, typer.Option(help="To be remembered when due, 0.7-0.99.")] = None,
    data: Data = None,
) -> None:
    """Show a deck's limits and retention, or set them."""
    from freerecall import library, scheduling
    from freerecall.store import DeckSettings

    with open_store(context, data) as store:
        before = store.deck_settings("local", deck)
        settings = DeckSettings(
            _limit(new_per_day, before.new_per_day),
            _limit(reviews_per_day, before.reviews_per_day),
            before.retention if retention is None else retention,
            before.parameters,
        )
        library.configure(store, deck, settings)
    typer.echo(f"new cards a day: {'no limit' if settings.new_per_day is None else settings.new_per_day}")
    typer.echo(
        f"reviews a day: {'no limit' if settings.reviews_per_day is None else settings.reviews_per_day}"
    )
    typer.echo(f"retention: {settings.retention or scheduling.RETENTION}")
    typer.echo(f"schedule: {'fitted to your reviews' if settings.parameters else 'FSRS defaults'}")


@app.command("fit")
def fit_command(context: typer.Context, deck: DeckId, data: Data = None) -> None:
    """Fit the schedule to your own reviews of the deck (needs at least 400)."""
    from freerecall import library

    with open_store(context, data) as store:
        fitted = library.fit_schedule(store, deck)
    typer.echo("fitted: " + ", ".join(f"{value:g}" for value in fitted))


@app.command("draft-points")
def draft_points_command(
    context: typer.Context,
    deck: DeckId,
    model: Model = None,
    api_base: ApiBase = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also for cards with key points of their own.")
    ] = False,
    data: Data = None,
) -> None:
    """Have the language model propose key points for cards without; each is shown, and asked about."""
    from freerecall.drafting import draft_points
    from freerecall.library import lacks_points, with_points

    _, llm = grading(GraderMode.LLM, model, api_base)
    if llm is None:
        raise SettingsError("FREERECALL_MODEL is not set: name a model with --model")
    with open_store(context, data) as store, asyncio.Runner() as runner:
        cards = [card for card in store.cards(deck) if every or lacks_points(card)]
        if not cards:
            typer.echo("every card has key points of its own; --all asks about these too")
        for number, card in enumerate(cards, 1):
            typer.echo(f"\n{number} of {len(cards)}: {card.question}\n  {card.reference}")
            try:
                points = runner.run(draft_points(card, llm))
            except LLMError as error:
                typer.echo(f"  not drafted: {error}")
                continue
            for old in card.points:
                typer.echo(f"- {' | '.join((old.text, *old.accept))}")
            for new in points:
                typer.echo(f"+ {' | '.join((new.text, *new.accept))}")
            choice = typer.prompt("Take them? [y]es, [n]o, [q]uit", default="n").strip().lower()
            if choice.startswith("q"):
                break
            if choice.startswith("y"):
                with_points(store, card, points)
                typer.echo("taken")
        runner.run(llm.aclose())


def _limit(given: int | None, before: int | None) -> int | None:
    if given is None:
        return before
    return None if given < 0 else given
