"""The classifier gives three logits, whatever encoder it stands on."""

import pytest
import torch

from tumorlens.errors import TumorlensError
from tumorlens.model import TumorClassifier


@pytest.mark.parametrize(
    "encoder", ["resnet10t", "tf_efficientnet_lite0", "mobilenetv3_small_050", "convnext_atto"]
)
def test_there_are_three_logits_a_slice(encoder: str) -> None:
    network = TumorClassifier(encoder).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 64, 64)).shape == (1, 3)


def test_dropout_acts_in_training_only() -> None:
    network = TumorClassifier("test_resnet", dropout=0.5)
    x = torch.rand(2, 1, 64, 64)
    network.eval()
    torch.testing.assert_close(network(x), network(x), rtol=0, atol=0)
    network.dropout.train()
    assert not torch.equal(network(x), network(x))


def test_colored_slices_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"expected a batch \(n, 1, rows, columns\), got shape \(1, 3, 64, 64\)"
    ):
        TumorClassifier("test_resnet")(torch.zeros(1, 3, 64, 64))


def test_a_misspelt_encoder_is_told_its_nearest_neighbour() -> None:
    with pytest.raises(TumorlensError, match=r"'efficientnet_b00'.*efficientnet_b0"):
        TumorClassifier("efficientnet_b00")


def test_an_unknown_pretrained_tag_is_refused() -> None:
    with pytest.raises(TumorlensError, match="nonexistent"):
        TumorClassifier("resnet10t.nonexistent")
