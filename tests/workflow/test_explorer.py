"""The RDM explorer in a real browser."""

import re
import shutil

import pandas as pd
import pytest
from rsatoolbox.rdm import load_rdm

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SECONDS = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workflow"),
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="chromium and chromedriver are not installed"
    ),
]


@pytest.fixture
def page(tiny_run, tmp_path):
    """Return a browser that shows the explorer of the tiny run."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=1300,1000",
        f"--user-data-dir={tmp_path}",
    ):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    browser.set_page_load_timeout(SECONDS)
    browser.get((tiny_run.folder / "results/tiny/bold5000/explorer.html").as_uri())
    WebDriverWait(browser, SECONDS).until(
        lambda _: browser.execute_script("return document.body.dataset.ready") == "yes"
    )
    yield browser
    browser.quit()


def plot(browser, place):
    """Return the part of a plot that answers to the mouse."""
    return browser.find_element("css selector", f"#{place} .nsewdrag")


def move_to(browser, element, *, right, down):
    """Move the mouse to a place within an element, as shares of its width and height."""
    size = element.size
    x = int(size["width"] * (right - 0.5))
    y = int(size["height"] * (down - 0.5))
    ActionChains(browser).move_to_element_with_offset(element, x, y).pause(0.4).perform()


def test_hovering_over_an_rdm_cell_names_its_two_images_and_their_dissimilarity(page, tiny_run):
    results = tiny_run.folder / "results/tiny/bold5000/rdms"
    labels = pd.read_csv(results / "images.csv")["label"].tolist()
    brain = load_rdm(str(results / "brain_joint.h5"))
    roi = brain.rdm_descriptors["roi"][0]
    move_to(page, plot(page, "brain"), right=0.3, down=0.7)
    WebDriverWait(page, SECONDS).until(lambda _: roi in page.find_element("id", "pair-text").text)
    names = [element.text for element in page.find_elements("css selector", "#pair .name")]
    first, second = (labels.index(re.sub(r" \(\w+\)$", "", name)) for name in names)
    shown = float(re.search(rf"{roi}: (-?[\d.e-]+)", page.find_element("id", "pair").text)[1])
    assert first != second
    assert shown == pytest.approx(brain.get_matrices()[0, first, second], rel=1e-3)


def test_clicking_a_cell_of_the_table_changes_roi_and_layer(page, tiny_run):
    table = pd.read_csv(tiny_run.folder / "results/tiny/bold5000/tables/rsa_joint.csv")
    rois = list(dict.fromkeys(table["roi"]))
    # Five layers of the network, and a model of one, which is called by its own name.
    layers = [*dict.fromkeys(table.query("model == 'resnet50'")["layer"]), "image_source"]
    element = plot(page, "table")
    # The cell of the third ROI and the last layer.
    move_to(page, element, right=1 - 0.5 / len(layers), down=2.5 / len(rois))
    ActionChains(page).click().pause(0.4).perform()
    WebDriverWait(page, SECONDS).until(
        lambda _: rois[2] in page.find_element("css selector", "#brain .gtitle").text
    )
    assert layers[-1] in page.find_element("css selector", "#model .gtitle").text


def test_page_needs_nothing_from_elsewhere(tiny_run):
    text = (tiny_run.folder / "results/tiny/bold5000/explorer.html").read_text()
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', text)
