"""What scripts/deb and scripts/oci make of two binaries, and what others' programs say to it.

In: the folder of the binaries. Out: the packages' life in a guest (package_life.py).
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import zlib

from appliance import curl
from debian import run
from report import expect

SCRIPTS = pathlib.Path(__file__).resolve().parents[3] / "scripts"
ARCH = "x86_64"
USER = 65532
START_SECONDS = 60


class Made:
    """The artefacts, in `folder`."""

    def __init__(self, binaries, scratch):
        self.binaries, self.scratch = binaries, scratch
        self.folder = scratch / "made/dist"

    def _make(self, name, *before):
        environment = {**os.environ, "BINARIES": str(self.binaries), "ARCH": ARCH}
        environment |= {"CARGO_TARGET_DIR": str(self.scratch / name), "CARGO_NET_OFFLINE": "true"}
        for script in ("deb", "oci"):
            done = subprocess.run([*before, SCRIPTS / script], env=environment, capture_output=True, text=True)
            expect(done.returncode == 0, f"scripts/{script}: {done.stdout}{done.stderr}")

    def make(self):
        self._make("made", "unshare", "--net")
        names = sorted(path.name for path in self.folder.iterdir())
        expect(len(names) == 12, names)
        return ", ".join(name for name in names if name.endswith((".deb", ".tar")))

    def same_again(self):
        self._make("again/elsewhere")
        for path in self.folder.iterdir():
            other = self.scratch / "again/elsewhere/dist" / path.name
            expect(other.read_bytes() == path.read_bytes(), f"another {path.name}")

    def lintian(self):
        done = subprocess.run(
            ["lintian", "--allow-root", "--fail-on", "error", *self.folder.glob("*.deb")], capture_output=True, text=True
        )
        expect(done.returncode == 0, f"{done.stdout}{done.stderr}")
        return f"{len(re.findall('^W:', done.stdout, re.M))} warnings"

    def crates(self):
        """The section, read without our own code: readelf tells where it is."""
        root = self.scratch / "unpacked"
        run("dpkg-deb", "-x", next(self.folder.glob("applianced_*.deb")), root)
        packed = root / "usr/bin/applianced"
        (line,) = [line for line in run("readelf", "-SW", packed).splitlines() if ".dep-v0" in line]
        at, size = (int(word, 16) for word in line.split(".dep-v0")[1].split()[2:4])
        listed = json.loads(zlib.decompress(packed.read_bytes()[at : at + size]))["packages"]
        names = {one["name"] for one in listed}
        expect({"applianced", "rustls", "aws-lc-sys"} <= names and "hpke" not in names, sorted(names))
        loaded = [run("readelf", "-lW", binary) for binary in (packed, self.binaries / "applianced")]
        expect(loaded[0] == loaded[1], "other segments are loaded")
        return f"{len(listed)} crates in {size} bytes"

    def bills(self):
        paths = sorted(self.folder.glob("*.cdx.json"))
        for path in paths:
            bill = json.loads(path.read_text())
            artefact = self.folder / path.name.removesuffix(".cdx.json")
            (told,) = bill["metadata"]["component"]["hashes"]
            expect(told["content"] == hashlib.sha256(artefact.read_bytes()).hexdigest(), path.name)
            names = {one["name"] for one in bill["components"]}
            expect({"rustls", "aws-lc", "musl", "rust-std"} <= names, sorted(names))
            refs = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
            told = {ref for one in bill["dependencies"] for ref in (one["ref"], *one.get("dependsOn", ()))}
            expect(told <= refs, sorted(told - refs))
            expect(all(one["licenses"][0]["expression"] for one in bill["components"]), "no license")
        return f"{len(names)} components"

    def unpack(self):
        (archive,) = self.folder.glob("applianced-*.oci.tar")
        version = archive.name.split("-")[1]
        told = json.loads(run("skopeo", "inspect", "--config", f"oci-archive:{archive}:{version}"))
        expect(told["config"]["User"] == f"{USER}:{USER}" and told["architecture"] == "amd64", told)
        run("skopeo", "copy", f"oci-archive:{archive}:{version}", f"oci:{self.scratch}/layout:{version}")
        run("umoci", "unpack", "--image", f"{self.scratch}/layout:{version}", self.scratch / "bundle")

    def run(self):
        bundle, volume = self.scratch / "bundle", self.scratch / "volume"
        volume.mkdir(mode=0o700)
        os.chown(volume, USER, USER)
        for folder in self.scratch, bundle:
            os.chmod(folder, 0o755)
        path = bundle / "config.json"
        settings = json.loads(path.read_text())
        settings["root"]["readonly"] = True
        settings["process"]["terminal"] = False
        settings["process"]["capabilities"] = {}
        settings["process"]["noNewPrivileges"] = True
        state = "/var/lib/applianced"
        others = [one for one in settings["mounts"] if one["destination"] != state]
        settings["mounts"] = [*others, {"destination": state, "type": "bind", "source": str(volume), "options": ["bind", "rw"]}]
        # As Docker and containerd do; in a network of its own.
        settings["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "0"}
        path.write_text(json.dumps(settings))
        name = f"applianced-{os.getpid()}"
        process = subprocess.Popen(
            ["runc", "run", "--bundle", bundle, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if line == "ready\n":
                    break
            expect("ready\n" in said, "".join(said))
            answer = curl("--unix-socket", volume / "run/control.sock", "http://x/v1/management/ping")
            expect(answer.status == 200, answer)
            status = run("runc", "exec", name, "/usr/bin/applianced", "status")
            expect((volume / "state/tls/default.pem").is_file() and status, status)
        finally:
            process.send_signal(signal.SIGTERM)
            limit = time.monotonic() + START_SECONDS
            while process.poll() is None and time.monotonic() < limit:
                time.sleep(0.1)
            subprocess.run(["runc", "delete", "--force", name], capture_output=True)
            shutil.rmtree(bundle, ignore_errors=True)
        expect(process.returncode == 0, f"ended with {process.returncode}: {''.join(said)}")
