"""Where a run took place: the circumstances that its figures depend on."""

import os
import platform

from lib.contender import output


def stolen():
    """CPU time that the host kept from us, and all, in ticks."""
    with open("/proc/stat") as stat:
        fields = [int(word) for word in stat.readline().split()[1:9]]
    return fields[7], sum(fields)


def description(before, after):
    with open("/proc/cpuinfo") as info:
        models = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    steal = 100 * (after[0] - before[0]) / max(1, after[1] - before[1])
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "openssl": " ".join(output("openssl", "version").split()[:2]),
        "steal": round(steal, 2),
    }
