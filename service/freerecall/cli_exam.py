"""`freerecall exam`: compose a paper, sit it in the terminal, read the report."""

from pathlib import Path
from typing import Annotated

import typer

from freerecall.cli_options import ApiBase, Data, Grader, Model, check_output, grading, open_store
from freerecall.errors import InputError

app = typer.Typer(help="Self-tests: compose, sit, report.", no_args_is_help=True)


@app.command("new")
def new_command(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="PAPER.json", help="The paper's file.")],
    deck: Annotated[list[str] | None, typer.Option(help="A deck's id; again for more. Default: all.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; again for more.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="A kind of card; again for more.")] = None,
    weight: Annotated[list[str] | None, typer.Option(help="What a kind counts, as list=2.")] = None,
    count: Annotated[int, typer.Option(help="Questions.")] = 10,
    minutes: Annotated[int, typer.Option(help="Time limit; 0: none.")] = 0,
    pass_mark: Annotated[float, typer.Option(help="Share of the points to pass, 0-1.")] = 0.6,
    seed: Annotated[int, typer.Option(help="The same seed draws the same questions.")] = 0,
    title: Annotated[str, typer.Option(help="What it is called.")] = "Self-test",
    data: Data = None,
) -> None:
    """Draw a paper from the decks and write its file, which asks the same questions anywhere."""
    from datetime import UTC, datetime

    from freerecall import papers

    check_output(out)
    spec = papers.Spec(
        decks=tuple(deck or ()),
        tags=tuple(tag or ()),
        kinds=tuple(kind or ()),
        weights=papers.read_weights(weight or ()),
        count=count,
        minutes=minutes,
        pass_mark=pass_mark,
        seed=seed,
        title=title,
    )
    with open_store(context, data) as store:
        paper = papers.compose(store, spec, now=datetime.now(UTC))
    out.write_text(papers.dump_paper(paper), encoding="utf-8")
    typer.echo(f"{len(paper.questions)} questions in {out}")


@app.command("run")
def run_command(
    context: typer.Context,
    paper_file: Annotated[Path, typer.Argument(metavar="PAPER.json", help="Made by `freerecall exam new`.")],
    name: Annotated[str, typer.Option(help="Who sits it.")] = "me",
    grader: Grader = None,
    model: Model = None,
    api_base: ApiBase = None,
    data: Data = None,
) -> None:
    """Sit a paper in the terminal: no feedback before the end; what is typed is kept as it comes."""
    import asyncio
    from datetime import UTC, datetime

    from freerecall import exams, papers
    from freerecall.study import plain

    mode, llm = grading(grader, model, api_base)
    with open_store(context, data) as store:
        paper = papers.put_paper(store, _read(paper_file), now=datetime.now(UTC))
        sitting = exams.start(store, paper.id, name, now=datetime.now(UTC))
        limit = f", {paper.spec.minutes} minutes" if paper.spec.minutes else ""
        typer.echo(
            f"{paper.spec.title}: {len(paper.questions)} questions{limit}. End each with an empty line."
        )
        for number, question in enumerate(paper.questions, 1):
            typer.echo(f"\n{number}. {plain(question.card.question)}")
            lines: list[str] = []
            try:
                while line := input("> ").strip():
                    lines.append(line)
                    text = "\n".join(lines)
                    exams.save(store, sitting.id, number, text, revision=len(lines), now=datetime.now(UTC))
            except EOFError:
                break
        exams.submit(store, sitting.id, now=datetime.now(UTC))
        final = exams.grade_at_once(store, sitting.id, mode, now=datetime.now(UTC))
        if not final and llm is not None:
            at = datetime.now(UTC)
            asyncio.run(exams.ask_model(store, sitting.id, mode, llm, deadline_s=120, now=at))
        typer.echo(f"\nsitting {sitting.id}")
        _tell(exams.report(store, sitting.id))


@app.command("report")
def report_command(
    context: typer.Context,
    sitting: Annotated[str, typer.Argument(metavar="SITTING", help="As `freerecall exam run` named it.")],
    schedule: Annotated[bool, typer.Option("--schedule", help="Let the answers count as reviews.")] = False,
    data: Data = None,
) -> None:
    """Show a sitting's outcome."""
    from datetime import UTC, datetime

    from freerecall import exams

    with open_store(context, data) as store:
        _tell(exams.report(store, sitting))
        if schedule:
            typer.echo(
                f"{exams.feed_schedule(store, sitting, now=datetime.now(UTC))} answers count as reviews"
            )


def _tell(found: "object") -> None:
    from freerecall.exams import Report
    from freerecall.study import plain

    assert isinstance(found, Report)  # noqa: S101  (typed so that --help imports nothing)
    low, high = found.interval
    verdict = "passed" if found.passed else "not passed"
    state = "" if found.final else ", provisional"
    typer.echo(f"{100 * found.share:.0f} % ({100 * low:.0f} to {100 * high:.0f}), {verdict}{state}")
    for item in found.items:
        rating = f"{item.rating}/5" if item.rating else "not graded"
        typer.echo(f"{item.number}. {rating}  {plain(item.question.card.question)}")
        if item.grade:
            typer.echo(f"   {plain(item.grade.feedback)}")
    for name, share, count in found.by("kind"):
        typer.echo(f"{name}: {100 * share:.0f} % of {count}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; make one with `freerecall exam new`") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: this is no paper of freerecall's") from None
