"""Who asks, and which addresses may be asked: credentials and patients travel encrypted or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from tumorlens.errors import TumorlensError
from tumorlens.loopback import is_loopback
from tumorlens.pacs.errors import PacsError

PASSWORD_VARIABLE = "TUMORLENS_PACS_PASSWORD"  # noqa: S105 - a variable's name
TOKEN_VARIABLE = "TUMORLENS_PACS_TOKEN"  # noqa: S105 - a variable's name


@dataclass(frozen=True)
class Credentials:
    """A user with a password, or a bearer token.

    Attributes:
        user: Empty with a token.
        secret: The password or the token; never shown.
    """

    user: str
    secret: str = field(repr=False)

    def auth(self) -> AuthBase:
        """As requests wants it."""
        if not self.user:
            return _Bearer(self.secret)
        # As bytes: requests would send text in Latin-1, and fail on what that lacks.
        return HTTPBasicAuth(self.user.encode(), self.secret.encode())


class _Bearer(AuthBase):
    """A class and not a header, which requests would replace by what it finds in a .netrc file."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def find_credentials(
    user: str | None, password_file: Path | None, environment: Mapping[str, str]
) -> Credentials | None:
    """The credentials that a user named.

    Args:
        user: A name, whose password is in the file or in TUMORLENS_PACS_PASSWORD.
        password_file: Holds the password in its first line.
        environment: Without a user, TUMORLENS_PACS_TOKEN may have a token.

    Returns:
        None where there are none.

    Raises:
        TumorlensError: A user without a password, a file without one, or a token that can't be one.
    """
    if user:
        return Credentials(user, _password(user, password_file, environment))
    if password_file is not None:
        raise TumorlensError("expected --user with --password-file, got none; name the user")
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token:
        return None
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise TumorlensError(f"{TOKEN_VARIABLE}: expected a token of printable ASCII, got something else")
    return Credentials("", token)


def _password(user: str, file: Path | None, environment: Mapping[str, str]) -> str:
    if ":" in user:
        raise TumorlensError(
            f"expected a user's name without a colon and its password in {PASSWORD_VARIABLE}"
        )
    if file is None:
        password = environment.get(PASSWORD_VARIABLE, "")
        if not password:
            raise TumorlensError(
                f"expected the password of --user in the environment variable {PASSWORD_VARIABLE} "
                "or in a file named by --password-file, got neither"
            )
        return password
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TumorlensError(f"{file}: expected a readable file with the password") from error
    if not lines or not lines[0]:
        raise TumorlensError(f"{file}: expected the password in the first line, got none")
    return lines[0]


@dataclass(frozen=True)
class Address:
    """Where a DICOMweb service is.

    Attributes:
        url: Without a slash at its end.
        insecure: Whether plain http to another machine is allowed.
    """

    url: str
    insecure: bool = False

    def __post_init__(self) -> None:
        self.check(self.url)

    @property
    def name(self) -> str:
        """What to call it in messages: scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def check(self, url: str) -> None:
        """Refuse a place that isn't on this server, or that is reached in clear.

        Raises:
            PacsError: It is one of these. Nothing was sent.
        """
        host, scheme = _host_of(url)
        if scheme == "http" and not (self.insecure or is_loopback(host)):
            raise PacsError(
                f"http://{host}: expected an https address, got http, which sends passwords and patients in "
                "clear; use https, or --insecure-http in a network that nobody else can listen to"
            )
        own, _ = _host_of(self.url)
        if host != own:
            raise PacsError(
                f"{self.name}: the server sent us on to another host, {host}; if that is right, "
                "give that address"
            )


def address(url: str, *, insecure: bool = False) -> Address:
    """An address as a user typed it.

    Raises:
        TumorlensError: It isn't http or https, has a password in it, or is http to another machine.
    """
    parts = urlsplit(url) if _splits(url) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise TumorlensError(
            "expected the address of a DICOMweb service, such as https://pacs.example.org/dicom-web, "
            "got something else"
        )
    if "@" in parts.netloc:
        raise TumorlensError(
            f"expected an address without a user in it, got one; use --user and {PASSWORD_VARIABLE}"
        )
    if parts.query or parts.fragment:
        raise TumorlensError("expected an address that ends with its path, got one with a ? or a #")
    return Address(url.rstrip("/"), insecure)


def _splits(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _host_of(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.scheme
