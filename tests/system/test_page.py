"""The live page: what is shipped is what its sources give, and it works in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, Request, ViewportSize, async_playwright

from cwt_schemas.pair_result import PairsResult
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client, Publisher
from pycwt_mod import wct
from tests.deadlines import fail_after
from tests.system.conftest import running_system
from tests.system.gateway import RunningGateway, gateway_of
from tests.system.toolchains import ROOT, found, needs

pytestmark = [pytest.mark.anyio, pytest.mark.system]

SOURCES = ROOT / "services/gateway/page"
STATIC = ROOT / "services/gateway/cwt_gateway/static"
CHROMIUM = found("chromium")
OFFLINE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
FS_HZ = 100.0
VOICES = 12
SHOWN_S = 40.0
POLL_S = 0.05
#: As if the tab was hidden, or shown again.
HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture(scope="module")
def page_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's sources with what they are built and checked with."""
    folder = tmp_path_factory.mktemp("page") / "page"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("node_modules"))
    npm = found("npm")
    assert npm is not None
    quiet = ("--package-lock=false", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run([npm, "install", *quiet], cwd=folder, check=True, timeout=100)
    return folder


@needs("npm", "node")
def test_the_page_that_is_shipped_is_what_its_sources_give(
    page_sources: Path, tmp_path: Path
) -> None:
    subprocess.run(["npm", "run", "check"], cwd=page_sources, check=True, timeout=100)
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=page_sources, check=True, timeout=100)
    built = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    shipped = {each.name: each.read_bytes() for each in STATIC.iterdir()}
    changed = {name for name in built | shipped if built.get(name) != shipped.get(name)}
    assert not changed, "build the page: npm run build in services/gateway/page"


@needs("npm", "node")
def test_the_page_reads_of_the_log_what_it_shows(page_sources: Path) -> None:
    done = subprocess.run(
        ["npm", "test"], cwd=page_sources, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    async with running_system(tmp_path_factory.mktemp("system"), workers=1) as system:
        yield await gateway_of(system)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)


@pytest.fixture
async def page(gateway: RunningGateway, browser: Browser) -> AsyncIterator[Page]:
    """A tab with a cache and storage of its own; an error of the page fails the test."""
    errors: list[object] = []
    viewport: ViewportSize = {"width": 1200, "height": 900}
    tab = await browser.new_page(base_url=gateway.url, viewport=viewport)
    tab.on("pageerror", lambda error: errors.append(error))
    yield tab
    await tab.close()
    assert errors == []


def signals(n: int) -> NDArray[np.float64]:
    """Return (time, channel): a tone of 5 Hz in both, in noise of their own."""
    rng = np.random.default_rng(11)
    tone = np.sin(2 * np.pi * 5 * np.arange(n) / FS_HZ)
    noise = rng.standard_normal((n, 2))
    return np.asarray(0.7 * noise + tone[:, np.newaxis], np.float64)


@asynccontextmanager
async def publishing(gateway: RunningGateway, name: str) -> AsyncIterator[Publisher]:
    """Define a stream with a coherence, and publish to it."""
    client = Client(gateway.system.bus)
    analysis = {
        "name": "coherence",
        "op": "wct",
        "pairs": [["left", "right"]],
        "fmin_hz": 1.0,
        "fmax_hz": 16.0,
        "voices_per_octave": VOICES,
        "hop_s": 0.5,
        "quantity": "coherence",
        "significance": {"level": 0.95},
    }
    definition = {
        "name": name,
        "fs_hz": FS_HZ,
        "channels": [{"name": "left"}, {"name": "right"}],
        "analyses": [analysis],
    }
    await client.put_stream(StreamDefinition.model_validate(definition))
    async with client.publisher(name) as publisher:
        yield publisher


async def until(page: Page, condition: str) -> Any:
    """Return what a JavaScript expression gives once that is true."""
    with fail_after(30):
        while True:
            said = await page.evaluate(condition)
            if said:
                return said
            await anyio.sleep(POLL_S)


async def result_beyond(gateway: RunningGateway, name: str, sample: int) -> None:
    """Wait until a result of a stream begins at this sample or after it."""
    async with Client(gateway.system.bus).results(name) as results:
        with fail_after(30):
            while (await anext(results)).t.first_sample < sample:
                pass


#: The newest sample of the curves' axis; the picture ends there while it is live.
PICTURE = "document.getElementById('picture')"
#: A canvas in base64: as a list of numbers it takes seconds.
CANVAS = """(id) => {
  const canvas = document.getElementById(id);
  const { width, height, dataset } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  let bytes = '';
  for (let i = 0; i < data.length; i += 32768)
    bytes += String.fromCharCode(...data.subarray(i, i + 32768));
  return { width, height, first: +dataset.first, step: +dataset.step, data: btoa(bytes) };
}"""
#: Whether every row of the picture has a value at a sample.
ALL_ROWS_REACH = f"""(sample) => {{
  const {{ width, height, dataset }} = {PICTURE};
  const column = Math.max(0, Math.ceil((sample - dataset.first) / dataset.step));
  if (column >= width) return false;
  const {{ data }} = {PICTURE}.getContext('2d').getImageData(column, 0, 1, height);
  return data.every((value, i) => i % 4 !== 3 || value > 0);
}}"""
#: How many columns of the highest frequency have a final value.
FINAL_COLUMNS = f"""(() => {{
  const {{ width }} = {PICTURE};
  const {{ data }} = {PICTURE}.getContext('2d').getImageData(0, 0, width, 1);
  return data.filter((_, i) => i % 4 === 3).filter((alpha) => alpha === 255).length;
}})()"""
DRAWS = "+document.documentElement.dataset.draws"


async def pixels(page: Page) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the picture, (row, column, RGBA), and the sample of each column."""
    image, said = await canvas(page, "picture")
    return image, said["first"] + said["step"] * np.arange(said["width"])


async def canvas(page: Page, name: str) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return a canvas, (row, column, RGBA), and what `CANVAS` says of it."""
    said: dict[str, Any] = await page.evaluate(CANVAS, name)
    image = np.frombuffer(b64decode(said["data"]), np.uint8)
    return image.reshape(said["height"], said["width"], 4), said


@needs("chromium")
async def test_the_page_opens_live_and_its_pixels_are_the_transform_of_the_record(
    gateway: RunningGateway, page: Page
) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    x = signals(int(SHOWN_S * FS_HZ))
    async with publishing(gateway, "pixels") as publisher:
        await page.goto("/live#stream=pixels")
        await publisher.push(x[:2000])
        await until(page, f"{FINAL_COLUMNS} > 50")
        await publisher.push(x[2000:])
        await publisher.flush()
        await until(page, f"{FINAL_COLUMNS} > 800")
        image, columns = await pixels(page)
    results = Client(gateway.system.bus).results("pixels")
    async with results as feed:
        result = await anext(feed)
        while result.octave != 0:
            result = await anext(feed)
    left, right = x.T
    smallest, last = result.scales_s[0], image.shape[0] - 1
    record = wct(left, right, 1 / FS_HZ, dj=1 / VOICES, s0=smallest, J=last, sig=False)
    colours = mpl.colormaps["cividis"](np.arange(256), bytes=True)[:, :3].astype(int)
    compared = 0
    for row in range(image.shape[0]):
        step = result.t.step << (row // VOICES)
        nearest = step * np.ceil(columns / step - 0.5).astype(int)
        final = (image[row, :, 3] == 255) & (nearest >= 0) & (nearest < len(x))
        expected = np.rint(255 * record[0][row, nearest[final]]).astype(int)
        # The worker rounds to single precision: a value may be on the other side of a border.
        near = [colours[np.clip(expected + by, 0, 255)] for by in (-1, 0, 1)]
        shown = image[row, final, :3].astype(int)
        apart = np.min([np.abs(shown - each).max(axis=1) for each in near], axis=0)
        assert apart.max(initial=0) == 0, row
        compared += final.sum()
    assert compared > 0.1 * image.shape[0] * SHOWN_S * FS_HZ / result.t.step
    assert {urlsplit(each.url).netloc for each in asked} == {gateway.host}


@needs("chromium")
async def test_samples_are_read_though_the_first_status_is_from_before_them(
    gateway: RunningGateway, page: Page
) -> None:
    async with publishing(gateway, "early") as publisher:
        await publisher.push(signals(3000))
        await publisher.flush()
        async with gateway.client() as client:
            status = (await client.get("/api/v1/streams/early")).json()
        status |= {"last_chunk_ns": None, "next_sample": None}
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.route(
            "**/api/v1/streams/early", lambda route: route.fulfill(json=status), times=1
        )
        await page.goto("/live#stream=early")
        await until(page, f"{FINAL_COLUMNS} > 500")
        with fail_after(30):
            while not any("/streams/early/samples" in url for url in asked):  # noqa: ASYNC110
                await anyio.sleep(POLL_S)


@needs("chromium")
async def test_a_paused_picture_stays_and_scrolls_back_through_the_log(
    gateway: RunningGateway, page: Page
) -> None:
    x = signals(12000)
    async with publishing(gateway, "past") as publisher:
        await publisher.push(x[:9000])
        await publisher.flush()
        await page.goto("/live#stream=past")
        await until(page, f"{FINAL_COLUMNS} > 800")
        await page.focus("#plot")
        await page.keyboard.press("PageDown")
        assert await page.evaluate("document.documentElement.dataset.mode") == "live"
        await page.keyboard.press("Space")
        await until(page, "document.documentElement.dataset.mode === 'paused'")
        first = await page.evaluate(f"{PICTURE}.dataset.first")
        await publisher.push(x[9000:])
        await publisher.flush()
        await result_beyond(gateway, "past", 11000)
        assert await page.evaluate(f"{PICTURE}.dataset.first") == first
        await page.keyboard.press("PageUp")
        await until(page, f"+{PICTURE}.dataset.first < {int(first) - 2000}")
        await until(page, f"{FINAL_COLUMNS} > 600")
        await page.keyboard.press("End")
        await until(
            page, f"+{PICTURE}.dataset.first > {int(first) + 2000} && {FINAL_COLUMNS} > 800"
        )


@needs("chromium")
async def test_a_click_names_the_sample_the_result_and_the_command(
    gateway: RunningGateway, page: Page
) -> None:
    async with publishing(gateway, "picked") as publisher:
        await publisher.push(signals(3000))
        await publisher.flush()
        await page.goto("/live#stream=picked")
        await until(page, f"{FINAL_COLUMNS} > 300")
        box = await page.locator("#picture-box").bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 20)
        await until(page, "!document.getElementById('picked').hidden")
        command = await page.inner_text("#command")
    assert command.startswith("python examples/recompute.py picked --result picked/")


@needs("chromium")
async def test_markers_are_lines_that_tell_their_text_under_the_pointer(
    gateway: RunningGateway, page: Page
) -> None:
    # How many pixels of the line at a place are white.
    white = """(at) => {
      const lines = document.getElementById('lines');
      const { data } = lines.getContext('2d').getImageData(at - 2, 10, 5, 50);
      const isWhite = (i) => data[i] + data[i + 1] + data[i + 2] === 3 * 255;
      return data.filter((_, i) => i % 4 === 0 && isWhite(i)).length;
    }"""
    said = "document.getElementById('readout').textContent"
    async with publishing(gateway, "marked") as publisher:
        await publisher.push(signals(3000))
        await publisher.mark("stored", first_sample=2000)
        await publisher.flush()
        await page.goto("/live#stream=marked")
        await until(page, f"{FINAL_COLUMNS} > 300")
        await publisher.mark("came live", first_sample=2500)
        box = await page.locator("#picture-box").bounding_box()
        lines = await page.locator("#lines").bounding_box()
        assert box is not None
        assert lines is not None
        for text, sample in (("stored", 2000), ("came live", 2500)):
            x = box["x"] + (1 - (3000 - sample) / (60 * FS_HZ)) * box["width"]
            await page.mouse.move(x, box["y"] + 20)
            await until(page, f"{said}.endsWith({text!r})")
            await until(page, f"({white})({x - lines['x']}) >= 40")
        await page.evaluate(HIDE, True)
        await until(page, "document.getElementById('connection').dataset.state === 'closed'")
        await Client(gateway.system.bus).mark("marked", "while hidden", first_sample=2700)
        await page.evaluate(HIDE, False)
        await page.mouse.move(box["x"] + (1 - 300 / (60 * FS_HZ)) * box["width"], box["y"] + 20)
        await until(page, f"{said}.endsWith('while hidden')")
        await page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 20)
        assert "came live" not in await page.inner_text("#readout")


@needs("chromium")
async def test_the_cursor_stays_under_a_pointer_that_rests_while_the_picture_scrolls(
    gateway: RunningGateway, page: Page
) -> None:
    """It stayed at its sample, and after the page was hidden at one that was not shown."""
    x = signals(4000)
    async with publishing(gateway, "resting") as publisher:
        await publisher.push(x[:3000])
        await publisher.flush()
        await page.goto("/live#stream=resting")
        await until(page, f"{FINAL_COLUMNS} > 300")
        box = await page.locator("#picture-box").bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + (1 - 1500 / (60 * FS_HZ)) * box["width"], box["y"] + 20)
        sample = r"""(() => {
          const said = document.getElementById('readout').textContent;
          return +(/[(]sample (-?[0-9]+)[)]/.exec(said)?.[1] ?? NaN);
        })()"""
        await until(page, f"Math.abs({sample} - 1500) < 10")
        await publisher.push(x[3000:])
        await publisher.flush()
        await until(page, f"Math.abs({sample} - 2500) < 10")


@needs("chromium")
async def test_a_device_that_begins_anew_replaces_the_picture(
    gateway: RunningGateway, page: Page
) -> None:
    """Blocks of the run before, not drawn yet, had no rows in the new picture."""
    x = signals(3000)
    async with publishing(gateway, "anew") as publisher:
        await publisher.push(x)
        await publisher.flush()
        await page.goto("/live#stream=anew")
        await until(page, f"{FINAL_COLUMNS} > 500")
        await publisher.restart()
        await publisher.push(x[:2000])
        await publisher.flush()
        await until(page, f"{FINAL_COLUMNS} > 300 && {FINAL_COLUMNS} < 500")


@needs("chromium")
async def test_a_gap_is_hatched(gateway: RunningGateway, page: Page) -> None:
    x = signals(4000)
    async with publishing(gateway, "gappy") as publisher:
        await publisher.push(x[:2000])
        await publisher.push(x[2200:3500], first_sample=2200)
        await publisher.push(x[3550:], first_sample=3550)
        await publisher.flush()
        await page.goto("/live#stream=gappy")
        await until(page, f"{FINAL_COLUMNS} > 600")
        image, columns = await pixels(page)
        alpha = image[0, :, 3]
        assert (alpha[(columns > 2020) & (columns < 2180)] < 255).all()
        assert (alpha[(columns > 1000) & (columns < 1800)] == 255).all()
        await until(page, "document.querySelectorAll('#events .gap').length === 2")
        assert "sample 3500" in await page.inner_text("#events li:has(.gap)")
        hatched = """(at) => {
          const marks = document.getElementById('marks');
          const x = Math.round(marks.width * at);
          const { data } = marks.getContext('2d').getImageData(x - 12, 4, 24, 40);
          return data.filter((value, i) => i % 4 === 3 && value > 0).length;
        }"""
        # The last minute is shown; the gap is 19 seconds before its end.
        assert await page.evaluate(hatched, 1 - 19 / 60) > 50


async def marks(page: Page) -> NDArray[np.int64]:
    """Return hatching, contour and arrows, (row, column, RGBA)."""
    image, _ = await canvas(page, "marks")
    return image.astype(np.int64)


@needs("chromium")
async def test_marks_that_were_drawn_with_each_result_are_those_drawn_together(
    gateway: RunningGateway, page: Page
) -> None:
    x = signals(6000)
    async with publishing(gateway, "marks") as publisher:
        await page.goto("/live#stream=marks")
        for first in range(0, 6000, 500):
            await publisher.push(x[first : first + 500])
            await publisher.flush()
            await until(page, f"{FINAL_COLUMNS} > {first / 4 - 300}")
        await publisher.finish()
        await until(page, f"({ALL_ROWS_REACH})(5900)")
        pieces = await marks(page)
        await page.focus("#plot")
        for _ in range(2):  # another scheme and back: everything is drawn again
            drawn = await page.evaluate(DRAWS)
            await page.keyboard.press("t")
            await until(page, f"{DRAWS} > {drawn}")
        together = await marks(page)
    assert pieces.shape == together.shape
    # Beyond the left edge nothing is read. Numbers are rounded elsewhere along a shifted line.
    apart = np.abs(pieces - together).max(axis=2)[:, 12:] > 64
    assert (together[..., 3] > 0).mean() > 0.05
    assert apart.mean() < 7e-4


@needs("chromium")
async def test_the_page_says_that_the_gateway_is_gone_and_goes_on_where_it_was(
    gateway: RunningGateway, page: Page
) -> None:
    own = await gateway_of(gateway.system, "killed")
    x = signals(5000)
    async with publishing(gateway, "broken") as publisher:
        await publisher.push(x[:2500])
        await publisher.flush()
        await page.goto(f"{own.url}/live#stream=broken")
        await until(page, f"{FINAL_COLUMNS} > 500")
        gateway.system.kill("killed")
        await until(page, "!document.getElementById('lost').hidden")
        await publisher.push(x[2500:])
        await publisher.flush()
        gateway.system.environment["CWT_HTTP_PORT"] = str(own.port)
        try:
            await gateway.system.start("killed", "gateway")
        finally:
            gateway.system.environment["CWT_HTTP_PORT"] = "0"
        await until(page, "document.getElementById('lost').hidden")
        await until(page, f"{FINAL_COLUMNS} > 1100")
        image, samples = await pixels(page)
    within = (samples > 300) & (samples < 4000)
    assert (image[0, within, 3] == 255).all()  # without a hole


@needs("chromium")
async def test_a_hidden_page_does_nothing_and_catches_up(
    gateway: RunningGateway, page: Page
) -> None:
    x = signals(5000)
    async with publishing(gateway, "hidden") as publisher:
        await publisher.push(x[:2500])
        await publisher.flush()
        await page.goto("/live#stream=hidden")
        columns = await until(page, f"{FINAL_COLUMNS} > 300 && {FINAL_COLUMNS}")
        await page.evaluate(HIDE, True)
        await until(page, "document.getElementById('connection').dataset.state === 'closed'")
        await page.evaluate("new Promise((done) => setTimeout(done, 300))")
        drawn = await page.evaluate(DRAWS)
        await publisher.push(x[2500:])
        await publisher.flush()
        await result_beyond(gateway, "hidden", 4000)
        assert await page.evaluate(DRAWS) == drawn
        await page.evaluate(HIDE, False)
        await until(page, f"{FINAL_COLUMNS} > {columns + 400}")


@needs("chromium")
async def test_a_page_that_comes_back_before_the_gateway_waits_for_it(
    gateway: RunningGateway, page: Page
) -> None:
    connection = "document.getElementById('connection').dataset.state"
    async with publishing(gateway, "asleep") as publisher:
        await publisher.push(signals(3000))
        await publisher.flush()
        await page.goto("/live#stream=asleep")
        await until(page, f"{FINAL_COLUMNS} > 300")
        await page.evaluate(HIDE, True)
        await page.route("**/api/v1/streams/asleep", lambda route: route.abort())
        await page.evaluate(HIDE, False)
        await until(page, f"{connection} === 'lost'")
        assert await page.is_visible("#lost")
        await page.unroute("**/api/v1/streams/asleep")
        await until(page, f"{connection} === 'open' && {FINAL_COLUMNS} > 300")


@needs("chromium")
async def test_a_stream_is_opened_by_a_long_press_and_by_the_address(
    gateway: RunningGateway, page: Page
) -> None:
    async with publishing(gateway, "pressed") as publisher, publishing(gateway, "other"):
        await page.goto("/live#stream=other")
        button = page.locator("button.stream", has_text="pressed")
        await button.hover()
        await page.mouse.down()
        await publisher.push(signals(500))
        await publisher.flush()
        await until(
            page,
            "[...document.querySelectorAll('.stream')].some((each) =>"
            " each.textContent.startsWith('pressed') && !each.textContent.includes('no data'))",
        )
        await page.mouse.up()
        title = "document.getElementById('stream-title').textContent"
        await until(page, f"{title} === 'pressed'")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("Space")
        assert await page.evaluate("document.documentElement.dataset.mode") == "live"
        await page.fill("#band-low", "9")
        await page.fill("#band-high", "2")
        await page.press("#band-high", "Enter")
        await until(page, "document.querySelector('#band-high:invalid') !== null")
        await page.evaluate("location.hash = 'stream=other'")
        await until(page, f"{title} === 'other'")


@needs("chromium", "npm")
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_axe_finds_nothing_that_keeps_somebody_out(
    gateway: RunningGateway, page: Page, page_sources: Path, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme)
    axe = (page_sources / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    async with publishing(gateway, "axe") as publisher:
        await publisher.push(signals(3000))
        await publisher.flush()
        await page.goto("/live#stream=axe")
        await until(page, f"{FINAL_COLUMNS} > 300")
        await page.evaluate(
            "for (const each of document.querySelectorAll('.panels details')) each.open = true"
        )
        await until(page, "document.getElementById('system').rows.length > 3")
        await page.evaluate(f"{axe};0")
        found = await page.evaluate("axe.run()")
    assert [(each["id"], each["impact"]) for each in found["violations"]] == []


READOUT = "document.getElementById('matrix-readout').textContent"
MASKED = "document.getElementById('matrix-masked').textContent"
#: The distinct colors of the part of the matrix under a box of the page, corner and center first.
CELL_COLORS = """(box) => {
  const canvas = document.getElementById('matrix-picture');
  const { x, y } = canvas.getBoundingClientRect();
  const [left, top] = [Math.round(box.x - x), Math.round(box.y - y)];
  const context = canvas.getContext('2d');
  const at = (dx, dy) => context.getImageData(left + dx, top + dy, 1, 1).data.slice(0, 3).join();
  const side = Math.round(box.width) - 1;
  const middle = Math.floor(side / 2);
  const all = Array.from({ length: side }, (_, i) => at(i, middle));
  return [...new Set([at(0, 0), at(middle, middle), ...all])];
}"""


@asynccontextmanager
async def publishing_all_pairs(
    gateway: RunningGateway, name: str, channels: int
) -> AsyncIterator[Publisher]:
    """Define a stream with the coherence of all pairs of its channels, and publish to it."""
    client = Client(gateway.system.bus)
    analysis = {
        "name": "all",
        "op": "wct",
        "pairs": "all",
        "fmin_hz": 4.3,
        "fmax_hz": 8.0,
        "voices_per_octave": 4,
        "hop_s": 1.0,
        "quantity": "coherence",
        "significance": {"level": 0.95},
    }
    definition = {
        "name": name,
        "fs_hz": FS_HZ,
        "channels": [{"name": f"c{index}"} for index in range(channels)],
        "analyses": [analysis],
    }
    await client.put_stream(StreamDefinition.model_validate(definition))
    async with client.publisher(name) as publisher:
        yield publisher


def coupled(n: int, channels: int) -> NDArray[np.float64]:
    """Return (time, channel): noise, with one band of noise in common in the even channels."""
    rng = np.random.default_rng(11)
    common, x = rng.standard_normal(n), rng.standard_normal((n, channels))
    x[:, ::2] += 5 * common[:, np.newaxis]
    x[n // 2 :, -1] = np.nan
    return x


async def newest_pairs(gateway: RunningGateway, name: str, end: int) -> PairsResult:
    """Return the result of all pairs that ends at this sample."""
    async with Client(gateway.system.bus).pair_results(name) as results:
        with fail_after(30):
            while True:
                result = await anext(results)
                if result.t.first_sample + result.t.step * result.t.n == end:
                    return result


@needs("chromium")
@pytest.mark.parametrize("channels", [4, 64])
async def test_a_matrix_shows_the_coherence_of_all_pairs_and_opens_one(
    gateway: RunningGateway, page: Page, channels: int
) -> None:
    name = f"matrix{channels}"
    async with publishing_all_pairs(gateway, name, channels) as publisher:
        await page.goto(f"/live#stream={name}")
        await publisher.push(coupled(1200, channels))
        await publisher.flush()
        await until(page, f"{MASKED} === 'Without valid values: c{channels - 1}'")
        span = "document.getElementById('matrix-span').textContent"
        end = await until(page, rf"/ to 0:(1\d)\.\d$/.exec({span})?.[1]")
        newest = await newest_pairs(gateway, name, int(end) * int(FS_HZ))
        await page.focus("#matrix")
        await page.keyboard.press("Home")
        boxes = []
        for _ in range(channels - 1):
            await page.keyboard.press("ArrowRight")
            boxes.append(await page.locator("#matrix-cursor").bounding_box())
        lone, coherent, masked = [
            await page.evaluate(CELL_COLORS, boxes[other]) for other in (0, 1, -1)
        ]
        assert (await page.evaluate(READOUT)).endswith("a gap or an edge affects all values")
        assert len(coherent) == 1
        assert len(lone) == 2
        assert len(masked) == 2
        assert masked[0] in (*lone, masked[1])
        value, level = mean_of(newest, 1)
        assert value > level
        colors = mpl.colormaps["cividis"](np.arange(256), bytes=True)[:, :3]
        near = [colors[round(255 * value) + by] for by in (-1, 0, 1)]
        assert coherent[0] in {",".join(map(str, each)) for each in near}
        box = boxes[1]
        assert box is not None
        at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await page.mouse.move(*at)
        assert await page.evaluate(READOUT) == (
            f"c0 – c2: R² {value:.3g}, above the 95 % level {level:.3g}"
        )
        await page.mouse.click(*at)
        label = "document.getElementById('plot').ariaLabel"
        await until(page, f"{label}.includes('of c0 and c2') && {FINAL_COLUMNS} > 100")
        assert "channels=c0%2Cc2" in page.url
        image, samples = await pixels(page)
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Enter")
        await until(page, "document.getElementById('pair').value === 'c0,c3'")
    result = newest.pair("c0", "c2")
    values = result.values[:, np.isin(result.positions, samples)]
    shown = image[:, np.isin(samples, result.positions), :3].astype(int)
    # The browser may round a value that is between two colors to the other one.
    assert np.abs(shown - colors[np.rint(255 * values).astype(int)]).max() <= 6


def mean_of(result: PairsResult, place: int) -> tuple[float, float]:
    """Return the mean of a pair over all rows, and of its thresholds."""
    assert result.signif is not None
    means = result.masked[place].mean(axis=1)
    return float(means.mean()), float(result.signif[place][~means.mask].mean())
