"""The same nginx as a second contender: how far from 1 a ratio can be by noise alone."""

from peers.nginx import Peer as Nginx


class Peer(Nginx):
    note = "the same nginx once more, to show the noise"
