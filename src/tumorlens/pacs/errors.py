"""What can go wrong between here and a PACS. No message holds a credential or says whose study it is."""

from tumorlens.errors import TumorlensError


class PacsError(TumorlensError):
    """The server refused, or its answer makes no sense; the same request would fare no better.

    Attributes:
        status: The HTTP status that it answered with; None where it isn't about one.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PacsBusyError(PacsError):
    """The server answers, but not with what was asked for; the same request may succeed later."""


class PacsUnreachableError(PacsBusyError):
    """The server doesn't answer at all."""


class NothingSuitableError(TumorlensError):
    """A study has no series that can be analysed."""
