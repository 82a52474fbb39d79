"""The certificate of the local endpoint, made once per state folder and renewed before it expires."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local_cloud.state import write_atomically

_HOST_NAMES: Final = ("localhost", "*.localhost")
_ADDRESSES: Final = ("127.0.0.1", "::1")
# Apple's platforms refuse a longer life, even below a root that the user trusts.
_LIFETIME: Final = dt.timedelta(days=825)
_RENEW_BEFORE: Final = dt.timedelta(days=30)


@dataclass(frozen=True)
class Certificate:
    """PEM files: what the server shows, its key, and what clients trust."""

    server: Path
    key: Path
    ca_bundle: Path


def ensure_certificate(folder: Path, now: dt.datetime | None = None) -> Certificate:
    """Return the certificate in ``folder``; a new one where there is none, or only one that expires within 30 days."""
    now = now or dt.datetime.now(dt.UTC)
    certificate = Certificate(folder / "server.pem", folder / "server-key.pem", folder / "ca.pem")
    if not _is_good(certificate, now):
        _make(certificate, now)
    return certificate


def _is_good(certificate: Certificate, now: dt.datetime) -> bool:
    """Whether all three files are there, belong together and last beyond the renewal margin."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate.server.read_bytes())
        authority = x509.load_pem_x509_certificate(certificate.ca_bundle.read_bytes())
        key = serialization.load_pem_private_key(certificate.key.read_bytes(), password=None)
        leaf.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    if leaf.public_key() != key.public_key():
        return False
    return min(leaf.not_valid_after_utc, authority.not_valid_after_utc) > now + _RENEW_BEFORE


def _make(certificate: Certificate, now: dt.datetime) -> None:
    """Write a new authority and a server certificate issued by it.

    The authority's key is never written: nobody can issue a second certificate that this machine would trust. A server
    certificate that is its own authority would be shorter, but rustls refuses an authority as a server, and Python's
    strict mode (on from 3.13) wants the identifiers of both keys.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Pedigree local cloud authority")
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(authority_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _HOST_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    leaf = (
        _builder(_name("localhost"), authority_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate.server.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(certificate.key, private.decode())
    write_atomically(certificate.server, leaf.public_bytes(serialization.Encoding.PEM).decode(), mode=0o644)
    write_atomically(certificate.ca_bundle, authority.public_bytes(serialization.Encoding.PEM).decode(), mode=0o644)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour of grace for clocks that go back, as a laptop's may after sleep.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME - dt.timedelta(hours=1))
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    """Signing certificates, for the authority; signing handshakes, for the server."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
