"""A certificate comes with one curl, from servers that others wrote; nothing is cut, and it ends as asked."""

import calendar
import json
import os
import pathlib
import time

from cryptography.x509 import DNSName, IPAddress, SubjectAlternativeName

from lib.acme.appliance import LATER, AcmeAppliance, Kept, Upload
from lib.acme.authority import Authority
from lib.appliance import curl
from lib.batch_engine import BatchEngine
from lib.proxies import Squid, until
from lib.report import NotTried, expect

SECRETS = ("PRIVATE KEY",)
CHALLENGE = "/.well-known/acme-challenge/x"


def from_peer(binary, place, peer, label, families, api, plain_http, challenge):
    """From a fresh state folder to a certificate of `peer`."""
    with AcmeAppliance(binary, place.names.host(label, families), api) as appliance:
        if not plain_http:
            appliance.switch_plain_http(False, *appliance.credentials)
        before = appliance.served()
        more = {"external_account": peer.ACCOUNT} if peer.ACCOUNT else {}
        if challenge:
            more["challenge"] = challenge
        appliance.ask(peer.directory, place.root, **more)
        took = appliance.gets(place.root, before)
        told = appliance.is_valid()
        expect(told["names"] == [appliance.host.name], f"{told}")
        expect(told["directory"] == peer.directory, f"{told}")
        both = [json.loads(appliance.call("GET", generation=one).body) for one in api]
        expect(all(one == told for one in both), f"{both}")
        keeps_secrets(appliance, peer.ACCOUNT)
        if not plain_http:
            answer = curl("-q", "-o", os.devnull, appliance.url("http", "/v1/management/ping"))
            expect(answer.status in (301, 308), f"plain HTTP is off, and the ping was answered {answer}")
        is_not_there(appliance)
    return f"{took:.1f} s"


def for_an_address(binary, place, peer, label, challenge, address):
    """RFC 8738: a certificate for a name and an address."""
    with AcmeAppliance(binary, place.names.host(label)) as appliance:
        names = [appliance.host.name, getattr(appliance.host, address)]
        more = {"external_account": peer.ACCOUNT} if peer.ACCOUNT else {}
        appliance.ask(peer.directory, place.root, names=names, challenge=challenge, **more)
        took = appliance.gets(place.root)
        told = appliance.served().extensions.get_extension_for_class(SubjectAlternativeName).value
        found = {*told.get_values_for_type(DNSName), *map(str, told.get_values_for_type(IPAddress))}
        expect(found == set(names), f"the certificate is for {found}")
    return f"{took:.1f} s"


def through_a_proxy(binary, place):
    """Squid as Debian packages it, with a password: the authority sees nobody else."""
    if pathlib.Path("/proc/self/uid_map").read_text().split()[2] == "1":
        raise NotTried("Squid gives up root, and without root there is no other user in here")
    with (
        Authority(place.names.host("beyond"), place.root, place.folder) as authority,
        Squid("a user", "p@ss:w%rd") as squid,
        AcmeAppliance(binary, place.names.host("behind"), ["v1"]) as appliance,
    ):
        set_proxy(appliance, squid.configuration(password="wrong"))
        appliance.ask(authority.directory, place.root, use_license_proxy=True)
        error = until(lambda: appliance.shown().get("error"), "GET acme has an error")
        expect("407" in error["message"] and str(squid.port) in error["message"], f"{error}")
        expect(authority.connections == 0, "the authority was asked directly")
        set_proxy(appliance, squid.configuration())
        appliance.ask(authority.directory, place.root, use_license_proxy=True)
        took = appliance.gets(place.root)
        appliance.is_valid()
        # One log line each, once the connection is over.
        asked = f"{authority.host.name}:443"
        until(
            lambda: squid.requests().count(("CONNECT", asked)) > authority.connections,
            "Squid has logged each connection, and the one without the right password",
        )
        expect(not authority.wrong, f"{authority.wrong}")
    return f"{took:.1f} s, {authority.connections} connections"


def set_proxy(appliance, configuration):
    words = ("-H", "Content-Type: application/json", "-d", json.dumps(configuration))
    answer = curl("-q", "--insecure", *words, appliance.url("https", "/v1/management/license/network"))
    expect(answer.status == 200, f"license/network: {answer}")


def keeps_secrets(appliance, account):
    """Nothing that is told has one, and the file is for us alone."""
    kept = [*SECRETS, *([account["hmac_key"]] if account else [])]
    answers = [appliance.call("GET", generation=one).body for one in appliance.settings["api"]]
    told = "\n".join([*answers, appliance.log_text()])
    found = [one for one in kept if one in told]
    expect(not found, f"{found} was told")
    if account:
        shown = json.loads(answers[0])["external_account"]
        expect(shown == {"kid": account["kid"], "hmac_key": "********"}, f"{shown}")
    file = appliance.folder / "state/acme.json"
    expect(file.stat().st_mode & 0o777 == 0o600, f"acme.json has mode {file.stat().st_mode:o}")
    expect("PRIVATE KEY" in file.read_text(), "the search is blind: acme.json has no key")


def is_not_there(appliance):
    """Nobody asked for this token."""
    for listener in ("http", "https"):
        answer = curl("-q", "--insecure", "-L", appliance.url(listener, CHALLENGE))
        expect(answer.status == 404, f"{listener} {CHALLENGE}: {answer}")


def asks_for_renewal_information(peer):
    """After what was issued so far."""
    asked = [path for method, path in peer.requests() if method == "GET" and "/renewal-info/" in path]
    expect(asked, f"of {peer.NAME} nobody asked when to renew")
    return f"{len(asked)} times"


def suggested(binary, place):
    """The time for the renewal lies in the window that the authority suggests."""
    window = (3600, 3700)
    host = place.names.host("suggests")
    with (
        Authority(host, place.root, place.folder, suggests=window) as authority,
        AcmeAppliance(binary, place.names.host("renews")) as appliance,
    ):
        asked = time.time()
        appliance.ask(authority.directory, place.root)
        appliance.gets(place.root)
        renewal = seconds(appliance.is_valid()["renewal"])
        expect(asked + window[0] - 5 <= renewal <= time.time() + window[1] + 5, f"in {renewal - asked:.0f} s")
        expect(not authority.wrong, f"{authority.wrong}")
    return f"in {renewal - asked:.0f} s"


def seconds(utc):
    return calendar.timegm(time.strptime(utc, "%Y-%m-%dT%H:%M:%SZ"))


def nothing_is_cut(binary, place):
    """A connection and an upload that began before go on after two changes of the certificate."""
    with (
        BatchEngine() as engine, Authority(place.names.host("swaps"), place.root, place.folder) as authority,
        AcmeAppliance(binary, place.names.host("busy"), services={"speech": engine.port}) as appliance,
    ):  # fmt: skip
        kept, upload = Kept(appliance), Upload(appliance)
        appliance.ask(authority.directory, place.root, challenge="tls-alpn-01")
        appliance.gets(place.root)
        first = appliance.served()
        upload.goes_on()
        kept.still_answers()
        appliance.is_valid()
        appliance.ask(authority.directory, place.root, challenge="http-01", key_type="rsa-2048")
        appliance.gets(place.root, first, LATER)
        kept.still_answers()
        upload.ends(engine)
        expect(len(authority.accounts) == 1 and not authority.wrong, f"{authority.wrong}")


def by_settings(binary, place):
    """For images: the settings file says what POST would."""
    host = place.names.host("image")
    with Authority(place.names.host("settings"), place.root, place.folder) as authority:
        appliance = AcmeAppliance(binary, host, ["v2"])
        appliance.settings["acme"] = {
            "directory": authority.directory, "names": [host.name], "root": place.root.pem.read_text(),
        }  # fmt: skip
        with appliance:
            took = appliance.gets(place.root)
            appliance.is_valid()
            serial = appliance.served().serial_number
            appliance.stop()
            appliance.start()
            expect(appliance.served(place.root).serial_number == serial, "another one after a restart")
            expect(authority.count("/order") and len(authority.accounts) == 1, "not one account")
            expect(len(authority.certificates) == 1, f"{len(authority.certificates)} certificates")
    return f"{took:.1f} s"


def ends(binary, place):
    """DELETE, an upload and a reset."""
    with (
        Authority(place.names.host("ends"), place.root, place.folder) as authority,
        AcmeAppliance(binary, place.names.host("ended")) as appliance,
    ):
        own = appliance.served()
        expect(appliance.shown() == {"enabled": False}, f"at first {appliance.shown()}")
        begins(appliance, authority, place)
        issued = appliance.served()
        answer = appliance.call("DELETE")
        is_over(appliance, answer)
        expect(appliance.served() == issued, "DELETE has changed the certificate")

        begins(appliance, authority, place, issued)
        pem, key = place.root.server(place.names.host("uploaded"))
        parts = ("-F", f"keyfile=@{key}", "-F", f"certfile=@{pem}")
        answer = curl("-q", "--insecure", *parts, appliance.url("https", "/v1/security/sslcertificate"))
        is_over(appliance, answer, "ACME")
        uploaded = appliance.served()

        begins(appliance, authority, place, uploaded)
        answer = appliance.call("DELETE", "reset")
        is_over(appliance, answer, "ACME")
        last = appliance.served()
        expect(last not in (issued, uploaded) and last.issuer == own.issuer, "not the default certificate")
        expect(not authority.wrong, f"{authority.wrong}")


def begins(appliance, authority, place, other_than=None):
    appliance.ask(authority.directory, place.root)
    appliance.gets(place.root, other_than)
    appliance.is_valid()


def is_over(appliance, answer, told=""):
    expect(answer.status == 200 and told in answer.body, f"{answer}")
    expect(appliance.shown() == {"enabled": False}, f"{appliance.shown()}")
    expect(not (appliance.folder / "state/acme.json").exists(), "acme.json is still there")
    is_not_there(appliance)


def silent_when_off(binary, place):
    """Where ACME was never on, and where it ended before the renewal that was due meanwhile."""
    with (
        Authority(place.names.host("silence"), place.root, place.folder, lifetime=90) as authority,
        AcmeAppliance(binary, place.names.host("silent")) as never,
        AcmeAppliance(binary, place.names.host("silenced")) as ended,
    ):
        is_not_there(never)
        ended.ask(authority.directory, place.root)
        ended.gets(place.root)
        renewal = seconds(ended.is_valid()["renewal"])
        expect(ended.call("DELETE").status == 200, "DELETE")
        connections, asked = authority.connections, len(authority.requests)
        for appliance in (never, ended):
            has_no_thread(appliance)
        watched = max(0, renewal - time.time()) + 3
        time.sleep(watched)
        expect(authority.connections == connections, f"{authority.connections} connections")
        expect(len(authority.requests) == asked, "requests came")
        for appliance in (never, ended):
            is_not_there(appliance)
    return f"watched for {watched:.0f} s"


def has_no_thread(appliance):
    folder = pathlib.Path(f"/proc/{appliance.process.pid}/task")

    def none():
        names = [name.read_text().strip() for name in folder.glob("*/comm")]
        return names and "acme" not in names

    until(none, "no thread is left for ACME")
