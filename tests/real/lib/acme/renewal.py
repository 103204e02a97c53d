"""Certificates that live for a minute and a half: renewed under load, or not, because the authority fails."""

import json
import os
import threading
import time

from lib.acme.appliance import AcmeAppliance
from lib.acme.authority import Authority
from lib.acme.faults import UNREACHABLE
from lib.acme.issue import seconds
from lib.appliance import curl
from lib.proxies import until
from lib.report import expect

LIFETIME = 90
# The appliance renews after two thirds of the life, and no sooner than after a minute.
SECONDS = 1800 if os.environ.get("FULL") else 75
THREADS = 3


def under_load(binary, place):
    """Handshakes by clients that trust the root alone, on both addresses, as fast as they go."""
    with (
        Authority(place.names.host("short"), place.root, place.folder, lifetime=LIFETIME) as authority,
        AcmeAppliance(binary, place.names.host("loaded")) as appliance,
    ):
        appliance.ask(authority.directory, place.root)
        appliance.gets(place.root)
        serials, failures, counts = set(), [], []
        end = time.monotonic() + SECONDS

        def clients(number):
            count = 0
            while time.monotonic() < end and len(failures) < 10:
                address = (appliance.host.v4, appliance.host.v6)[count % 2]
                try:
                    serials.add(appliance.handshake(address, place.root).serial_number)
                except (OSError, ValueError) as error:
                    failures.append(f"after {count} handshakes of client {number}: {error!r}")
                count += 1
                time.sleep(0.02)
            counts.append(count)

        threads = [threading.Thread(target=clients, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(not failures, f"{len(failures)} handshakes failed: {failures[:3]}; {appliance.shown()}")
        least = 1 + SECONDS // (LIFETIME * 4 // 5)
        expect(len(serials) >= least, f"{len(serials)} certificates in {SECONDS} s: {appliance.shown()}")
        expect(len(authority.accounts) == 1 and not authority.wrong, f"{authority.wrong}")
        appliance.is_valid()
    return f"{sum(counts)} handshakes in {SECONDS} s, {len(serials)} certificates"


def that_fails(binary, place):
    """The certificate serves to its end; the words of the authority are in GET, and in `health` in time."""
    with (
        Authority(place.names.host("refuses"), place.root, place.folder, lifetime=LIFETIME) as authority,
        AcmeAppliance(binary, place.names.host("refused"), ["v2"]) as appliance,
    ):
        appliance.ask(authority.directory, place.root)
        appliance.gets(place.root)
        certificate = appliance.served(place.root)
        renewal = appliance.is_valid()["renewal"]
        authority.fault = "invalid"
        error = until(lambda: appliance.shown().get("error"), "the renewal fails", LIFETIME)
        expect(UNREACHABLE["detail"] in error["message"], f"{error}")
        expect(seconds(error["since"]) >= seconds(renewal), f"renewed before {renewal}: {error}")
        expect(appliance.served(place.root) == certificate, "the certificate has changed")
        health = until(lambda: complains(appliance), "health says why", LIFETIME // 3)
        expect(health["status"] == "unhealthy", f"{health}")
        expect(appliance.served() == certificate, "the certificate has changed")
    return error["message"]


def complains(appliance):
    path = appliance.url("https", "/v2/management/health")
    health = json.loads(curl("-q", "--insecure", *appliance.credentials, path).body)
    return health if UNREACHABLE["detail"] in json.dumps(health) else None
