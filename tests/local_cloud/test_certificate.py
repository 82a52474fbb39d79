import datetime as dt
import http.server
import ssl
import threading
import urllib.request
from pathlib import Path

from cryptography import x509

from local_cloud.certificate import Certificate, ensure_certificate


def _serial(certificate: Certificate) -> int:
    return x509.load_pem_x509_certificate(certificate.server.read_bytes()).serial_number


def test_a_certificate_is_made_once(tmp_path: Path) -> None:
    assert _serial(ensure_certificate(tmp_path)) == _serial(ensure_certificate(tmp_path))


def test_a_certificate_near_its_end_is_made_again(tmp_path: Path) -> None:
    first = _serial(ensure_certificate(tmp_path))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=800)
    assert _serial(ensure_certificate(tmp_path, later)) != first


def test_files_that_do_not_belong_together_are_made_again(tmp_path: Path) -> None:
    one, other = ensure_certificate(tmp_path / "one"), ensure_certificate(tmp_path / "other")
    one.key.write_bytes(other.key.read_bytes())
    broken = _serial(one)
    assert _serial(ensure_certificate(tmp_path / "one")) != broken


def test_a_half_written_file_is_made_again(tmp_path: Path) -> None:
    certificate = ensure_certificate(tmp_path)
    certificate.ca_bundle.write_text("-----BEGIN CERTIFICATE-----\nabc")
    ensure_certificate(tmp_path)
    x509.load_pem_x509_certificate(certificate.ca_bundle.read_bytes())


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    assert ensure_certificate(tmp_path).key.stat().st_mode & 0o777 == 0o600


def test_strict_clients_accept_it_by_name_and_by_address(tmp_path: Path) -> None:
    certificate = ensure_certificate(tmp_path)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.server, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = ssl.create_default_context(cafile=str(certificate.ca_bundle))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13 turns it on by itself
    try:
        for host in ("localhost", "127.0.0.1"):
            with urllib.request.urlopen(f"https://{host}:{server.server_port}/", context=client) as response:
                assert response.status == 200
    finally:
        server.shutdown()
        server.server_close()
