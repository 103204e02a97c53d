"""A guest on a network without DHCP: reached once somebody at its serial line has set an address.

In: what the manual promises of such a change, from both sides, with the power cut in between. Out: what is wrong
with an address (tests/integration).
"""

import json
import time

from appliance import curl
from guest import ANSWER_SECONDS, MENU
from report import expect
from wire import Wire

# QEMU's network is 10.0.2.0/24, with its gateway at 2.
SET_AT_CONSOLE, SET_BY_CURL, NOBODY_LEADS_THERE = "10.0.2.77", "10.0.2.78", "10.0.2.99"
TRIAL_SECONDS = 60
HOST = "/v1/management/host"


class Lonely:
    def __init__(self, guest):
        self.guest = guest
        self.wire = Wire([SET_AT_CONSOLE, SET_BY_CURL])

    def boot(self):
        self.guest.boot(*self.wire.flags(), network=self.wire.network())

    def url(self, address, path, port=443):
        return f"{'https' if port == 443 else 'http'}://127.0.0.1:{self.wire.port[address, port]}{path}"

    def curl(self, address, path, *arguments, port=443, seconds=20):
        return curl("--insecure", *arguments, self.url(address, path, port), seconds=seconds)

    def post(self, address, path, body):
        return self.curl(address, f"{HOST}/{path}", "-X", "POST", "-d", json.dumps(body))

    def answers(self, address, limit=ANSWER_SECONDS):
        """Until it does."""
        end = time.monotonic() + limit
        while self.curl(address, "/v1/management/ping", seconds=5).status != 200:
            expect(time.monotonic() < end, f"nothing answers at {address}")

    def is_silent(self, address):
        answer = self.curl(address, "/v1/management/ping", seconds=5)
        expect(answer.status == 0, f"it answers at {address}: {answer}")

    def report(self, address):
        answer = self.curl(address, f"{HOST}/setipaddress")
        expect(answer.status == 200, answer)
        return json.loads(answer.body)


def boots_unreachable(lonely):
    lonely.boot()
    expect(lonely.wire.swallowed > 0, "the guest did not ask for an address")
    lonely.is_silent(SET_AT_CONSOLE)
    screen = lonely.guest.choose("Networking")
    shown = lonely.guest.choose("Back")
    expect("Address      none" in shown, screen + shown)


def set_at_console(lonely):
    guest = lonely.guest
    guest.choose("Networking")
    guest.choose("Set a static address")
    guest.answer("192.0.2.7: ", SET_AT_CONSOLE)
    guest.answer("24: ", "255.255.255.0")
    guest.answer("(Enter: none): ", "10.0.2.2")
    guest.answer("(Enter: none): ", "10.0.2.3")
    guest.choose("OK")
    told = guest.go_on()
    expect("are in use and are kept" in told, told)
    guest.choose("Back")
    lonely.answers(SET_AT_CONSOLE)


def manual_works(lonely):
    for port, path, wanted in [
        (443, "/v1/management/services", "service_status"),
        (443, "/v1/management/host/about", "version"),
        (443, "/v1/management/license", "computer_id"),
        (443, "/v1/security/sslcertificate", "not_after"),
        (443, "/monitor/api/3/mem", "total"),
        (80, "/v1/management/ping", "reply"),
    ]:
        answer = lonely.curl(SET_AT_CONSOLE, path, "-X", "GET", "-H", "Accept: application/json", port=port)
        expect(answer.status == 200 and wanted in answer.body, f"{path}: {answer}")
    network = lonely.report(SET_AT_CONSOLE)
    wanted = {"method": "static", "address": SET_AT_CONSOLE, "netmask": "255.255.255.0", "gateway": "10.0.2.2"}
    expect(all(network[name] == wanted[name] for name in wanted), network)
    expect(network["nameservers"] == ["10.0.2.3"], network)


def survives(lonely, address, gone):
    lonely.guest.cut_power()
    lonely.boot()
    lonely.answers(address)
    lonely.is_silent(gone)
    network = lonely.report(address)
    expect(network["address"] == address and network["trial"] is None, network)


def wrong_one(lonely):
    """Nobody can confirm it."""
    body = {"address": NOBODY_LEADS_THERE, "netmask": "255.255.255.0", "gateway": "10.0.2.2"}
    answer = lonely.post(SET_AT_CONSOLE, "setipaddress", body)
    expect(answer.status == 200 and "confirmnetwork" in answer.body, answer)
    begun = time.monotonic()
    while lonely.curl(SET_AT_CONSOLE, "/v1/management/ping", seconds=5).status == 200:
        expect(time.monotonic() < begun + 20, "the old address still answers")


def undone_by_itself(lonely):
    begun = time.monotonic()
    wrong_one(lonely)
    lonely.answers(SET_AT_CONSOLE, TRIAL_SECONDS + ANSWER_SECONDS)
    took = time.monotonic() - begun
    expect(took > TRIAL_SECONDS - 10, f"it came back after {took:.0f} s already")
    network = lonely.report(SET_AT_CONSOLE)
    expect("nobody confirmed" in network["error"] and network["trial"] is None, network)
    return f"back after {took:.0f} s"


def trial_and_power_cut(lonely):
    wrong_one(lonely)
    survives(lonely, SET_AT_CONSOLE, SET_BY_CURL)


def confirmed(lonely):
    body = {"address": SET_BY_CURL, "netmask": "24", "gateway": "10.0.2.2", "hostname": "box"}
    answer = lonely.post(SET_AT_CONSOLE, "setipaddress", body)
    expect(answer.status == 200, answer)
    lonely.answers(SET_BY_CURL)
    expect(lonely.report(SET_BY_CURL)["trial"]["in_use"] is True, lonely.report(SET_BY_CURL))
    answer = lonely.post(SET_BY_CURL, "confirmnetwork", {})
    expect(answer.status == 200 and "kept" in answer.body, answer)
    survives(lonely, SET_BY_CURL, SET_AT_CONSOLE)
    expect(lonely.report(SET_BY_CURL)["hostname"] == "box", lonely.report(SET_BY_CURL))


def clock_at_console(lonely):
    guest = lonely.guest
    guest.type("\r")  # a fresh menu
    guest.shows(MENU)
    guest.choose("Clock")
    guest.choose("Set the clock")
    guest.answer("2027-01-31T12:00:00Z: ", "2031-05-06 07:08")
    guest.choose("OK")
    told = guest.go_on()
    expect("was set to 2031-05-06T07:08:00Z" in told, told)
    answer = lonely.curl(SET_BY_CURL, f"{HOST}/time")
    expect(json.loads(answer.body)["time"].startswith("2031-05-06T07:"), answer)


def proofs(lonely):
    """Sentences, and what proves each, in order."""
    yield "without DHCP the image boots, and nobody reaches it", boots_unreachable
    yield "an address set on the serial line is in use at once", set_at_console
    yield "the manual's calls work there from outside", manual_works
    yield "it survives a power cut", lambda lonely: survives(lonely, SET_AT_CONSOLE, SET_BY_CURL)
    yield "a wrong one set by curl is undone by itself after a minute", undone_by_itself
    yield "a power cut while it is on trial brings the old one back", trial_and_power_cut
    yield "one that is confirmed at its new address survives a power cut", confirmed
    yield "the clock is set on the serial line", clock_at_console
