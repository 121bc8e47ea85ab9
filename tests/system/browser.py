"""A headless Chromium, told what to do through a pipe: pages as a browser shows them, and what they show."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

# Nothing that a browser does here takes a tenth of this on a slow machine.
PATIENCE = 60
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-pipe",
]


class Browser:
    def __init__(self, program="chromium"):
        self.profile = tempfile.mkdtemp(prefix="chromium.")
        # Chromium reads from handle 3 and writes to handle 4.
        to_read, self.to_write = os.pipe()
        self.to_hear, to_say = os.pipe()

        def handles():
            first, second = os.dup(to_read), os.dup(to_say)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [program, *QUIET, "--user-data-dir=" + self.profile, "about:blank"],
            preexec_fn=handles, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_read)
        os.close(to_say)
        self.heard, self.number, self.session, self.events = b"", 0, None, []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Network":
            self.tell(domain + ".enable")

    def close(self):
        os.close(self.to_write)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def hear(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.heard:
            if not select.select([self.to_hear], [], [], max(0, end - time.monotonic()))[0]:
                raise SystemExit("Chromium says nothing")
            more = os.read(self.to_hear, 1 << 16)
            if not more:
                raise SystemExit("Chromium has ended")
            self.heard += more
        message, self.heard = self.heard.split(b"\0", 1)
        return json.loads(message)

    def tell(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.hear()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        """Returns when all of the page is there."""
        self.events.clear()
        failed = self.tell("Page.navigate", url=url).get("errorText")
        if failed:
            raise SystemExit(f"{url}: {failed}")
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.hear())

    def shape(self, width, scheme, height=900, script=True):
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.tell("Emulation.setScriptExecutionDisabled", value=not script)

    def ask(self, expression):
        result = self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit(json.dumps(result["exceptionDetails"], indent=1))
        return result["result"].get("value")

    def key(self, name, code):
        for kind in "rawKeyDown", "keyUp":
            self.tell("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code)

    def picture(self, path):
        height = self.ask("document.documentElement.scrollHeight")
        width = self.ask("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 4000), "scale": 1}
        taken = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(taken["data"]))
