"""What a network minimises, how its learning rate moves, and what is frozen when."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import lightning as L  # noqa: N812 - the name that Lightning's own documentation uses
import torch
from monai.losses.dice import DiceLoss
from monai.metrics.meandice import compute_dice
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_accuracy

from tumorlens.model.encoder import last_block
from tumorlens.train.datamodule import mixed_seed
from tumorlens.train.recipe import (
    ClassificationRecipe,
    PhaseRecipe,
    Recipe,
    SegmentationLossRecipe,
    SegmentationRecipe,
)
from tumorlens.train.share import Batch, MeanOverSlices, counts, parts_of, weighted
from tumorlens.tumor_type import TumorType

_MEASURED = ("loss", "score")


class TumorModule(L.LightningModule):
    """What both tasks share: phases, AdamW, the learning rate, the log.

    Everything random in an epoch follows from the recipe's seed and the epoch's number, so that a resumed
    run ends where an uninterrupted one does.
    """

    score_name: str

    def __init__(self, network: nn.Module, recipe: Recipe, steps_per_epoch: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.steps_per_epoch = steps_per_epoch
        self.at_once: int | None = None  # slices that go through the network together; a rank's share if None
        self.means = nn.ModuleDict(
            {f"{side}_{what}": MeanOverSlices() for side in ("train", "validation") for what in _MEASURED}
        )

    @abstractmethod
    def loss_and_score(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of a batch, weighted by its part in the step, and the mean score of it; both scalars."""

    def on_train_epoch_start(self) -> None:
        """Seed the epoch, each rank's dropout its own, and freeze what its phase freezes."""
        seed = self.recipe.training.seed * 1_000_003 + self.current_epoch
        torch.manual_seed(mixed_seed(seed, self.global_rank) if self.global_rank else seed)
        phase, _ = phase_at(self.recipe.training.phases, self.current_epoch)
        freeze(self.network, phase)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Forget the step before; its gradients make room for those that the parts add up."""
        del batch, batch_idx
        for optimizer in self.trainer.optimizers:
            optimizer.zero_grad()

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Nothing: Lightning calls this before the last part's backward pass."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step of the optimizer: all parts but the last go backward here, the last one in Lightning."""
        del batch_idx
        size = self.recipe.training.smaller_size(self.current_epoch)
        parts, whole = self._parts(batch if size is None else smaller(batch, size))
        for part in parts[:-1]:
            loss = self._logged("train", part, whole)
            with torch.autocast(loss.device.type, enabled=False):
                self.trainer.strategy.backward(loss, None)
        return self._logged("train", parts[-1], whole)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and score of slices never trained on, once training has come to epochs that are validated."""
        del batch_idx
        if self.current_epoch >= self.recipe.training.first_validated_epoch:
            parts, whole = self._parts(batch)
            for part in parts:
                self._logged("validation", part, whole)

    def configure_optimizers(self) -> Any:
        """AdamW on every weight, its learning rate set step by step; no decay on biases and norms."""
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for parameter in self.network.parameters():
            (decayed if parameter.ndim > 1 else free).append(parameter)
        groups = [
            {"params": decayed, "weight_decay": self.recipe.training.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=1.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(self.recipe.training.phases, step / self.steps_per_epoch)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _parts(self, batch: Batch) -> tuple[list[Batch], Tensor]:
        return weighted(parts_of(batch, self.at_once), self.trainer.world_size, self._over_ranks)

    def _over_ranks(self, numbers: Tensor) -> Tensor:
        return torch.as_tensor(self.trainer.strategy.reduce(numbers, reduce_op="sum"))

    def _logged(self, side: str, part: Batch, whole: Tensor) -> Tensor:
        loss, score = self.loss_and_score(part)
        slices = counts(part)[0]
        totals = {"loss": loss.detach() * (whole[0] / self.trainer.world_size), "score": score * slices}
        for what, total in totals.items():
            mean = self.means[f"{side}_{what}"]
            assert isinstance(mean, MeanOverSlices)  # noqa: S101 - a ModuleDict forgets what it holds
            mean.update(total, slices)
            self.log(f"{side}_{what}", mean, on_step=False, on_epoch=True)
        return loss


class SegmentationModule(TumorModule):
    """Binary cross-entropy plus Dice loss; scored by the mean Dice of the slices, at the model's size.

    Empty-mask policy: a slice where truth and prediction are both empty scores 1, where one is, 0.
    """

    score_name = "Dice"
    recipe: SegmentationRecipe

    def __init__(self, network: nn.Module, recipe: SegmentationRecipe, steps_per_epoch: int) -> None:
        super().__init__(network, recipe, steps_per_epoch)
        self._dice_loss = DiceLoss(sigmoid=True)

    def loss_and_score(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `TumorModule.loss_and_score`."""
        logits = self.network(batch.image)
        loss = segmentation_loss(logits.float(), batch.mask, self.recipe.loss, self._dice_loss)
        dice = compute_dice((logits > 0).float(), batch.mask.float(), ignore_empty=False)
        return loss * batch.weight[0], dice.mean()


class ClassificationModule(TumorModule):
    """Cross-entropy; scored by accuracy."""

    score_name = "accuracy"
    recipe: ClassificationRecipe

    def loss_and_score(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `TumorModule.loss_and_score`."""
        logits = self.network(batch.image).float()
        loss = type_loss(logits, batch, self.recipe.loss.label_smoothing)
        accuracy = multiclass_accuracy(logits, batch.label, num_classes=len(TumorType), average="micro")
        return loss * batch.weight[1], accuracy


def smaller(batch: Batch, size: int) -> Batch:
    """A batch with its slices and masks brought down to (size, size), each pixel where it was."""
    image = functional.interpolate(batch.image, size=(size, size), mode="bilinear", antialias=True)
    mask = functional.interpolate(batch.mask.float(), size=(size, size), mode="bilinear", antialias=True)
    return batch._replace(image=image, mask=mask > 0.5)


def segmentation_loss(
    logits: Tensor, mask: Tensor, weights: SegmentationLossRecipe, dice_loss: DiceLoss
) -> Tensor:
    """Binary cross-entropy plus Dice loss, weighted as the recipe says.

    Args:
        logits: (n, 1, rows, columns).
        mask: The same shape, booleans.
        weights: Of the two terms.
        dice_loss: MONAI's, on logits; one Dice a slice, then their mean.
    """
    target = mask.to(logits.dtype)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, target)
    loss: Tensor = weights.cross_entropy * cross_entropy + weights.dice * dice_loss(logits, target)
    return loss


def type_loss(logits: Tensor, batch: Batch, label_smoothing: float) -> Tensor:
    """The mean cross-entropy of the slices whose lesion looks as it did; 0 where there is none.

    Args:
        logits: (n, 3).
        batch: Of n slices.
        label_smoothing: In [0, 1].
    """
    each = functional.cross_entropy(logits, batch.label, reduction="none", label_smoothing=label_smoothing)
    counted = batch.natural.to(each.dtype)
    return (each * counted).sum() / counted.sum().clamp(min=1)


def phase_at(phases: tuple[PhaseRecipe, ...], epoch: float) -> tuple[PhaseRecipe, float]:
    """The phase that an epoch is in, and how many epochs of that phase are over.

    Past the end it is the last phase, at its end.
    """
    passed = epoch
    for phase in phases[:-1]:
        if passed < phase.epochs:
            return phase, passed
        passed -= phase.epochs
    return phases[-1], min(passed, phases[-1].epochs)


def learning_rate(phases: tuple[PhaseRecipe, ...], epoch: float) -> float:
    """The learning rate at a moment of training, ``epoch`` counted in fractions."""
    phase, passed = phase_at(phases, epoch)
    if passed < phase.warmup_epochs:
        return phase.learning_rate * max(passed / phase.warmup_epochs, 1e-3)
    if phase.schedule == "constant":
        return phase.learning_rate
    share = (passed - phase.warmup_epochs) / max(phase.epochs - phase.warmup_epochs, 1e-9)
    return phase.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def freeze(network: nn.Module, phase: PhaseRecipe) -> None:
    """Make trainable what a phase trains and freeze the rest; frozen batch norms keep their statistics.

    Frozen parts are set to evaluation mode, so that neither their batch norms nor their dropout act as in
    training.
    """
    network.train()
    network.requires_grad_(True)
    if phase.trainable == "all":
        return
    network.requires_grad_(False)
    network.eval()
    for part in _trained_parts(network, phase):
        part.requires_grad_(True)
        part.train()


def _trained_parts(network: nn.Module, phase: PhaseRecipe) -> Iterator[nn.Module]:
    """Everything behind the encoder, and with it the encoder's last block where the phase says so."""
    for name, part in network.named_children():
        if name != "encoder":
            yield part
        elif phase.trainable == "last-block":
            yield from last_block(part)
