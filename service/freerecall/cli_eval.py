"""The terminal's commands of evaluation: score a grader, compare two runs, choose the gate, calibrate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from freerecall.cli_options import ApiBase, Grader, Model, check_input, check_output, grading, progress
from freerecall.errors import InputError
from freerecall.grades import GraderMode

if TYPE_CHECKING:
    from freerecall.evaluation.scales import Scale


class GoldFirst(TyperGroup):
    """A group whose first word may also be the gold file: `eval GOLD` is `eval run GOLD`."""

    def parse_args(self, context: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(context, args)


app = typer.Typer(
    cls=GoldFirst,
    help="Measure how well a grader agrees with gold ratings: `freerecall eval GOLD.jsonl`, and more below.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures here.")]
ScaleText = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="SCALE",
        help="What gold is rated on, if not 1-5: 0-10, or steps, lowest first: wrong,partly,right.",
    ),
]
Split = Annotated[
    str,
    typer.Option(
        "--split", metavar="NAME[,NAME]", help="Only rows whose `split` is among these, and rows without one."
    ),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `eval GOLD --out` made.")]


@app.command("run")
def run_command(
    gold: Annotated[
        Path, typer.Argument(metavar="GOLD", help="JSON Lines or CSV: rows as for grade-batch, plus gold.")
    ],
    grader: Grader = None,
    model: Model = None,
    api_base: ApiBase = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A file of prompts/; default: by the model."),
    ] = None,
    gate: Annotated[
        float | None,
        typer.Option(help="Hybrid: confidence from which no model is asked; 2: always ask."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take N rows of each data set, always the same.")
    ] = None,
    split: Split = "",
    scale: ScaleText = None,
    rated: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rated answers to the same cards; may be GOLD itself."),
    ] = None,
    json_file: JsonFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="RUN",
            help="Folder for every sample and a report; goes on where it stopped.",
        ),
    ] = None,
) -> None:
    """Grade the gold file's answers and say how far the ratings agree (`run` may be left out)."""
    from freerecall.evaluation.report import render
    from freerecall.evaluation.run import evaluate
    from freerecall.grading import policy_of

    check_input(gold)
    if rated is not None:
        check_input(rated)
    if json_file is not None:
        check_output(json_file)
    mode, llm = grading(grader, model, api_base)
    with progress("Grading") as on_progress:
        report, _ = evaluate(
            gold,
            mode=mode,
            llm=llm,
            on_progress=on_progress,
            out=out,
            policy=policy_of(prompt, gate),
            sample=sample,
            scale=_scale(scale),
            rated=rated,
            split=_names(split),
        )
    typer.echo(render(report))
    if json_file is not None:
        json_file.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    if out is not None:
        try:
            typer.echo(f"kept in {out}; look at {_write_page(out)}")
        except InputError as error:
            typer.echo(f"kept in {out}; no page: {error}", err=True)


@app.command("report")
def report_command(run: Run) -> None:
    """Write a run's page, report.html: figures, plots, and every answer with its evidence."""
    typer.echo(_write_page(run))


@app.command("compare")
def compare_command(
    a: Run,
    b: Run,
    top: Annotated[int, typer.Option(min=0, help="How many of the answers that differ to show.")] = 20,
    json_file: JsonFile = None,
) -> None:
    """Compare run B with run A on the same answers: paired intervals, wins, and where they differ."""
    from freerecall.evaluation import compare
    from freerecall.evaluation.samples import read_run

    if json_file is not None:
        check_output(json_file)
    (_, one), (_, other) = read_run(a), read_run(b)
    found = compare.compare(one, other)
    typer.echo(compare.render(found, (str(a), str(b)), most=top))
    if json_file is not None:
        json_file.write_text(
            json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


@app.command("gate")
def gate_command(
    embedded: Annotated[Path, typer.Argument(metavar="EMBEDDED", help="Run of the embedded grader.")],
    asked: Annotated[
        Path, typer.Argument(metavar="ASKED", help="Run of the hybrid grader that always asked (--gate 2).")
    ],
    loss: Annotated[float, typer.Option(min=0.0, help="Agreement that may be lost.")] = 0.01,
    json_file: JsonFile = None,
) -> None:
    """Show agreement against the share of answers sent to the model, and the gate that asks the least."""
    from freerecall.evaluation import compare
    from freerecall.evaluation.samples import read_run

    if json_file is not None:
        check_output(json_file)
    curve = compare.gate(read_run(embedded)[1], read_run(asked)[1], loss=loss)
    typer.echo(compare.render_gate(curve))
    if json_file is not None:
        json_file.write_text(json.dumps(curve.to_dict(), indent=1) + "\n", encoding="utf-8")


def calibrate_command(
    gold: Annotated[list[Path], typer.Argument(metavar="GOLD...", help="Rows with gold ratings or labels.")],
    version: Annotated[str, typer.Option(metavar="NAME", help="Name of the calibration to write.")],
    model: Model = None,
    api_base: ApiBase = None,
    split: Split = "",
    scale: ScaleText = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a calibration that is not beaten.")] = False,
) -> None:
    """Fit a calibration on gold rows (needs: pip install freerecall[fit]); with a model, the hybrid too."""
    from freerecall.evaluation.calibrate import calibrate

    llm = None
    if model is not None:
        _, llm = grading(GraderMode.HYBRID, model, api_base)
    done = calibrate(gold, version, llm=llm, force=force, scale=_scale(scale), split=_names(split))
    typer.echo(json.dumps(done.measured, indent=2))
    if not done.written:
        raise InputError(f"nothing written: {done.why} (--force writes it all the same)")
    typer.echo(f"written as {version}", err=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _scale(text: str | None) -> "Scale | None":
    from freerecall.evaluation.scales import scale_of

    return None if text is None else scale_of(text)


def _write_page(run: Path) -> Path:
    from freerecall.evaluation.html import render_html
    from freerecall.evaluation.report import report
    from freerecall.evaluation.samples import read_run

    about, samples = read_run(run)
    page = render_html(report(samples, [], about["grader"], about["model"]), samples, about)
    target = run / "report.html"
    target.write_text(page, encoding="utf-8")
    return target
