"""nginx as a single process, for callgrind and strace."""

from peers.nginx import Peer as Nginx


class Peer(Nginx):
    note = "a single process"
    user = "master_process off;"
