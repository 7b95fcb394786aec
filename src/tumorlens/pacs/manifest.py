"""Which file in a pulled folder is which instance: file names say nothing of a patient, the list has UIDs."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tumorlens.atomic import write_text
from tumorlens.errors import TumorlensError
from tumorlens.pacs.entry import InstanceEntry, SeriesEntry

MANIFEST = "manifest.json"


class ManifestSeries(BaseModel):
    """A series' folder.

    Attributes:
        folder: Its name, such as ``series-1``.
        uid: SeriesInstanceUID.
        files: SOPInstanceUID by file name, such as ``000001.dcm``.
    """

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(pattern=r"^series-\d+$")
    uid: str
    files: dict[str, str] = Field(default_factory=dict)

    def assign(self, instances: list[InstanceEntry]) -> None:
        """Give every instance a file's name; those that have one keep it."""
        named = set(self.files.values())
        for entry in instances:
            if entry.uid not in named:
                self.files[f"{len(self.files) + 1:06d}.dcm"] = entry.uid


class Manifest(BaseModel):
    """The list.

    Attributes:
        study: StudyInstanceUID.
        series: In the order of their folders' numbers.
    """

    model_config = ConfigDict(extra="forbid")

    study: str
    series: list[ManifestSeries] = Field(default_factory=list)

    def series_of(self, entry: SeriesEntry) -> ManifestSeries:
        """The part for a series; added where it is new."""
        for each in self.series:
            if each.uid == entry.uid:
                return each
        added = ManifestSeries(folder=f"series-{len(self.series) + 1}", uid=entry.uid)
        self.series.append(added)
        return added

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_text(folder / MANIFEST, self.model_dump_json(indent=2) + "\n")


def open_manifest(folder: Path, study_uid: str) -> Manifest:
    """A folder's manifest, or a new one.

    Raises:
        TumorlensError: It is damaged, or of another study.
    """
    path = folder / MANIFEST
    if not path.exists():
        return Manifest(study=study_uid)
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise TumorlensError(f"{path}: expected the list of a pulled study; choose another folder") from error
    if manifest.study != study_uid:
        raise TumorlensError(f"{folder}: holds another study; choose another folder")
    return manifest
