"""What a person must see on the pages, asked of Chromium without script: python3 page.py URL STATUS.json

Prints one line of JSON: what was looked at, each with the complaints about it."""

import json
import sys

from browser import Browser

URL, STATUS = sys.argv[1].rstrip("/"), json.load(open(sys.argv[2]))
WIDTHS, SCHEMES = (390, 768, 1280), ("light", "dark")
LEAST = 4.5  # WCAG 2.2, 1.4.3

complaints = {}


def look(what, found):
    complaints.setdefault(what, []).extend(found or [])


# For each text: whether it stands out from what is behind it.
CONTRAST = """(() => {
  const rgb = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1] };
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] == 1) return c; if (c[3] > 0) return null } return null };
  const bad = []; let seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), e = walk.currentNode.parentElement;
    if (!text || !e.checkVisibility()) continue;
    const back = behind(e), look = getComputedStyle(e), fore = rgb(e instanceof SVGElement ? look.fill : look.color);
    if (!back || fore[3] != 1) { bad.push(`${text}: its colours cannot be told`); continue }
    const [a, b] = [light(fore), light(back)].sort((a, b) => b - a), ratio = (a + .05) / (b + .05);
    seen++; if (ratio < LEAST) bad.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return seen > 20 ? bad : [`only ${seen} texts`];
})()""".replace("LEAST", str(LEAST))

# What lies beside the screen; the skip link and the headings of the cards are out of sight on purpose.
OFF_SCREEN = """(() => {
  const root = document.documentElement, bad = [];
  if (root.scrollWidth > innerWidth) bad.push(`it is ${root.scrollWidth} wide`);
  for (const e of document.body.querySelectorAll('*')) {
    if (e.closest('.skip') || e.closest('thead') && innerWidth < 700) continue;
    const box = e.getBoundingClientRect();
    if (box.width && (box.left < 0 || box.right > innerWidth + 1)) bad.push(`${e.tagName} ${e.textContent.slice(0, 40)}`);
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX != 'visible') bad.push(`cut: ${e.textContent.slice(0, 40)}`);
  }
  return bad;
})()"""

FOCUSED = """(() => { const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
  return {text: e.textContent.trim(), href: e.getAttribute('href'), outline: s.outlineStyle != 'none' && parseFloat(s.outlineWidth) > 1,
    seen: box.width > 0 && box.top >= 0 && box.left >= 0, links: document.links.length,
    at: [...document.links].indexOf(e)} })()"""


def need(order):
    """As the pages sort: the smaller, the sooner."""
    urgencies = [finding["urgency"] for finding in order["findings"]]
    if "critical" in urgencies:
        return 0
    if urgencies:
        return 1
    return 2 if order["phase"] in ("waiting", "collected", "deploying") else 3


def in_order_of_need(browser):
    shown = browser.ask("[...document.querySelectorAll('tbody th a')].map(e => [e.textContent, e.getBoundingClientRect().top])")
    known = {order["name"]: need(order) for order in STATUS["orders"]}
    needs = [known[name] for name, _ in shown]
    tops = [top for _, top in shown]
    if needs != sorted(needs):
        yield f"the orders are not by need: {shown}"
    if tops != sorted(tops):
        yield "they are shown in another order than that of the document"
    if needs != sorted(known.values())[:len(needs)]:
        yield f"others need a person sooner: {needs}"


def keyboard(browser):
    """From the top with Tab: the skip link, then every link in its order, each to be seen."""
    browser.key("Tab", 9)
    first = browser.ask(FOCUSED)
    if not (first["href"] or "").startswith("#") or not first["seen"]:
        yield f"the first Tab leads to {first}"
    last = first["at"]
    for _ in range(first["links"] - 1):
        browser.key("Tab", 9)
        focus = browser.ask(FOCUSED)
        if focus["at"] != last + 1 or not focus["outline"] or not focus["seen"]:
            yield f"after link {last}: {focus}"
            return
        last = focus["at"]


def skipping(browser):
    browser.key("Tab", 9)
    target = browser.ask("document.activeElement.getAttribute('href').slice(1)")
    browser.key("Enter", 13)
    if browser.ask("document.activeElement.id") != target:
        yield f"Enter on the skip link does not lead to {target}"


def spoken(browser, wanted):
    """What a screen reader is told."""
    nodes = browser.tell("Accessibility.getFullAXTree")["nodes"]
    nodes = [node for node in nodes if not node["ignored"]]
    roles = [node["role"]["value"] for node in nodes]
    for role in wanted:
        if role not in roles:
            yield f"there is no {role}"
    for node in nodes:
        role, name = node["role"]["value"], node.get("name", {}).get("value", "")
        if role in ("link", "image", "heading", "navigation") and not name:
            yield f"a {role} has no name"
    levels = [int(next(p["value"]["value"] for p in node["properties"] if p["name"] == "level"))
              for node in nodes if node["role"]["value"] == "heading"]
    if levels[:1] != [1] or levels.count(1) != 1 or any(b > a + 1 for a, b in zip(levels, levels[1:])):
        yield f"headings are {levels}"


LANDMARKS = ["banner", "main", "contentinfo", "heading"]
TABLE = ["table", "rowgroup", "row", "columnheader", "rowheader", "cell", "image"]

browser = Browser()
try:
    browser.tell("Log.enable")
    worst = min(STATUS["orders"], key=need)["name"]
    for path in "/", "/?page=2", "/?show=needs-you", f"/orders/{worst}", "/forecast", "/orders/nobody-has-this-name":
        for width in WIDTHS:
            for scheme in SCHEMES:
                browser.shape(width, scheme, script=False)
                browser.open(URL + path)
                where = f"{path} at {width} px, {scheme}: "
                errors = [event["params"]["entry"]["text"] for event in browser.events
                          if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"]
                if "nobody" in path:
                    errors = [error for error in errors if "404" not in error]
                look("the browser refuses nothing", [where + error for error in errors])
                if "nobody" not in path:
                    look("each text has a contrast of 4.5", [where + bad for bad in browser.ask(CONTRAST)])
                look("nothing is off the screen", [where + bad for bad in browser.ask(OFF_SCREEN)])
                dark = browser.ask("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128")
                if dark != (scheme == "dark"):
                    look("dark and light follow the system", [where + "it does not"])
            if path in ("/", "/?page=2", "/?show=needs-you"):
                bad = [] if path == "/?page=2" else in_order_of_need(browser)
                look("the orders are shown by need", [f"{path} at {width} px: {bad}" for bad in bad])
                cells = browser.ask("getComputedStyle(document.querySelector('tbody td')).display")
                if (cells == "table-cell") != (width >= 700):
                    look("cards on a phone, a table from 700 px", [f"{path} at {width} px: {cells}"])
                wanted = LANDMARKS + TABLE
            else:
                wanted = LANDMARKS if "nobody" not in path else ["banner", "main", "heading"]
            look("a screen reader finds its way", [f"{path} at {width} px: {bad}" for bad in spoken(browser, wanted)])
            look("Tab leads through all links", [f"{path} at {width} px: {bad}" for bad in keyboard(browser)])
            browser.open(URL + path)
            look("the skip link skips", [f"{path} at {width} px: {bad}" for bad in skipping(browser)])
    for what in "dark and light follow the system", "cards on a phone, a table from 700 px":
        look(what, [])
finally:
    browser.close()
print(json.dumps(complaints))
