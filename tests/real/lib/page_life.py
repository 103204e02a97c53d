"""The management page over time: it follows the appliance, leaves typing alone, and says when it is lost."""

from lib.page_access import Part
from lib.proxies import until
from lib.report import expect


# Each text that is shown and too faint, with its ratio.
CONTRAST = """(() => {
    const rgb = color => color.match(/[\\d.]+/g).map(Number);
    const light = color => {
        const [r, g, b] = rgb(color).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const behind = e => {
        for (; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if ((rgb(color)[3] ?? 1) === 1) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    return [...document.querySelectorAll('body *')].flatMap(e => {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || /^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName);
        if (!own || !e.checkVisibility() || e.tagName === 'SCRIPT') return [];
        const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
        const ratio = (a + .05) / (b + .05);
        return ratio < 4.5 ? [`${e.id || e.className || e.tagName} ${ratio.toFixed(2)}`] : [];
    });
})()"""


class Life(Part):
    def prove(self):
        self.desk.open()
        if len(self.api) == 2:  # the slow ones
            self.proves("follows what others change, and leaves alone what is being typed", self.follows)
            self.proves("asks one thing at a time", self.one_at_a_time)
        self.proves("tells services, load and version", self.machine)
        self.proves("saves a report for support", self.support)
        self.proves("shuts down and restarts services", self.power)
        if "v1" in self.api:
            self.proves("shows the log", self.log)
        self.proves("every field has a label, and every control a name", self.labels)
        self.proves("text stands out from what is behind it, in light and dark", self.contrast)
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
        self.page.shows("#power-none", "Reboot is not set up")

    def power(self):
        """What would happen is said first; the commands of the settings leave a file each."""
        folder = self.desk.appliance.folder
        self.page.click("#shutdown")
        self.page.shows("#ask-words", "The machine stops at once")
        self.desk.agree("Shut the appliance down?")
        self.page.shows("#machine-result", "the system shuts down now")
        until((folder / "shutdown").exists, "the command runs")
        if "v1" in self.api:
            self.page.click("#restart")
            self.desk.agree("Restart the services?")
            self.page.shows("#machine-result", "Restarted")
            until((folder / "restart_services").exists, "the command runs")

    def support(self):
        told = self.page.run(
            """(async () => {
                const link = document.getElementById('report'), answer = await fetch(link.href);
                const bytes = new Uint8Array(await answer.arrayBuffer());
                return [link.textContent, answer.status, answer.headers.get('Content-Type'), String.fromCharCode(bytes[0], bytes[1])];
            })()"""
        )
        expect(told == ["Save a report for support", 200, "application/zip", "PK"], f"{told}")

    def contrast(self):
        """WCAG 2.2, 1.4.3: 4.5 to 1 for every text that is shown, whatever stands behind it."""
        self.page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        for dark in (False, True):
            self.page.look_like(1280, 1000, dark)
            faint = self.page.run(CONTRAST)
            expect(faint == [], f"dark: {dark}, {faint}")
        self.page.look_like(1280, 1000, dark=False)

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
