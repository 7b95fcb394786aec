"""The bundle: a folder with everything that analysis needs of a training, and nothing that is executed."""

from tumorlens.bundle.bundle import Bundle, default_bundle, open_bundle
from tumorlens.bundle.manifest import SCHEMA_VERSION, Manifest

__all__ = ["SCHEMA_VERSION", "Bundle", "Manifest", "default_bundle", "open_bundle"]
