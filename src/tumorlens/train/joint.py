"""What one network with two heads minimises."""

from monai.losses.dice import DiceLoss
from monai.metrics.meandice import compute_dice
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_accuracy

from tumorlens.train.module import TumorModule, segmentation_loss, type_loss
from tumorlens.train.recipe import JointRecipe
from tumorlens.train.share import Batch
from tumorlens.tumor_type import TumorType


class JointModule(TumorModule):
    """Both tasks' losses and the attention's guidance; scored by the mean of Dice and accuracy.

    Empty-mask policy of the Dice score: as `SegmentationModule`.
    """

    score_name = "mean of Dice and accuracy"
    recipe: JointRecipe

    def __init__(self, network: nn.Module, recipe: JointRecipe, steps_per_epoch: int) -> None:
        super().__init__(network, recipe, steps_per_epoch)
        self._dice_loss = DiceLoss(sigmoid=True)

    def loss_and_score(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `TumorModule.loss_and_score`."""
        outputs = self.network(batch.image)
        weights = self.recipe.loss
        mask_logits, class_logits = outputs.mask_logits.float(), outputs.class_logits.float()
        loss = (
            segmentation_loss(mask_logits, batch.mask, weights, self._dice_loss) * batch.weight[0]
            + weights.type * type_loss(class_logits, batch, weights.label_smoothing) * batch.weight[1]
            + weights.guidance * attention_outside(outputs.attention.float(), batch.mask) * batch.weight[2]
        )
        dice = compute_dice((mask_logits > 0).float(), batch.mask.float(), ignore_empty=False).mean()
        accuracy = multiclass_accuracy(class_logits, batch.label, num_classes=len(TumorType), average="micro")
        return loss, (dice + accuracy) / 2


def attention_outside(attention: Tensor, mask: Tensor) -> Tensor:
    """The mean share of attention that lies outside the tumor, its mask dilated by one position.

    Args:
        attention: (n, 1, r, c), not negative, sums to 1.
        mask: (n, 1, rows, columns), booleans; rows and columns multiples of r and c.

    Returns:
        A scalar in [0, 1]; slices without a tumor don't count.
    """
    coarse = functional.adaptive_max_pool2d(mask.to(attention.dtype), attention.shape[2:])
    dilated = functional.max_pool2d(coarse, 3, stride=1, padding=1)
    outside = (attention * (1 - dilated)).sum((1, 2, 3))
    shown = mask.flatten(1).any(1).to(attention.dtype)
    return (outside * shown).sum() / shown.sum().clamp(min=1)
