"""A real Chromium without a window, driven through its DevTools protocol (CDP).

In: starting it, and what a person does with a page: go there, log in, click, type, press keys, choose
and drop files, look. Out: what a page should show. Each page has a profile of its own, so nothing
is remembered from one to the next. The browser's own login prompt can't be typed into by any driver:
`Fetch.authRequired` is the prompt, and a page answers it with its `logins` in turn, or cancels it.
"""

import base64
import contextlib
import itertools
import json
import os
import queue
import socket
import subprocess
import threading
import time

from websockets.sync.client import connect

from lib.appliance import temporary_folder
from lib.proxies import SECONDS, until



def own_address():
    """An address of this machine that is not loopback, or nothing; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


SWITCHES = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--ignore-certificate-errors", "--remote-debugging-port=0",
    # Nothing outside this machine, whatever the browser itself would like to ask.
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE {own_address() or 'localhost'}",
]  # fmt: skip

# Where to click on an element, if it can be; whether it was hit is in `struck` then.
AIM = """selector => {
    const e = document.querySelector(selector);
    if (!e?.checkVisibility()) return null;
    e.scrollIntoView({block: 'center', behavior: 'instant'});
    const b = e.getBoundingClientRect(), x = b.x + b.width / 2, y = b.y + b.height / 2;
    if (!e.contains(document.elementFromPoint(x, y))) return null;
    window.struck = false;
    e.addEventListener('click', () => { window.struck = true; }, {once: true, capture: true});
    return [x, y];
}"""


class Chromium:
    """`with Chromium() as browser: page = browser.page()`"""

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = stack.enter_context(temporary_folder())
            self.errors = stack.enter_context(open(self.folder / "errors", "wb"))
            self.process = subprocess.Popen(
                ["chromium", *SWITCHES, f"--user-data-dir={self.folder}/profile", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
                env={**os.environ, "HOME": str(self.folder)},
            )  # fmt: skip
            stack.callback(self.end)
            door = self.folder / "profile/DevToolsActivePort"
            until(lambda: self.alive() and door.exists() and "\n" in door.read_text(), "Chromium answers")
            port, path = door.read_text().split()
            self.socket = stack.enter_context(
                connect(f"ws://127.0.0.1:{port}{path}", max_size=None, ping_interval=None)
            )
            self.numbers, self.answers, self.pages = itertools.count(1), {}, {}
            threading.Thread(target=self.read, daemon=True).start()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Chromium ended: {(self.folder / 'errors').read_text()[-2000:]}")
        return True

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def read(self):
        with contextlib.suppress(Exception):  # it ends with the socket
            for text in self.socket:
                message = json.loads(text)
                if "id" in message:
                    waiting = self.answers.pop(message["id"], None)
                    if waiting:
                        waiting.put(message)
                elif message.get("sessionId") in self.pages:
                    self.pages[message["sessionId"]].take(message["method"], message["params"])

    def order(self, method, session=None, **parameters):
        """Sends a command and does not wait for its answer."""
        message = {"id": next(self.numbers), "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        waiting = self.answers[message["id"]] = queue.Queue(1)
        self.socket.send(json.dumps(message))
        return waiting

    def call(self, method, session=None, **parameters):
        answer = self.order(method, session, **parameters).get(timeout=SECONDS)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def page(self, logins=(), width=1280, height=1000, dark=False):
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, context, list(logins))
        page.begin(width, height, dark)
        return page


class Page:
    """One tab. `requests`, `received`, `complaints` and `prompts` are what happened so far."""

    def __init__(self, browser, session, context, logins):
        self.browser, self.session, self.context, self.logins = browser, session, context, logins
        self.requests, self.statuses, self.received, self.complaints, self.prompts = [], {}, 0, [], 0

    def begin(self, width, height, dark):
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Fetch.enable", handleAuthRequests=True)
        self.look_like(width, height, dark)

    def look_like(self, width, height, dark):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, still])

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def take(self, event, told):
        """An event; runs on the reading thread, so nothing here may wait for an answer."""
        if event == "Fetch.requestPaused":
            self.browser.order("Fetch.continueRequest", self.session, requestId=told["requestId"])
        elif event == "Fetch.authRequired":
            self.prompts += 1
            answer = {"response": "CancelAuth"}
            if self.logins:
                user, password = self.logins.pop(0)
                answer = {"response": "ProvideCredentials", "username": user, "password": password}
            self.browser.order(
                "Fetch.continueWithAuth", self.session, requestId=told["requestId"], authChallengeResponse=answer
            )
        elif event == "Network.requestWillBeSent":
            self.requests.append((told["request"]["method"], told["request"]["url"]))
        elif event == "Network.responseReceived":
            self.statuses[told["response"]["url"]] = told["response"]
        elif event == "Network.loadingFinished":
            self.received += told["encodedDataLength"]
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(("exception", json.dumps(told["exceptionDetails"])))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(("console", json.dumps(told["args"])))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            entry = told["entry"]
            self.complaints.append((entry["source"], f"{entry['text']} {entry.get('url', '')}"))

    # --- what a person does --------------------------------------------------------------------------

    def visit(self, url):
        self.call("Page.navigate", url=url)
        until(lambda: self.run("document.readyState") == "complete", f"{url} is loaded")

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def text(self, selector):
        """What is shown there; nothing while it is hidden."""
        return self.run(
            f"(e => e?.checkVisibility() ? e.innerText : '')(document.querySelector({json.dumps(selector)}))"
        )

    def shows(self, selector, words):
        def is_there():
            return words in self.text(selector)

        try:
            until(is_there, words)
        except Exception as error:
            raise AssertionError(f"{selector} shows {self.text(selector)!r}, not {words!r}") from error

    def click(self, selector):
        """With the mouse, in the middle of it, once it stands still and nothing covers it."""
        before = None
        for _ in range(int(SECONDS / 0.05)):
            place = self.run(f"({AIM})({json.dumps(selector)})")
            if place and place == before:
                x, y = place
                for kind in ("mousePressed", "mouseReleased"):
                    self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
                if self.run("window.struck !== false"):  # gone with its page, if it led away
                    return
            before = place
            time.sleep(0.05)
        raise AssertionError(f"{selector} can't be clicked")

    def type(self, selector, text):
        """Instead of what stands in the field."""
        field = json.dumps(selector)
        self.run(f"(e => {{ e.focus(); e.select(); }})(document.querySelector({field}))")
        self.call("Input.insertText", text=text)

    def press(self, key, modifiers=0):
        """Enter, Tab or Escape; 8 is Shift."""
        text = {"Enter": "\r"}.get(key)
        number = {"Enter": 13, "Tab": 9, "Escape": 27}[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def choose(self, selector, file):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def drop(self, selector, files):
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def picture(self, file):
        """The whole page, as high as it is."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        if self.run("document.querySelector('dialog[open]') !== null"):
            clip = None  # it stands in the middle of the window
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=clip is not None, **({"clip": clip} if clip else {}))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(shot["data"]))
