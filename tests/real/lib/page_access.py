"""The management page's security half: certificate, plain HTTP, password, reset, and who gets in."""

import http.server
import re
import threading

from lib.desk import REFUSED, Desk
from lib.proxies import until
from lib.report import expect

PASSWORD = "correct horse"
TOKEN = "a-token-of-some-length"

# Keeps what the page sends and is answered.
LISTENING = """
window.traffic = [];
const asked = window.fetch;
window.fetch = async (path, options) => {
  const sent = new Response(options.body);
  window.traffic.push([options.method, path, sent.headers.get('Content-Type'), await sent.text()]);
  const answer = await asked(path, options);
  window.traffic.push([await answer.clone().text()]);
  return answer;
};
"""


class Part:
    """A group of sentences about one page; `proves` puts the generation before each."""

    def __init__(self, report, desk, service, authority, folder, browser):
        self.report, self.desk, self.service = report, desk, service
        self.authority, self.folder, self.browser = authority, folder, browser
        self.page, self.api = desk.page, desk.api

    def proves(self, sentence, check, *arguments):
        self.report.proves(f"page, api {' and '.join(self.api)}: {sentence}", check, *arguments)

    def end(self, *expected):
        self.proves("the console has no error of the page", self.desk.quiet, REFUSED, *expected)
        self.proves("nothing is asked of another host", self.desk.at_home)
        self.page.close()


class Access(Part):
    def prove(self):
        self.proves("the browser asks for the password where the API does", self.log_in)
        self.proves("weighs less than 72 KB, with the answers it shows", self.weight)
        self.proves("its policy allows nothing inline but what it names", self.policy)
        self.proves("says at the top what is not secure", self.dangers)
        self.proves("a key that does not fit is refused in the appliance's words", self.wrong_key)
        self.proves("uploads a certificate that was chosen", self.upload, "chosen", self.choose)
        self.proves("uploads a certificate that was dropped", self.upload, "dropped", self.drop)
        self.proves("a key made here is certified by openssl ca, and crosses no wire", self.request)
        self.proves("sets an authority, tells in its box and at the top why no certificate comes, and ends it", self.acme)
        self.proves("two passwords that differ change nothing", self.differing)
        self.proves("sets the password and goes on without asking", self.set_password)
        self.proves("makes a job token up, sets one that was typed, and forgets it", self.set_token)
        self.proves("switches plain HTTP off by keyboard, and Escape changes nothing", self.http_off)
        self.proves("says that all is secure", self.page.shows, "#secure", "Secure")
        self.proves("a page of another origin changes nothing", self.foreign)
        self.proves("removes the password and goes on", self.remove_password)
        self.proves("removes the job token, and says that speech is open", self.remove_token)
        self.proves("switches plain HTTP on", self.http_on)
        self.proves("resets security", self.reset)
        self.proves("over plain HTTP offers no upload, but HTTPS", self.plain)
        self.proves("switched off over plain HTTP, goes to HTTPS", self.plain_off)
        self.end("ERR_EMPTY_RESPONSE", "ERR_ABORTED")

    def log_in(self):
        asked = "v2" in self.api
        stranger = self.desk.status(path="/")
        expect(stranger.status == (401 if asked else 200), f"{stranger}")
        if asked:
            cancelled = Desk(self.browser, self.desk.appliance)
            cancelled.page.visit(self.desk.appliance.url("https", "/"))
            expect(cancelled.page.prompts == 1, f"{cancelled.page.prompts} prompts")
            told = cancelled.page.statuses[self.desk.appliance.url("https", "/")]
            scheme = {name.lower(): value for name, value in told["headers"].items()}["www-authenticate"]
            expect((told["status"], scheme) == (401, 'Basic realm="appliance", charset="UTF-8"'), f"{told['status']} {scheme}")
            cancelled.page.close()
        self.desk.open()
        expect(self.page.prompts == int(asked), f"{self.page.prompts} prompts")

    def weight(self):
        expect(15_000 < self.page.received < 72_000, f"{self.page.received} bytes")
        return f"{self.page.received} bytes in {len(self.page.requests)} requests"

    def policy(self):
        headers = self.page.statuses[self.desk.appliance.url("https", "/")]["headers"]
        policy = {name.lower(): value for name, value in headers.items()}["content-security-policy"]
        expect("default-src 'none'" in policy and "unsafe" not in policy, policy)
        expect(len(re.findall("'sha256-[^']+'", policy)) == 2, policy)

    def dangers(self):
        default = "admin:admin" if "v2" in self.api else "no password"
        for words in ("Plain HTTP is on", default, "Speech is open to whoever reaches", "self-signed default"):
            self.page.shows("#todo", words)
        self.page.shows("#certificate-pill", "Default")
        self.page.shows("#which", "version 5.0.0")

    # --- certificate ---------------------------------------------------------------------------------

    def wrong_key(self):
        one, other = self.authority.certify("one", 400), self.authority.certify("other", 400)
        self.page.click("#todo li:last-child button")
        self.choose(one._replace(key=other.key))
        self.page.click("#upload-form button")
        self.page.shows("#upload-result", "the key in keyfile does not belong to certificate 1")
        expect(self.desk.truth("security/sslcertificate")["source"] == "default", "it was taken")

    def choose(self, pair):
        self.page.choose("input[name=certfile]", pair.cert)
        self.page.choose("input[name=keyfile]", pair.key)

    def drop(self, pair):
        self.page.drop("#upload-form", [pair.key, pair.cert])
        until(lambda: self.page.run("document.querySelector('[name=keyfile]').files.length"), "the drop is taken")

    def upload(self, name, way):
        way(self.authority.certify(name, 400))
        self.page.click("#upload-form button")
        self.page.shows("#upload-result", "certificate and private_key applied successfully")
        self.page.shows("#certificate-subject", f"CN={name}")
        self.page.shows("#certificate-issuer", "CN=Test Root")
        self.page.shows("#certificate-words", "Expires in 399 days")
        self.page.shows("#certificate-pill", "Yours")
        told = self.desk.truth("security/sslcertificate")
        expect((told["source"], told["subject"]) == ("uploaded", f"CN={name}"), f"{told}")
        left = self.page.run("[...document.querySelectorAll('input[type=file]')].some(i => i.files.length)")
        expect(not left, "the key is still held by the page")

    def request(self):
        self.page.run(LISTENING)
        self.desk.unfold("csr")
        self.page.type("#csr-form [name=names]", "localhost, 127.0.0.1")
        self.page.type("#csr-form [name=O]", "Example Ltd")
        self.page.click("#csr-form button")
        self.page.shows("#csr-words", "for localhost, 127.0.0.1; RSA-2048")
        request = self.page.run("document.getElementById('csr-text').value")
        expect(self.desk.truth("security/certificaterequest")["request"] == request, request)
        cert = self.authority.sign("signed" + "-".join(self.api), request)
        self.page.type("#signed-form [name=certfile]", cert.read_text())
        self.page.click("#signed-form button")
        self.page.shows("#signed-result", "certificate and private_key applied successfully")
        self.page.shows("#certificate-subject", "O=Example Ltd, CN=localhost")
        expect(self.desk.truth("security/certificaterequest") == {"pending": False}, "it is still pending")
        key = (self.desk.appliance.folder / "state/tls/uploaded.pem").read_text().split("PRIVATE KEY-----")[1]
        pieces = [line[at : at + 16] for line in key.splitlines()[3:] for at in (0, 16, 32) if len(line) == 64]
        traffic = self.page.run("JSON.stringify(window.traffic)")
        expect(request.splitlines()[1] in traffic and "multipart" in traffic, traffic)
        expect(not [piece for piece in pieces if piece in traffic], "the private key was sent")
        expect("PRIVATE KEY" not in traffic, traffic)
        return f"{len(pieces)} pieces of the key, {len(traffic)} bytes of traffic"

    def acme(self):
        self.desk.unfold("acme")
        self.page.type("#acme-form [name=directory]", "https://127.0.0.1:1/directory")
        self.page.type("#acme-form [name=names]", "localhost")
        self.page.type("#acme-form [name=kid]", "kid-7")
        self.page.type("#acme-form [name=hmac]", "c2VjcmV0")
        self.page.click("#acme-form button.main")
        self.page.shows("#acme-result", "ACME is on")
        self.page.shows("#acme-words", "No certificate comes from https://127.0.0.1:1/directory")
        self.page.shows("#todo", "No certificate comes")
        told = self.desk.truth("security/acme")
        expect((told["names"], told["external_account"]["kid"]) == (["localhost"], "kid-7"), f"{told}")
        left = self.page.run("document.querySelector('#acme-form [name=hmac]').value")
        expect(not left, "the key is still held by the page")
        self.page.click("#acme-end")
        self.desk.agree("End ACME?")
        self.page.shows("#acme-result", "ACME has ended")
        expect(self.desk.truth("security/acme") == {"enabled": False}, "it is still on")

    # --- password ------------------------------------------------------------------------------------

    def fill(self, first, second):
        self.desk.unfold("password")
        self.page.type("#password-form [name=password]", first)
        self.page.type("#password-form [name=again]", second)
        self.page.press("Enter")

    def differing(self):
        self.fill(PASSWORD, "another")
        self.page.shows("#password-result", "differ")
        expect(self.desk.truth("security/adminpassword") == {"admin_password": "unset"}, "it was set")

    def set_password(self):
        before = self.page.prompts
        self.fill(PASSWORD, PASSWORD)
        self.page.shows("#password-result", "admin password set")
        self.page.shows("#password-pill", "Set")
        expect(self.desk.truth("security/adminpassword") == {"admin_password": "set"}, "not set")
        expect(self.desk.status().status == 401, "a stranger gets in")
        expect(self.desk.status("-u", f"admin:{PASSWORD}").status == 200, "the password does not work")
        self.goes_on(before)
        held = self.page.run("[...document.querySelectorAll('input[type=password]')].map(i => i.value).join('')")
        expect(held == "", "the password is still in the page")
        timed = self.page.run("performance.getEntriesByType('resource').map(e => e.name).join(' ')")
        expect("horse" not in timed, f"the browser's timings hold it: {timed}")

    def goes_on(self, prompts):
        """The page asks the API again, and nobody was asked for a password."""
        count = len(self.page.requests)
        until(lambda: len(self.page.requests) > count, "the page refreshes itself")
        self.page.shows("#live", "Up to date")
        expect(self.page.prompts == prompts, "the browser asked")

    def remove_password(self):
        before = self.page.prompts
        self.page.click("#password-remove")
        self.desk.agree("Remove the password?")
        self.desk.becomes("security/adminpassword", "admin_password", "off" if self.api == ["v2"] else "unset")
        self.page.shows("#password-pill", {"v1": "None", "v2": "Off"}.get("".join(self.api), "Default"))
        self.goes_on(before)

    # --- job token -----------------------------------------------------------------------------------

    def set_token(self):
        self.desk.unfold("token")
        self.page.click("#token-make")
        made = self.page.run("document.querySelector('#token-form [name=token]').value")
        expect(re.fullmatch("[0-9a-f]{64}", made), made)
        self.page.run("document.querySelector('#token-form [name=token]').value = ''")
        self.page.type("#token-form [name=token]", "two words")
        self.page.press("Enter")
        self.page.shows("#token-result", "can't carry")
        self.page.run("document.querySelector('#token-form [name=token]').value = ''")
        self.page.type("#token-form [name=token]", TOKEN)
        self.page.press("Enter")
        self.page.shows("#token-result", "job token set")
        self.page.shows("#token-pill", "Set")
        expect(self.desk.truth("security/jobtoken") == {"job_token": "set"}, "not set")
        # v1 alone asks for the password over HTTPS; there the token counts over plain HTTP.
        expect(self.desk.status(listener="http", path="/v2/jobs").status == 401, "a stranger gets in")
        held = self.page.run("document.querySelector('#token-form [name=token]').value")
        expect(held == "", "the token is still in the page")

    def remove_token(self):
        self.page.click("#token-remove")
        self.desk.agree("Remove the job token?")
        self.desk.becomes("security/jobtoken", "job_token", "unset")
        self.page.shows("#token-result", "speech is open")
        self.page.shows("#todo", "Speech is open to whoever reaches")

    # --- plain HTTP and reset ------------------------------------------------------------------------

    def http_off(self):
        self.page.shows("#todo", "Plain HTTP is on")
        self.page.run("document.getElementById('http-switch').focus()")
        self.page.press("Enter")
        self.page.shows("#ask-title", "Switch plain HTTP off?")
        self.page.press("Escape")
        until(lambda: not self.page.run("document.querySelector('dialog[open]')"), "the question is gone")
        focused = self.page.run("document.activeElement.id")
        expect(focused == "http-switch", f"the focus went to {focused!r}")
        expect(self.desk.truth("security/insecureports")["enable_insecure_ports"], "Escape switched it off")
        self.page.press("Enter")
        self.page.shows("#ask-title", "Switch plain HTTP off?")
        # The first of the two is "yes", and the focus begins on the other.
        self.page.press("Tab", modifiers=8)
        self.page.press("Enter")
        self.desk.becomes("security/insecureports", "enable_insecure_ports", False)
        self.page.shows("#http-pill", "Off")
        self.page.shows("#http-result", "plain HTTP access disabled")
        expect(self.desk.status(listener="management").exit == 52, "plain HTTP still answers")

    def http_on(self):
        self.page.click("#http-switch")
        self.desk.agree("Switch plain HTTP on?")
        self.desk.becomes("security/insecureports", "enable_insecure_ports", True)
        self.page.shows("#http-pill", "On")

    def reset(self):
        before = self.page.prompts
        if self.api != ["v1"]:
            self.fill(PASSWORD, PASSWORD)
            self.page.shows("#password-pill", "Set")
        self.page.click("#reset")
        self.desk.agree("Reset security settings?")
        self.desk.becomes("security/sslcertificate", "source", "default")
        self.desk.becomes("security/adminpassword", "admin_password", "unset")
        self.page.shows("#reset-result", "Security is reset")
        self.page.shows("#certificate-pill", "Default")
        self.page.shows("#todo", "self-signed default")
        self.goes_on(before)

    def plain(self):
        self.page.logins += [("admin", "admin")] * 2
        self.desk.open("http")
        self.page.shows("#todo", "This page came over plain HTTP")
        self.desk.unfold("upload")
        self.page.shows("#upload", "Not over plain HTTP")
        expect(self.page.text("#upload-form") == "", "it offers to upload")
        address = self.page.run("document.getElementById('upload-https').href")
        expect(address == self.desk.appliance.url("https", "/"), address)

    def plain_off(self):
        self.page.click("#http-switch")
        self.page.shows("#ask-words", "will be taken to https://localhost")
        self.desk.agree("Switch plain HTTP off?")
        until(lambda: self.page.run("location.href") == self.desk.appliance.url("https", "/"), "it goes to HTTPS")
        self.page.shows("#http-pill", "Off")
        self.desk.truth("security/insecureports", "POST", {"enable_insecure_ports": True})

    # --- another origin ------------------------------------------------------------------------------

    def foreign(self):
        """A page elsewhere posts with whatever the browser knows of the appliance."""
        target = self.desk.appliance.url("https", f"{self.desk.generation}/security/insecureports")
        body = '{"enable_insecure_ports": true}'
        self.page.statuses.pop(target, None)
        with Elsewhere() as origin:
            self.page.visit(origin)
            self.page.run(
                f"fetch('{target}', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: '{body}'}}).catch(() => 0)"
            )
            until(lambda: target in self.page.statuses, "the appliance answers")
        self.page.requests = [one for one in self.page.requests if not one[1].startswith(origin)]
        status = self.page.statuses[target]["status"]
        expect(status in (401, 403), f"answered {status}")
        expect(not self.desk.truth("security/insecureports")["enable_insecure_ports"], "it was done")
        self.desk.open()
        return f"{status}"


class Elsewhere:
    """Another origin on this machine; its address."""

    def __enter__(self):
        class Blank(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>Elsewhere</title><link rel=icon href=data:,>")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
