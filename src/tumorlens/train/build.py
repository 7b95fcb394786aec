"""From a recipe to its network."""

from torch import nn

from tumorlens.model import AttentionUNet, JointNetwork, TumorClassifier
from tumorlens.model.weights import EncoderWeights
from tumorlens.train.recipe import JointRecipe, Recipe, SegmentationRecipe


def build_network(recipe: Recipe, weights: EncoderWeights | None) -> nn.Module:
    """The network of a recipe.

    Args:
        recipe: Says which.
        weights: The encoder's pretrained weights; None starts at random.

    Raises:
        TumorlensError: The encoder is unknown or unfit, or the weights don't fit it.
    """
    model = recipe.model
    if isinstance(recipe, JointRecipe):
        joint = recipe.model
        return JointNetwork(
            joint.encoder, joint.decoder_channels, joint.gray, weights, joint.context_layers, joint.dropout
        )
    if isinstance(recipe, SegmentationRecipe):
        return AttentionUNet(model.encoder, recipe.model.decoder_channels, model.gray, weights)
    return TumorClassifier(model.encoder, recipe.model.dropout, model.gray, weights)
