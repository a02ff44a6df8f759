"""A channel in memory: for tests of everything that stands behind the port."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.product import Product
from dam_connector.catalog.version import ApprovedVersion, Version
from dam_connector.errors import ConnectorError
from dam_connector.ports import Blobs


class MemoryChannel:
    """What is live, by asset; `fail_with` is raised once."""

    def __init__(self) -> None:
        self.live: dict[str, tuple[int, dict[str, bytes]]] = {}
        self.fail_with: ConnectorError | None = None

    def publish(self, approved: ApprovedVersion, product: Product, folder: str, blobs: Blobs) -> str:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure
        version = approved.version
        self.live[version.asset.id] = (version.number, {f"{folder}/{f.name}": blobs.get(f.sha256) for f in version.shipped})
        return f"memory:{version.asset.id}/{version.number}"

    def withdraw(self, version: Version, product: Product, folder: str) -> None:
        self.live.pop(version.asset.id, None)


def connect(options: Mapping[str, Any], kit: Kit) -> MemoryChannel:
    only(options)
    return MemoryChannel()
