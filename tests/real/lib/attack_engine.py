"""A stand-in for both speech engines that takes whatever comes: uploads, however slow, and tunnels.

What is answered at once is answered by one process; uploads and tunnels are handed to others, so that a
flood of them slows this stand-in down no more than it would an engine that has a machine of its own.

usage: attack_engine.py PORT [idle]; a line `start` or `stop` on standard input, answered by `done`. With
`idle` floods are taken with what the machine has left over.
"""

import array
import collections
import contextlib
import os
import selectors
import signal
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n%s\r\n[]"
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SINKS = 2


def front(listener, sinks):
    """Reads heads; answers what has no body and hands over what has."""
    ready, waiting, turn = selectors.DefaultSelector(), collections.deque(), 0
    ready.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select(0.01 if waiting else None):
            if key.fileobj is listener:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        client = listener.accept()[0]
                        client.setblocking(False)
                        ready.register(client, selectors.EVENT_READ, bytearray())
                continue
            client, head = key.fileobj, key.data
            done, left = read_head(client, head)
            if done:
                ready.unregister(client)
                if left is None:
                    client.close()
                else:
                    waiting.append((client, left))
        with contextlib.suppress(BlockingIOError):
            while waiting:
                client, left = waiting[0]
                socket.send_fds(sinks[turn % SINKS], [array.array("q", [left]).tobytes()], [client.fileno()])
                waiting.popleft()[0].close()
                turn += 1


def read_head(client, head):
    """(False, _) while this process goes on with it; (True, None) at its end; (True, N) if N bytes of a
    body are to come, -1 if there is no telling how many."""
    try:
        data = client.recv(65536)
        if not data:
            return True, None
        head += data
        while (end := head.find(b"\r\n\r\n")) >= 0:
            fields = bytes(head[:end]).lower()
            del head[: end + 4]
            if b"\r\nupgrade: websocket" in fields:
                client.send(ACCEPTED)
                return True, -1
            length = next((int(f[15:]) for f in fields.split(b"\r\n") if f.startswith(b"content-length:")), 0)
            if length > len(head):
                return True, length - len(head)
            del head[:length]
            client.send(ANSWER % b"")
    except BlockingIOError:
        pass
    except OSError:
        return True, None
    return False, None


def sink(source, idle):
    """Takes bodies to their end and echoes tunnels."""
    if idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    ready, room = selectors.DefaultSelector(), bytearray(1 << 20)
    ready.register(source, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is source:
                number, fds, _, _ = socket.recv_fds(source, 8, 1)
                if not fds:
                    return
                client = socket.socket(fileno=fds[0])
                ready.register(client, selectors.EVENT_READ, array.array("q", number))
                continue
            client, left = key.fileobj, key.data
            try:
                more = echo(client, room) if left[0] < 0 else swallow(client, left, room)
            except BlockingIOError:
                continue
            except OSError:
                more = False
            if not more:
                ready.unregister(client)
                client.close()


def echo(client, room):
    size = client.recv_into(room)
    return size and client.send(memoryview(room)[:size]) == size


def swallow(client, left, room):
    # MSG_TRUNC, tcp(7): taken and thrown away by the kernel, not copied.
    size = client.recv_into(room, min(left[0], len(room)), socket.MSG_TRUNC)
    left[0] -= size
    if left[0] == 0:
        client.send(ANSWER % b"Connection: close\r\n")
    return size and left[0]


def start(port, idle):
    """The processes of an engine that listens once this returns."""
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(SINKS)]
    jobs = [lambda: front(listener, [ours for ours, _ in pairs])]
    jobs += [lambda theirs=theirs: sink(theirs, idle) for _, theirs in pairs]
    for ours, _ in pairs:
        ours.setblocking(False)
    children = []
    for job in jobs:
        child = os.fork()
        if child == 0:
            try:
                job()
            finally:
                os._exit(1)
        children.append(child)
    for end in [listener, *(end for pair in pairs for end in pair)]:
        end.close()
    return children


def stop(children):
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


def main():
    port, idle, children = int(sys.argv[1]), "idle" in sys.argv[2:], []
    try:
        for line in sys.stdin:
            if line == "start\n":
                children = start(port, idle)
            else:
                stop(children)
                children = []
            print("done", flush=True)
    finally:
        stop(children)


if __name__ == "__main__":
    main()
