"""What happens at the end of each epoch: the log, the best weights, the report, the checkpoint."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 - the name that Lightning's own documentation uses
import pandas as pd
import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO

from tumorlens import atomic
from tumorlens.errors import TumorlensError
from tumorlens.train.run import Run

Report = Callable[[str], None]
_VALUES = ("train_loss", "validation_loss", "train_score", "validation_score")


class EpochLog(Callback):
    """Keeps ``metrics.csv`` and the best weights up to date and reports each epoch in a line.

    Its rows are part of the checkpoint, and both files are written before it: whenever a run is killed, the
    resumed one writes the same rows and the same weights again. Of several ranks, the first does all of it.
    """

    def __init__(
        self, run: Run, score_name: str, slices: int, report: Report, *, validates: bool = True
    ) -> None:
        self.run = run
        self._validated_from = run.recipe.training.first_validated_epoch if validates else math.inf
        self.rows: list[dict[str, float]] = []
        self._score_name = score_name
        self._slices = slices
        self._report = report
        self._began = 0.0
        self._trained = 0.0

    @property
    def best(self) -> dict[str, float]:
        """The row of the best epoch: highest validation score, then lowest validation loss, then earliest.

        Without validation it is the last one.
        """
        validated = [row for row in self.rows if row["epoch"] >= self._validated_from]
        if not validated:
            return self.rows[-1]
        return max(
            validated, key=lambda row: (row["validation_score"], -row["validation_loss"], -row["epoch"])
        )

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.rows = state_dict["rows"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock of the training part."""
        self._trained = time.perf_counter() - self._began

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch and keep its weights if they are the best so far.

        Raises:
            TumorlensError: A loss or a score isn't a number; training on would only waste time.
        """
        if trainer.is_global_zero:
            self._keep(trainer, pl_module)

    def _keep(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        validated = trainer.current_epoch >= self._validated_from
        if not validated:
            self._trained = time.perf_counter() - self._began
        measured = [name for name in _VALUES if validated or name.startswith("train")]
        values = dict.fromkeys(_VALUES, math.nan)
        values |= {name: float(trainer.callback_metrics[name]) for name in measured}
        broken = [name for name in measured if not math.isfinite(values[name])]
        if broken:
            raise TumorlensError(
                f"epoch {trainer.current_epoch + 1}: {', '.join(broken)} is not a number; "
                "train again with a lower learning rate"
            )
        self.rows.append(
            {
                "epoch": trainer.current_epoch,
                **values,
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": round(time.perf_counter() - self._began, 3),
                "train_slices_per_second": round(self._slices / self._trained, 3),
            }
        )
        if self.best is self.rows[-1]:
            self.run.save_weights(pl_module.network)  # type: ignore[arg-type]
        self._save_phase(trainer.current_epoch, pl_module)
        with atomic.replacing(self.run.metrics) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)
        self._report(self._line(trainer))

    def _save_phase(self, epoch: int, pl_module: L.LightningModule) -> None:
        training = self.run.recipe.training
        if training.average_phases and epoch in training.phase_ends:
            number = training.phase_ends.index(epoch) + 1
            self.run.save_phase(number, pl_module.network)  # type: ignore[arg-type]

    def _line(self, trainer: L.Trainer) -> str:
        row = self.rows[-1]
        left = row["seconds"] * ((trainer.max_epochs or 0) - len(self.rows))
        best = ", best so far" if self.best is row else ""
        head = f"epoch {len(self.rows)}/{trainer.max_epochs}: "
        if row["epoch"] < self._validated_from:
            return (
                f"{head}loss {row['train_loss']:.4f}; {self._score_name} {row['train_score']:.4f}; "
                f"{row['seconds']:.0f} s, about {left / 60:.0f} min left"
            )
        return (
            f"{head}"
            f"loss {row['train_loss']:.4f} train, {row['validation_loss']:.4f} validation; "
            f"{self._score_name} {row['train_score']:.4f} train, {row['validation_score']:.4f} validation"
            f"{best}; "
            f"{row['seconds']:.0f} s, about {left / 60:.0f} min left"
        )


class PatienceInLastPhase(EarlyStopping):
    """Stops when the validation score hasn't improved for some epochs, counted within the last phase."""

    def __init__(self, patience: int, first_epoch: int) -> None:
        super().__init__(
            monitor="validation_score", mode="max", patience=patience, check_on_train_epoch_end=True
        )
        self._first_epoch = first_epoch

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once where a run is resumed whose patience had run out."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count from the last phase's first epoch on."""
        if trainer.current_epoch >= self._first_epoch:
            super().on_train_epoch_end(trainer, pl_module)


class ProgressBar(RichProgressBar):
    """Lightning's bar with time passed and left, gone when an epoch's line is there."""

    def __init__(self) -> None:
        super().__init__(leave=False)

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The numbers beside the bar, without that of a logger's version."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all, and that are read without unpickling code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """Write a checkpoint beside its place, then put it there."""
        del storage_options
        with atomic.replacing(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's complaint hides what the system said, such as a full disk
                if isinstance(error.__context__, OSError):
                    raise OSError(error.__context__.errno, error.__context__.strerror, str(path)) from error
                raise

    def load_checkpoint(
        self,
        path: _PATH,
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read tensors and plain values.

        Raises:
            TumorlensError: The file is damaged or holds anything else.
        """
        del weights_only
        try:
            return torch.load(path, map_location=map_location or "cpu", weights_only=True)  # type: ignore[no-any-return]
        except Exception as error:  # a damaged pickle raises whatever its garbled instructions run into
            reason = str(error).partition("\n")[0][:120] or type(error).__name__
            raise TumorlensError(
                f"{path}: expected the state after an epoch, but {reason}; "
                "delete this file to train the run from its start"
            ) from error
