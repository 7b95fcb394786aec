"""Random changes of training slices; the picture and its mask always under the same draw."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from tumorlens.train.recipe import AugmentationRecipe

_MOVED = 0.06  # share of the slice's side, where it is made smaller
_SHEARED = 6  # degrees, likewise


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


class RandomElastic(v2.Transform):  # type: ignore[misc] # torchvision ships no types
    """Bend a slice smoothly: displacements between those drawn at the nodes of a coarse grid.

    torchvision's own `v2.ElasticTransform` smooths a displacement drawn at each pixel, which takes about as
    long as a step of training.
    """

    def __init__(self, pixels: float) -> None:
        super().__init__()
        self.pixels = pixels

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, Tensor]:
        """Draw the displacements, once for all inputs."""
        rows, columns = flat_inputs[0].shape[-2:]
        nodes = int(torch.randint(3, 8, ()))
        drawn = torch.randn(1, 2, nodes, nodes).clamp(-2, 2) * self.pixels / 2 * torch.rand(())
        bent = interpolate(drawn, (rows, columns), mode="bicubic", align_corners=True)
        scale = torch.tensor([2 / columns, 2 / rows])  # to the [-1, 1] of torch's grids
        return {"displacement": bent.permute(0, 2, 3, 1) * scale}

    def transform(self, inpt: object, params: dict[str, Tensor]) -> object:
        """Bend an image or a mask."""
        return self._call_kernel(functional.elastic, inpt, displacement=params["displacement"])


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
    if recipe.zoom_out:
        smaller = v2.RandomAffine(
            0,
            translate=(_MOVED, _MOVED),
            scale=(1 - recipe.zoom_out, 1),
            shear=_SHEARED,
            interpolation=linear,
        )
        changes.append(v2.RandomApply([smaller], p=p / 2))
    if recipe.elastic:
        changes.append(v2.RandomApply([RandomElastic(recipe.elastic)], p=p / 2))
    if recipe.brightness or recipe.contrast:
        changes.append(sometimes(v2.ColorJitter(recipe.brightness, recipe.contrast)))
    if recipe.gamma:
        changes.append(sometimes(RandomGamma(recipe.gamma)))
    return changes
