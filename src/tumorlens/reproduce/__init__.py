"""The whole paper in one command: both models trained, measured, and laid out on one page."""

from tumorlens.reproduce.steps import recipe_pair, reproduce_all

__all__ = ["recipe_pair", "reproduce_all"]
