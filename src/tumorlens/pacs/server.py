"""One DICOMweb server: searches (QIDO-RS), files (WADO-RS) and storing (STOW-RS)."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from tumorlens.errors import TumorlensError
from tumorlens.pacs.access import PASSWORD_VARIABLE, TOKEN_VARIABLE, Credentials, address
from tumorlens.pacs.entry import (
    InstanceEntry,
    Query,
    SeriesEntry,
    StudyEntry,
    instance_entry,
    series_entry,
    study_entry,
    values_of,
)
from tumorlens.pacs.errors import PacsBusyError, PacsError, PacsUnreachableError
from tumorlens.pacs.multipart import DICOM_PARTS, BrokenOffError, parts_of
from tumorlens.pacs.transport import open_session

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient
    from pydicom import Dataset

T = TypeVar("T")
Page = Callable[[int, int], list[dict[str, Any]]]

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two packets
_BUSY = (408, 429)
_MOST_PAGES = 1000
_WHOLE = 1 << 62  # bytes; what is stored goes with its length said, without which some servers refuse it
# What requests, pydicom and the parsers of JSON and XML raise where an answer isn't what it should be.
_NONSENSE = (
    requests.RequestException, ValueError, LookupError, TypeError, AttributeError, SyntaxError, RecursionError
)  # fmt: skip
_SOP_INSTANCE_UID = "00080018"
_STUDY_FIELDS = ("ModalitiesInStudy", "NumberOfStudyRelatedInstances", "StudyDescription")
_SERIES_FIELDS = ("SeriesDescription", "NumberOfSeriesRelatedInstances")


class PacsServer:
    """A DICOMweb server; every method tries again, a few times, where the way to it fails.

    Args:
        url: Of the service, such as ``https://pacs.example.org/dicom-web``.
        credentials: None where it wants none.
        ca: A PEM file with the authority that signed the server's certificate.
        insecure_http: Whether plain http to another machine is allowed.
        attempts: How often to ask before giving up.
        retry_wait: Seconds before the second attempt; doubled for each further one.
        page: How many entries to ask for at a time.

    Raises:
        TumorlensError: The address isn't one or isn't safe, or dicomweb-client isn't installed.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        ca: Path | None = None,
        insecure_http: bool = False,
        attempts: int = 4,
        retry_wait: float = 1.0,
        page: int = 200,
    ) -> None:
        self._address = address(url, insecure=insecure_http)
        self._session = open_session(self._address, credentials, ca)
        self._client = _client(self._address.url, self._session)
        self._attempts = attempts
        self._retry_wait = retry_wait
        self._page = page

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self._address.name

    def find_studies(self, query: Query) -> list[StudyEntry]:
        """The studies that a query means, in the server's order.

        Raises:
            PacsError: The server can't be reached, refuses, or answers with nonsense.
        """
        filters = query.filters()

        def page(limit: int, offset: int) -> list[dict[str, Any]]:
            return self._client.search_for_studies(
                limit=limit, offset=offset, fields=_STUDY_FIELDS, search_filters=filters
            )

        found = self._listed(page, study_entry, lambda entry: entry.uid)
        return [entry for entry in found if query.admits(entry)]

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        """The series of a study.

        Raises:
            PacsError: As `find_studies`.
        """

        def page(limit: int, offset: int) -> list[dict[str, Any]]:
            return self._client.search_for_series(
                study_uid, limit=limit, offset=offset, fields=_SERIES_FIELDS
            )

        return self._listed(page, lambda item: series_entry(item, study_uid), lambda entry: entry.uid)

    def find_instances(self, study_uid: str, series_uid: str, most: int | None = None) -> list[InstanceEntry]:
        """The instances of a series, by their numbers; at most so many.

        Raises:
            PacsError: As `find_studies`.
        """

        def page(limit: int, offset: int) -> list[dict[str, Any]]:
            return self._client.search_for_instances(study_uid, series_uid, limit=limit, offset=offset)

        found = self._listed(
            page, lambda item: instance_entry(item, study_uid, series_uid), lambda entry: entry.uid, most
        )
        return sorted(found, key=lambda entry: (entry.number is None, entry.number or 0, entry.uid))

    def count_instances(self, study: StudyEntry) -> int:
        """How many instances a study has, counted where the server's listing doesn't say.

        Raises:
            PacsError: As `find_studies`.
        """
        if study.instances is not None:
            return study.instances
        count = 0
        for series in self.find_series(study.uid):
            known = series.instances
            count += len(self.find_instances(study.uid, series.uid)) if known is None else known
        return count

    def has(self, instance: InstanceEntry) -> bool:
        """Whether the server lists an instance; its series' UID may be empty where it isn't known.

        Raises:
            PacsError: As `find_studies`.
        """

        def search() -> list[dict[str, Any]]:
            return self._client.search_for_instances(
                instance.study_uid,
                instance.series_uid or None,
                search_filters={"SOPInstanceUID": instance.uid},
            )

        try:
            items = self._checked_list(self.persistently(search))
        except PacsError as error:
            if error.status == requests.codes.not_found:  # some say so of a series that isn't there yet
                return False
            raise
        return any(instance.uid in values_of(item, _SOP_INSTANCE_UID) for item in items)

    def header(self, instance: InstanceEntry) -> "Dataset":
        """An instance's attributes without its pixels.

        Raises:
            PacsError: As `find_studies`.
        """
        from pydicom import Dataset

        def retrieve() -> dict[str, dict[str, Any]]:
            return self._client.retrieve_instance_metadata(
                instance.study_uid, instance.series_uid, instance.uid
            )

        found = self.persistently(retrieve)
        try:
            return Dataset.from_json(found, bulk_data_uri_handler=lambda *_: None)
        except Exception as error:  # pydicom raises what its parsers do
            raise self._nonsense("the header of an instance") from error

    @contextmanager
    def files(
        self, study_uid: str, series_uid: str, instance_uid: str | None = None
    ) -> Iterator[Iterator[Iterator[bytes]]]:
        """The DICOM files of a series or of one instance, each in chunks, as they come over the wire.

        To be called within `persistently`, which turns what goes wrong into words.
        """
        where = f"{self._address.url}/studies/{study_uid}/series/{series_uid}"
        url = where if instance_uid is None else f"{where}/instances/{instance_uid}"
        with self._session.get(
            url, headers={"Accept": DICOM_PARTS}, stream=True, timeout=_TIMEOUT
        ) as response:
            response.raise_for_status()
            yield parts_of(response, self.name)

    def store(self, instance: "Dataset") -> str:
        """Store an instance.

        Returns:
            Why the server didn't take it; empty where it doesn't say so. `has` tells for sure.

        Raises:
            PacsError: As `find_studies`.
        """
        from tumorlens.pacs.stow import refusal_in, refusal_of

        def send() -> str:
            try:
                return refusal_of(self._client.store_instances([instance]))
            except requests.HTTPError as error:
                if error.response.status_code == requests.codes.conflict:
                    return refusal_in(error.response) or "HTTP 409"
                raise

        return self.persistently(send)

    def persistently(self, operation: Callable[[], T]) -> T:
        """Do something with the server, a few times where the way to it fails, with growing pauses.

        Raises:
            PacsError: It didn't help, or wouldn't.
        """
        for tried in range(1, self._attempts + 1):
            try:
                return self._in_words(operation)
            except PacsBusyError:
                if tried == self._attempts:
                    raise
                time.sleep(self._retry_wait * 2 ** (tried - 1))
        raise AssertionError("unreachable")

    def _in_words(self, operation: Callable[[], T]) -> T:
        try:
            return operation()
        except TumorlensError:
            raise
        except requests.exceptions.SSLError as error:
            raise PacsError(
                f"{self.name}: expected a certificate that can be verified, got another; give the "
                "authority that signed it by --ca, or check the server's name"
            ) from error
        except requests.HTTPError as error:
            raise self._refused(error.response.status_code) from error
        except (requests.Timeout, requests.ConnectionError) as error:
            late = isinstance(error, requests.Timeout)
            cause = "none came in time" if late else "the connection failed or broke off"
            raise PacsUnreachableError(
                f"{self.name}: expected an answer, but {cause}; check the address and that the server runs"
            ) from error
        except (BrokenOffError, requests.exceptions.ChunkedEncodingError) as error:
            raise PacsBusyError(
                f"{self.name}: expected whole DICOM files, but the answer broke off; try again"
            ) from error
        except _NONSENSE as error:
            raise self._nonsense("an answer by the DICOMweb standard") from error

    def _refused(self, status: int) -> PacsError:
        if status >= 500 or status in _BUSY:
            return PacsBusyError(f"{self.name}: the server is in trouble (HTTP {status}); try later", status)
        if status == requests.codes.unauthorized:
            words = f"who asks isn't known there; check --user and {PASSWORD_VARIABLE} or {TOKEN_VARIABLE}"
        elif status == requests.codes.forbidden:
            words = "this user may not do that; ask who runs the server"
        elif status == requests.codes.not_found:
            words = "there is nothing of that kind; check the address, which often ends with /dicom-web"
        else:
            words = "check the address, and what the server supports"
        return PacsError(f"{self.name}: refused (HTTP {status}): {words}", status)

    def _nonsense(self, expected: str) -> PacsError:
        return PacsError(
            f"{self.name}: expected {expected}, got something else; "
            "is this the address of a DICOMweb service?"
        )

    def _listed(
        self,
        page: Page,
        entry_of: Callable[[Mapping[str, Any]], T | None],
        uid_of: Callable[[T], str],
        most: int | None = None,
    ) -> list[T]:
        """All that a server lists, page by page, until a page brings nothing new."""
        found: dict[str, T] = {}
        offset = 0
        limit = self._page if most is None else min(most, self._page)
        for _ in range(_MOST_PAGES):
            items = self._checked_list(self.persistently(partial(page, limit, offset)))
            known = len(found)
            for entry in map(entry_of, items):
                if entry is not None:
                    found.setdefault(uid_of(entry), entry)
            offset += len(items)
            if len(found) == known or (most is not None and len(found) >= most):
                return list(found.values())[:most]
        raise PacsError(f"{self.name}: expected at most {_MOST_PAGES:,} pages, got more; narrow the search")

    def _checked_list(self, items: Any) -> list[Mapping[str, Any]]:
        if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
            raise self._nonsense("a list in DICOM JSON")
        return items


def _client(url: str, session: requests.Session) -> "DICOMwebClient":
    try:
        from dicomweb_client import DICOMwebClient
    except ImportError as error:
        raise TumorlensError(
            "talking to a PACS needs dicomweb-client; install it with: pip install 'tumorlens[pacs]'"
        ) from error
    client = DICOMwebClient(url, session=session, timeout=_TIMEOUT)
    client.set_chunk_size(_WHOLE)
    client.set_http_retry_params(retry=False)  # it would try wrong certificates again, and for a minute
    return client
