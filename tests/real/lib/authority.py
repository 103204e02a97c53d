"""A certificate authority for one run, made by the openssl program; nothing of it is kept."""

import pathlib
import subprocess
from typing import NamedTuple


class Pair(NamedTuple):
    key: pathlib.Path
    cert: pathlib.Path


class Authority:
    """`root` is the file a client has to trust."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.root = self.folder / "root.crt"
        self.root_key = self.folder / "root.key"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", self.root_key, "-out", self.root, "-days", "30", "-subj", "/CN=Test Root",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def certify(self, name, days=30, usages="serverAuth", subject="CN"):
        """A key and a certificate for this machine, called `name`."""
        pair = Pair(self.folder / f"{name}.key", self.folder / f"{name}.crt")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(
            f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={usages}\n"
            "authorityKeyIdentifier=keyid\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n"
        )
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", pair.key, "-out", request,
            "-subj", f"/{subject}={name}",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self.root_key,
            "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", pair.cert,
        )  # fmt: skip
        return pair

    def sign(self, name, request):
        """A certificate for a request made elsewhere, by `openssl ca`, with the names that it asks for."""
        records = self.folder / f"{name}-records"
        records.mkdir()
        (records / "index.txt").touch()
        asked, cert, settings = records / "asked.csr", self.folder / f"{name}.crt", records / "ca.cnf"
        asked.write_text(request)
        settings.write_text(
            f"[ca]\ndefault_ca=one\n[one]\nnew_certs_dir={records}\ndatabase={records}/index.txt\n"
            "rand_serial=yes\ndefault_md=sha256\ncopy_extensions=copy\npolicy=any\n[any]\n"
            "organizationName=optional\ncommonName=supplied\n"
        )
        self._openssl(
            "ca", "-batch", "-notext", "-config", settings, "-in", asked, "-out", cert,
            "-cert", self.root, "-keyfile", self.root_key, "-days", "400",
        )  # fmt: skip
        return cert

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
