"""Which files Label Studio delivers to browsers, and under which addresses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from connectors.label_studio.importing import Importing
from workspace.errors import UserError

_ADDRESS = "/data/local-files/?d="


class LocalFiles:
    """files_root: LOCAL_FILES_DOCUMENT_ROOT of the server;  workspace_root: its first-level folders are delivered."""

    def __init__(self, files_root: Path, workspace_root: Path) -> None:
        self._files_root = files_root.resolve()
        self._workspace_root = workspace_root.resolve()

    def address(self, image: Path) -> str:
        """UserError for an image that the server cannot show."""
        try:
            place = image.resolve().relative_to(self._files_root)
        except ValueError:
            raise UserError(
                f"{image} is not under {self._files_root}, so Label Studio cannot show it.",
                "Set label_studio.files_root to the server's LOCAL_FILES_DOCUMENT_ROOT, a folder above the images.",
            ) from None
        return f"{_ADDRESS}{quote(place.as_posix(), safe='/')}"

    def path(self, address: str) -> Path:
        """The image at an address, which may have come back from the server: UserError if it leads elsewhere."""
        image = (self._files_root / unquote(address.removeprefix(_ADDRESS))).resolve()
        self.address(image)
        return image

    def serve(self, client: Any, importing: Importing, address: str, before_write: Callable[[], None]) -> None:
        """A local storage row for the folder that the image lies in; without one the server answers 404 for it."""
        folder = self._served_folder(self._files_root / unquote(address.removeprefix(_ADDRESS)))
        if folder in importing.served:
            return
        project = importing.project
        served = {str(storage.path).rstrip("/") for storage in client.import_storage.local.list(project=project)}
        if str(folder) not in served:
            before_write()
            client.import_storage.local.create(
                project=project, path=str(folder), title="fewclicks frames", use_blob_urls=True
            )
        importing.served.add(folder)

    def _served_folder(self, image: Path) -> Path:
        """The first-level folder of the workspace that holds the image, else the image's own: as little as possible."""
        inside = image.relative_to(self._workspace_root) if image.is_relative_to(self._workspace_root) else None
        folder = image.parent if inside is None or len(inside.parts) < 2 else self._workspace_root / inside.parts[0]
        if folder == self._files_root:
            raise UserError(
                f"{image} lies directly in {self._files_root}, from which Label Studio serves sub-folders only.",
                "Set label_studio.files_root to a folder further up (the LOCAL_FILES_DOCUMENT_ROOT of the server).",
            )
        return folder
