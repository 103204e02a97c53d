"""The management page over time: it follows the appliance, leaves typing alone, and says when it is lost."""

from lib.page_access import Part
from lib.proxies import until
from lib.report import expect


class Life(Part):
    def prove(self):
        self.desk.open()
        if len(self.api) == 2:  # the slow ones
            self.proves("follows what others change, and leaves alone what is being typed", self.follows)
            self.proves("asks one thing at a time", self.one_at_a_time)
        self.proves("tells services, load and version", self.machine)
        if "v1" in self.api:
            self.proves("shows the log", self.log)
        self.proves("every field has a label, and every control a name", self.labels)
        self.proves("nothing is wider than a phone", self.phone)
        self.proves("says that the appliance is gone, and that it is back", self.gone)
        self.end("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET", "ERR_CONNECTION_CLOSED")

    def follows(self):
        self.desk.unfold("proxy")
        self.page.type("#proxy-form [name=ip]", "proxy.exam")
        self.desk.truth("security/insecureports", "POST", {"enable_insecure_ports": False})
        self.page.shows("#http-pill", "Off")
        left = self.page.run("[document.activeElement.name, document.activeElement.value, document.activeElement.selectionStart]")
        expect(left == ["ip", "proxy.exam", 10], f"the field has {left}")
        self.desk.truth("security/insecureports", "POST", {"enable_insecure_ports": True})

    def one_at_a_time(self):
        """Watched in the page, where a request begins and ends."""
        most = self.page.run(
            """new Promise(done => {
                const real = window.fetch; let now = 0, most = 0, all = 0;
                window.fetch = async (...call) => {
                    most = Math.max(most, ++now);
                    try { return await real(...call); }
                    finally { now--; if (++all === 4) { window.fetch = real; done(most); } }
                };
            })"""
        )
        expect(most == 1, f"{most} at the same time")

    def machine(self):
        words = self.page.text("#services")
        expected = "monitoring" in words and ("running" in words or "healthy" in words)
        expect(expected, words)
        self.page.shows("#cpu-words", "%")
        self.page.shows("#power-none", "not set up")

    def log(self):
        self.desk.unfold("logs")
        self.page.click("#logs-form button")
        self.page.shows("#logs-text", "making the default certificate")

    def labels(self):
        nameless = self.page.run(
            """[...document.querySelectorAll('input:not([hidden]), textarea, select, button, a, summary, [role=meter]')]
                .filter(e => !e.closest('dialog:not([open])') && !(e.labels?.length || e.ariaLabel || e.getAttribute('aria-labelledby') || e.textContent.trim()))
                .map(e => e.outerHTML)"""
        )
        expect(nameless == [], f"{nameless}")
        anonymous = self.page.run(
            "[...document.querySelectorAll('input:not([hidden]), textarea')].filter(e => !e.labels.length).map(e => e.outerHTML)"
        )
        expect(anonymous == [], f"{anonymous}")

    def phone(self):
        self.page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        self.page.look_like(390, 844, dark=False)
        wide = self.page.run("document.documentElement.scrollWidth")
        expect(wide <= 390, f"{wide} pixels")
        self.page.look_like(1280, 1000, dark=False)

    def gone(self):
        self.desk.appliance.stop()
        self.page.shows("#lost", "does not answer")
        self.page.shows("#live", "Not reachable")
        # It asks less and less often.
        until(lambda: "next try in 3 s" in self.page.text("#lost"), "a longer pause")
        self.desk.appliance.start()
        self.page.click("#lost-retry")
        self.page.shows("#live", "Up to date")
        expect(self.page.text("#lost") == "", "it still says so")
