"""What a strict authority reads of a request: JWS in its flattened form, RFC 8555 section 6."""

import base64
import hashlib
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


class Refusal(Exception):
    """A problem document (RFC 7807) with one of the types of RFC 8555."""

    def __init__(self, status, kind, detail):
        super().__init__(f"{kind}: {detail}")
        self.status, self.kind, self.detail = status, kind, detail

    def problem(self):
        kind = f"urn:ietf:params:acme:error:{self.kind}"
        return {"type": kind, "detail": self.detail, "status": self.status}


class Request:
    """`account` is its number; `thumbprint` and `key` are there without one. POST-as-GET has no `payload`."""

    account = thumbprint = key = payload = None


def decode(text):
    """base64url; padding, which is forbidden, is refused."""
    if "=" in text:
        raise Refusal(400, "malformed", "base64url with padding")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def open_request(authority, path, headers, body):
    """Everything about a POST that a client can get wrong."""
    if headers.get("Content-Type") != "application/jose+json":
        raise Refusal(415, "malformed", f"Content-Type is {headers.get('Content-Type')}")
    if not headers.get("User-Agent"):
        raise Refusal(400, "malformed", "no User-Agent (RFC 8555 section 6.1)")
    parts = json.loads(body)
    protected = json.loads(decode(parts["protected"]))
    if protected.get("alg") != "ES256":
        raise Refusal(400, "badSignatureAlgorithm", f"alg is {protected.get('alg')}")
    if protected.get("url") != f"https://{authority.host.name}{path}":
        raise Refusal(403, "unauthorized", f"url is {protected.get('url')}, asked for {path}")
    if protected.get("nonce") not in authority.nonces:
        raise Refusal(400, "badNonce", "this nonce is not ours, or was used")
    authority.nonces.discard(protected["nonce"])
    if ("jwk" in protected) == ("kid" in protected):
        raise Refusal(400, "malformed", "exactly one of jwk and kid must be there")
    request = Request()
    if "jwk" in protected:
        request.key, request.thumbprint = public_key(protected["jwk"]), thumbprint(protected["jwk"])
    else:
        request.account, request.key = _account(authority, protected["kid"])
    _verify(request.key, parts)
    payload = decode(parts["payload"])
    request.payload = json.loads(payload) if payload else None
    return request


def _account(authority, kid):
    for account in authority.accounts.values():
        if kid == authority.url("account", account["number"]):
            return account["number"], account["key"]
    raise Refusal(400, "accountDoesNotExist", f"no account {kid}")


def public_key(jwk):
    x, y = (int.from_bytes(decode(jwk[name]), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def thumbprint(jwk):
    """RFC 7638."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).hexdigest()


def _verify(key, parts):
    raw = decode(parts["signature"])
    if len(raw) != 64:
        raise Refusal(400, "malformed", f"a signature of {len(raw)} bytes")
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(signature, f"{parts['protected']}.{parts['payload']}".encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refusal(400, "malformed", "the signature is wrong") from None
