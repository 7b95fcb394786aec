"""The three tumor types of the dataset of Cheng et al. (PLOS ONE 2015)."""

import enum


class TumorType(enum.IntEnum):
    """A tumor type; its value is the label in the published files."""

    MENINGIOMA = 1
    GLIOMA = 2
    PITUITARY = 3

    def __str__(self) -> str:
        """As `title`: a bare number would say nothing to a reader."""
        return self.title

    __format__ = enum.Enum.__format__

    @property
    def title(self) -> str:
        """The name as a person reads it, such as ``pituitary tumor``."""
        return "pituitary tumor" if self is TumorType.PITUITARY else self.name.lower()

    @property
    def class_index(self) -> int:
        """The position in a model's class logits, 0 to 2."""
        return self.value - 1

    @classmethod
    def from_class_index(cls, index: int) -> "TumorType":
        """The inverse of `class_index`."""
        return cls(index + 1)
