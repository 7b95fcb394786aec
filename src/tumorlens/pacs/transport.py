"""HTTP as a PACS needs it: TLS always verified, nothing in clear over a network, no endless answers."""

import logging
from collections.abc import Mapping
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter

from tumorlens.errors import TumorlensError
from tumorlens.loopback import is_loopback
from tumorlens.pacs.access import Address, Credentials
from tumorlens.pacs.errors import PacsError

LARGEST_ANSWER = 32 << 20
"""Bytes of an answer that isn't streamed: a page of a search is thousandths of it."""
_CHUNK = 1 << 16
# Escaped by dicomweb-client, though a query may hold them as they are (RFC 3986, 3.4); Orthanc 1.10 doesn't
# undo the escaping. A plus sign means a space to some servers and itself to others.
_PLAIN = {"%2A": "*", "%3F": "?", "%2F": "/", "%3A": ":", "+": "%20"}

# What these libraries log quotes addresses, and an address can hold a patient's number.
for _name in ("dicomweb_client", "retrying"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


def open_session(address: Address, credentials: Credentials | None, ca: Path | None) -> requests.Session:
    """A session for one server.

    Args:
        address: Of the server; requests elsewhere are refused.
        credentials: Sent with every request.
        ca: A PEM file with the authorities to trust, instead of the usual ones.

    Raises:
        TumorlensError: ``ca`` holds no certificate.
    """
    session = requests.Session()
    session.headers["Accept"] = "application/dicom+json"
    session.auth = None if credentials is None else credentials.auth()
    guard = _Guard(address, None if ca is None else _authorities(ca))
    session.mount("https://", guard)
    session.mount("http://", guard)
    return session


def _authorities(ca: Path) -> str:
    try:
        held = ca.read_bytes()
    except OSError as error:
        raise TumorlensError(f"{ca}: can't be read: {error.strerror}") from error
    if b"-----BEGIN CERTIFICATE-----" not in held:
        raise TumorlensError(f"{ca}: expected a certificate in PEM, got something else")
    return str(ca)


class _Guard(HTTPAdapter):
    """Looks at every request, redirects included, before it leaves."""

    def __init__(self, address: Address, authorities: str | None) -> None:
        super().__init__()
        self._address = address
        self._authorities = authorities

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = request.url = _with_plain_query(request.url or "")
        self._address.check(url)
        # dicomweb-client says the host without its port; left out, it is said in full.
        request.headers.pop("Host", None)
        if is_loopback(requests.compat.urlsplit(url).hostname or ""):
            proxies = None  # or a proxy would carry it over the network
        # Variables such as REQUESTS_CA_BUNDLE must neither replace --ca nor switch the check off.
        trusted = self._authorities or (verify if isinstance(verify, str) and verify else True)
        response = super().send(request, True, timeout, trusted, cert, proxies)
        if not stream:
            self._hold(response)
        return response

    def _hold(self, response: requests.Response) -> None:
        """Read an answer into memory, but not one without end."""
        held = bytearray()
        for chunk in response.iter_content(_CHUNK):
            held += chunk
            if len(held) > LARGEST_ANSWER:
                response.close()
                raise PacsError(
                    f"{self._address.name}: expected an answer of at most {LARGEST_ANSWER >> 20} MB, "
                    "got more; is this the address of a DICOMweb service?"
                )
        response._content = bytes(held)


def _with_plain_query(url: str) -> str:
    """An address whose query has what can be said plainly."""
    path, mark, query = url.partition("?")
    for escaped, plain in _PLAIN.items():
        query = query.replace(escaped, plain)
    return path + mark + query
