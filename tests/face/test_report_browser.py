"""The page in a real browser: headless Chromium, driven through chromedriver."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import conceptscope as cs

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
By = pytest.importorskip("selenium.webdriver.common.by").By
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(None in (CHROMIUM, DRIVER), reason="there is no chromium with chromedriver")

Keys, ActionChains = webdriver.Keys, webdriver.ActionChains
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
EVIL = "<img src=http://nowhere.invalid onerror='document.title=1'></script><script>document.title=2</script>"
LONG = "She walked " + "a" * 80


@pytest.fixture(scope="module")
def made(tiny: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> cs.Report:
    """Texts that would load and run something, and a prompt with a word that is wider than a phone."""
    endings = {"good": "good", "happy": "good", "cold": "bad", "old": "bad"}
    rows = [(f"{EVIL} {n} was {word}", label) for n in range(5) for word, label in endings.items()]
    texts, labels = zip(*rows, strict=True)
    return cs.report(
        tiny("gpt2"),
        cs.Examples(texts, labels, name=EVIL),
        tmp_path_factory.mktemp("browser") / "page.html",
        sites=["resid_pre", "resid_post"],
        prompts=["The dog was", LONG],
        strengths=[-8, 0, 8],
        max_new_tokens=4,
        directions=19,
        sentences=2,
    )


@pytest.fixture(scope="module")
def browser(made: cs.Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, made: cs.Report) -> Any:
    """The page, loaded anew on a wide, light screen."""
    screen(browser)
    browser.get(made.page.as_uri())
    return browser


def screen(browser: Any, width: int = 1000, scheme: str = "light", media: str = "") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def in_sight(page: Any, one: Any) -> None:
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", one)


def figure(page: Any, section: str, number: int = 0) -> Any:
    found = page.find_elements(By.CSS_SELECTOR, f"#{section} figure")[number]
    in_sight(page, found)
    return found


def reading(of: Any) -> str:
    return str(of.find_element(By.CLASS_NAME, "reading").text)


def shown_texts(page: Any) -> list[str]:
    return [one.text for one in page.find_elements(By.CSS_SELECTOR, ".panel .written") if one.is_displayed()]


def test_it_loads_without_an_error_and_from_nowhere_else(page: Any, made: cs.Report) -> None:
    page.get_log("performance")  # what the empty tab of before asked for
    page.get(made.page.as_uri())
    assert page.get_log("browser") == []
    assert page.title == f"\u201cgood\u201d in {made.model_name}"
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"].endswith("WillBeSent")}
    assert made.page.as_uri() in asked
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}


def test_the_slider_by_mouse_and_by_keyboard(page: Any, made: cs.Report) -> None:
    assert made.doses is not None
    slider = page.find_element(By.ID, "strength")
    output = page.find_element(By.TAG_NAME, "output")
    texts = [[text.strip() for text in dose.texts] for dose in made.doses.doses]
    assert len({tuple(text) for text in texts}) == 3
    in_sight(page, slider)
    for at, name in ((0, "-8 sd"), (2, "+8 sd"), (1, "0 sd")):
        offset = (at - 1) * (slider.size["width"] / 2 - 10)
        ActionChains(page).move_to_element_with_offset(slider, int(offset), 0).click().perform()
        assert output.text == name
        assert shown_texts(page) == texts[at]
    slider.send_keys(Keys.ARROW_RIGHT)
    assert shown_texts(page) == texts[2]
    slider.send_keys(Keys.HOME)
    assert shown_texts(page) == texts[0]
    assert slider.get_attribute("aria-valuetext") == "-8 sd"


def test_a_layer_that_is_pointed_at_says_its_numbers(page: Any, made: cs.Report) -> None:
    chart = figure(page, "where")
    marks = chart.find_elements(By.CLASS_NAME, "mark")
    assert len(marks) == len(made.sweep.scores)
    for mark, score in zip(marks, made.sweep.scores, strict=True):
        ActionChains(page).move_to_element(mark).perform()
        assert reading(chart) == mark.get_attribute("aria-label")
        assert reading(chart).startswith(f"{score.site}: accuracy {score.accuracy:.2f}")


def test_every_number_is_reached_by_keys_alone(page: Any) -> None:
    page.find_element(By.CSS_SELECTOR, "nav a:last-child").send_keys(Keys.TAB)
    chart = figure(page, "where")
    marks = chart.find_elements(By.CLASS_NAME, "mark")
    focused = page.switch_to.active_element
    assert focused in marks
    focused.send_keys(Keys.HOME)
    for mark in marks:
        assert page.switch_to.active_element == mark
        assert reading(chart) == mark.get_attribute("aria-label")
        mark.send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element == marks[-1]
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.tag_name == "summary"


def test_the_square_of_cosines_goes_up_and_down_too(page: Any, made: cs.Report) -> None:
    square = figure(page, "shape", 1)
    names = list(map(str, made.sweep.concepts))
    first = square.find_element(By.CLASS_NAME, "mark")
    first.send_keys(Keys.ARROW_DOWN)
    assert reading(square).startswith(f"{names[1]} and {names[0]}: cosine")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert reading(square).startswith(f"{names[1]} and {names[1]}: cosine 1.000")


@pytest.mark.parametrize("width", [320, 390, 1000])
def test_nothing_scrolls_sideways(page: Any, width: int) -> None:
    screen(page, width)
    page.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    script = """
        const inside = [...document.querySelectorAll("body *")].filter((one) => !one.closest(".table, svg"));
        const wide = inside.filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
        return wide.map((one) => one.outerHTML);
    """
    assert page.execute_script(script) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(page: Any, scheme: str) -> None:
    screen(page, scheme=scheme)
    for chosen in ("body", ".caution", ".legend", ".reading", ".verdict", "nav a", ".before", "summary"):
        ink, ground = (
            page.execute_script(COLOUR, page.find_element(By.CSS_SELECTOR, chosen), what)
            for what in ("color", "background-color")
        )
        assert contrast(ink, ground) >= 4.5, chosen
    ground = page.execute_script(COLOUR, page.find_element(By.TAG_NAME, "body"), "background-color")
    assert (luminance(ground) < 0.1) == (scheme == "dark")
    for look in ("own", "second", "random", "control"):
        line = page.find_element(By.CSS_SELECTOR, f"#where .line.{look}")
        assert contrast(page.execute_script(COLOUR, line, "stroke"), ground) >= 3, look


def test_on_paper(page: Any, made: cs.Report) -> None:
    assert made.doses is not None
    page.find_element(By.ID, "strength").send_keys(Keys.HOME)
    screen(page, scheme="dark", media="print")
    assert not page.find_element(By.ID, "strength").is_displayed()
    assert shown_texts(page) == [text.strip() for text in made.doses.doses[0].texts]
    [panel] = [one for one in page.find_elements(By.CLASS_NAME, "panel") if one.is_displayed()]
    assert "-8 sd" in panel.text
    body = page.find_element(By.TAG_NAME, "body")
    assert luminance(page.execute_script(COLOUR, body, "background-color")) == 1
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(one.get_attribute("open") for one in page.find_elements(By.TAG_NAME, "details"))
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert not any(one.get_attribute("open") for one in page.find_elements(By.TAG_NAME, "details"))
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")


def test_without_scripts_all_texts_are_there(page: Any, made: cs.Report) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.get(made.page.as_uri())
    assert len(shown_texts(page)) == 3 * len(made.prompts)
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


COLOUR = """
    let [one, what] = arguments, found = getComputedStyle(one)[what];
    while (what === "background-color" && found === "rgba(0, 0, 0, 0)") {
        one = one.parentElement;
        found = getComputedStyle(one)[what];
    }
    return found.match(/[0-9.]+/g).slice(0, 3).map(Number);
"""


def luminance(colour: list[float]) -> float:
    """As WCAG 2 has it."""
    shares = [value / 255 for value in colour]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
