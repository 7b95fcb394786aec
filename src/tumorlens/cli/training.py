"""The commands that need PyTorch: from a recipe to a bundle."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from tumorlens.dataset import TumorDataset
    from tumorlens.train.fan_out import Engine
    from tumorlens.train.ranks import Ranks

app = typer.Typer()

Devices = Annotated[
    int | None,
    typer.Option(
        min=1, help="GPUs of a machine, or processes where there is none, that train a run together."
    ),
]
Nodes = Annotated[
    int | None, typer.Option(min=1, help="Machines; start the command on each by torchrun or srun.")
]
AtOnce = Annotated[
    int | None,
    typer.Option(
        "--at-once",
        min=1,
        help="Slices that go through a device together; a step adds up as many parts as it needs.",
    ),
]
EngineName = Annotated[str, typer.Option("--engine", help="local, one after the other, or ray, as tasks.")]
Cpus = Annotated[int, typer.Option(min=1, help="Cores that each of Ray's tasks has.")]
Gpus = Annotated[float, typer.Option(min=0, help="GPUs that each of Ray's tasks has; 0.5 lets two share.")]


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
    devices: Devices = None,
    nodes: Nodes = None,
    at_once: AtOnce = None,
) -> None:
    """Train a model from a recipe."""
    need_training_extra()
    from tumorlens.train import trainer
    from tumorlens.train.recipe_file import load_recipe

    checked = load_recipe(recipe, set_ or [])
    with _ranks(devices, nodes, data, cache) as started:
        if started is not None:
            ranks, dataset = started
            trainer.train(checked, dataset, out, resume=resume, report=say, ranks=ranks, at_once=at_once)


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
    devices: Devices = None,
    nodes: Nodes = None,
    at_once: AtOnce = None,
    engine: EngineName = "local",
    cpus: Cpus = 1,
    gpus: Gpus = 0,
) -> None:
    """Train a recipe with each fold as the test side once; measure every slice by a model new to it."""
    need_training_extra()
    from tumorlens.evaluate.cross_validation import evaluate_folds, evaluate_members
    from tumorlens.train.cross_validation import cross_validate as run_folds
    from tumorlens.train.fan_out import Means
    from tumorlens.train.recipe_file import load_recipe

    checked, place = load_recipe(recipe, set_ or []), _engine(engine)
    with _ranks(devices, nodes, data, cache) as started:
        if started is None:
            return
        ranks, dataset = started
        means = Means(place, ranks, at_once, cpus, gpus)
        runs = run_folds(checked, dataset, out, folds=folds, report=say, means=means)
        if not ranks.leads:
            return
        print(evaluate_folds(runs, dataset, out, progress=progress("evaluating")))
        if members > 1:
            together = out / f"members-{members}"
            print(f"\n{members} runs together:\n")
            print(evaluate_members(runs, dataset, together, members, progress=progress("evaluating")))


@app.command()
def sweep(
    recipe: RecipeName,
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", help="Gets a run folder for each combination; goes on where it stopped.")
    ],
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="KEY=VALUE,VALUE,…",
            help="A recipe's key and its values, such as training.batch_size=8,16; once for each key.",
        ),
    ],
    set_: Set = None,
    cache: Cache = None,
    devices: Devices = None,
    nodes: Nodes = None,
    at_once: AtOnce = None,
    engine: EngineName = "local",
    cpus: Cpus = 1,
    gpus: Gpus = 0,
) -> None:
    """Train a recipe with every combination of some settings; one table, best validation score first."""
    need_training_extra()
    from tumorlens.train import sweep as sweeping
    from tumorlens.train.fan_out import Means

    place = _engine(engine)
    with _ranks(devices, nodes, data, cache) as started:
        if started is not None:
            ranks, dataset = started
            means = Means(place, ranks, at_once, cpus, gpus)
            table = sweeping.sweep(recipe, set_ or [], vary, dataset, out, means, say)
            if table is not None:
                print(table)


def _engine(name: str) -> "Engine":
    from tumorlens.train.fan_out import Engine

    if name not in set(Engine):
        raise TumorlensError(f"--engine: expected {' or '.join(Engine)}, got {name}")
    return Engine(name)


@contextlib.contextmanager
def _ranks(
    devices: int | None, nodes: int | None, data: Path, cache: Path | None
) -> "Iterator[tuple[Ranks, TumorDataset] | None]":
    """This process's place among those that train, and the dataset.

    None where processes of this machine had to be started, which have done the command's work by then.
    """
    from tumorlens.dataset import open_dataset
    from tumorlens.train.launch import launch, ranks_wanted, was_launched

    ranks = ranks_wanted(devices, nodes)
    if ranks is None:
        open_dataset(data, cache, progress("decoding"))  # once, before any of them looks
        launch(devices or 1, sys.argv[1:])
        yield None
        return
    try:
        with ranks.in_contact(), ranks.leader_first():
            dataset = open_dataset(data, cache, progress("decoding"))
        yield ranks, dataset
    except KeyboardInterrupt:
        if was_launched():  # the process that started this one says it
            raise SystemExit(1) from None
        raise


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
