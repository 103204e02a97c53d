"""What is linked into the binaries: crates with their licenses, the Rust standard library, musl, aws-lc.

In: `cargo tree`, which knows the features that a build for the target has, `cargo metadata`, Cargo.lock and the
toolchain; nothing from the network. Out: the forms that lists of it have (sbom, embed, licenses).
"""

import json
import pathlib
import re
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What `cargo auditable` writes for packages of https://crates.io.
CRATES_IO = "crates.io"


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


class Crate:
    """One version of one crate: `kind` is "runtime" or "build" (build scripts and procedural macros)."""

    def __init__(self, package, checksum):
        self.id, self.name, self.version = package["id"], package["name"], package["version"]
        self.license = (package["license"] or "").replace("/", " OR ")
        self.description = " ".join((package["description"] or "").split())
        self.repository, self.authors = package["repository"], package["authors"]
        self.folder = pathlib.Path(package["manifest_path"]).parent
        self.is_ours = package["source"] is None
        self.is_macro = any("proc-macro" in target["kind"] for target in package["targets"])
        self.checksum = checksum
        self.kind = "build"
        self.needs = []  # crates

    @property
    def url(self):
        """As package-url.org has it."""
        return f"pkg:cargo/{self.name}@{self.version}"


def crates(target):
    """Those of a build for `target`, ours among them, by name and version."""
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    lines = run("cargo", "tree", "--locked", "--target", target, "--edges", "normal,build", "--prefix", "none")
    # Without features of tests alone, which `cargo metadata` mixes in.
    used = {tuple(line.split()[:2]) for line in lines.splitlines() if line}
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(one["name"], one["version"]): one.get("checksum") for one in locked}
    found = {}
    for package in metadata["packages"]:
        name, version = package["name"], package["version"]
        if (name, f"v{version}") in used:
            found[package["id"]] = Crate(package, checksums[name, version])
    # One edge for each way in which a crate is needed.
    normal = {}
    for node in metadata["resolve"]["nodes"]:
        crate = found.get(node["id"])
        if crate is None:
            continue
        kinds = {one["pkg"]: {kind["kind"] for kind in one["dep_kinds"]} - {"dev"} for one in node["deps"]}
        crate.needs = in_order(found[id] for id, kind in kinds.items() if kind and id in found)
        normal[crate.id] = [found[id] for id, kind in kinds.items() if None in kind and id in found]
    mark_runtime(found[metadata["resolve"]["root"]], normal)
    return in_order(found.values())


def mark_runtime(crate, normal):
    if crate.is_macro or crate.kind == "runtime":
        return
    crate.kind = "runtime"
    for needed in normal[crate.id]:
        mark_runtime(needed, normal)


def in_order(some):
    return sorted(some, key=lambda crate: (crate.name, crate.version))


def rust_version():
    return re.match(r"rustc (\S+)", run("rustc", "--version"))[1]


def musl_version(target):
    """Of the C library that the toolchain links, which says its version in its own words."""
    library = pathlib.Path(run("rustc", "--print", "sysroot").strip(), "lib/rustlib", target, "lib/self-contained/libc.a")
    found = set(re.findall(rb"\0(1\.\d+\.\d+)\0", library.read_bytes()))
    if len(found) != 1:
        raise SystemExit(f"{library} does not say which version of musl it is: {sorted(found)}")
    return found.pop().decode()


def aws_lc_version(crate):
    """Of the C library inside the crate aws-lc-sys, which has its own numbers and its own advisories."""
    header = (crate.folder / "aws-lc/include/openssl/base.h").read_text()
    return re.search(r'define AWSLC_VERSION_NUMBER_STRING "(\S+)"', header)[1]
