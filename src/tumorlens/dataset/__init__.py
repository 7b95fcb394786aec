"""The dataset of Cheng et al.: download, records, cache, statistics."""

from tumorlens.dataset.cache import TumorDataset, open_dataset
from tumorlens.dataset.record import SliceRecord, read_record

__all__ = ["SliceRecord", "TumorDataset", "open_dataset", "read_record"]
