"""Assets in AEM, and those of them that are product photos: pictures outside of the connector's folder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES, TRANSFER_TIMEOUT_S, ApiClient
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.photo_sources import row_key
from dam_connector.domain.photo_sources import PhotoFacts, PhotoSources
from dam_connector.errors import BadOutput, NotFound
from dam_connector.ports import DamPhoto, FinishedFile, InboundWebhook, PhotoChange

ROOT = "/content/dam/"
PAGE_SIZE = 200


class AemPhotos(ApiClient):
    """The part of the adapter that reads assets; see `SuppliesPhotos`. References are paths of assets."""

    vendor = "aem"
    _root_folder = ""
    _sources = PhotoSources()

    def changed_photos(self, cursor: str) -> tuple[list[PhotoChange], str]:
        """List assets by the time of their last change.

        The cursor is that time and the keys of the rows that have it. Deleted assets are in no list;
        events tell of them.
        """
        moment, *seen = cursor.split(" ")
        names = ("dc:format", "dam:sha1", "connector:id", *self._sources.fields)
        properties = ["jcr:path", "jcr:content/jcr:lastModified"]
        query = {
            "path": f"{ROOT}{self._sources.folder.strip('/')}".rstrip("/"),
            "type": "dam:Asset",
            "daterange.property": "jcr:content/jcr:lastModified",
            "daterange.lowerBound": moment or "2000-01-01T00:00:00Z",
            "daterange.lowerOperation": ">=",
            "orderby": "@jcr:content/jcr:lastModified",
            "p.limit": str(PAGE_SIZE + len(seen)),
            "p.hits": "selective",
            "p.properties": " ".join([*properties, *(f"jcr:content/metadata/{name}" for name in names)]),
        }
        hits = [hit for hit in self._query(query, "changed_photos") if isinstance(hit, dict)]
        new = [hit for hit in hits if row_key(hit) not in seen]
        if not new:
            return [], cursor
        changes = [
            PhotoChange(ref=str(hit["jcr:path"]), photo=self._photo(str(hit["jcr:path"]), _content_of(hit)))
            for hit in new
        ]
        last = _changed_at(_content_of(hits[-1]))
        keys = [row_key(hit) for hit in hits if _changed_at(_content_of(hit)) == last]
        return changes, " ".join([last, *keys])

    def finished_files(self, cursor: str, fields: Sequence[str]) -> tuple[list[FinishedFile], str]:
        """List the pictures and models whose review status is approved."""
        first = int(cursor or 0)
        names = ("dc:format", "dam:sha1", "connector:id", *fields)
        properties = ["jcr:path", "jcr:content/jcr:lastModified", "jcr:content/jcr:lastModifiedBy"]
        query = {
            "path": ROOT.rstrip("/"),
            "type": "dam:Asset",
            "property": "jcr:content/metadata/dam:status",
            "property.value": "approved",
            "orderby": "path",
            "p.offset": str(first),
            "p.limit": str(PAGE_SIZE),
            "p.hits": "selective",
            "p.properties": " ".join([*properties, *(f"jcr:content/metadata/{name}" for name in names)]),
        }
        hits = [hit for hit in self._query(query, "finished_files") if isinstance(hit, dict)]
        found = []
        for hit in hits:
            content = _content_of(hit)
            if file := self._photo(str(hit["jcr:path"]), content, fields, models=True):
                by = str(content.get("jcr:lastModifiedBy") or "")
                found.append(FinishedFile(file=file, approved_by=by))
        return found, str(first + len(hits)) if len(hits) == PAGE_SIZE else ""

    def photo(self, ref: str) -> DamPhoto | None:
        if not ref.startswith(ROOT):
            return None
        try:
            return self._photo(ref, self._content(ref, "photo"))
        except NotFound:
            return None

    def photo_bytes(self, ref: str) -> bytes:
        return self._download(ref, "photo_bytes")

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        return self.parse_webhook(inbound)

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        """Return the paths that an event names: of versions and of photos."""
        event = parse_json(inbound.body, self.vendor)
        if not isinstance(event, dict):
            raise BadOutput(self.vendor, "parse_webhook", "/: the body is not a JSON object")
        return list(dict.fromkeys(_asset_paths(event)))

    def _photo(
        self,
        path: str,
        content: Mapping[str, Any],
        fields: Sequence[str] | None = None,
        *,
        models: bool = False,
    ) -> DamPhoto | None:
        """Return an asset as a photo; None if it is no picture, or ours: in our folder, or with our id."""
        metadata = content.get("metadata") or {}
        if path.startswith(f"{ROOT}{self._root_folder}/") or "connector:id" in metadata:
            return None
        is_model = models and path.lower().endswith(".glb")
        if not is_model and not str(metadata.get("dc:format") or "").startswith("image/"):
            return None
        folder, _, name = path.removeprefix(ROOT).rpartition("/")
        wanted = self._sources.fields if fields is None else fields
        values = {field: _first(metadata.get(field)) for field in wanted}
        fingerprint = str(metadata.get("dam:sha1") or _changed_at(content))
        return DamPhoto(
            ref=path, facts=PhotoFacts(name=name, folder=folder, fields=values), fingerprint=fingerprint
        )

    def _content(self, path: str, operation: str) -> dict[str, Any]:
        """Return the content of an asset with its metadata."""
        return self.request_json("GET", f"{quote(path)}/_jcr_content.1.json", operation)

    def _query(self, query: Mapping[str, str], operation: str) -> list[Any]:
        """Return the hits of a Query Builder search."""
        return list(
            self.request_json("GET", f"/bin/querybuilder.json?{urlencode(query)}", operation).get("hits")
            or ()
        )

    def _read_metadata(self, path: str, operation: str) -> tuple[dict[str, Any], str]:
        """Return the metadata of an asset, and the user who modified the asset last."""
        content = self._content(path, operation)
        return dict(content.get("metadata") or {}), str(content.get("jcr:lastModifiedBy") or "")

    def _download(self, path: str, operation: str) -> bytes:
        return self.request(
            "GET",
            f"{quote(path)}/_jcr_content/renditions/original",
            operation,
            max_bytes=MAX_FILE_BYTES,
            timeout_s=TRANSFER_TIMEOUT_S,
        ).body


def _content_of(hit: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = hit.get("jcr:content") or {}
    return content


def _changed_at(content: Mapping[str, Any]) -> str:
    return str(content.get("jcr:lastModified") or "")


def _first(value: Any) -> str:
    """Return a property as text; of several values the first one."""
    return str(value[0] if isinstance(value, list) and value else value or "")


def _asset_paths(value: Any) -> Iterator[str]:
    """Yield the asset paths that an event names, at any depth."""
    if isinstance(value, dict):
        if isinstance(path := value.get("repo:path"), str):
            yield path
        for child in value.values():
            yield from _asset_paths(child)
    elif isinstance(value, list):
        for child in value:
            yield from _asset_paths(child)
