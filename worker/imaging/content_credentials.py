"""Content credentials (C2PA): a signed manifest inside a picture that records how and from what it was made.

Pictures are signed when a certificate is configured. C2PA does not support GLB and USDZ; they carry plain
metadata.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dam_connector import __version__
from dam_connector.errors import ConfigError
from dam_connector.settings import Settings

MANIFEST_RESERVE_BYTES = 16_384  # a manifest with a certificate chain takes 3 to 12 kB
SIGNABLE_MIME_TYPES = ("image/jpeg", "image/webp", "image/avif", "image/png")
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
_BUILDER_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},  # a thumbnail would outweigh a small picture
    "verify": {"verify_after_sign": True},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningCredential:
    """The certificate and key that sign pictures."""

    certificate: bytes  # PEM chain, the signer's certificate first
    key: bytes = field(repr=False)  # PEM
    algorithm: str = "es256"  # one of ALGORITHMS
    timestamp_url: str = ""  # of an RFC 3161 timestamp authority, or empty


def load_credential(settings: Settings) -> SigningCredential | None:
    """Load the credential that the settings name; return None if they name none.

    Raises:
        ConfigError: Only the certificate or only the key is set, or a file cannot be read.
    """
    if not settings.c2pa_certificate and not settings.c2pa_key:
        return None
    if settings.c2pa_algorithm not in ALGORITHMS:
        raise ConfigError(
            f"DAM_CONNECTOR_C2PA_ALGORITHM: {settings.c2pa_algorithm!r} is not supported; "
            f"use one of {', '.join(ALGORITHMS)}"
        )
    contents = {}
    for name, path in (
        ("DAM_CONNECTOR_C2PA_CERTIFICATE", settings.c2pa_certificate),
        ("DAM_CONNECTOR_C2PA_KEY", settings.c2pa_key),
    ):
        if not path:
            raise ConfigError(f"{name} is not set: signing needs both a certificate and its key")
        try:
            with open(path, "rb") as file:
                contents[name] = file.read()
        except OSError as error:
            raise ConfigError(f"{name}: {path} cannot be read ({error.strerror})") from error
    certificate, key = contents.values()
    return SigningCredential(
        certificate=certificate,
        key=key,
        algorithm=settings.c2pa_algorithm,
        timestamp_url=settings.c2pa_timestamp_url,
    )


def sign_picture(
    data: bytes,
    mime: str,
    credential: SigningCredential,
    *,
    title: str,
    source_type: str,
    ingredients: Mapping[str, tuple[str, bytes]],
) -> bytes:
    """Return a picture with a signed manifest.

    Args:
        data: The picture file.
        mime: Its MIME type, one of SIGNABLE_MIME_TYPES.
        credential: Who signs.
        title: The file's name.
        source_type: IPTC digital source type, a URL.
        ingredients: MIME type and bytes of each picture that it was made from, by name.

    Raises:
        ConfigError: The credential cannot sign, or the package `c2pa-python` is not installed.
    """
    try:
        import c2pa
    except ImportError as error:
        raise ConfigError(
            "a C2PA certificate is configured, but the package that signs is not installed: "
            "pip install 'dam-connector[c2pa]'"
        ) from error
    actions: list[dict[str, object]] = [{"action": "c2pa.created", "digitalSourceType": source_type}]
    if ingredients:
        actions.append({"action": "c2pa.placed", "parameters": {"ingredientIds": list(ingredients)}})
    manifest = {
        "title": title,
        "claim_generator_info": [{"name": "dam-connector", "version": __version__}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}],
    }
    signer_info = c2pa.C2paSignerInfo(
        alg=credential.algorithm,
        sign_cert=credential.certificate,
        private_key=credential.key,
        ta_url=credential.timestamp_url or None,
    )
    out = io.BytesIO()
    try:
        with (
            c2pa.Context.from_dict(_BUILDER_SETTINGS) as context,
            c2pa.Signer.from_info(signer_info) as signer,
            c2pa.Builder(manifest, context) as builder,
        ):
            for name, (kind, content) in ingredients.items():
                builder.add_ingredient(
                    {"title": name, "relationship": "componentOf", "label": name}, kind, io.BytesIO(content)
                )
            builder.sign(signer, mime, io.BytesIO(data), out)
    except c2pa.C2paError as error:
        raise ConfigError(f"the C2PA certificate cannot sign: {error}") from error
    return out.getvalue()


def read_manifest(data: bytes, mime: str) -> dict[str, object]:
    """Return the active manifest of a picture; empty if there is none or its signature is not valid."""
    import c2pa

    try:
        with c2pa.Reader(mime, io.BytesIO(data)) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError:
        return {}
    manifest: dict[str, object] = (
        store["manifests"].get(store.get("active_manifest"), {})
        if store.get("validation_state") in ("Valid", "Trusted")
        else {}
    )
    return manifest
