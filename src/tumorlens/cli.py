"""The command line: thin functions, one a command. Exit codes: 0 done, 1 some inputs failed, 2 a mistake."""

import errno
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from tumorlens.errors import TumorlensError
from tumorlens.version import __version__

if TYPE_CHECKING:
    from tumorlens.analyze import Analyzer

T = TypeVar("T")

app = typer.Typer(
    help="Outline and name brain tumors on contrast-enhanced T1 MRI. Research use only; not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
dataset_app = typer.Typer(
    help="Download, check and look at the dataset of Cheng et al.", no_args_is_help=True
)
app.add_typer(dataset_app, name="dataset")
bundle_app = typer.Typer(help="Look at bundles and check them.", no_args_is_help=True)
app.add_typer(bundle_app, name="bundle")

Data = Annotated[Path, typer.Option("--data", help="Folder with the dataset's .mat files.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Where the decoded copy lies; inside the data folder by default."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a recipe's key, such as training.batch_size=8."
    ),
]
RecipeName = Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")]


def main() -> None:
    """Run the command line; a user's mistake becomes one line and exit code 2."""
    try:
        app()
    except TumorlensError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _stopped(130)
    except SystemExit as end:
        if end.code in (130, 143):  # typer swallows Ctrl-C and exits with this code without a word
            _stopped(int(end.code))
        raise
    except OSError as error:
        _fail(_disk_words(error))


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"tumorlens {__version__}")
        raise typer.Exit


@dataset_app.command("download")
def dataset_download(
    folder: Annotated[Path, typer.Argument(help="Where the .mat files go.")],
    api: Annotated[str | None, typer.Option(help="A server that answers like figshare's API.")] = None,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep the zips once unpacked.")
    ] = False,
) -> None:
    """Download the 3064 published slices (0.9 GB), check and unpack them; goes on where it stopped."""
    from tumorlens.dataset.download import FIGSHARE_API, download

    report = download(
        folder, api or FIGSHARE_API, keep_archives=keep_archives, show_progress=sys.stderr.isatty()
    )
    print(f"{report.folder}: {len(report.fetched)} files downloaded, {len(report.kept)} were there already")


@dataset_app.command("verify")
def dataset_verify(folder: Annotated[Path, typer.Argument(help="Folder with the .mat files.")]) -> None:
    """Read every file and compare with what was published; exit code 1 if any is missing or broken."""
    from tumorlens.dataset.verify import verify

    report = verify(folder, progress=_progress("reading"))
    print("\n".join(report.lines()))
    if not report.ok:
        raise typer.Exit(1)


@dataset_app.command("stats")
def dataset_stats(
    folder: Annotated[Path, typer.Argument(help="Folder with the .mat files.")],
    out: Annotated[Path, typer.Option(help="Picture of sample slices.")] = Path("samples.png"),
    cache: Cache = None,
) -> None:
    """Print the paper's Table 1 and draw sample slices of each tumor type with their outlines."""
    from tumorlens.dataset import open_dataset
    from tumorlens.dataset.statistics import sample_picture, statistics

    dataset = open_dataset(folder, cache, _progress("decoding"))
    print(statistics(dataset).to_markdown())
    sample_picture(dataset, out)
    print(f"{out}: sample slices of each tumor type")


@dataset_app.command("preview")
def dataset_preview(
    recipe: RecipeName,
    data: Data,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("preview.png"),
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Draw slices as a recipe augments them, with their outlines, as one PNG."""
    _need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.train.preview import draw_preview
    from tumorlens.train.recipe import load_recipe

    checked = load_recipe(recipe, set_ or [])
    draw_preview(checked, open_dataset(data, cache, _progress("decoding")), out)
    print(f"{out}: augmented slices with their outlines")


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
    _need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.train import trainer
    from tumorlens.train.recipe import load_recipe

    checked = load_recipe(recipe, set_ or [])
    dataset = open_dataset(data, cache, _progress("decoding"))
    trainer.train(checked, dataset, out, resume=resume, report=_say)


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
    _need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.evaluate.cross_validation import evaluate_folds, evaluate_members
    from tumorlens.train.cross_validation import cross_validate as run_folds
    from tumorlens.train.recipe import load_recipe

    checked = load_recipe(recipe, set_ or [])
    dataset = open_dataset(data, cache, _progress("decoding"))
    runs = run_folds(checked, dataset, out, folds=folds, report=_say)
    print(evaluate_folds(runs, dataset, out, progress=_progress("evaluating")))
    if members > 1:
        together = out / f"members-{members}"
        print(f"\n{members} runs together:\n")
        print(evaluate_members(runs, dataset, together, members, progress=_progress("evaluating")))


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
    _need_training_extra()
    from tumorlens.dataset import open_dataset

    if str(subject) == "default" or (subject / "bundle.json").is_file():
        from tumorlens.bundle import open_bundle
        from tumorlens.evaluate.bundle import evaluate_bundle

        if out is None:
            raise TumorlensError("a bundle isn't written to; say where the results go with --out")
        bundle = open_bundle(None if str(subject) == "default" else subject)
        dataset = open_dataset(data, cache, _progress("decoding"))
        for folder in evaluate_bundle(bundle, dataset, out, fold, _progress("evaluating")):
            print((folder / "results.md").read_text())
            print(f"{folder}: results, slices and figures")
        return
    from tumorlens.evaluate.run import evaluate_run, evaluation_folders
    from tumorlens.train.run import Run
    from tumorlens.train.split import Side

    if split not in set(Side):
        raise TumorlensError(f"--split: expected {', '.join(Side)}, got {split}")
    trained = Run(subject)
    dataset = open_dataset(data, cache, _progress("decoding"))
    evaluate_run(trained, dataset, Side(split), _progress("evaluating"))
    for folder in evaluation_folders(trained, Side(split)).values():
        print((folder / "results.md").read_text())
        print(f"{folder}: results, slices and figures")


@app.command()
def predict(
    slices: Annotated[list[Path], typer.Argument(metavar="SLICE...", help=".mat, PNG or JPEG files.")],
    out: Annotated[
        Path, typer.Option("--out", help="Gets a mask, an overlay, a heatmap and a JSON for each slice.")
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle of 'tumorlens export'; by default the one that comes along.")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Instead of a bundle, a run that outlines, one that names, or both."),
    ] = None,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Tint pixels that may or may not be tumor in the overlays.")
    ] = False,
) -> None:
    """Outline and name the tumor on slices. Research use only; not a diagnosis."""
    from tumorlens.analyze import Analyzer
    from tumorlens.predict import predict_files

    if run and bundle:
        raise TumorlensError("expected --bundle or --run, got both")
    analyzer = _runs_analyzer(run) if run else Analyzer(bundle)
    failures = predict_files(analyzer, slices, out, report=_say, uncertainty=uncertainty)
    for failure in failures:
        print(f"tumorlens: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(2 if len(failures) == len(slices) else 1)


@app.command()
def calibrate(
    folder: Annotated[Path, typer.Argument(help="Of 'tumorlens cross-validate' with a joint recipe.")],
    out: Annotated[Path, typer.Option("--out", help="The judgement, a JSON file for 'tumorlens export'.")],
) -> None:
    """Fit temperature, words of confidence and limits of warnings to slices that no model was trained on."""
    _need_training_extra()
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
    cache: Cache = None,
) -> None:
    """Turn trained runs into a bundle that needs no PyTorch, each graph proven against its network."""
    _need_training_extra()
    from tumorlens.bundle.manifest import Precision
    from tumorlens.dataset import open_dataset
    from tumorlens.evaluate.calibrate import cross_validation_results, read_judgement
    from tumorlens.train.export import export_runs
    from tumorlens.train.run import Run

    if precision not in set(Precision):
        raise TumorlensError(f"--precision: expected {', '.join(Precision)}, got {precision}")
    export_runs(
        [Run(folder) for folder in runs],
        open_dataset(data, cache, _progress("decoding")),
        out,
        name=name or out.name,
        precision=Precision(precision),
        judgement=read_judgement(judgement) if judgement else None,
        results=cross_validation_results(results) if results else (),
        report=_say,
    )


@bundle_app.command("info")
def bundle_info(
    path: Annotated[
        Path | None, typer.Argument(help="A bundle's folder; the default bundle's if none.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The whole manifest as JSON.")] = False,
) -> None:
    """Print what a bundle says of itself: models, calibration, training, measured results."""
    from tumorlens.bundle import open_bundle
    from tumorlens.bundle.describe import describe
    from tumorlens.bundle.manifest import dump

    bundle = open_bundle(path)
    print(dump(bundle.manifest).rstrip() if json else describe(bundle.manifest))


@bundle_app.command("verify")
def bundle_verify(
    path: Annotated[
        Path | None, typer.Argument(help="A bundle's folder; the default bundle's if none.")
    ] = None,
) -> None:
    """Check every file of a bundle against its SHA-256 and load it."""
    from tumorlens.bundle import open_bundle

    bundle = open_bundle(path)
    bundle.verify()
    print(f"{bundle.manifest.name}: {len(bundle.manifest.members)} files are what its manifest says")


@app.command()
def reproduce(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Gets both runs, their evaluations and index.html.")],
    recipes: Annotated[str, typer.Option(help="Which pair of recipes: lite, paper or smoke.")] = "lite",
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Do all of it in order: Table 1, both models, their evaluation, one page; skips what is already done."""
    _need_training_extra()
    from tumorlens.dataset import open_dataset
    from tumorlens.reproduce import recipe_pair, reproduce_all

    pair = recipe_pair(recipes, set_ or [])
    page = reproduce_all(
        pair,
        open_dataset(data, cache, _progress("decoding")),
        out,
        report=_say,
        progress=_progress("evaluating"),
    )
    print(f"{page}: everything on one page")


def _runs_analyzer(folders: list[Path]) -> "Analyzer":
    _need_training_extra()
    from tumorlens.analyze import Analyzer
    from tumorlens.train.inference import runs_ensemble
    from tumorlens.train.run import Run

    return Analyzer(runs_ensemble([Run(folder) for folder in folders]))


def _progress(description: str) -> Callable[[Iterable[T]], Iterable[T]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    return lambda items: track(
        items, description, console=console, disable=not console.is_terminal, transient=True
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _need_training_extra() -> None:
    if importlib.util.find_spec("lightning") is None or importlib.util.find_spec("torch") is None:
        raise TumorlensError(
            "this command needs PyTorch and more; install them with: pip install 'tumorlens[train]'"
        )


def _disk_words(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}the disk is full; nothing half-written was left; free some space and run this again"
    return f"{where}{error.strerror or error}"


def _stopped(code: int) -> None:
    print("tumorlens: interrupted; what was finished is whole", file=sys.stderr)
    sys.exit(code)


def _fail(message: str) -> None:
    print(f"tumorlens: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
