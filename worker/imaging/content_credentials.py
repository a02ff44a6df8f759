"""Content credentials (C2PA): a signed manifest inside a picture that says how it was made and from what.

Signing is on when a certificate is configured. GLB and USDZ are no formats of C2PA; they carry plain labels.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dam_connector import __version__
from dam_connector.errors import ConfigError
from dam_connector.settings import Settings

MANIFEST_RESERVE_BYTES = 16_384  # bytes: a manifest with a chain of certificates takes 3 to 12 kB
SIGNABLE_MIME_TYPES = ("image/jpeg", "image/webp", "image/avif", "image/png")
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
_BARE = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": True},
}  # a thumbnail would outweigh a small picture


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningCredential:
    """Who signs. certificate: a PEM chain, the signer's first; key: PEM; timestamp_url of an RFC 3161 authority, or empty."""

    certificate: bytes
    key: bytes = field(repr=False)
    algorithm: str = "es256"
    timestamp_url: str = ""


def load_credential(settings: Settings) -> SigningCredential | None:
    """The credential that the settings name, or None.

    Raises: ConfigError when only half of it is there or a file cannot be read.
    """
    if not settings.c2pa_certificate and not settings.c2pa_key:
        return None
    if settings.c2pa_algorithm not in ALGORITHMS:
        raise ConfigError(
            f"DAM_CONNECTOR_C2PA_ALGORITHM: {settings.c2pa_algorithm!r} is none of {', '.join(ALGORITHMS)}"
        )
    contents = {}
    for name, path in (
        ("DAM_CONNECTOR_C2PA_CERTIFICATE", settings.c2pa_certificate),
        ("DAM_CONNECTOR_C2PA_KEY", settings.c2pa_key),
    ):
        if not path:
            raise ConfigError(
                f"{name} is not set, its other half is: signing needs a certificate and its key"
            )
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
    """The picture with a signed manifest. ingredients: MIME type and bytes of what it was made from, by name.

    Raises: ConfigError when the credential cannot sign, or the package that signs is not installed.
    """
    try:
        import c2pa
    except ImportError as error:
        raise ConfigError(
            "a C2PA certificate is configured and nothing to sign with: pip install 'dam-connector[c2pa]'"
        ) from error
    actions: list[dict[str, object]] = [{"action": "c2pa.created", "digitalSourceType": source_type}]
    if ingredients:
        actions.append({"action": "c2pa.placed", "parameters": {"ingredientIds": list(ingredients)}})
    manifest = {
        "title": title,
        "claim_generator_info": [{"name": "dam-connector", "version": __version__}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}],
    }
    who = c2pa.C2paSignerInfo(
        alg=credential.algorithm,
        sign_cert=credential.certificate,
        private_key=credential.key,
        ta_url=credential.timestamp_url or None,
    )
    out = io.BytesIO()
    try:
        with (
            c2pa.Context.from_dict(_BARE) as context,
            c2pa.Signer.from_info(who) as signer,
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
    """The active manifest of a signed picture whose signature holds; empty where there is none or it does not hold."""
    import c2pa

    try:
        with c2pa.Reader(mime, io.BytesIO(data)) as reader:
            found = json.loads(reader.json())
    except c2pa.C2paError:
        return {}
    manifest: dict[str, object] = (
        found["manifests"].get(found.get("active_manifest"), {})
        if found.get("validation_state") in ("Valid", "Trusted")
        else {}
    )
    return manifest
