"""The management page's card of network and clock, with commands that only write down what they are told."""

from lib.chromium import own_address
from lib.desk import Desk
from lib.page_access import Part
from lib.proxies import until
from lib.report import expect


class Network(Part):
    def prove(self):
        self.desk.open()
        self.proves("says what is in force", self.in_force)
        self.proves("a gateway outside of the network is refused in the appliance's words", self.refused)
        self.proves("a change asks first, is shown while it is on trial, and is kept", self.change)
        self.proves("the clock is set after it is said what that means", self.clock)
        self.end()
        if own_address():
            self.desk = Desk(self.browser, self.desk.appliance, [("admin", "admin")] * 2)
            self.page = self.desk.page
            self.proves("opens at the new address, and confirms the change by itself", self.moves)
            self.page.close()

    def told(self):
        file = self.desk.appliance.folder / "told"
        return file.read_text() if file.exists() else ""

    def in_force(self):
        self.page.shows("#network-method", "those of the image")
        expect(self.page.text("#network-hostname"), "no host name")
        self.page.shows("#clock-words", "UTC")

    def moves(self):
        """An address that this machine has already; the page came by another."""
        self.desk.open()
        self.page.shows("#network-method", "a static address")
        self.desk.unfold("network-change")
        self.fill("", own_address())
        self.page.run("network.address = ''")
        self.page.press("Enter")
        self.desk.agree("Change the network?")
        self.page.shows("#network-result", "Confirmed")
        at = self.page.run("location.hostname")
        expect(at == own_address(), f"the page is at {at}")
        self.desk.becomes("management/host/setipaddress", "trial", None)

    def fill(self, gateway, address="192.0.2.7"):
        self.page.run("document.querySelector('#network-form [name=method]').value = 'static'")
        self.page.run("document.querySelector('#network-form [name=method]').dispatchEvent(new Event('change'))")
        for name, text in (("address", address), ("netmask", "24"), ("gateway", gateway), ("nameservers", "192.0.2.53")):
            self.page.type(f"#network-form [name={name}]", text)

    def refused(self):
        self.desk.unfold("network-change")
        self.fill("192.0.3.1")
        self.page.press("Enter")
        self.desk.agree("Change the network?")
        self.page.shows("#network-result", "outside of the appliance's network")
        expect(self.told() == "", self.told())

    def change(self):
        """Kept at the appliance itself: from here, no new address can be reached."""
        self.page.type("#network-form [name=gateway]", "192.0.2.1")
        # The page would leave for the new address.
        self.page.run("window.setTimeout = (real => (work, pause) => real(pause === 4000 ? () => {} : work, pause))(setTimeout)")
        self.page.press("Enter")
        self.page.shows("#ask-words", "The address becomes 192.0.2.7.")
        self.desk.agree("Change the network?")
        self.page.shows("#network-result", "opens at the new address")
        self.page.shows("#network-trial", "are undone in")
        self.page.shows("#network-trial-link", "https://192.0.2.7")
        expect('"action": "try"' in self.told(), self.told())
        self.desk.truth("management/host/confirmnetwork", "POST", {})
        self.page.shows("#network-method", "a static address")
        until(lambda: self.page.run("document.getElementById('network-trial').hidden"), "nothing is on trial")

    def clock(self):
        self.desk.unfold("clock-change")
        filled = "document.querySelector('#clock-form [name=time]').value.startsWith('20')"
        until(lambda: self.page.run(filled), "the time of this computer is filled in")
        self.page.run("document.querySelector('#clock-form [name=time]').value = '2098-01-31T12:00:00'")
        self.page.click("#clock-form button")
        self.page.shows("#ask-words", "The certificate counts as expired then")
        self.desk.agree("Set the clock to 2098-01-31 12:00:00 UTC?")
        self.page.shows("#clock-result", "the clock was set to 2098-01-31T12:00:00Z")
        expect("4042008000" in self.told(), self.told())
