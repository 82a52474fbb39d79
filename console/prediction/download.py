"""A photo fetched from its address, with every bound that a stranger's server asks for."""

import ipaddress
import socket
import time
from typing import Final

import httpx

from console.prediction.failure import Cause, PhotoError, too_large
from contract.inference import MAX_UPLOAD_BYTES

_SCHEMES: Final = ("http", "https")
_MAX_REDIRECTS: Final = 5
_TIMEOUT: Final = httpx.Timeout(20.0, connect=10.0)
# For the whole of it: 20 MB at 3 Mbit/s. A server that sends a byte now and then keeps within every other bound.
SECONDS: Final = 60.0
# Some servers refuse whoever says nothing. Bytes as they are: what is packed could be of any size once unpacked.
_HEADERS: Final = {"User-Agent": "pedigree", "Accept": "image/*, */*;q=0.1", "Accept-Encoding": "identity"}


def download(address: str) -> bytes:
    """Return what is at an http or https address.

    Up to five redirects are followed, none of them from the internet into a private network: whoever names an address
    there means it, a stranger's server that points there means no good.

    Raises:
        PhotoError: it cannot be had; says why.
    """
    deadline = time.monotonic() + SECONDS
    try:
        with httpx.Client(timeout=_TIMEOUT, headers=_HEADERS) as client:
            return _follow(client, client.build_request("GET", address), deadline)
    # httpx refuses an address with InvalidURL; the resolver refuses an impossible host name with UnicodeError.
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise _unreadable(f"The address cannot be fetched: {str(error) or type(error).__name__}.") from error


def _follow(client: httpx.Client, request: httpx.Request, deadline: float) -> bytes:
    may_be_private: bool | None = None
    for _ in range(_MAX_REDIRECTS + 1):
        if request.url.scheme not in _SCHEMES or not request.url.host:
            raise _unreadable("Only addresses are fetched that begin with http:// or https:// and a host.")
        is_private = _is_private(request.url.host)
        if may_be_private is None:
            may_be_private = is_private
        elif is_private and not may_be_private:
            raise _unreadable(f"The address leads into a private network, to {request.url.host}: not followed.")
        response = client.send(request, stream=True)
        try:
            if response.next_request is None:
                return _read(response, deadline)
            request = response.next_request
        finally:
            response.close()
    raise _unreadable(f"The address leads on and on: more than {_MAX_REDIRECTS} redirects.")


def addresses(host: str) -> list[str]:
    """Return the IP addresses of a host; none where its name is not known here, but perhaps to a proxy."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except socket.gaierror:
        return []


def _is_private(host: str) -> bool:
    """Whether a host is, or might be, none of the internet's."""
    return not all(_is_global(address) for address in addresses(host))


def _is_global(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_global


def _read(response: httpx.Response, deadline: float) -> bytes:
    if response.status_code != httpx.codes.OK:
        raise _unreadable(f"The address answers {response.status_code}.")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and float(announced) > MAX_UPLOAD_BYTES:
        raise too_large()
    content = bytearray()
    for part in response.iter_raw():
        content += part
        if len(content) > MAX_UPLOAD_BYTES:
            raise too_large()
        if time.monotonic() > deadline:
            raise _unreadable(f"The address takes longer than {SECONDS:.0f} s.")
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _unreadable("The address is that of a web page, not of a photo.", "Copy the address of the photo in it.")
    return bytes(content)


def _unreadable(reason: str, hint: str = "") -> PhotoError:
    return PhotoError(Cause.UNREADABLE, reason, hint)
