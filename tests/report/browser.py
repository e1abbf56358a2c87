"""A headless Chromium, driven by its DevTools protocol over a pipe. Python's standard library is all that it needs."""
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

KEYS = {"Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}  # by the codes of Windows, which the protocol wants
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program():
    """Path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page. What it says on its console, and what it refuses, is kept in `faults`."""

    def __init__(self, wait=180):
        self.wait, self.faults, self.number, self.events, self.buffer = wait, [], 0, [], b""
        self.folder = tempfile.mkdtemp(prefix="isnet-browser-")
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()

        def connect():  # the browser reads commands from descriptor 3 and answers on 4
            for source, target in ((to_browser, 13), (from_browser, 14), (13, 3), (14, 4)):
                os.dup2(source, target)

        arguments = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-first-run", "--disable-background-networking", "--disable-extensions", "--hide-scrollbars",
                     "--force-color-profile=srgb", f"--user-data-dir={self.folder}", "about:blank"]
        self.process = subprocess.Popen([program(), *arguments], preexec_fn=connect, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.folder, ignore_errors=True)

    def read(self, deadline):
        """The next message."""
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise EOFError("the browser has ended")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self.commands, text):]
        deadline = time.monotonic() + self.wait
        while True:
            answer = self.read(deadline)
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def note(self, event):
        method, parameters = event.get("method"), event.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.faults.append(str([argument.get("value", argument.get("description")) for argument in parameters["args"]]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.faults.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("file:", "data:", "blob:", "about:")):
                self.faults.append(f"the page asks the network for {url}")

    def view(self, width, height, dark=False, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, file):
        """Seconds until the page says that it has drawn itself, by its own clock."""
        self.call("Page.navigate", url=pathlib.Path(file).resolve().as_uri())
        self.until("document.documentElement?.dataset.ready === 'true'")
        self.until("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        return self.value("performance.now()") / 1000

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression, before=lambda: None):
        """Waits for an expression to be true; `before` is called before each look."""
        deadline = time.monotonic() + self.wait
        while before() or not self.value(expression):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not true: {expression}; faults: {self.faults}")
            time.sleep(0.05)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def screenshot(self, file, whole=False):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"] if whole else None
        clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}} if size else {}
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)
        pathlib.Path(file).write_bytes(base64.b64decode(picture["data"]))

    def pdf(self, file):
        pathlib.Path(file).write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))
