"""An optional part of the port of DAMs: the product photos that people keep there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dam_connector.domain.photo_sources import PhotoFacts
from dam_connector.ports.webhook import InboundWebhook


@dataclass(frozen=True, slots=True, kw_only=True)
class DamPhoto:
    """A picture in a DAM that the connector did not put there."""

    # The DAM's reference of the file.
    ref: str
    # Its name, folder and fields.
    facts: PhotoFacts
    # Another text whenever the file is another one, e.g. a time or a checksum.
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoChange:
    """A file that is new, changed or gone."""

    ref: str
    # The file as it is now; None: it is gone, is no picture, or is one of ours.
    photo: DamPhoto | None = None


@runtime_checkable
class SuppliesPhotos(Protocol):
    """A DAM whose files can be the source images of products.

    Files that the connector itself put there are never among them. Which product a file belongs to is said
    by the option `sources`, which `domain.photo_sources` reads.
    """

    def changed_photos(self, cursor: str) -> tuple[Sequence[PhotoChange], str]:
        """List files that are new, changed or gone since the last call, at most a page.

        Args:
            cursor: what the last call returned; empty for the first call, which begins with all files that
                are there.

        Returns:
            The changes, and the cursor for the next call. A file may be listed again without a change.

        Raises:
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def photo(self, ref: str) -> DamPhoto | None:
        """Return a file as it is now; None if it is gone, is no picture, or is one of ours.

        Raises:
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def photo_bytes(self, ref: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            NotFound, Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        """Return the references of the files that a webhook reports as new, changed or gone.

        Raises:
            BadOutput: the body does not have this DAM's format.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedFile:
    """A picture or a GLB in a DAM that the connector did not put there and that counts as approved there."""

    # The file.
    file: DamPhoto
    # Who approved it; empty: the DAM does not tell.
    approved_by: str = ""


@runtime_checkable
class ListsFinished(Protocol):
    """A DAM whose finished files can be adopted. Their bytes are read with `SuppliesPhotos.photo_bytes`."""

    def finished_files(self, cursor: str, fields: Sequence[str]) -> tuple[Sequence[FinishedFile], str]:
        """List the approved pictures and models, a page at a time.

        Args:
            cursor: what the last call returned; empty for the first call.
            fields: the fields of the DAM to be read.

        Returns:
            The files, and the cursor of the next page; empty after the last one.

        Raises:
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def photo_bytes(self, ref: str) -> bytes:
        """Return the bytes of a file; see `SuppliesPhotos.photo_bytes`."""
        ...
