"""The management page's license half, against a real license authority."""

from lib.page_access import Part
from lib.proxies import until
from lib.report import expect

WHO = {"username": "Noor Example", "email_address": "noor@example.com", "company_name": "Example & Sons Ltd"}


class License(Part):
    def prove(self):
        self.desk.open()
        self.code = self.service.sell("--offline-mode", "--offline-secs", "36000")
        self.proves("shows that there is no license", self.none)
        self.proves("a code that nobody sold is refused in the authority's words", self.unknown)
        self.proves("activates online", self.activate)
        self.proves("goes offline and comes back", self.offline_mode)
        self.proves("a proxy that is not there is named; none is used again", self.proxy)
        self.proves("removes the license", self.remove)
        self.proves("a refused offline mode is said in the words of ML-37", self.no_offline_mode)
        self.proves("makes the activation certificate and downloads it", self.request)
        self.proves("a certificate that is none is refused in the appliance's words", self.nonsense)
        self.proves("a request can be dropped, and is made anew", self.drop_request)
        pasted = self.api != ["v2"]
        self.proves(f"applies the license certificate {'that was pasted' if pasted else 'of a file'}", self.answer, pasted)
        self.proves("gives it back with a certificate that the vendor credits", self.give_back)
        self.end()

    def none(self):
        self.page.shows("#license-pill", "No license")
        self.page.shows("#license-status", "-113 License status server trial expired")

    def fill(self, form, code, who=()):
        self.page.type(f"#{form} [name=license]", code)
        for name in who:
            self.page.type(f"#{form} [name={name}]", WHO[name])

    def unknown(self):
        self.fill("activate-form", "494953679762904933")
        self.page.press("Enter")
        self.page.shows("#activate-result", "Input exception: Not activated")
        expect(not self.desk.license()["licensed"], "licensed")

    def activate(self):
        self.fill("activate-form", self.code, WHO)
        self.page.click("#activate-form button")
        self.page.shows("#activate-result", "License active: 1 h here, until 16 October 2097")
        self.page.shows("#license-pill", "Valid")
        self.page.shows("#seconds-words", "1 h left here (3,600 seconds); 500 h allocated")
        self.page.shows("#license-code", f"ends in {self.code[-4:]}")
        expect(self.code not in self.page.run("document.documentElement.outerHTML"), "the code is in the page")
        left = self.page.run("[...document.querySelectorAll('#license input')].map(i => i.value).join('')")
        expect(left == "", f"{left!r} is still in the form")
        expect(self.desk.license()["license_code"] == self.code, "another license")

    def offline_mode(self):
        self.page.click("#mode-switch")
        self.desk.agree("Go offline?")
        self.page.shows("#license-contact", "offline: nothing is sent")
        self.page.shows("#seconds-words", "10 h left here")
        self.page.shows("#license-stays", "leave offline mode first")
        expect(self.desk.license()["offline"] is True, "it is online")
        self.page.click("#mode-switch")
        self.page.shows("#license-result", "Online again")
        self.page.shows("#license-contact", "connected")
        expect(self.desk.license()["offline"] is False, "it is offline")

    def proxy(self):
        self.desk.unfold("proxy")
        for name, value in {"ip": "127.0.0.1", "port": "1", "user": "amy", "password": "p@ss word"}.items():
            self.page.type(f"#proxy-form [name={name}]", value)
        self.page.press("Enter")
        self.page.shows("#proxy-words", "127.0.0.1, port 1")
        told = self.desk.truth("management/license/network")["http_configuration"]
        wanted = {"ip": "127.0.0.1", "port": 1, "user": "amy", "password": "********"}
        expect(told == wanted, f"{told}")
        shown = self.page.run("document.querySelector('#proxy-form [name=password]').value")
        expect(shown == "********", "the password of the proxy is still in the page")
        self.page.click("#license-remove")
        self.desk.agree("Remove the license?")
        self.page.shows("#license-result", "127.0.0.1:1")
        self.page.click("#proxy-clear")
        self.page.shows("#proxy-words", "none")
        expect(self.desk.truth("management/license/network") == {"http_configuration": {}}, "it is there")

    def remove(self):
        self.page.click("#license-remove")
        self.desk.agree("Remove the license?")
        # As many as it held offline.
        self.page.shows("#license-result", "36,000 seconds returned")
        self.page.shows("#license-pill", "No license")
        expect(not self.desk.license()["licensed"], "still licensed")

    def no_offline_mode(self):
        self.desk.unfold("activate")
        self.fill("activate-form", self.service.sell())
        self.page.press("Enter")
        self.page.shows("#activate-result", "License active")
        self.page.click("#mode-switch")
        self.desk.agree("Go offline?")
        self.page.shows("#license-result", "Offline mode not enabled for this license")
        self.page.click("#license-remove")
        self.desk.agree("Remove the license?")
        self.page.shows("#license-result", "3,600 seconds returned")

    # --- without a network ---------------------------------------------------------------------------

    def request(self):
        """By the Download button, into a folder of the test's own."""
        downloads = self.folder / "downloads"
        file = downloads / "activation-certificate.txt"
        file.unlink(missing_ok=True)
        self.browser.call(
            "Browser.setDownloadBehavior", behavior="allow", browserContextId=self.page.context,
            downloadPath=str(downloads),
        )  # fmt: skip
        self.desk.unfold("offline")
        self.fill("request-form", self.code, ["username"])
        self.page.press("Enter")
        self.page.shows("#request-result", "Made")
        self.page.click("#request-save")
        until(lambda: file.exists() and file.stat().st_size > 0, "the file is there")
        self.certificate = file.read_text().strip()
        same = self.desk.truth("management/license/offlineactivation", "POST", {"license": self.code})
        expect(same == {"certificate": self.certificate}, f"{len(self.certificate)} characters, another certificate")
        self.page.shows("#license-pill", "Awaiting certificate")
        self.page.click("#request-copy")
        self.page.shows("#request-copied", "opied")

    def nonsense(self):
        self.page.type("#answer-form [name=certificate]", "7bc3c668")
        self.page.click("#answer-form button")
        self.page.shows("#answer-result", "Unable to import certificate")

    def drop_request(self):
        self.page.click("#license-remove")
        self.desk.agree("Drop the request?")
        self.page.shows("#license-pill", "No license")
        before = self.certificate
        self.request()
        expect(self.certificate != before, "the same request again")

    def answer(self, pasted):
        signed = self.service.sign(self.certificate)
        if pasted:
            self.page.type("#answer-form [name=certificate]", signed)
        else:
            file = self.folder / "license.hex"
            file.write_text(signed + "\n")
            self.page.choose("#answer-file", file)
            until(lambda: self.page.run("document.querySelector('#answer-form textarea').value"), "the file is read")
        self.page.click("#answer-form button")
        self.page.shows("#answer-result", "License active")
        self.page.shows("#license-kind", "activated with a certificate")
        self.page.shows("#license-stays", "a return certificate goes to the vendor")
        told = self.desk.license()
        expect((told["licensed"], told["license_code"]) == (True, self.code), f"{told}")

    def give_back(self):
        self.page.click("#license-return")
        self.desk.agree("Give the license back?")
        self.page.shows("#license-result", "Send this certificate to your vendor")
        self.page.shows("#license-pill", "No license")
        certificate = self.page.run("document.getElementById('return-text').value")
        told = self.service.redeem(certificate)
        expect(told == "36000 seconds were credited to the license", told)
        self.page.click("#return-copy")
        self.page.shows("#return-copied", "opied")
