"""The ports: what the connector asks of its infrastructure and of each kind of outside system.

Adapters implement them; `dam_connector/adapters/` has one for each vendor.
"""

from dam_connector.ports.channel import Channel, ShopPicture, ShowsPictures
from dam_connector.ports.dam import Dam, DamCapabilities, PushRequest, RemoteState
from dam_connector.ports.infrastructure import Blobs, BlobStream, Clock, LibraryStore, Queue, StoredBlob
from dam_connector.ports.photo_source import (
    DamPhoto,
    FinishedFile,
    ListsFinished,
    PhotoChange,
    SuppliesPhotos,
)
from dam_connector.ports.pim import ExplainsMessages, Pim, PimCapabilities
from dam_connector.ports.provider import (
    GenerationRequest,
    Provider,
    ProviderCapabilities,
    RemoteTask,
    RemoteTaskState,
)
from dam_connector.ports.self_test import ChecksDecisions, ChecksMetadata, ChecksRights, SendsTest
from dam_connector.ports.webhook import InboundWebhook, VerifiedWebhook

__all__ = [
    "BlobStream",
    "Blobs",
    "Channel",
    "ChecksDecisions",
    "ChecksMetadata",
    "ChecksRights",
    "Clock",
    "Dam",
    "DamCapabilities",
    "DamPhoto",
    "ExplainsMessages",
    "FinishedFile",
    "GenerationRequest",
    "InboundWebhook",
    "LibraryStore",
    "ListsFinished",
    "PhotoChange",
    "Pim",
    "PimCapabilities",
    "Provider",
    "ProviderCapabilities",
    "PushRequest",
    "Queue",
    "RemoteState",
    "RemoteTask",
    "RemoteTaskState",
    "SendsTest",
    "ShopPicture",
    "ShowsPictures",
    "StoredBlob",
    "SuppliesPhotos",
    "VerifiedWebhook",
]
