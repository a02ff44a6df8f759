"""Files that our records name and the storage does not have."""

from collections.abc import Iterator

from dam_connector.store.file_records import NamedFile, named_files
from dam_connector.wiring import Services


def missing_files(services: Services) -> Iterator[NamedFile]:
    """Yield the files of versions and products that the storage does not have.

    The storage is listed first; each file that is not in the list is asked for again, since others are stored
    meanwhile.

    Raises:
        StorageUnavailable: The storage or the database does not answer.
    """
    stored = {bytes.fromhex(blob.sha256) for blob in services.blobs.list()}
    absent = [file for file in named_files(services.db) if bytes.fromhex(file.sha256) not in stored]
    for file in absent:
        if not services.blobs.has(file.sha256):
            yield file


def remedy(file: NamedFile) -> str:
    """Return how to get a lost file back, for people."""
    if file.version_id:
        return f"restore it from a backup, or make it anew on the page /versions/{file.version_id}"
    return "restore it from a backup, or send the product again from the PIM"
