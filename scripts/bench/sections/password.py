"""A bcrypt password of cost 12: what it costs those who know it, and others while somebody guesses."""

import time

from lib.contender import PASSWORD, USER, answers
from lib.patience import end


def run(bench):
    world = bench.world
    up = world.start_all(world.who("password"), "p256", True)
    who = list(up)
    user = f"{USER}:{PASSWORD}"
    # What is hashed for every request is answered in bursts: 64 after 64 hashes.
    seconds = {"nginx": 30, "nginx-again": 30}
    for name in who:
        # As a person does: one request, then many. What remembers has hashed then.
        if not answers(up[name].port, "/guarded/small", "--user", user):
            raise RuntimeError(f"{name} refuses the right password")
        for wrong in (["--status", "401"], ["--status", "401", "--user", f"{USER}:wrong"]):
            if not answers(up[name].port, "/guarded/small", *wrong):
                raise RuntimeError(f"{name} lets anybody in")
    for rep, name in bench.rounds(who, 3):
        longer = 3 if bench.quick else seconds.get(name, 2)
        bench.measure(
            "password.without", up[name], rep, "get", path="/api/small", connections=64, secs=2
        )
        bench.measure(
            "password.with",
            up[name],
            rep,
            "get",
            path="/guarded/small",
            connections=64,
            secs=longer,
            user=user,
        )
    # Some go on hashing for minutes after their clients have left.
    world.stop(*up.values(), at_once=True)

    for many, where in ((0, "one"), (1, "many")):
        for rep, name in bench.rounds(who, 4):
            bench.attempt(f"guesses {name}", lambda: guesses(bench, name, rep, many, where))


def guesses(bench, name, rep, many, where):
    """Others ask while 4 connections try ever new passwords, from one address or each from a new one."""
    contender = bench.world.start(name, "p256", True)
    guessing = None
    try:
        seconds = 1 if bench.quick else 4
        asked = {"path": "/api/small", "secs": seconds, "warm": 0}
        bench.measure(f"unguessed.{where}", contender, rep, "get", **asked)
        guessing = bench.begin(
            contender,
            "handshake",
            path="/guarded/small",
            connections=4,
            user=f"{USER}:wrong*",
            status=401,
            secs=seconds + 4,
            warm=0,
            from_many=many,
        )
        time.sleep(1)
        result = bench.load(contender, "get", **asked)
        bench.keep(f"guessed.{where}", name, rep, result)
    finally:
        if guessing:
            end(guessing)
        bench.world.stop(contender, at_once=True)
