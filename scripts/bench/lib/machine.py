"""Where a run took place: the circumstances that its figures depend on."""

import os
import platform

from lib.contender import output


def stolen():
    """CPU time that the host kept from us, and all, in ticks."""
    with open("/proc/stat") as stat:
        fields = [int(word) for word in stat.readline().split()[1:9]]
    return fields[7], sum(fields)


# What the speed of TLS depends on, and the name of its flag in /proc/cpuinfo.
INSTRUCTIONS = {
    "AES-NI": "aes",
    "VAES": "vaes",
    "VPCLMULQDQ": "vpclmulqdq",
    "AVX-512": "avx512f",
    "SHA": "sha_ni",
}


def instructions(info):
    """In words, from the lines of /proc/cpuinfo."""
    flags = next((line.split(":")[1].split() for line in info if line.startswith("flags")), [])
    has = [name for name, flag in INSTRUCTIONS.items() if flag in flags]
    lacks = [name for name in INSTRUCTIONS if name not in has]
    return f"with {', '.join(has) or 'nothing'}; without {', '.join(lacks) or 'nothing'}"


def description(before, after):
    with open("/proc/cpuinfo") as info:
        lines = info.readlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    steal = 100 * (after[0] - before[0]) / max(1, after[1] - before[1])
    return {
        "cpu": models[0] if models else platform.machine(),
        "instructions": instructions(lines),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "openssl": " ".join(output("openssl", "version").split()[:2]),
        "steal": round(steal, 2),
    }
