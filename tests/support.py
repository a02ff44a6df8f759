"""What tests share: a clock that tests turn, rules made for tests, photos drawn in code, a photo server with
faults, signing.
"""

import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from standardwebhooks import Webhook

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Product
from dam_connector.domain.version import Role, VersionFile
from dam_connector.ports import InboundWebhook
from schemas.product import load_product

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "dam_connector" / "samples"


class TestClock:
    """Time that moves only when a test moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def rules_json(**changes: Any) -> dict[str, Any]:
    """A small plugin.json; top-level keys can be replaced."""
    rules = {
        "name": "test",
        "version": "1.0.0",
        "connections": {
            "pim": {
                "main": {
                    "adapter": "standard",
                    "secrets": ["env/HOOK_SECRET", "env/HOOK_SECRET_OLD"],
                    "tokens": ["env/HOOK_TOKEN"],
                },
                "mem": {"adapter": "memory", "secret": "env/HOOK_TOKEN"},
            },
            "dam": {"library": {"adapter": "library"}},
            "channel": {"viewer": {"adapter": "viewer"}},
        },
        "products": {
            "required": ["sku", "name", "images.any"],
            "categories": {"furniture": {"required": ["dimensions"]}},
        },
        "deliverables": [
            {
                "name": "packshot",
                "kind": "rendition",
                "size_px": 320,
                "formats": ["jpeg", "webp"],
                "channels": ["viewer"],
            },
            {
                "name": "cutout",
                "kind": "rendition",
                "background": "transparent",
                "size_px": 320,
                "formats": ["png"],
                "channels": ["viewer"],
            },
        ],
        "naming": {"default": "{sku}_{name:pascal}_V{version}_{format:upper}"},
        "imaging": {"net": "none"},  # what is tested is not the net; test_net_cutout.py tests it
    }
    return {**rules, **changes}


MODEL = {
    "name": "model",
    "kind": "model",
    "formats": ["glb", "usdz"],
    "max_triangles": 4000,
    "texture_px": 512,
    "channels": ["viewer"],
}
ENVIRON = {
    "HOOK_SECRET": SECRET,
    "HOOK_SECRET_OLD": "whsec_" + "b2xkLXNlY3JldC1vbGQtc2VjcmV0",
    "HOOK_TOKEN": "token-for-tests",
    "MESHY_API_KEY": "key_fake",
    "OPENAI_API_KEY": "key_fake",
    "TRIPO_WEBHOOK_SECRET": "whsec_fake",
    "TRIPO_API_KEY": "tsk_fake",
    "DAM_CONNECTOR_SECRET_KEY": "secret-key-for-tests",
    "DAM_CONNECTOR_WEBHOOK_SECRET": SECRET,
}


def picture(
    draw: Callable[[np.ndarray], None] | None = None,
    size: tuple[int, int] = (400, 400),
    ground: int = 235,
    format: str = "JPEG",
) -> bytes:
    """An encoded photo: a plain ground, on which `draw` paints with OpenCV; by default a red box."""
    rgb = np.full((size[1], size[0], 3), ground, np.uint8)
    if draw is None:
        cv2.rectangle(
            rgb, (size[0] // 4, size[1] // 4), (3 * size[0] // 4, 3 * size[1] // 4), (170, 40, 40), -1
        )
    else:
        draw(rgb)
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, format, quality=92)
    return out.getvalue()


def huge_png() -> bytes:
    """A PNG whose header says 30,000 x 30,000 pixels, in a few hundred bytes."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\x00" * 1000))
        + chunk(b"IEND", b"")
    )


@dataclass
class PhotoServer:
    """Serves bytes by path on loopback; a path may answer with a status instead, and counts how often it was
    asked.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    host: str = ""
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                outer.asked[path] = outer.asked.get(path, 0) + 1
                body = outer.files.get(path, b"")
                self.send_response(outer.statuses.get(path, 200 if path in outer.files else 404))
                extra = outer.headers.get(path, {})
                for name, value in {"Content-Length": str(len(body)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def url(self, path: str) -> str:
        return f"http://{self.host}/{path}"


def record(sku: str = "CH123", **changes: Any) -> dict[str, Any]:
    """A product record as a PIM sends it."""
    return {
        "sku": sku,
        "name": "Modern Dining Chair",
        "category": "decor",
        "dimensions": {"width": 40, "height": 40, "depth": 30, "unit": "cm"},
        **changes,
    }


def product(sku: str = "CH123", **changes: Any) -> Product:
    return load_product(record(sku, **changes))


def event_body(data: dict[str, Any], *, kind: str = "product.created", at: datetime) -> bytes:
    return json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}).encode()


def signed(body: bytes, *, at: datetime, message: str = "msg_1", secret: str = SECRET) -> dict[str, str]:
    """The headers of a Standard Webhook."""
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, at, body.decode()),
        "content-type": "application/json",
    }


def inbound(body: bytes, headers: dict[str, str], at: datetime) -> InboundWebhook:
    return InboundWebhook(headers={k.lower(): v for k, v in headers.items()}, body=body, received_at=at)


def file_of(data: bytes, name: str, format: str, role: Role = Role.PRIMARY) -> VersionFile:
    from worker.imaging.encode import MIME

    return VersionFile(
        name=name,
        format=format,
        role=role,
        view="",
        mime=MIME[format],
        sha256=Sha256("0" * 64),
        bytes=len(data),
    )


def http_to(host: str, context: AdapterContext) -> HttpClient:
    """A way to a server on loopback, as patient as the context's own."""
    return HttpClient(frozenset({host}), timeout_s=context.http.timeout_s)
