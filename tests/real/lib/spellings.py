"""Looks for a secret in bytes, in the clear or written in one of the usual ways."""

import base64
import json
import re
import urllib.parse


def spellings(secret):
    """Ways in which it could be written, in lower case."""
    data = secret.encode()
    forms = {data, data.hex().encode(), urllib.parse.quote(secret).encode(), json.dumps(secret)[1:-1].encode()}
    forms.add(bytes.fromhex(secret.replace("-", "")) if re.fullmatch("[0-9a-f-]{36}", secret) else data)
    # What base64 makes of it at each offset, less what its neighbours have a part in.
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + data).rstrip(b"=")
        forms.add(text[-(-offset * 8 // 6) : len(text) - 1])
    return {form.lower() for form in forms}


def found(secrets, data):
    data = data.lower()
    return [secret for secret in secrets if any(form in data for form in spellings(secret))]
