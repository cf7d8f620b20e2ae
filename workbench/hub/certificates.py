"""The certificate the Studio is served with: a given one, or one that it signs itself."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from workbench.core import Invalid, Settings

LIFE = timedelta(days=397)
"""The longest life browsers accept of a certificate."""


def context(settings: Settings) -> ssl.SSLContext:
    """What to serve with.

    Raises:
        Invalid: The certificate or its key cannot be read, or do not belong together.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate == "generate":
        certificate, key = map(str, generated(settings))
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        found.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"The certificate {certificate} cannot be used with the key {key or 'in it'}: {error}.",
            hint="Set tls_certificate and tls_key to PEM files that belong together.",
        ) from error
    return found


def generated(settings: Settings) -> tuple[Path, Path]:
    """A certificate for the Studio's names and its projects', and its key; made once a year."""
    file = settings.home / "keys" / "tls-certificate.pem"
    secret = settings.home / "keys" / "tls-key.pem"
    now = datetime.now(UTC)
    names = {*settings.names, *([f"*.{settings.wildcard}"] if settings.wildcard else [])}
    if file.is_file() and secret.is_file():
        found = x509.load_pem_x509_certificate(file.read_bytes())
        if found.not_valid_after_utc > now + timedelta(days=7) and _names(found) == names:
            return file, secret
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "NexusAI Studio")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in sorted(names)]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for path, content in ((secret, private), (file, made.public_bytes(serialization.Encoding.PEM))):
        new = path.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
        new.replace(path)
    return file, secret


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def _names(found: x509.Certificate) -> set[str]:
    given = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    told = {str(each) for each in given.get_values_for_type(x509.IPAddress)}
    told |= set(given.get_values_for_type(x509.DNSName))
    return {f"[{each}]" if ":" in each else each for each in told}
