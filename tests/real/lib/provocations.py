"""What provokes the answers that the description has, and why some can't be had from outside.

`{v}` stands for v1 and v2. A body of text is sent as it is, an object as JSON, parts as an upload.
"""

MANY = "x" * ((1 << 20) + 1)
LICENSE = "/{v}/management/license"
SECURITY = "/{v}/security"
HOST = "/{v}/management/host"
RESERVE = {"session": "s", "seconds": 30}


class Parts(dict):
    """The files of an upload."""


# Without a license, an authority that answers, no password set; over HTTPS unless told otherwise.
# Statuses, method, path, body.
UNLICENSED = [
    (200, "GET", "/v1/management/services?service_name=gate,speech&service_name=x", None),
    (200, "GET", "/v1/management/logs/gate?count=-1", None),
    (400, "GET", "/v1/management/logs/gate?count=0", None),
    (400, "GET", "/v1/management/logs/gate?count=x", None),
    (404, "GET", "/v1/management/logs/nobody", None),
    (200, "GET", "/{v}/management/logs/zip?limit=8h5m3s", None),
    (400, "GET", "/{v}/management/logs/zip?limit=1d", None),
    (404, "GET", "/v1/management/resource/disk", None),
    (200, "DELETE", "/v1/management/services", None),
    (200, "DELETE", "/{v}/management/reboot", None),
    (200, "DELETE", "/{v}/management/shutdown", None),
    (200, "GET", HOST + "/time?set=2098-01-31T12:00:00Z", None),
    (400, "GET", HOST + "/time?set=now", None),
    (200, "POST", HOST + "/time", {"time": "2027-01-31T12:00:00Z"}),
    (400, "POST", HOST + "/time", {"time": "now"}),
    (413, "POST", HOST + "/time", MANY),
    (400, "POST", HOST + "/setdhcp", {"dhcp": True}),
    (413, "POST", HOST + "/setdhcp", MANY),
    (400, "POST", HOST + "/setipaddress", {"address": "192.0.2.7", "netmask": "24", "gateway": "192.0.3.1"}),
    (413, "POST", HOST + "/setipaddress", MANY),
    (400, "POST", HOST + "/confirmnetwork", "[]"),
    (409, "POST", HOST + "/confirmnetwork", {}),
    (413, "POST", HOST + "/confirmnetwork", MANY),
    (400, "POST", LICENSE, None),
    (400, "POST", LICENSE, "[]"),
    (400, "POST", LICENSE, {"license": 1}),
    (400, "POST", LICENSE, {"license": "494953679762904933"}),
    (400, "POST", LICENSE, {"license": "x" * 65}),
    (400, "POST", LICENSE, {"license": "x", "username": "\n"}),
    (400, "POST", LICENSE, {"license": "x", "more": 1}),
    (400, "POST", LICENSE, "x" * 70_000),
    (413, "POST", LICENSE, MANY),
    (400, "DELETE", LICENSE, None),
    (200, "POST", LICENSE + "/network", {"http_configuration": {"ip": "192.0.2.1", "port": "3128", "user": "a", "password": "b"}}),
    (200, "GET", LICENSE + "/network", None),
    (200, "POST", LICENSE + "/network", {}),
    (400, "POST", LICENSE + "/network", {"http_configuration": {"ip": "a b", "port": 1}}),
    (400, "POST", LICENSE + "/network", {"http_configuration": {"ip": "a", "port": 65536}}),
    (413, "POST", LICENSE + "/network", MANY),
    (400, "POST", LICENSE + "/offlineactivation", {"license": "123"}),
    (500, "POST", LICENSE + "/offlineactivation", {"license": "1", "certificate": "ab"}),
    (413, "POST", LICENSE + "/offlineactivation", MANY),
    (400, "PUT", LICENSE + "/offlineactivation", {"license": "1"}),
    (400, "PUT", LICENSE + "/offlineactivation", {"license": "1", "certificate": "4c41"}),
    (413, "PUT", LICENSE + "/offlineactivation", MANY),
    (400, "DELETE", LICENSE + "/offlineactivation", None),
    (400, "POST", LICENSE + "/offlinemode", {"offline": 1}),
    (500, "POST", LICENSE + "/offlinemode", {"offline": True}),
    (200, "POST", LICENSE + "/offlinemode", {"offline": False}),
    (413, "POST", LICENSE + "/offlinemode", MANY),
    (400, "POST", SECURITY + "/sslcertificate", None),
    (400, "POST", SECURITY + "/sslcertificate", Parts(keyfile="", certfile="")),
    (400, "POST", SECURITY + "/sslcertificate", Parts(keyfile="x", certfile="y")),
    (413, "POST", SECURITY + "/sslcertificate", MANY),
    (400, "POST", SECURITY + "/certificaterequest", {"names": "appliance"}),
    (413, "POST", SECURITY + "/certificaterequest", MANY),
    (200, "GET", SECURITY + "/acme", None),
    (200, "POST", SECURITY + "/acme", {"directory": "https://127.0.0.1:1/", "external_account": {"kid": "a", "hmac_key": "YQ"}}),
    (200, "GET", SECURITY + "/acme", None),
    (200, "DELETE", SECURITY + "/acme", None),
    (400, "POST", SECURITY + "/acme", {"directory": "http://127.0.0.1:1/"}),
    (413, "POST", SECURITY + "/acme", MANY),
    (400, "POST", SECURITY + "/insecureports", "{"),
    (400, "POST", SECURITY + "/insecureports", {"enable_insecure_ports": "true"}),
    (200, "POST", SECURITY + "/insecureports", {"enable_insecure_ports": True}),
    (413, "POST", SECURITY + "/insecureports", MANY),
    (400, "POST", SECURITY + "/adminpassword", {"password": ""}),
    (400, "POST", SECURITY + "/adminpassword", {"password": "é" * 40}),
    (400, "POST", SECURITY + "/adminpassword", '{"password": "a", "password": "b"}'),
    (413, "POST", SECURITY + "/adminpassword", MANY),
    (200, "DELETE", SECURITY + "/adminpassword", None),
    (200, "DELETE", SECURITY + "/jobtoken", None),
    (200, "POST", SECURITY + "/jobtoken", {"user_token": "a-token"}),
    (200, "GET", SECURITY + "/jobtoken", None),
    (400, "POST", SECURITY + "/jobtoken", {"user_token": "two words"}),
    (413, "POST", SECURITY + "/jobtoken", MANY),
    (200, "DELETE", SECURITY + "/jobtoken", None),
    (200, "DELETE", SECURITY + "/reset", None),
    *[(200, "GET", f"/monitor/api/3/{plugin}", None) for plugin in (
        "quicklook", "processcount", "system", "cpu", "load", "percpu", "fs", "core", "memswap", "mem", "now",
        "uptime", "diskio", "network")],
    *[(400, "GET", f"/monitor/api/3/{path}", None) for path in (
        "nosuch", "nosuch/limits", "nosuch/x", "nosuch/x/y", "config/nosuch", "args/nosuch")],
    *[(404, "GET", f"/monitor/api/3/{path}", None) for path in ("help", "mem/views", "mem/nosuch", "mem/x/y")],
    (405, "POST", "/monitor/metrics", None),
    (503, "GET", "/healthz", None),
    (405, "POST", "/healthz", None),
    (403, "POST", "/v2/jobs", "audio"),
    (403, "POST", "/v1.0/user/1/jobs", "audio"),
    (403, "POST", "/v1/user/1/jobs/", None),
    (404, "GET", "/v2", None),
    (404, "GET", "/v2/en", None),
    (405, "PATCH", SECURITY + "/reset", None),
    (405, "POST", "/docs", None),
    (405, "POST", "/monitor/api/3/mem", None),
    (404, "GET", "/nosuch", None),
    (404, "GET", "/monitor", None),
    (404, "GET", "/monitor/", None),
]  # fmt: skip

# On the socket of the speech engine.
COUNTING = [
    (402, "POST", "/usage/reserve", RESERVE),
    (400, "POST", "/usage/reserve", {"session": "s", "seconds": 0}),
    (400, "POST", "/usage/reserve", {"session": "", "seconds": 1}),
    (400, "POST", "/usage/settle", {"session": "s", "used": -1}),
    (413, "POST", "/usage/reserve", MANY),
    (413, "POST", "/usage/settle", MANY),
    (200, "POST", "/usage/settle", {"session": "s", "used": 1}),
    (200, "GET", "/license", None),
    (405, "DELETE", "/license", None),
]

# Whole requests that no operation understands.
LINES = [
    (400, "GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\n\r\n"),
    (400, "POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (413, "GET /{path} HTTP/1.1\r\nHost: x\r\n{admin}Content-Length: 2000000\r\n\r\n"),
    (414, "GET /{path}?" + "x" * 9000 + " HTTP/1.1\r\nHost: x\r\n\r\n"),
    (417, "GET /{path} HTTP/1.1\r\nHost: x\r\nExpect: nothing\r\n\r\n"),
    (431, "GET /{path} HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * 101 + "\r\n"),
    (405, "TRACE /{path} HTTP/1.1\r\nHost: x\r\n{admin}\r\n"),
    (501, "POST /{path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    (505, "GET /{path} HTTP/2.0\r\nHost: x\r\n\r\n"),
]

# Statuses of an operation or of a shared answer, and why nobody outside can have them.
DISK = "needs a disk that takes nothing"
DEFECT = "a defect; none is known"
NOT_FROM_OUTSIDE = {
    **{(f"{name}{v}", 500): DISK for v in ("V1", "V2") for name in (
        "replaceCertificate", "renewDefaultCertificate", "makeCertificateRequest", "dropCertificateRequest", "setPlainHttp",
        "setAcme", "endAcme", "setJobToken", "removeJobToken", "setPassword", "unsetPassword", "resetSecurity", "applyCertificate", "setProxy", "showProxy")},
    **{(f"setTime{v}", 409): "needs two requests at one moment" for v in ("V1", "V2")},
    ("reserveSeconds", 500): DISK,
    ("settleSession", 500): DISK,
    ("5XX", 500): DEFECT,
    ("5XX", 502): "only while the daemon stops",
    ("5XX", 503): "needs hundreds of requests in flight or 16 passwords in their check",
    ("5XX", 504): "needs a call of ours that takes 60 s",
}  # fmt: skip
