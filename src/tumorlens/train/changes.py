"""All random changes of a training slice, in their order."""

from torch import Tensor

from tumorlens.dataset.prepared import PreparedSlices
from tumorlens.train.augmentation import Augmentation
from tumorlens.train.lesion import LesionChange
from tumorlens.train.recipe import AugmentationRecipe
from tumorlens.train.transplant import Donors, Transplant


class Changes:
    """The changes of a recipe's augmentation, drawn anew for each slice from a seed of its own.

    Args:
        recipe: Which.
        size: The slices' width and height in pixels.
        slices: Of the whole dataset, where lesions of other slices are wanted.
        donors: Whose lesions; None for none.
    """

    def __init__(
        self,
        recipe: AugmentationRecipe,
        size: int,
        slices: PreparedSlices | None = None,
        donors: Donors | None = None,
    ) -> None:
        self._transplant = None
        if slices is not None and donors is not None:
            self._transplant = Transplant(slices, donors, recipe.transplant_probability)
        self._lesion = LesionChange(recipe)
        self._augmentation = Augmentation(recipe, size)

    def __call__(self, image: Tensor, mask: Tensor, position: int, seed: int) -> tuple[Tensor, Tensor, bool]:
        """Change a slice and its mask alike.

        Args:
            image: (1, size, size) in [0, 1].
            mask: (1, size, size), booleans.
            position: The slice's, in the dataset.
            seed: Decides every draw, whatever process this runs in.

        Returns:
            The same shapes, types and ranges, and whether the lesion looks as scanned, so that it tells its
            type.
        """
        transplanted, changed = False, False
        if self._transplant is not None:
            image, mask, transplanted = self._transplant(image, mask, position, seed)
        if not transplanted:
            image, mask, changed = self._lesion(image, mask, seed)
        return *self._augmentation(image, mask, seed), not changed
