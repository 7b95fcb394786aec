"""The commands that need PyTorch: from a recipe to a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from tumorlens.cli.options import (
    Cache,
    Data,
    RecipeName,
    Set,
    need_training_extra,
    progress,
    read_text,
    say,
)
from tumorlens.errors import TumorlensError

app = typer.Typer()


@app.command()
def train(
    recipe: RecipeName,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="The run folder; new or empty.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the last whole epoch of the run in OUT.")
    ] = False,
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Train a model from a recipe."""
    need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.train import trainer
    from tumorlens.train.recipe_file import load_recipe

    checked = load_recipe(recipe, set_ or [])
    dataset = open_dataset(data, cache, progress("decoding"))
    trainer.train(checked, dataset, out, resume=resume, report=say)


@app.command("cross-validate")
def cross_validate(
    recipe: RecipeName,
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", help="Gets a run folder for each fold; goes on where it stopped.")
    ],
    folds: Annotated[
        int, typer.Option(help="Groups of patients, where the recipe doesn't name the author's folds.")
    ] = 5,
    members: Annotated[
        int,
        typer.Option(
            min=1, help="Runs that look at each slice; with 2 and more, results go to OUT/members-N as well."
        ),
    ] = 1,
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Train a recipe with each fold as the test side once; measure every slice by a model new to it."""
    need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.evaluate.cross_validation import evaluate_folds, evaluate_members
    from tumorlens.train.cross_validation import cross_validate as run_folds
    from tumorlens.train.recipe_file import load_recipe

    checked = load_recipe(recipe, set_ or [])
    dataset = open_dataset(data, cache, progress("decoding"))
    runs = run_folds(checked, dataset, out, folds=folds, report=say)
    print(evaluate_folds(runs, dataset, out, progress=progress("evaluating")))
    if members > 1:
        together = out / f"members-{members}"
        print(f"\n{members} runs together:\n")
        print(evaluate_members(runs, dataset, together, members, progress=progress("evaluating")))


@app.command()
def evaluate(
    subject: Annotated[Path, typer.Argument(help="A run's or a bundle's folder.", metavar="RUN|BUNDLE")],
    data: Data,
    split: Annotated[str, typer.Option(help="Of a run: train, validation or test.")] = "test",
    fold: Annotated[
        list[int] | None, typer.Option(help="For a bundle: measure on this fold; all that it hasn't seen.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="For a bundle: where the results go.")] = None,
    cache: Cache = None,
) -> None:
    """Measure a run on a side of its split, or a bundle; writes results as JSON, Markdown, CSV, figures.

    For the bundle that comes with tumorlens, RUN|BUNDLE is "default".
    """
    need_training_extra()
    from tumorlens.dataset import open_dataset

    if str(subject) == "default" or (subject / "bundle.json").is_file():
        from tumorlens.bundle import open_bundle
        from tumorlens.evaluate.bundle import evaluate_bundle

        if out is None:
            raise TumorlensError("a bundle isn't written to; say where the results go with --out")
        bundle = open_bundle(None if str(subject) == "default" else subject)
        dataset = open_dataset(data, cache, progress("decoding"))
        for folder in evaluate_bundle(bundle, dataset, out, fold, progress("evaluating")):
            print((folder / "results.md").read_text())
            print(f"{folder}: results, slices and figures")
        return
    from tumorlens.evaluate.run import evaluate_run, evaluation_folders
    from tumorlens.train.run import Run
    from tumorlens.train.split import Side

    if split not in set(Side):
        raise TumorlensError(f"--split: expected {', '.join(Side)}, got {split}")
    trained = Run(subject)
    dataset = open_dataset(data, cache, progress("decoding"))
    evaluate_run(trained, dataset, Side(split), progress("evaluating"))
    for folder in evaluation_folders(trained, Side(split)).values():
        print((folder / "results.md").read_text())
        print(f"{folder}: results, slices and figures")


@app.command()
def calibrate(
    folder: Annotated[Path, typer.Argument(help="Of 'tumorlens cross-validate' with a joint recipe.")],
    out: Annotated[Path, typer.Option("--out", help="The judgement, a JSON file for 'tumorlens export'.")],
) -> None:
    """Fit temperature, words of confidence and limits of warnings to slices that no model was trained on."""
    need_training_extra()
    from tumorlens.evaluate.calibrate import calibrate as fit
    from tumorlens.evaluate.calibrate import write_judgement

    fitted = fit(folder)
    write_judgement(fitted, out)
    print(fitted.to_markdown())


@app.command()
def export(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders; what several tell is averaged."),
    ],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="The bundle's folder; new or empty.")],
    name: Annotated[str | None, typer.Option(help="Of the bundle; its folder's name by default.")] = None,
    precision: Annotated[str, typer.Option(help="fp32, fp16 (storage only) or int8.")] = "fp32",
    judgement: Annotated[Path | None, typer.Option(help="Of 'tumorlens calibrate'.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="A cross-validation's folder, whose results go into the bundle.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="The model card, a Markdown file.")] = None,
    cache: Cache = None,
) -> None:
    """Turn trained runs into a bundle that needs no PyTorch, each graph proven against its network."""
    need_training_extra()
    from tumorlens.bundle.manifest import Precision
    from tumorlens.dataset import open_dataset
    from tumorlens.evaluate.calibrate import cross_validation_results, read_judgement
    from tumorlens.train.export import export_runs
    from tumorlens.train.run import Run

    if precision not in set(Precision):
        raise TumorlensError(f"--precision: expected {', '.join(Precision)}, got {precision}")
    export_runs(
        [Run(folder) for folder in runs],
        open_dataset(data, cache, progress("decoding")),
        out,
        name=name or out.name,
        precision=Precision(precision),
        judgement=read_judgement(judgement) if judgement else None,
        results=cross_validation_results(results) if results else (),
        card=read_text(card) if card else None,
        report=say,
    )


@app.command()
def reproduce(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Gets both runs, their evaluations and index.html.")],
    recipes: Annotated[str, typer.Option(help="Which pair of recipes: lite, paper or smoke.")] = "lite",
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Do all of it in order: Table 1, both models, their evaluation, one page; skips what is already done."""
    need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.reproduce import recipe_pair, reproduce_all

    pair = recipe_pair(recipes, set_ or [])
    page = reproduce_all(
        pair,
        open_dataset(data, cache, progress("decoding")),
        out,
        report=say,
        progress=progress("evaluating"),
    )
    print(f"{page}: everything on one page")
