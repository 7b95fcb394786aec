"""The networks: a timm encoder, the attention U-Net that outlines, the classifier that names."""

from tumorlens.model.classifier import TumorClassifier
from tumorlens.model.joint import JointNetwork, JointOutputs
from tumorlens.model.unet import AttentionUNet

__all__ = ["AttentionUNet", "JointNetwork", "JointOutputs", "TumorClassifier"]
