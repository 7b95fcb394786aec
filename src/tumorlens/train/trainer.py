"""`train`: a recipe, a dataset and a folder in, a finished run out."""

import logging
import signal
import sys
import warnings
from pathlib import Path

import lightning as L  # noqa: N812 - the name that Lightning's own documentation uses
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.model.weights import EncoderWeights, resolve_weights
from tumorlens.train.build import build_network
from tumorlens.train.callbacks import AtomicCheckpoints, EpochLog, PatienceInLastPhase, ProgressBar, Report
from tumorlens.train.datamodule import SliceDataModule
from tumorlens.train.joint import JointModule
from tumorlens.train.module import ClassificationModule, SegmentationModule, TumorModule
from tumorlens.train.precision import keep_depthwise_in_32_bits, resolve_precision
from tumorlens.train.recipe import JointRecipe, Recipe, SegmentationRecipe
from tumorlens.train.run import Run
from tumorlens.train.split import Side, Split, make_split


def train(
    recipe: Recipe,
    dataset: TumorDataset,
    folder: Path,
    *,
    split: Split | None = None,
    resume: bool = False,
    report: Report = print,
) -> Run:
    """Train a model, or go on with one that was interrupted.

    Args:
        recipe: What to train and how.
        dataset: What to train on.
        folder: Where the run goes; new or empty, unless ``resume``.
        split: Which slices are on which side; as the recipe says if None.
        resume: Go on after the last whole epoch of the run in ``folder``; with none there, start.
        report: Told in a line what is going on.

    Returns:
        The finished run. Resumed after a kill at any moment, it is the same as uninterrupted.

    Raises:
        TumorlensError: The folder holds another run, the weights can't be reached or the split can't be made.
        OSError: The disk is full or can't be written.
    """
    _quiet()
    run, weights = _open_run(recipe, dataset, folder, split, resume)
    if run.is_finished:
        report(f"{folder}: already trained to its end")
        return run
    source = run.record.weights
    report(f"{recipe.name}: {recipe.model.encoder} from {source['source'] if source else 'a random start'}")
    data = SliceDataModule(dataset, run.split, recipe)
    report(", ".join(f"{data.slices(side)} slices to {side}" for side in Side))
    module = make_module(recipe, weights, data.steps_per_epoch)
    validates = bool(data.slices(Side.VALIDATION))
    log = EpochLog(run, module.score_name, data.slices(Side.TRAIN), report, validates=validates)
    checkpoint = run.last_checkpoint if run.last_checkpoint.is_file() else None
    _fit(run, module, data, log, checkpoint)
    if recipe.training.average_phases:
        run.average_phases()
    best = int(log.best["epoch"])
    run.finish(best, log.best["validation_score"] if validates else None)
    if validates:
        report(f"best epoch {best + 1}: validation {module.score_name} {run.record.best_score:.4f}")
    return run


def _open_run(
    recipe: Recipe, dataset: TumorDataset, folder: Path, split: Split | None, resume: bool
) -> tuple[Run, EncoderWeights | None]:
    """The run in a folder, with the weights that it starts from where it starts."""
    if resume:
        _sweep(folder)
    if (folder / "run.json").is_file():
        if not resume:
            raise TumorlensError(
                f"{folder}: expected an empty folder, found a run; go on with it by --resume"
            )
        run = Run(folder)
        if _what_trains(run.recipe) != _what_trains(recipe):
            raise TumorlensError(
                f"{folder}: expected the recipe that the run began with (recipe.yaml there), got another"
            )
        run.use_as(recipe.analysis)
        if run.is_finished or run.last_checkpoint.is_file():
            return run, None
        return run, resolve_weights(recipe.model.encoder, recipe.model.weights)
    leftovers = {"recipe.yaml", "split.json"} if resume else set()
    if folder.exists() and (not folder.is_dir() or {entry.name for entry in folder.iterdir()} - leftovers):
        raise TumorlensError(f"{folder}: expected a new or empty folder, found other files in it")
    split = split or make_split(dataset, recipe.split)
    weights = resolve_weights(recipe.model.encoder, recipe.model.weights)
    _try_out(build_network(recipe, weights), recipe)  # what can't work is told before anything is written
    origin = {"source": weights.source, "sha256": weights.sha256} if weights else None
    return Run.create(folder, recipe, split, dataset, origin), weights


def _what_trains(recipe: Recipe) -> dict[str, object]:
    """The part of a recipe that the weights depend on."""
    return recipe.model_dump(exclude={"analysis": True, "training": {"workers"}})


def _sweep(folder: Path) -> None:
    """Remove what a killed process had half written."""
    for partial in [*folder.glob(".*.partial"), *folder.glob("checkpoints/.*.partial")]:
        partial.unlink(missing_ok=True)


def _try_out(network: nn.Module, recipe: Recipe) -> None:
    """Make sure that a network takes slices of the recipe's sizes; some encoders take only some sizes."""
    network.eval()
    for size in (recipe.size, *(stage.size for stage in recipe.training.smaller_first)):
        try:
            with torch.inference_mode():
                network(torch.zeros(1, 1, size, size))
        except (ValueError, RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise TumorlensError(
                f"size: expected one that {recipe.model.encoder} takes, got {size}: {reason}"
            ) from error


def make_module(recipe: Recipe, weights: EncoderWeights | None, steps_per_epoch: int) -> TumorModule:
    """The module of a recipe, its new layers drawn from the recipe's seed."""
    torch.manual_seed(recipe.training.seed)
    network = build_network(recipe, weights)
    if isinstance(recipe, JointRecipe):
        return JointModule(network, recipe, steps_per_epoch)
    if isinstance(recipe, SegmentationRecipe):
        return SegmentationModule(network, recipe, steps_per_epoch)
    return ClassificationModule(network, recipe, steps_per_epoch)


def _fit(
    run: Run, module: TumorModule, data: SliceDataModule, log: EpochLog, checkpoint: Path | None
) -> None:
    training = run.recipe.training
    precision = resolve_precision(training.precision)
    if precision == "bf16-mixed" and not torch.cuda.is_available():
        keep_depthwise_in_32_bits(module.network)
    callbacks: list[Callback] = [
        log,
        ModelCheckpoint(
            run.last_checkpoint.parent,
            filename="last",
            save_top_k=1,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        ),
    ]
    if data.slices(Side.VALIDATION):
        last_phase = training.epochs - training.phases[-1].epochs
        callbacks.append(
            PatienceInLastPhase(training.patience, max(last_phase, training.first_validated_epoch))
        )
    shows_progress = sys.stdout.isatty()
    if shows_progress:
        callbacks.append(ProgressBar())
    trainer = L.Trainer(
        default_root_dir=run.folder,
        max_epochs=training.epochs,
        accelerator="auto",
        devices=1,
        precision=precision,  # type: ignore[arg-type] # Lightning lists its names in a type of its own
        callbacks=callbacks,
        plugins=[AtomicCheckpoints()],
        logger=TensorBoardLogger(run.folder, name="", version="tensorboard"),
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        limit_val_batches=None if data.slices(Side.VALIDATION) else 0,
        enable_progress_bar=shows_progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    stop_handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as stop:  # what Lightning makes of a termination and of Ctrl-C, which it then ignores
        if trainer.received_sigterm:
            raise SystemExit(128 + signal.SIGTERM) from stop
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, stop_handler)
        raise KeyboardInterrupt from stop


def _quiet() -> None:
    """Lightning's advice to its own developers isn't for the users of this program."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
