"""`train`: a recipe, a dataset and a folder in, a finished run out."""

import contextlib
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 - the name that Lightning's own documentation uses
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from tumorlens.atomic import HALF_WRITTEN
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.lock import LOCK, alone_in
from tumorlens.model.weights import EncoderWeights, resolve_weights
from tumorlens.train.build import build_network
from tumorlens.train.callbacks import AtomicCheckpoints, EpochLog, PatienceInLastPhase, ProgressBar, Report
from tumorlens.train.datamodule import SliceDataModule
from tumorlens.train.joint import JointModule
from tumorlens.train.module import ClassificationModule, SegmentationModule, TumorModule
from tumorlens.train.precision import keep_depthwise_in_32_bits, resolve_precision
from tumorlens.train.ranks import SILENCE, Ranks, SameStatistics
from tumorlens.train.recipe import JointRecipe, Recipe, SegmentationRecipe
from tumorlens.train.run import Run
from tumorlens.train.split import Side, Split, make_split

ALONE = Ranks()


def train(
    recipe: Recipe,
    dataset: TumorDataset,
    folder: Path,
    *,
    split: Split | None = None,
    resume: bool = False,
    report: Report = print,
    ranks: Ranks = ALONE,
    at_once: int | None = None,
) -> Run:
    """Train a model, or go on with one that was interrupted.

    Args:
        recipe: What to train and how.
        dataset: What to train on.
        folder: Where the run goes; new or empty, unless ``resume``.
        split: Which slices are on which side; as the recipe says if None.
        resume: Go on after the last whole epoch of the run in ``folder``; with none there, start.
        report: Told in a line what is going on, on the rank that leads.
        ranks: The processes that train it together; each calls this with the same arguments.
        at_once: How many slices of a step go through a device together at most; all of a rank's if None.

    Returns:
        The finished run. Resumed after a kill at any moment, it is the same as uninterrupted (on a CPU, on as
        many ranks and threads).

    Raises:
        TumorlensError: The folder holds another run, or one that is being trained; the weights can't be
            reached, or the split can't be made.
        OSError: The disk is full or can't be written.
    """
    _quiet()
    if not ranks.leads:
        report = _silent
    with contextlib.ExitStack() as claimed, ranks.in_contact():
        run, weights = _begin(recipe, dataset, folder, split, resume, ranks, at_once, claimed)
        if run.is_finished:
            report(f"{folder}: already trained to its end")
            return run
        source = run.record.weights
        report(
            f"{recipe.name}: {recipe.model.encoder} from {source['source'] if source else 'a random start'}"
        )
        with ranks.leader_first():
            data = SliceDataModule(dataset, run.split, recipe, ranks.rank, ranks.world)
        report(", ".join(f"{data.slices(side)} slices to {side}" for side in Side))
        module = make_module(recipe, weights, data.steps_per_epoch)
        module.at_once = at_once
        validates = bool(data.slices(Side.VALIDATION))
        log = EpochLog(run, module.score_name, data.slices(Side.TRAIN), report, validates=validates)
        has_checkpoint = ranks.agree(run.last_checkpoint.is_file)
        _fit(run, module, data, log, run.last_checkpoint if has_checkpoint else None, ranks)
        return ranks.agree(lambda: _finish(run, log, validates, module.score_name, report))


def _silent(line: str) -> None:
    """What a rank reports that doesn't lead."""


def _begin(
    recipe: Recipe,
    dataset: TumorDataset,
    folder: Path,
    split: Split | None,
    resume: bool,
    ranks: Ranks,
    at_once: int | None,
    claimed: contextlib.ExitStack,
) -> tuple[Run, EncoderWeights | None]:
    """The run, opened by the rank that leads; it alone has the weights, which the others get from it."""
    weights = None

    def opened() -> Run:
        nonlocal weights
        if not _needs_no_claim(folder):
            claimed.enter_context(_claim(folder))
        run, weights = _open_run(recipe, dataset, folder, split, resume)
        if not run.is_finished:
            run.train_on(ranks.world, ranks.nodes, at_once)
        return run

    return ranks.agree(opened), weights


def _needs_no_claim(folder: Path) -> bool:
    """Whether it is a run that is finished, maybe somebody else's, or no folder at all but a file."""
    if folder.exists() and not folder.is_dir():
        return True
    return (folder / "run.json").is_file() and Run(folder).is_finished


@contextlib.contextmanager
def _claim(folder: Path) -> Iterator[None]:
    """Have a folder alone; where no run began there, it is left as it was."""
    is_new = not folder.exists()
    with alone_in(folder):
        try:
            yield
        finally:
            if not (folder / "run.json").is_file():
                with contextlib.suppress(OSError):
                    (folder / LOCK).unlink(missing_ok=True)
                    if is_new:
                        folder.rmdir()


def _finish(run: Run, log: EpochLog, validates: bool, score_name: str, report: Report) -> Run:
    if run.recipe.training.average_phases:
        run.average_phases()
    best = int(log.best["epoch"])
    run.finish(best, log.best["validation_score"] if validates else None)
    if validates:
        report(f"best epoch {best + 1}: validation {score_name} {run.record.best_score:.4f}")
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
    leftovers = {LOCK, "recipe.yaml", "split.json"} if resume else {LOCK}
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
    for partial in [*folder.glob(HALF_WRITTEN), *folder.glob(f"checkpoints/{HALF_WRITTEN}")]:
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
    run: Run,
    module: TumorModule,
    data: SliceDataModule,
    log: EpochLog,
    checkpoint: Path | None,
    ranks: Ranks,
) -> None:
    training = run.recipe.training
    precision = resolve_precision(training.precision)
    if precision == "bf16-mixed" and not torch.cuda.is_available():
        keep_depthwise_in_32_bits(module.network)
    if ranks.world > 1 and torch.cuda.is_available():
        # Lightning's own way would drop the activations that timm's batch norms have within.
        module.network = convert_sync_batchnorm(module.network)  # type: ignore[no-untyped-call]
    callbacks: list[Callback] = [
        SameStatistics(),
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
        **_devices(run.recipe, ranks),
        precision=precision,  # type: ignore[arg-type] # Lightning lists its names in a type of its own
        callbacks=callbacks,
        plugins=[AtomicCheckpoints(), *_environments()],
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


def _devices(recipe: Recipe, ranks: Ranks) -> dict[str, Any]:
    """Lightning's words for where to train."""
    if ranks.world == 1:
        return {"accelerator": "auto", "devices": 1}
    strategy = DDPStrategy(
        timeout=SILENCE,
        broadcast_buffers=False,  # see `SameStatistics`
        find_unused_parameters=any(phase.trainable != "all" for phase in recipe.training.phases),
    )
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    return {
        "accelerator": accelerator,
        "devices": ranks.devices,
        "num_nodes": ranks.nodes,
        "strategy": strategy,
    }


def _environments() -> list[SLURMEnvironment]:
    """SLURM without Lightning's own requeuing, whose checkpoints are in the middle of an epoch."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def _quiet() -> None:
    """Lightning's advice to its own developers isn't for the users of this program."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
