"""A certificate to sign with: an authority of our own, and a signer by it."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
BEGIN, END = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2076, 1, 1, tzinfo=dt.UTC)


def write_credential(folder: Path) -> dict[str, str]:
    """The settings that name a fresh certificate and its key, which lie in the folder."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "signer")}
    key_file, chain_file = folder / "c2pa-key.pem", folder / "c2pa-chain.pem"
    key_file.write_bytes(
        keys["signer"].private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    chain = [_certificate(name, number, keys) for number, name in enumerate(("signer", "authority"), 1)]
    chain_file.write_bytes(b"".join(c.public_bytes(PEM) for c in chain))
    return {"c2pa_certificate": str(chain_file), "c2pa_key": str(key_file)}


def _certificate(name: str, number: int, keys: dict[str, ec.EllipticCurvePrivateKey]) -> x509.Certificate:
    root, public, issuer = name == "authority", keys[name].public_key(), keys["authority"].public_key()
    usage = x509.KeyUsage(not root, False, False, False, False, root, root, False, False)
    builder = (
        x509.CertificateBuilder()
        .serial_number(number)
        .public_key(public)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    builder = (
        builder.subject_name(_named(name))
        .issuer_name(_named("authority"))
        .add_extension(usage, critical=True)
    )
    builder = builder.add_extension(x509.BasicConstraints(root, None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    if not root:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
        )
    return builder.sign(keys["authority"], hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
