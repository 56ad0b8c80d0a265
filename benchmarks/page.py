"""Load of the live page on a browser, and pictures of the page.

``python -m benchmarks.gateway`` measures the page (``--page``: only the page). This command takes
pictures of the page of a gateway with a playing stream, such as that of ``make demo``::

    python -m benchmarks.page http://127.0.0.1:8000 docs/images
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio
import numpy as np
from PIL import Image
from playwright.async_api import Browser, CDPSession, Page, async_playwright

from benchmarks.measurement import Measurement, Work
from cwt_schemas.codec import validated
from cwt_schemas.stream import StreamDefinition
from pycwt_client import Client

#: Name, width and height in CSS pixels; a phone has two device pixels per CSS pixel.
SIZES = (("wide", 1440, 900, 1), ("tablet", 900, 1000, 1), ("phone", 390, 844, 2))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: Time until the log is read and live results have arrived.
SETTLE_MS = 6000
OFFLINE = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")

STREAM = "page"
FS_HZ = 100.0
CHUNK = 10
#: Speed at which the hour of data is published, in times real time.
FAST = 20
PANELS = 8
#: Number of measurements of each of the compared pages, in turns.
ROUNDS = 2
VIEW = {"width": 1440, "height": 900}
#: Number of turns in which a page is shown and hidden.
TURNS = 8
#: Script that returns the milliseconds between frames, for a number of seconds.
FRAMES = """(seconds) => new Promise((resolve) => {
  const times = [];
  const frame = (now) => {
    times.push(now);
    if (now - times[0] < 1000 * seconds) requestAnimationFrame(frame);
    else resolve(times.slice(1).map((time, i) => time - times[i]));
  };
  requestAnimationFrame(frame);
})"""
#: Script that returns the size of the scalogram, in pixels of its canvas and on the screen.
PICTURE_SIZE = """(() => {
  const canvas = document.getElementById('picture');
  const box = document.getElementById('picture-box').getBoundingClientRect();
  return { columns: canvas.width, rows: canvas.height, width: box.width, height: box.height };
})()"""
#: Script of a page with only a canvas of that size, which is shifted by a column and redrawn there.
CANVAS_ALONE = """({ columns, rows, width, height, interval_ms }) => {
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width: columns, height: rows });
  canvas.style = `width: ${width}px; height: ${height}px; image-rendering: pixelated`;
  document.body.append(canvas);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.globalCompositeOperation = 'copy';
  const column = new ImageData(1, rows);
  const draw = () => {
    crypto.getRandomValues(column.data);
    context.drawImage(canvas, -1, 0);
    context.putImageData(column, columns - 1, 0);
    if (interval_ms) setTimeout(() => requestAnimationFrame(draw), interval_ms);
    else requestAnimationFrame(draw);
  };
  draw();
}"""
DRAWS = "Number(document.documentElement.dataset.draws)"
HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


async def page_works(url: str, client: Client, seconds: float) -> list[Work]:
    """Measure the load of the page: processor, frames and memory.

    Each is measured for `seconds`, except memory, which is measured for nine times that: an hour of
    data in three minutes if `seconds` is 20.
    """
    await client.put_stream(_definition())
    async with _browser() as browser:
        async with _device(client, speed=1):
            script = await _script_time(browser, url, seconds)
            frames = await _frame_times(browser, url, seconds)
        async with _device(client, speed=FAST):
            memory = await _memory(browser, url, 9 * seconds)
    await client.delete_stream(STREAM)
    return [script, frames, memory]


def _definition() -> StreamDefinition:
    coherence = {
        "name": "coherence", "op": "wct", "pairs": [["a", "b"]], "quantity": "coherence",
        "fmin_hz": 1.0, "fmax_hz": 25.0, "hop_s": 0.5, "significance": {"level": 0.95},
    }  # fmt: skip
    channels = [{"name": "a"}, {"name": "b"}]
    fields = {"name": STREAM, "fs_hz": FS_HZ, "channels": channels, "analyses": [coherence]}
    return validated(StreamDefinition, fields)


@asynccontextmanager
async def _device(client: Client, *, speed: float) -> AsyncIterator[None]:
    """Publish two channels at `speed` times their sampling rate."""
    random = np.random.default_rng(2)
    n = int(CHUNK * speed)

    async def publish() -> None:
        async with client.publisher(STREAM) as publisher:
            begin = anyio.current_time()
            for number in range(1_000_000):
                await anyio.sleep_until(begin + number * CHUNK / FS_HZ)
                await publisher.publish(random.standard_normal((n, 2)).astype(np.float32))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publish)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def _browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("the page is measured in Chromium: install it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(OFFLINE))
        yield browser
        await browser.close()


@asynccontextmanager
async def _open(browser: Browser, address: str) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": VIEW["width"], "height": VIEW["height"]})
    await page.goto(address)
    await page.wait_for_timeout(SETTLE_MS)
    yield page
    await page.close()


async def _script_time(browser: Browser, url: str, seconds: float) -> Work:
    async with _open(browser, f"{url}/live#stream={STREAM}") as page:
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        per_update: list[float] = []
        before, drawn = await _script_s(session), await page.evaluate(DRAWS)
        for _ in range(max(2, int(seconds))):
            await page.wait_for_timeout(1000)
            now, draws = await _script_s(session), await page.evaluate(DRAWS)
            if draws > drawn:
                per_update.append((now - before) / (draws - drawn))
            before, drawn = now, draws
    line = Measurement(who="scripts of one panel", seconds=tuple(per_update))
    return Work(title="live page: script time per update", measurements=(line,))


async def _script_s(session: CDPSession) -> float:
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "ScriptDuration"))


async def _frame_times(browser: Browser, url: str, seconds: float) -> Work:
    """Measure the time between frames of several panels, and of as many simpler pages."""
    model = await browser.new_page()
    await model.goto(f"{url}/live#stream={STREAM}")
    await model.wait_for_timeout(SETTLE_MS)
    size = await model.evaluate(PICTURE_SIZE)
    await model.close()

    async def panel(page: Page) -> None:
        await page.goto(f"{url}/live#stream={STREAM}")

    async def canvas(page: Page) -> None:
        await page.evaluate(CANVAS_ALONE, {**size, "interval_ms": 0})

    async def slow_canvas(page: Page) -> None:
        await page.evaluate(CANVAS_ALONE, {**size, "interval_ms": 1000 * CHUNK / FS_HZ})

    async def empty(page: Page) -> None:
        del page

    openings = {
        "panels": panel,
        "canvases, a column for each frame": canvas,
        "canvases, a column for each chunk": slow_canvas,
        "empty pages": empty,
    }
    frames: dict[str, list[float]] = {who: [] for who in openings}
    for _ in range(ROUNDS):
        for who, opening in openings.items():
            frames[who] += await _frames_of(browser, opening, seconds / ROUNDS)
    rates = {who: 1000 / statistics.fmean(each) for who, each in frames.items()}
    lines = [
        Measurement(
            who=f"{PANELS} {who}",
            seconds=tuple(each / 1000 for each in frames[who]),
            note=f"{rate:.1f} frames per second in each; panels draw {rates['panels'] / rate:.2f} "
            "of that",
        )
        for who, rate in rates.items()
    ]
    return Work(title="live page: time between two frames", measurements=tuple(lines))


async def _frames_of(
    browser: Browser, opening: Callable[[Page], Awaitable[None]], seconds: float
) -> list[float]:
    """Return the milliseconds between frames of `PANELS` concurrently open pages."""
    frames: list[float] = []
    pages = [await browser.new_page() for _ in range(PANELS)]

    async def count(page: Page) -> None:
        frames.extend(await page.evaluate(FRAMES, seconds))

    for page in pages:
        await opening(page)
    await pages[0].wait_for_timeout(SETTLE_MS)
    async with anyio.create_task_group() as tasks:
        for page in pages:
            tasks.start_soon(count, page)
    for page in pages:
        await page.close()
    return frames


async def _memory(browser: Browser, url: str, seconds: float) -> Work:
    async with _open(browser, f"{url}/live#stream={STREAM}") as page:
        session = await page.context.new_cdp_session(page)
        sizes = [await _heap_bytes(session)]
        for turn in range(TURNS):
            await page.evaluate(HIDE, turn % 2 == 1)
            await page.wait_for_timeout(1000 * seconds / TURNS)
            sizes.append(await _heap_bytes(session))
    told = " ".join(f"{each / 2**20:.1f}" for each in sizes)
    title = (
        f"live page: {seconds * FAST:,.0f} s of data at {FAST} times real time, hidden half of "
        f"the time: JavaScript heap at the start and after each eighth {told} MiB"
    )
    return Work(title=title)


async def _heap_bytes(session: CDPSession) -> int:
    await session.send("HeapProfiler.collectGarbage")
    return int((await session.send("Runtime.getHeapUsage"))["usedSize"])


async def pictures(url: str, output: Path) -> None:
    """Write live-SIZE-SCHEME.png for each size and colour scheme."""
    async with _browser() as browser:
        for name, width, height, ratio in SIZES:
            for scheme in SCHEMES:
                page = await browser.new_page(
                    viewport={"width": width, "height": height},
                    device_scale_factor=ratio,
                    color_scheme=scheme,
                )
                await page.goto(f"{url}/live")
                await page.wait_for_timeout(SETTLE_MS)
                path = output / f"live-{name}-{scheme}.png"
                await page.screenshot(path=path)
                await page.close()
                # Compress to a third of the size without a visible difference.
                Image.open(path).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
                    path, optimize=True
                )


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description="Take pictures of the live page.")
    parser.add_argument("url", help="Gateway, such as http://127.0.0.1:8000")
    parser.add_argument("output", type=Path, help="Folder for the pictures")
    given = parser.parse_args()
    anyio.run(pictures, given.url, given.output)


if __name__ == "__main__":
    main()
