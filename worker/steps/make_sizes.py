"""Make smaller files of each picture, where plugin.json asks for them, for pages that show it small."""

import io

import numpy as np
from PIL import Image

from dam_connector.domain.rules import Motion
from dam_connector.domain.version import Role, VersionFile
from dam_connector.wiring import Services
from worker.imaging.encode import encode
from worker.work import Work


def make_sizes(work: Work, services: Services) -> Work:
    """Add a file for each size of plugin.json that is smaller than the picture.

    Reads: files. Adds: files.
    """
    if work.deliverable.motion != Motion.STILL or not work.deliverable.sizes:
        return work
    for file in work.files:
        if file.role is Role.PRIMARY and not file.view:
            work = _with_sizes(work, services, file)
    return work


def _with_sizes(work: Work, services: Services, file: VersionFile) -> Work:
    with Image.open(io.BytesIO(services.blobs.get(file.sha256))) as picture:
        for size in sorted(set(work.deliverable.sizes)):
            if size < max(picture.size):
                work = work.with_file(
                    services, _resized(picture, size, file.format), file.format, Role.SIZE, str(size)
                )
    return work


def _resized(picture: Image.Image, longer_side: int, file_format: str) -> bytes:
    scale = longer_side / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
    return encode(pixels[..., :3], pixels[..., 3] if pixels.shape[2] == 4 else None, file_format)
