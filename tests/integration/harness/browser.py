"""Headless Chromium, spoken to over WebDriver with what Python brings."""

import base64
import json
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

from .wait import free_port, wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing():
    """Why there is no browser; None: there is one."""
    for name in ("chromium", "chromedriver"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    return None


class Browser:
    """One window."""

    def __init__(self, width=1280, height=1000):
        self.folder = tempfile.mkdtemp(prefix="nixie-browser.")
        self.port = free_port()
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver"), f"--port={self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.session = None
        wait_until(self.listens, "chromedriver listens", 20)
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu",
                     "--disable-dev-shm-usage",
                     f"--user-data-dir={self.folder}",
                     f"--window-size={width},{height}"],
            "binary": shutil.which("chromium"),
        }
        self.session = self.call("POST", "/session", {
            "capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"performance": "ALL",
                                      "browser": "ALL"}}}},
            60)["sessionId"]

    def listens(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None, timeout=30):
        if self.session is not None:
            path = f"/session/{self.session}{path}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise AssertionError(f"{path}: {told['message'][:600]}") from None

    def stop(self):
        try:
            if self.session is not None:
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(20)
            shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, address):
        self.call("POST", "/url", {"url": "about:blank"})
        self.call("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        """The value of a function's body."""
        return self.call("POST", "/execute/sync",
                         {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute",
                         {"cmd": command, "params": parameters})

    def logs(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def requests(self):
        """The addresses asked for since this was asked last."""
        found = []
        for row in self.logs("performance"):
            message = json.loads(row["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found

    def element(self, selector):
        return self.call("POST", "/element", {
            "using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.element(selector)}/click", {})

    def type(self, selector, text):
        """In place of what is there."""
        found = self.element(selector)
        self.call("POST", f"/element/{found}/clear", {})
        self.call("POST", f"/element/{found}/value", {"text": text})

    def text(self, selector="body"):
        return self.run("return document.querySelector(arguments[0])"
                        ".innerText", selector)

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0])"
                        ".length", selector)

    def wait(self, script, what, timeout=20):
        return wait_until(lambda: self.run(f"return {script}"), what, timeout)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))
