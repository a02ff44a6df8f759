"""Product feeds of what is live: /feeds/CHANNEL.xml, RSS 2.0 with Google's names, for Merchant Center to fetch as a supplemental feed."""

import threading
from collections.abc import Iterator
from xml.sax.saxutils import escape

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from dam_connector.domain.listing import Listing, media_files
from dam_connector.usecases.publish import listing_of
from dam_connector.web.request_context import services
from dam_connector.wiring import Services

bp = Blueprint("feeds", __name__)
FEED_ADAPTER = "google_merchant"
FEED_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>{}</title>\n'
FEED_TAIL = "</channel></rss>\n"
_reader_lock = threading.Lock()
MAX_EXTRA_IMAGES = 10  # additional_image_link: at most so many


@bp.get("/feeds/<channel>.xml")
def feed(channel: str) -> ResponseReturnValue:
    """The feed, as it is read: a large catalog is never held whole."""
    found = services().rules.current().channel.get(channel)
    if found is None or found.adapter != FEED_ADAPTER:
        abort(404)
    lifestyle = {str(name) for name in found.options.get("lifestyle", ["lifestyle"])}  # type: ignore[attr-defined]
    if not _reader_lock.acquire(blocking=False):
        return Response("the feed is being read; ask again", status=503, headers={"Retry-After": "60"})
    return Response(
        _release_lock_after(_lines(services(), channel, lifestyle)),
        mimetype="application/xml",
        headers={"Cache-Control": "no-cache"},
    )


def _release_lock_after(lines: Iterator[str]) -> Iterator[str]:
    """One reader at a time: a large catalog is a long answer, and this address is public."""
    try:
        yield from lines
    finally:
        _reader_lock.release()


def _lines(s: Services, channel: str, lifestyle: set[str]) -> Iterator[str]:
    yield FEED_HEAD.format(escape(s.rules.current().name))
    for sku in s.publications.skus(channel):
        record = s.products.get(sku)
        if record and not record.deleted:
            yield _entry(listing_of(s, channel, record.product), lifestyle)
    yield FEED_TAIL


def _entry(listing: Listing, lifestyle: set[str]) -> str:
    media = list(media_files(listing, model_formats=("glb",)))
    plain = [m.link for m in media if not m.is_model and m.deliverable not in lifestyle]
    rooms = [m.link for m in media if not m.is_model and m.deliverable in lifestyle]
    tags: list[tuple[str, str]] = [("id", listing.product.sku)]
    tags += [("image_link", link) for link in plain[:1]]
    tags += [("additional_image_link", link) for link in plain[1 : MAX_EXTRA_IMAGES + 1]]
    tags += [("lifestyle_image_link", link) for link in rooms[:MAX_EXTRA_IMAGES]]
    tags += [("virtual_model_link", m.link) for m in media if m.is_model][:1]
    return "<item>" + "".join(f"<g:{name}>{escape(value)}</g:{name}>" for name, value in tags) + "</item>\n"
