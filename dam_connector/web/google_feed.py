"""Product feeds of the live assets: /feeds/CHANNEL.xml.

The format is RSS 2.0 with Google's names. Merchant Center fetches it as a supplemental feed.
"""

import threading
from collections.abc import Iterator
from xml.sax.saxutils import escape

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from dam_connector.adapters.google_merchant import feed_entry
from dam_connector.usecases.publish import build_listing
from dam_connector.web.request_context import services
from dam_connector.wiring import Services

bp = Blueprint("feeds", __name__)
FEED_ADAPTER = "google_merchant"
FEED_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>{}</title>\n'
)
FEED_TAIL = "</channel></rss>\n"
# The feed of a large catalog takes long, and its address is public: one reader of an address, and few in all,
# so that a slow one does not keep out Merchant Center.
MAX_READERS = 4
_readers: dict["_Reading", str] = {}  # who reads now, and from where
_reading_lock = threading.Lock()


@bp.get("/feeds/<channel>.xml")
def feed(channel: str) -> ResponseReturnValue:
    """Stream the feed of a channel, so that a large catalog is never in memory whole."""
    found = services().rules.current().channel.get(channel)
    if found is None or found.adapter != FEED_ADAPTER:
        abort(404)
    names = found.options.get("lifestyle", ["lifestyle"])
    lifestyle = {str(name) for name in names}  # type: ignore[attr-defined]
    headers = {"Cache-Control": "no-cache"}
    if request.method == "HEAD":  # the lines are never read, so that nothing would release the lock
        return Response(mimetype="application/xml", headers=headers)
    reading = _Reading()
    if not reading.begin(request.remote_addr or ""):
        return Response(
            "the feed is being read by you or by several others; try again in a minute",
            status=503,
            headers={"Retry-After": "60"},
        )
    lines = _ending(reading, _lines(services(), channel, lifestyle))
    response = Response(lines, mimetype="application/xml", headers=headers)
    response.call_on_close(reading.end)  # nobody may ever ask for the first line
    return response


class _Reading:
    """One reading of a feed, which ends once."""

    def begin(self, address: str) -> bool:
        with _reading_lock:
            may_read = address not in _readers.values() and len(_readers) < MAX_READERS
            if may_read:
                _readers[self] = address
        return may_read

    def end(self) -> None:
        with _reading_lock:
            _readers.pop(self, None)


def _ending(reading: _Reading, lines: Iterator[str]) -> Iterator[str]:
    try:
        yield from lines
    finally:
        reading.end()


def _lines(s: Services, channel: str, lifestyle: set[str]) -> Iterator[str]:
    """Yield the feed line by line. lifestyle: deliverables whose pictures show the product in a room."""
    yield FEED_HEAD.format(escape(s.rules.current().name))
    for sku in s.publications.skus(channel):
        record = s.products.get(sku)
        if record and not record.deleted:
            yield feed_entry(build_listing(s, channel, record.product), lifestyle)
    yield FEED_TAIL
