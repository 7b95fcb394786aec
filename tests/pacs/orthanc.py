"""A real PACS on this machine: Orthanc with its DICOMweb plugin, on a loopback port, with a password."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.debian import program

USER, PASSWORD = "reader", "s3cret-Wörter"
_PLUGINS = ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "/usr/lib/orthanc/libOrthancDicomWeb.so")


def free_port() -> int:
    """A loopback port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Orthanc:
    """A server that can be started, killed and asked what it has.

    Attributes:
        folder: For its configuration and storage.
        port: That it listens to.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def base(self) -> str:
        """Of its own REST interface."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Of its DICOMweb service."""
        return f"{self.base}/dicom-web"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration()))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("Orthanc"), str(configuration)], stdout=log, stderr=log, cwd=self.folder
            )
        for _ in range(400):
            if self._answers():
                return
            time.sleep(0.05)
        pytest.fail(f"Orthanc didn't start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Kill it; it is stopped once this returns."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    def _configuration(self) -> dict[str, Any]:
        return {
            "Name": "tests",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self.port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "Plugins": [plugin()],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }

    def _answers(self) -> bool:
        try:
            return self._ask("GET", "/system").ok
        except requests.ConnectionError:
            return False

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        auth = (USER.encode(), PASSWORD.encode())
        return requests.request(method, self.base + path, auth=auth, timeout=20, **more)

    def _find(self, asked: dict[str, Any]) -> list[Any]:
        found = self._ask("POST", "/tools/find", json=asked)
        found.raise_for_status()
        listed: list[Any] = found.json()
        return listed

    def add(self, files: Iterable[Path]) -> None:
        """Store DICOM files by its own interface, not by DICOMweb."""
        for path in files:
            self._ask("POST", "/instances", data=path.read_bytes()).raise_for_status()

    def clear(self) -> None:
        """Delete everything."""
        for patient in self._ask("GET", "/patients").json():
            self._ask("DELETE", f"/patients/{patient}").raise_for_status()

    def instances(self, modality: str, study: str = "") -> list[str]:
        """SOPInstanceUIDs of all instances of a modality, perhaps of one study."""
        query = {"Modality": modality, "StudyInstanceUID": study}
        found = self._find({"Level": "Instance", "Query": query, "Expand": True})
        return [each["MainDicomTags"]["SOPInstanceUID"] for each in found]

    def file(self, instance: str) -> bytes:
        """An instance as it is stored."""
        [known] = self._find({"Level": "Instance", "Query": {"SOPInstanceUID": instance}})
        return self._ask("GET", f"/instances/{known}/file").content


def plugin() -> str:
    """The DICOMweb plugin's path; skips the test, naming the package, where it is missing."""
    for path in _PLUGINS:
        if Path(path).exists():
            return path
    pytest.skip("needs Orthanc's DICOMweb plugin: apt-get install orthanc-dicomweb")
