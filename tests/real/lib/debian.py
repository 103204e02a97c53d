"""Debian 13 in QEMU, under systemd or OpenRC, with a shell of root's on its second serial line.

In: the disk, made once from Debian's packages and never written to again; boot, commands, forwarded ports. Out: what
is expected of a package in it.
"""

import lzma
import gzip
import os
import pathlib
import shutil
import signal
import subprocess
import time

from appliance import curl, free_port
from clock import Root, entry

RELEASE = "trixie"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "systemd,openrc,dbus,adduser,procps,busybox-static,udev,ifupdown,iproute2,isc-dhcp-client"
# Both are in one disk; the kernel is told which one to start.
INITS = {"systemd": "/usr/lib/systemd/systemd", "openrc": "/sbin/openrc-init"}
# Each after those it needs.
MODULES = ("virtio_blk", "failover", "net_failover", "virtio_net")
BOOT_SECONDS = 240
ANSWER_SECONDS = 60
PORTS = {"http": 80, "https": 443, "authority": 8100}

# In the initial RAM disk: mounts the disk, brings what is to be tried along, and hands over.
RAM_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in MODULES; do $b insmod /$module.ko; done
until [ -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 -o noatime /dev/vda /root
$b mount -t tmpfs tmpfs /root/mnt
$b cp /packages/* /root/mnt/
$b ip link set lo up
$b ip link set eth0 up
$b ip addr add 10.0.2.15/24 dev eth0
for folder in dev proc sys; do $b mount --move /$folder /root/$folder; done
exec $b switch_root /root /bin/sh -c '
    (TERM=dumb HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin exec setsid sh -c "stty -echo; echo the shell listens; PS1= exec sh" </dev/ttyS1 >/dev/ttyS1 2>&1) &
    exec INIT'
"""


def run(*command):
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def disk(place):
    """The folder with disk, kernel, BusyBox and modules; made below `place` if it is not there yet."""
    folder = place / f"{RELEASE}-2"
    if folder.exists():
        return folder
    half, root = place / "half", place / "half/root"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    # No document and no language; and the kernel is unpacked, because its installation takes longer than all else.
    slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    kernel = (
        'cd "$1/tmp" && chroot "$1" sh -c "cd /tmp && apt-get download -qq -o APT::Sandbox::User=root '
        r'\$(apt-cache depends linux-image-cloud-amd64 | sed -n s/^.*Depends:.//p | grep ^linux-image)" '
        '&& dpkg-deb -x linux-image-*.deb "$1/../kernel-package"'
    )
    packages = f"--include={PACKAGES}"
    run("mmdebstrap", "--variant=minbase", packages, *slim, f"--customize-hook={kernel}", RELEASE, root, MIRROR)
    unpacked = half / "kernel-package"
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), half / "kernel")
    shutil.copy(root / "usr/bin/busybox", half / "busybox")
    for name in MODULES:
        (module,) = unpacked.rglob(f"{name}.ko.xz")
        (half / f"{name}.ko").write_bytes(lzma.decompress(module.read_bytes()))
    run("truncate", "-s", "1G", half / "disk")
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-d", root, half / "disk")
    shutil.rmtree(root)
    shutil.rmtree(unpacked)
    # Last, so that half a disk is never taken for a whole one.
    half.rename(folder)
    return folder


class Machine:
    """`with Machine(folder, scratch, "systemd", packages) as machine: …`; the packages are in its /mnt."""

    def __init__(self, folder, scratch, init, packages):
        self.init = init
        scratch.mkdir()
        self.console = scratch / "console"
        self.line = scratch / "shell"
        ram = scratch / "initramfs"
        ram.write_bytes(self._ram_disk(folder, packages))
        self.port = {name: free_port() for name in PORTS}
        forwarded = "".join(f",hostfwd=tcp:127.0.0.1:{self.port[name]}-:{PORTS[name]}" for name in PORTS)
        # Without the processor's help, which a machine that is virtual itself may have and not be able to give.
        self.command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1"]
        self.command += ["-m", "512", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        self.command += ["-kernel", folder / "kernel", "-initrd", ram]
        self.command += ["-append", "console=ttyS0 quiet panic=-1 no_timer_check net.ifnames=0"]
        self.command[-1] += " systemd.getty_auto=0 systemd.firstboot=no"
        self.command += ["-drive", f"file={folder}/disk,format=raw,if=virtio,snapshot=on"]
        self.command += ["-netdev", f"user,id=lan,restrict=on{forwarded}"]
        self.command += ["-device", "virtio-net-pci,netdev=lan,romfile=", "-serial", f"file:{self.console}"]
        self.command += ["-serial", f"unix:{self.line},server=on,wait=off"]

    def _ram_disk(self, folder, packages):
        init = RAM_INIT.replace("MODULES", " ".join(MODULES)).replace("INIT", INITS[self.init])
        parts = [entry(name, 0o40755, b"") for name in ("bin", "dev", "packages", "proc", "root", "sys")]
        parts.append(entry("init", 0o100755, init.encode()))
        parts.append(entry("bin/busybox", 0o100755, (folder / "busybox").read_bytes()))
        parts += [entry(f"{name}.ko", 0o100644, (folder / f"{name}.ko").read_bytes()) for name in MODULES]
        parts += [entry(f"packages/{package.name}", 0o100644, package.read_bytes()) for package in packages]
        return gzip.compress(b"".join(parts) + entry("TRAILER!!!", 0, b""), 1)

    def __enter__(self):
        environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, env=environment)
        try:
            self._wait_for_boot()
        except BaseException:
            self.__exit__()
            raise
        self.took = time.monotonic() - began
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _wait_for_boot(self):
        limit = time.monotonic() + BOOT_SECONDS
        while not self.line.exists():
            if time.monotonic() > limit or self.process.poll() is not None:
                raise AssertionError("QEMU did not open the serial line")
            time.sleep(0.05)
        self.root = Root(self.line)
        self.root.line.settimeout(BOOT_SECONDS)
        # What is sent before the line is opened is lost.
        greeting = b""
        while b"the shell listens" not in greeting:
            greeting += self.root.line.recv(4096)
        up = "systemctl is-system-running" if self.init == "systemd" else "rc-status --runlevel"
        wanted = ("running", "degraded", "default")
        while not any(word in (told := self.does(f"{up} || true")) for word in wanted):
            if time.monotonic() > limit:
                raise AssertionError(f"{self.init} did not come up: {told}; {self.console.read_text()[-1500:]}")
            time.sleep(0.5)

    def does(self, command):
        """What root's command printed; it must come to a good end."""
        return self.root.does(f"{{ {command}; }} 2>&1").replace("\r", "").rpartition("ended:")[0]

    def fails(self, command):
        """What it printed; it must not come to a good end."""
        return self.does(f"! {{ {command}; }}")

    def reaches(self, command, what, seconds=ANSWER_SECONDS):
        """Until root's command has a good end."""
        limit = time.monotonic() + seconds
        while "good end" not in self.does(f"if {command}; then echo good end; fi"):
            if time.monotonic() > limit:
                raise AssertionError(f"it never was so that {what}")
            time.sleep(0.2)

    def curl(self, port, path, *arguments):
        scheme = "https" if port == "https" else "http"
        url = f"{scheme}://127.0.0.1:{self.port[port]}{path}"
        return curl("--insecure", *arguments, url, seconds=ANSWER_SECONDS)

    def leave(self):
        """Ends the shell, for which a shutdown would wait."""
        self.root.line.sendall(b"exit\n")

    def ends(self):
        """Waits until it has switched itself off."""
        self.process.wait(ANSWER_SECONDS)
