"""The appliance is killed in the middle of an order: it starts again, serves, finishes, with one account."""

import os
import random
import shutil
import subprocess
import time

from lib.acme.appliance import LATER, AcmeAppliance
from lib.acme.authority import Authority
from lib.proxies import until
from lib.report import NotTried, expect

FULL = bool(os.environ.get("FULL"))
TIMES = 60 if FULL else 8
# Longest time after the call at which it is killed; an order takes about one second.
WITHIN = 1.2
# At every one of these; most of what an order does is between two of them.
CALLS = ["?rename,?renameat,renameat2"] + (["fsync,fdatasync", "connect", "?unlink,unlinkat"] if FULL else [])
MOST_CALLS = 100


def at_random(binary, place):
    """Again and again, in the same state folder."""
    chance = random.Random()
    with (
        Authority(place.names.host("lives"), place.root, place.folder, pace=0.2, poll=None) as authority,
        AcmeAppliance(binary, place.names.host("killed")) as appliance,
    ):
        known, interrupted = [appliance.served()], 0
        for number in range(TIMES):
            # Another kind of key is another order with the same account.
            kind = ("ecdsa-p256", "ecdsa-p384")[number % 2]
            appliance.ask(authority.directory, place.root, key_type=kind)
            time.sleep(chance.random() * WITHIN)
            interrupted += appliance.shown()["status"] != "valid"
            appliance.kill()
            appliance.start()
            finishes(appliance, authority, place, known)
    return f"killed {TIMES} times, {interrupted} of them before the order was done"


def finishes(appliance, authority, place, known):
    """After a start: what is served is old or new and whole, and then it is new."""
    last = known[-1]
    # Each address by itself: the certificate may change between them.
    for address in (appliance.host.v4, appliance.host.v6):
        served = appliance.handshake(address)
        expect(served in known or appliance.handshake(address, place.root), "neither old nor new")
    appliance.gets(place.root, last, LATER)
    until(lambda: appliance.shown()["status"] == "valid", "the order is done", LATER)
    known.append(appliance.served(place.root))
    expect(len(authority.accounts) == 1, f"{len(authority.accounts)} accounts")
    expect(not authority.wrong, f"{authority.wrong}")


def at_every_call(binary, place):
    """strace kills it at the N-th of each system call, for N = 1, 2, 3 … until the order is done unharmed."""
    if not shutil.which("strace"):
        raise NotTried("there is no strace")
    tried = {}
    for number, calls in enumerate(CALLS):
        with Authority(
            place.names.host(f"traced-{number}"), place.root, place.folder, pace=0.05, poll=None
        ) as authority:
            tried[calls] = _each(binary, place, authority, number, calls)
    for calls, points in tried.items():
        expect(points >= (3 if "rename" in calls else 0), f"only {points} points of {calls}")
    return ", ".join(f"{points} times at {calls.replace('?', '')}" for calls, points in tried.items())


def _each(binary, place, authority, number, calls):
    with AcmeAppliance(binary, place.names.host(f"cut-{number}")) as appliance:
        fresh = appliance.folder / "fresh"
        appliance.stop()
        shutil.copytree(appliance.folder / "state", fresh)
        for point in range(1, MOST_CALLS):
            shutil.rmtree(appliance.folder / "state")
            shutil.copytree(fresh, appliance.folder / "state")
            authority.accounts.clear()
            appliance.start()
            before = appliance.served()
            tracer = _attach(appliance.process.pid, f"inject={calls}:signal=SIGKILL:when={point}")
            try:
                cut = _order(appliance, authority, place)
            finally:
                tracer.terminate()
                tracer.wait()
            if not cut:
                expect(len(authority.accounts) == 1, f"{len(authority.accounts)} accounts")
                return point - 1
            appliance.kill()
            appliance.start()
            if not appliance.shown()["enabled"]:  # killed before the call was over
                appliance.ask(authority.directory, place.root)
            finishes(appliance, authority, place, [before])
            appliance.stop()
    raise AssertionError(f"{calls}: still killed after {MOST_CALLS} tries")


def _attach(process, inject):
    """strace at every thread, the later ones included."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject, "-p", str(process)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip

    def attached():
        if tracer.poll() is not None:
            raise NotTried(f"strace: {tracer.stderr.read().decode(errors='replace').strip()}")
        folder = f"/proc/{process}/task"
        try:
            states = [open(f"{folder}/{task}/status").read() for task in os.listdir(folder)]
        except OSError:  # a thread that has ended meanwhile
            return False
        return not any("TracerPid:\t0\n" in state for state in states)

    until(attached, "strace is at every thread", LATER)
    return tracer


def _order(appliance, authority, place):
    """Whether the appliance was killed before its order was done."""
    appliance.call("POST", body={
        "directory": authority.directory, "names": [appliance.host.name], "root": place.root.pem.read_text(),
    })  # fmt: skip

    def over():
        if appliance.process.poll() is not None:
            return "cut"
        answer = appliance.call("GET")
        return "done" if '"valid"' in answer.body else None

    return until(over, "killed, or done", LATER) == "cut"
