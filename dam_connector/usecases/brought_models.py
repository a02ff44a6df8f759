"""Models that people upload for a product: stored, and taken as its `model_url`."""

from collections.abc import Callable
from dataclasses import replace

from dam_connector.domain.brought_model import (
    FORMATS_TEXT,
    MAX_GLTF_VALUES,
    MAX_MODEL_BYTES,
    is_too_complex,
    model_format,
    sibling_names,
)
from dam_connector.errors import InputError
from dam_connector.store.products import ProductRecord
from dam_connector.usecases import intake
from dam_connector.usecases.product_intake import IntakeResult
from dam_connector.usecases.source_images import HELD_PREFIX, MODEL_POINTER
from dam_connector.wiring import Services


def upload_model(
    services: Services,
    stored: ProductRecord,
    data: bytes,
    *,
    by: str,
    record: Callable[[IntakeResult], object] = lambda _: None,
) -> IntakeResult:
    """Store a model that a person uploaded, and make the next versions of the product's models from it.

    Args:
        stored: the product as it is stored.
        data: the file.
        by: who uploaded it.
        record: as in `product_intake.ingest_product`.

    Raises:
        InputError: source.not_a_model, source.too_large.
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()
    check_model_file(data)
    product = replace(stored.product, model_url=f"{HELD_PREFIX}{services.blobs.put(data)}")
    return intake.edit_product(services, stored, product, by=by, record=record)


def check_model_file(data: bytes) -> None:
    """Raise InputError when a file is no model, is too large, or needs files that did not come with it."""
    if len(data) > MAX_MODEL_BYTES:
        limit = f"{MAX_MODEL_BYTES} bytes"
        raise InputError(
            "source.too_large",
            "The model is too large.",
            pointer=MODEL_POINTER,
            measured=str(len(data)),
            limit=limit,
        )
    found = model_format(data)
    if not found:
        message = "The file is no model that can be read."
        raise InputError("source.not_a_model", message, pointer=MODEL_POINTER, limit=FORMATS_TEXT)
    if is_too_complex(data):
        message = f"The glTF has more than {MAX_GLTF_VALUES:,} values."
        raise InputError("source.too_large", message, pointer=MODEL_POINTER, limit="bring it as a GLB")
    if found in ("gltf", "obj") and (needed := sibling_names(data)):
        message = f"The model needs other files: {', '.join(needed[:4])}."
        limit = "a ZIP with the model and all its files"
        raise InputError("source.not_a_model", message, pointer=MODEL_POINTER, limit=limit)
