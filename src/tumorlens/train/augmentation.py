"""Random changes of training slices; the picture and its mask always under the same draw."""

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from tumorlens.train.recipe import AugmentationRecipe


class RandomGamma(v2.Transform):  # type: ignore[misc] # torchvision ships no types
    """Raise intensities in [0, 1] to 2^u, u uniform in [−octaves, octaves]."""

    def __init__(self, octaves: float) -> None:
        super().__init__()
        self.octaves = octaves

    def make_params(self, flat_inputs: list[object]) -> dict[str, float]:
        """Draw the exponent, once for all inputs."""
        del flat_inputs
        return {"gamma": 2.0 ** float(torch.empty(()).uniform_(-self.octaves, self.octaves))}

    def transform(self, inpt: object, params: dict[str, float]) -> object:
        """Change an image; leave a mask alone."""
        if isinstance(inpt, tv_tensors.Image):
            return self._call_kernel(functional.adjust_gamma, inpt, gamma=params["gamma"])
        return inpt


class Augmentation:
    """The changes of a recipe, drawn anew for each slice from a seed of its own."""

    def __init__(self, recipe: AugmentationRecipe, size: int) -> None:
        self._transform = v2.Compose(_changes(recipe, size)) if _changes(recipe, size) else None

    def __call__(self, image: Tensor, mask: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Change a slice and its mask alike.

        Args:
            image: (1, size, size) in [0, 1].
            mask: (1, size, size), booleans.
            seed: Decides every draw, whatever process this runs in.

        Returns:
            The same shapes, types and ranges.
        """
        if self._transform is None:
            return image, mask
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            image, mask = self._transform(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return image.as_subclass(Tensor).clamp(0, 1), mask.as_subclass(Tensor)


def _changes(recipe: AugmentationRecipe, size: int) -> list[v2.Transform]:
    linear = functional.InterpolationMode.BILINEAR
    p = recipe.probability

    def sometimes(change: v2.Transform) -> v2.Transform:
        return v2.RandomApply([change], p=p)

    changes: list[v2.Transform] = []
    if recipe.horizontal_flip:
        changes.append(v2.RandomHorizontalFlip(p))
    if recipe.vertical_flip:
        changes.append(v2.RandomVerticalFlip(p))
    if recipe.rotation:
        changes.append(sometimes(v2.RandomRotation(recipe.rotation, interpolation=linear)))
    if recipe.crop < 1:
        crop = v2.RandomResizedCrop(size, scale=(recipe.crop, 1), ratio=(0.9, 1 / 0.9), interpolation=linear)
        changes.append(sometimes(crop))
    if recipe.brightness or recipe.contrast:
        changes.append(sometimes(v2.ColorJitter(recipe.brightness, recipe.contrast)))
    if recipe.gamma:
        changes.append(sometimes(RandomGamma(recipe.gamma)))
    return changes
