"""The units of a tree of folders, listed while they are worked on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tumorlens.batch.unit import StoredFile, Unit, blocks
from tumorlens.scan.reader import is_single_name

_NO_SCAN = (
    *(".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".htm", ".pdf", ".log"),
    *(".yaml", ".yml", ".parquet", ".py", ".doc", ".docx", ".xls", ".xlsx", ".sha256", ".md5"),
)
_NO_SCAN_NAMES = ("readme", "license", "licence", "copying", "changelog", "version", "makefile", "dicomdir")
_BLOCK = 10_000  # names that are sorted together, so that a folder of millions needs no more memory
_DEEPEST = 100  # folders in each other
MOST_FILES = 100_000
"""Of a folder's unit."""


@dataclass(frozen=True)
class Child:
    """A file or folder of a folder.

    Attributes:
        name: Without its folder's.
        is_folder: Which of the two.
        size: In bytes, of a file.
        stamp: See `StoredFile`.
    """

    name: str
    is_folder: bool
    size: int = 0
    stamp: str = ""


class Tree(Protocol):
    """Folders of files."""

    def children(self, folder: str) -> Iterator[Child]:
        """What lies in a folder, in any order.

        Raises:
            PermissionError: It may not be listed.
            FileNotFoundError: It is gone.
        """


def _is_no_scan(name: str) -> bool:
    return name.endswith(_NO_SCAN) or name in _NO_SCAN_NAMES


def tree_units(tree: Tree, study_depth: int | None) -> Iterator[Unit]:
    """The units of a tree: each picture, MATLAB slice, NIfTI and zip, and the other files of each folder.

    Hidden files and folders are left out, and what by its name is no scan (text, tables, documents).

    Args:
        tree: To look through.
        study_depth: Files below a folder so many levels down belong together; None where those of each folder
            do.
    """
    return _Walk(tree, study_depth).units("", 0, None)


@dataclass
class _Rest:
    """The files of a folder that aren't scans of their own."""

    files: list[StoredFile] = field(default_factory=list)
    too_many: bool = False

    def add(self, file: StoredFile) -> None:
        if len(self.files) == MOST_FILES:
            self.too_many = True
        else:
            self.files.append(file)

    def unit(self, folder: str) -> Unit:
        problem = None
        if self.too_many:
            problem = (
                f"expected at most {MOST_FILES:,} DICOM files in a folder, got more; give each study a folder"
            )
        return Unit(folder, tuple(self.files), is_folder=True, problem=problem)


class _Walk:
    def __init__(self, tree: Tree, study_depth: int | None) -> None:
        self._tree = tree
        self._study_depth = study_depth

    def units(self, folder: str, depth: int, shared: _Rest | None) -> Iterator[Unit]:
        rest = _Rest() if shared is None else shared
        together = self._study_depth is not None and depth >= self._study_depth
        try:
            for block in blocks(self._tree.children(folder), _BLOCK):
                folders = []
                for child in sorted(block, key=lambda each: each.name):
                    path = f"{folder}/{child.name}" if folder else child.name
                    if child.name.startswith("."):
                        continue
                    if child.is_folder:
                        folders.append(path)
                    elif _is_no_scan(child.name.lower()):
                        continue
                    elif is_single_name(child.name):
                        yield Unit(path, (StoredFile(path, child.size, child.stamp),))
                    else:
                        rest.add(StoredFile(path, child.size, child.stamp))
                yield from self._below(folders, depth + 1, rest if together else None)
        except (PermissionError, FileNotFoundError) as error:
            yield Unit(folder, (), is_folder=True, problem=f"can't be listed: {error.strerror or error}")
        if shared is None and rest.files:
            yield rest.unit(folder)

    def _below(self, folders: list[str], depth: int, shared: _Rest | None) -> Iterator[Unit]:
        problem = f"expected at most {_DEEPEST} folders in each other, got more; move what is deeper"
        for folder in folders:
            if depth > _DEEPEST:
                yield Unit(folder, (), is_folder=True, problem=problem)
            else:
                yield from self.units(folder, depth, shared)
