"""One way in: the right reader by what the file holds, whatever its name says."""

from pathlib import Path

from tumorlens.errors import TumorlensError
from tumorlens.scan.matlab import is_matlab, scan_from_matlab
from tumorlens.scan.picture import is_picture, scan_from_picture
from tumorlens.scan.scan import Scan


def read_scan(path: str | Path) -> Scan:
    """Read a scan from a MATLAB v7.3 slice, a PNG or a JPEG.

    Raises:
        TumorlensError: There is no such file, or it is none of these or damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise TumorlensError(f"{path}: can't be read: {error.strerror}") from error
    if is_picture(head):
        return scan_from_picture(path)
    if is_matlab(head) or head.startswith(b"MATLAB"):
        return scan_from_matlab(path)
    raise TumorlensError(f"{path}: expected a MATLAB v7.3 slice, a PNG or a JPEG, got something else")
