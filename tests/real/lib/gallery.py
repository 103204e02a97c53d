"""Pictures of the management page for people to look at: wide and narrow, light and dark."""

import datetime

from lib.appliance import Appliance
from lib.desk import Desk
from lib.report import expect

LOOKS = {
    "wide-light": (1280, 900, False), "wide-dark": (1280, 900, True),
    "narrow-light": (390, 844, False), "narrow-dark": (390, 844, True),
}  # fmt: skip


def after(**time):
    """A date from now, as the authority takes it."""
    date = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**time)
    return date.strftime("%Y-%m-%dT%H:%M:%SZ")


class Gallery:
    def __init__(self, report, binary, service, authority, browser, folder):
        self.report, self.binary, self.service = report, binary, service
        self.authority, self.browser, self.folder = authority, browser, folder

    def prove(self):
        for state in (self.fresh, self.secured, self.ending, self.offline, self.requested, self.network, self.gone):
            appliance = Appliance(self.binary, license=self.service.settings())
            if state == self.network:
                appliance.settings["commands"] = {name: ["/bin/true"] for name in ("network", "clock")}
            with appliance:
                self.desk = Desk(self.browser, appliance, [("admin", "admin")])
                self.page = self.desk.page
                self.report.proves(f"pictures: {state.__doc__}", state)
                self.page.close()

    def take(self, name):
        for look, (width, height, dark) in LOOKS.items():
            self.page.look_like(width, height, dark)
            wide = self.page.run("document.documentElement.scrollWidth")
            expect(wide <= width, f"{name} is {wide} pixels wide at {width}")
            self.page.picture(self.folder / f"{name}-{look}.png")
        self.page.look_like(1280, 900, False)

    def certify(self, days):
        """The certificate of somebody who keeps one."""
        pair = self.authority.certify("speech.example.com", days)
        self.desk.unfold("upload")
        self.page.choose("input[name=certfile]", pair.cert)
        self.page.choose("input[name=keyfile]", pair.key)
        self.page.click("#upload-form button")
        self.page.shows("#upload-result", "applied")

    def activate(self, *terms, expires="2097-10-16T12:26:37Z"):
        code = self.service.say("create", "--secs", "1800000", "--cache", "360000", "--expires", expires, *terms)
        self.page.type("#activate-form [name=license]", code)
        self.page.press("Enter")
        self.page.shows("#activate-result", "License active")

    def fresh(self):
        """as it comes out of the box, over plain HTTP; the question before HTTP goes off"""
        self.desk.open("http")
        self.take("fresh")
        self.page.click("#http-switch")
        self.page.shows("#ask-title", "Switch plain HTTP off?")
        self.take("dialog")

    def secured(self):
        """secured and licensed"""
        self.desk.open()
        self.certify(397)
        self.activate()
        self.desk.unfold("password")
        for name in ("password", "again"):
            self.page.type(f"#password-form [name={name}]", "correct horse")
        self.page.press("Enter")
        self.page.shows("#password-pill", "Set")
        self.desk.unfold("token")
        self.page.click("#token-make")
        self.take("token")
        self.page.click("#token-form button.main")
        self.page.shows("#token-pill", "Set")
        self.page.click("#http-switch")
        self.desk.agree("Switch plain HTTP off?")
        self.page.shows("#secure", "Secure")
        self.take("results")
        self.page.visit(self.desk.appliance.url("https", "/"))
        self.page.shows("#mem-words", "%")
        self.page.shows("#secure", "Secure")
        self.take("secured")

    def ending(self):
        """certificate and license near their end; an expired license; a refused code"""
        self.desk.open()
        self.certify(12)
        self.activate("--grace-days", "0", expires=after(seconds=8))
        self.take("ending")
        self.page.shows("#license-pill", "Expired")
        self.desk.unfold("activate")
        self.page.type("#activate-form [name=license]", "494953679762904933")
        self.page.press("Enter")
        self.page.shows("#activate-result", "Not activated")
        self.take("expired")

    def offline(self):
        """the exchange without a network, and the proxy"""
        self.desk.open()
        code = self.service.sell("--offline-mode")
        self.desk.unfold("offline")
        self.desk.unfold("proxy")
        self.page.click("#activate > summary")
        self.page.type("#request-form [name=license]", code)
        self.page.press("Enter")
        self.page.shows("#request-result", "Made")
        self.page.click("#request-copy")
        self.take("offline")

    def requested(self):
        """a certificate request, and where its certificate goes"""
        self.desk.open()
        self.desk.unfold("csr")
        self.take("request-form")
        self.page.type("#csr-form [name=names]", "speech.example.com")
        self.page.click("#csr-form button")
        self.page.shows("#csr-words", "speech.example.com")
        self.take("requested")

    def network(self):
        """the network and the clock: what is in force, the forms, the questions, a change on trial"""
        self.desk.open()
        self.page.shows("#network-method", "image")
        self.desk.unfold("network-change")
        self.desk.unfold("clock-change")
        self.page.run("document.querySelector('#network-form [name=method]').value = 'static'")
        self.page.run("document.querySelector('#network-form [name=method]').dispatchEvent(new Event('change'))")
        for name, text in (("address", "192.0.2.7"), ("netmask", "255.255.255.0"), ("gateway", "192.0.2.1"), ("hostname", "speech")):
            self.page.type(f"#network-form [name={name}]", text)
        self.take("network-forms")
        self.page.press("Enter")
        self.page.shows("#ask-title", "Change the network?")
        self.take("network-question")
        self.page.run("window.setTimeout = (real => (work, pause) => real(pause === 4000 ? () => {} : work, pause))(setTimeout)")
        self.page.click("#ask-yes")
        self.page.shows("#network-trial", "are undone in")
        self.take("network-trial")
        self.page.run("document.querySelector('#clock-form [name=time]').value = '2098-01-31T12:00:00'")
        self.page.click("#clock-form button")
        self.page.shows("#ask-title", "Set the clock")
        self.take("clock-question")

    def gone(self):
        """the appliance does not answer"""
        self.desk.open()
        self.desk.unfold("logs")
        self.page.click("#logs-form button")
        self.page.shows("#logs-text", "default certificate")
        self.desk.appliance.stop()
        self.page.shows("#lost", "What is shown is from")
        self.take("gone")
        self.desk.appliance.start()
