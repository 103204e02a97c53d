"""The management page before an operator, and the same appliance asked through its own socket.

In: one page of a Chromium on one appliance, what the page says, what is true. Out: what is tried.
"""

import json
import re
import subprocess

from lib.appliance import curl
from lib.proxies import until
from lib.report import expect

# What a browser writes into its console by itself about an answer that is an error.
REFUSED = "the server responded with a status of"


class Desk:
    """`page` belongs to `appliance`; `logins` are what the person types when the browser asks."""

    def __init__(self, browser, appliance, logins=(), **looks):
        self.appliance = appliance
        self.api = appliance.settings["api"]
        self.generation = "/" + self.api[-1]
        self.page = browser.page(logins, **looks)

    def open(self, listener="https"):
        self.page.visit(self.appliance.url(listener, "/"))
        self.page.shows("#mem-words", "%")

    def truth(self, path, method="GET", body=None):
        """What the API says on the control socket, where nobody is asked for a password."""
        data = () if body is None else ("-d", json.dumps(body))
        command = ["curl", "-q", "-sS", "--unix-socket", str(self.appliance.folder / "run/control.sock"), "-X", method]
        done = subprocess.run(
            [*command, *data, f"http://x{self.generation}/{path}"], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    def license(self):
        return self.truth("management/license/offlinemode")

    def status(self, *arguments, listener="https", path=None):
        """What a stranger's curl is answered."""
        path = path or f"{self.generation}/management/host/about"
        return curl("-q", "--insecure", *arguments, self.appliance.url(listener, path))

    def becomes(self, path, member, value):
        """Within the usual patience, and the page says nothing else."""
        until(lambda: self.truth(path)[member] == value, f"{member} is {value}")

    def unfold(self, identifier):
        """Opens a closed part of the page with its own handle."""
        if not self.page.run(f"document.getElementById('{identifier}').open"):
            self.page.click(f"#{identifier} > summary")

    def agree(self, title):
        """Reads the question and says yes to it with the mouse."""
        self.page.shows("#ask-title", title)
        self.page.click("#ask-yes")

    def quiet(self, *expected):
        """Nothing stands in the console but what a browser says itself of these errors."""
        complaints, self.page.complaints = self.page.complaints, []
        odd = [
            one for one in complaints
            if one[0] != "network" or not any(words in one[1] for words in expected)
        ]  # fmt: skip
        expect(not odd, f"the console has {odd}")

    def at_home(self):
        """Everything was asked of this appliance, and nothing of anybody else."""
        # Where the page has logged in, with what the browser then goes on with.
        urls = [re.sub("//admin:[^@]*@", "//", url) for _, url in self.page.requests]
        ours = tuple(self.appliance.url(listener, "/") for listener in ("http", "https", "management"))
        strange = [url for url in urls if not url.startswith((*ours, "data:", "blob:"))]
        expect(not strange, f"asked elsewhere: {strange}")
        return f"{len(self.page.requests)} requests"
