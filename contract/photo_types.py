"""What kind of photo a file is, by its first bytes: what it calls itself is not trusted."""

from typing import Final

from contract.inference import CONTENT_TYPES, HEIC_TYPES

# All that may be sent; HEIC is read only where its decoder is.
PHOTO_TYPES: Final = (*CONTENT_TYPES, *HEIC_TYPES)
_JPEG, _PNG, _WEBP = CONTENT_TYPES
_HEIC: Final = HEIC_TYPES[0]
# The brands of ISO 23008-12 (HEIF) whose pictures are coded with HEVC, or may be.
_HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def photo_type(content: bytes) -> str | None:
    """Return the media type of a JPEG, PNG, WebP or HEIC photo; None for anything else."""
    if content.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _WEBP
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
        return _HEIC
    return None
