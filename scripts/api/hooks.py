"""What schemathesis is told besides the API's description; scripts/api/check.py names this file to it."""

import struct
import zlib

import schemathesis
from hypothesis import strategies

# Whoever signs in to the phases of check.py: an administrator could shut them out.
PEOPLE = ("admin", "ada", "zoe")
SHUTS_OUT = ("PATCH /api/admin/users/{name}", "DELETE /api/admin/users/{name}/sessions", "DELETE /api/admin/users/{name}/sessions/{id}")
# So could one who ends the session that asks: its id is as long.
SESSION = 32
# Without its nodes the platform answers nobody.
NODES = ("control", "origin", "edge")
STOPS = ("DELETE /api/admin/nodes/{name}", "POST /api/admin/nodes/{name}/drain")
# So could one who revokes the key that signs: its identifier is an RFC 7638 thumbprint.
THUMBPRINT = 43


@schemathesis.hook
def filter_case(context, case) -> bool:
    label, named = case.operation.label, case.path_parameters or {}
    if label in SHUTS_OUT:
        return str(named.get("name")).strip().lower() not in PEOPLE
    if label == "DELETE /api/me/sessions/{id}":
        return len(str(named.get("id"))) != SESSION
    if label in STOPS:
        return str(named.get("name")).strip().lower() not in NODES
    if label == "POST /api/admin/keys/{kid}/revoke":
        return len(str(named.get("kid"))) != THUMBPRINT
    return True


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """A black picture (W3C PNG, second edition, §5.2)."""
    rows = zlib.compress((b"\0" + bytes(width)) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def pictures() -> strategies.SearchStrategy[bytes]:
    """Good ones, cut ones, ones that are larger than they say, and no pictures at all."""
    sides = strategies.sampled_from([1, 2, 17, 300])
    good = strategies.builds(png, sides, sides)
    cut = strategies.builds(lambda picture, length: picture[:length], good, strategies.integers(0, 60))
    liars = strategies.builds(lambda side: png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", side, side)),
                              strategies.sampled_from([0, 4097, 2**31 - 1]))
    return strategies.one_of(good, cut, liars, strategies.binary(max_size=64))


schemathesis.openapi.media_type("image/png", pictures())
