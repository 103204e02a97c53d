"""The authority goes wrong in every way: the old certificate serves, and the reason is told."""

import time

from lib.acme.appliance import LATER, AcmeAppliance
from lib.acme.authority import Authority
from lib.acme.faults import PREFIX
from lib.acme.issue import seconds
from lib.acme.pki import YEAR, Issuer
from lib.proxies import until
from lib.report import expect

# How long a failed appliance is watched for attempts that come too soon.
WATCHED = 8
LEAST_PAUSE = 60

# Fault: what GET and the log say, each a word or a choice of words; and the least pause in seconds.
TOLD = {
    "bad nonce": ([f"{PREFIX}badNonce", "this nonce is old"], LEAST_PAUSE),
    "invalid": (
        [f"{PREFIX}connection", "no route to the appliance", f"{PREFIX}caa", "CAA record of acme.test"],
        LEAST_PAUSE,
    ),
    "rate limited": ([f"{PREFIX}rateLimited", "too many certificates for acme.test"], 7200),
    "500": (["500"], LEAST_PAUSE),
    "other names": (["other.acme.test"], LEAST_PAUSE),
    "other key": (["key"], LEAST_PAUSE),
    "redirect": (["302|redirect"], LEAST_PAUSE),
    "endless": (["larg|long|big|more than|byte"], LEAST_PAUSE),
    "garbage": (["JSON"], LEAST_PAUSE),
    "expired": (["expired|no longer valid", "clock"], LEAST_PAUSE),
    "not yet valid": (["is valid from", "clock"], LEAST_PAUSE),
    "unknown root": (["root|UnknownIssuer|unknown issuer"], LEAST_PAUSE),
    "down": (["refused"], LEAST_PAUSE),
    "unknown name": (["resolve|look up|looked up|lookup"], LEAST_PAUSE),
}
CERTIFICATES = {"expired": (-YEAR, -3600), "not yet valid": (3600, YEAR)}


def fails(binary, place, fault):
    """One appliance with one authority that goes wrong, and goes well after that."""
    words, pause = TOLD[fault]
    label = fault.replace(" ", "-")
    host = place.names.host(f"{label}-authority")
    tls = CERTIFICATES.get(fault, (-60, YEAR))
    authority = Authority(host, place.root, place.folder, fault, tls=tls)
    with AcmeAppliance(binary, place.names.host(label)) as appliance:
        before = appliance.served()
        directory = authority.directory
        if fault == "unknown name":
            directory = directory.replace(host.name, "nowhere.acme.test")
        root = Issuer(place.folder, "stranger") if fault == "unknown root" else place.root
        if fault == "down":
            appliance.ask(directory, root)
            return tells(appliance, None, before, words, pause)
        with authority:
            appliance.ask(directory, root)
            told = tells(appliance, authority, before, words, pause)
            expect(not authority.wrong, f"{authority.wrong}")
            if fault in CERTIFICATES or fault.startswith("unknown"):
                return told
            authority.fault = None
            appliance.ask(directory, root)
            appliance.gets(root, before, LATER)
            appliance.is_valid()
            return told


def tells(appliance, authority, before, words, pause):
    """The error is there, and is right."""
    started = time.time()
    shown = until(lambda: (s := appliance.shown()).get("error") and s, "GET acme has an error", LATER)
    asked = len(authority.requests) if authority else 0
    error = shown["error"]
    message = error["message"]
    for text, where in ((message, "GET"), (appliance.log_text(), "the log")):
        missing = [one for one in words if not any(word in text for word in one.split("|"))]
        expect(not missing, f"{where} does not say {missing}: {message}")
    expect(shown["status"] == "failing", f"status {shown['status']}")
    expect(started - 2 <= seconds(error["since"]) <= time.time() + 2, f"since {error['since']}")
    wait = seconds(error["retry"]) - seconds(error["since"])
    expect(pause - 2 <= wait <= pause * 1.5 + 2, f"the next attempt comes after {wait} s, not {pause}")
    expect(appliance.served() == before, "the certificate has changed")
    if authority:
        time.sleep(WATCHED)
        more = len(authority.requests) - asked
        expect(more == 0, f"{more} requests within {WATCHED} s of the failure: {authority.requests[asked:]}")
        expect(asked <= 30, f"{asked} requests for one attempt")
    return message


def bad_nonce_once(binary, place):
    """RFC 8555 section 6.5: the client tries again with the nonce it got."""
    with (
        Authority(place.names.host("nonce"), place.root, place.folder, "bad nonce once") as authority,
        AcmeAppliance(binary, place.names.host("nonce-client")) as appliance,
    ):
        appliance.ask(authority.directory, place.root)
        took = appliance.gets(place.root)
        asked = [path for _, _, path in authority.requests if path == "/order"]
        expect(len(asked) == 2 and not authority.wrong, f"newOrder {len(asked)} times, {authority.wrong}")
    return f"{took:.1f} s"


def processing(binary, place):
    """An order that stays so: looked at as often as the authority says, and no certificate is lost."""
    poll = 5
    with (
        Authority(place.names.host("slow"), place.root, place.folder, "processing", poll=poll) as authority,
        AcmeAppliance(binary, place.names.host("patient")) as appliance,
    ):
        before = appliance.served()
        appliance.ask(authority.directory, place.root)
        until(lambda: any(order["finalized"] for order in authority.orders.values()), "finalized", LATER)
        time.sleep(3 * poll)
        number = next(number for number, order in authority.orders.items() if order["finalized"])
        moments = [at for at, _, path in authority.requests if path == f"/order/{number}"][-3:]
        pauses = [later - sooner for sooner, later in zip(moments, moments[1:], strict=False)]
        expect(pauses and min(pauses) > poll - 0.5, f"asked again after {pauses} s, not {poll}")
        expect(appliance.shown()["status"] == "ordering", f"{appliance.shown()}")
        expect(appliance.served() == before, "the certificate has changed")
        authority.fault = None
        took = appliance.gets(place.root, before, LATER)
        expect(len(authority.orders) == 1 and not authority.wrong, f"{len(authority.orders)} orders")
    return f"issued {took:.1f} s after the authority went on"


def is_refused(binary, place):
    """What a person can get wrong: nothing is set, and the answer says why."""
    with AcmeAppliance(binary, place.names.host("careful")) as appliance:
        good = {"directory": "https://nowhere.acme.test/directory"}
        bad = [
            {}, {**good, "names": ["*.acme.test"]}, {**good, "naems": []}, {**good, "challenge": "dns-01"},
            {"directory": "http://nowhere.acme.test/directory"}, {**good, "root": "no PEM"},
            {**good, "external_account": {"kid": "x"}},
        ]  # fmt: skip
        for body in bad:
            answer = appliance.call("POST", body=body)
            expect(answer.status == 400, f"{body}: {answer}")
            expect(appliance.shown() == {"enabled": False}, f"{body} was set")
    return f"{len(bad)} bodies"
