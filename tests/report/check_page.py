"""Opens a report in a headless Chromium and uses it as a reader would. Prints what is wrong; status 0: nothing, 77: no
browser here. Usage: check_page.py REPORT.html [--texts TEXT…]: texts that the page has to show."""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import browser  # noqa: E402

SIZES = {"phone": (390, 844, True), "laptop": (1280, 800, False), "wide": (1920, 1080, False)}
faults = []


def expect(true, what):
    if not true:
        faults.append(what)


def check_sizes(page, report):
    for name, (width, height, mobile) in SIZES.items():
        for dark in (False, True):
            page.view(width, height, dark, mobile)
            page.open(report)
            wide = page.value("document.documentElement.scrollWidth")
            expect(wide <= width, f"{name}: the page is {wide} pixels wide, the screen {width}")
            colour = page.value("getComputedStyle(document.body).backgroundColor")
            expect((colour == "rgb(255, 255, 255)") != dark, f"{name}: the paper is {colour}, dark: {dark}")
            page.until("[...document.querySelectorAll('.chart')].every(c => c.querySelector('svg'))")


def check_theme(page):
    before = page.value("getComputedStyle(document.body).backgroundColor")
    page.value("document.getElementById('theme').click()")
    expect(page.value("getComputedStyle(document.body).backgroundColor") != before, "the switch of colours changes nothing")


def check_samples(page):
    cards = "document.querySelectorAll('.sample').length"
    shown = page.value(cards)
    if not shown:
        return
    if page.value("!!document.querySelector('[data-filter=outcome]')"):
        choose = "(s => { s.value = '%s'; s.dispatchEvent(new Event('change')); })(document.querySelector('[data-filter=outcome]'))"
        page.value(choose % "right")
        expect(page.value("document.querySelectorAll('.sample .wrong').length") == 0, "errors are shown among the right samples")
        page.value(choose % "all")
    expect(page.value(cards) == shown, "not all samples come back")
    page.value("document.querySelector('.sample').click()")
    expect(page.value("document.getElementById('viewer').open"), "a sample is not enlarged")
    title = page.value("document.querySelector('#viewer h2').textContent")
    expect("[object" not in page.value("document.getElementById('viewer').textContent"), "the enlarged sample shows no text")
    if shown > 1:
        page.press("ArrowRight")
        expect(page.value("document.querySelector('#viewer h2').textContent") != title, "the next sample is not shown")
    page.press("Escape")
    page.until("!document.getElementById('viewer').open")
    page.until("[...document.querySelectorAll('.sample canvas')].every(c => c.width > 0)")


def check_confusion(page):
    """A cell of the matrix shows its samples."""
    cell = "document.querySelector('#confusion .cell-group[role=button]')"
    if not page.value(f"!!{cell}"):
        return
    page.value(f"{cell}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
    expect(page.value("document.querySelector('[data-filter=label]').value") != "all", "a cell of the matrix chooses no samples")
    page.value("filters.label = filters.predicted = 'all'; redrawSamples()")


def check_pointing(page):
    """A pointer over a chart gets its figures; the page may still be scrolling when the pointer comes."""
    page.value("document.documentElement.style.scrollBehavior = 'auto'")
    chart = "document.querySelector('.chart .hit')"
    if not page.value(f"!!{chart}"):
        return

    def point():
        x, y = page.value(f"{chart}.scrollIntoView({{block: 'center'}}), "
                          f"(box => [box.left + box.width / 2, box.top + box.height / 2])({chart}.getBoundingClientRect())")
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    page.until("!document.getElementById('tip').hidden", before=point)


def check_subjects(page):
    buttons = page.value("document.querySelectorAll('#subjects button').length")
    for i in range(buttons):
        page.value(f"document.querySelectorAll('#subjects button')[{i}].click()")
        expect(page.value(f"document.querySelectorAll('#subjects button')[{i}].getAttribute('aria-checked')") == "true",
               f"choice {i} is not taken")


def check_exports(page):
    """Figures as SVG without a style sheet, tables as CSV, Markdown and LaTeX: what would be saved."""
    svg = page.value("standaloneSvg(document.querySelector('.chart svg'))")
    expect(svg.startswith("<?xml") and "var(" not in svg and "class=" not in svg, "a saved figure needs a style sheet")
    expect('fill="rgb(' in svg or "stroke=\"rgb(" in svg, "a saved figure has no colours")
    expect(page.value("csvText({header: ['a'], rows: [['x,\"y']]})") == 'a\n"x,""y"\n', "CSV is not quoted")
    expect(page.value("latex('50% of a_b & <c>')") == "50\\% of a\\_b \\& $<$c$>$", "LaTeX is not escaped")
    expect(page.value("markdown('a|b')") == "a\\|b", "Markdown is not escaped")
    page.value("window.saved = []; save = (name, text) => saved.push(name + text.length); navigator.clipboard.writeText = () => Promise.reject()")
    for label in ("SVG", "CSV", "Markdown", "LaTeX"):
        page.value(f"[...document.querySelectorAll('.tools button')].find(b => b.textContent === '{label}').click()")
    page.until("saved.length === 4")


def check_print(page):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "report.pdf"
        page.pdf(file)
        expect(file.stat().st_size > 10_000, "the page does not print")


def main():
    if browser.program() is None:
        print("no Chromium here")
        return 77
    report, texts = sys.argv[1], sys.argv[3:]
    with browser.Browser() as page:
        check_sizes(page, report)
        for text in texts:
            expect(page.value(f"document.body.innerText.includes({text!r})"), f"the page does not show {text!r}")
        expect(page.value("document.querySelectorAll('img[src=x], main script').length") == 0, "a text of the data became an element")
        expect(page.value("[...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"), "an id is twice")
        expect(page.value("[...document.querySelectorAll('button, select, input, a')].every(e => e.textContent || e.closest('label') || e.getAttribute('aria-label'))"), "a control has no name")
        expect(not page.value("/\\[object |\\bNaN\\b/.test(document.body.innerText)"), "a value is shown that is none")
        check_theme(page)
        check_subjects(page)
        check_samples(page)
        check_confusion(page)
        check_pointing(page)
        check_exports(page)
        check_print(page)
        faults.extend(page.faults)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
