"""The page of a gateway that needs keys, in a real browser."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from cwt_runtime.storage.keys import revoke_key
from cwt_schemas import storage
from cwt_schemas.access import Role
from tests.deadlines import SCALE, fail_after
from tests.system import scenario
from tests.system.test_keys import CHUNK, DEFINITION, STREAM, client_of, keyed_gateway, new_key
from tests.system.test_page import CHROMIUM, OFFLINE
from tests.system.toolchains import needs

pytestmark = [pytest.mark.anyio, pytest.mark.system]

WAIT_MS = 20_000 * SCALE


async def sign_in(page: Page, key: str) -> None:
    await page.get_by_label("Key", exact=True).fill(key)
    await page.get_by_role("button", name="Sign in").click()


async def publish(operator: httpx.AsyncClient) -> None:
    await operator.put(STREAM, json=DEFINITION)
    samples = scenario.signal(1000)
    for at in range(0, len(samples), 250):
        chunk = {**CHUNK, "epoch": "e", "first_sample": at,
                 "samples": samples[at : at + 250].tolist()}  # fmt: skip
        assert (await operator.post(f"{STREAM}/chunks", json=chunk)).status_code == 202


@needs("chromium")
async def test_the_page_asks_for_a_key_and_shows_what_it_may(tmp_path: Path) -> None:
    expect.set_options(timeout=WAIT_MS)
    async with keyed_gateway(tmp_path) as (_server, system, gateway), async_playwright() as tools:
        keys = {user: await new_key(system, user, role) for user, role in
                (("operator", Role.OPERATOR), ("reader", Role.READER))}  # fmt: skip
        async with client_of(gateway, keys["operator"]) as operator:
            await publish(operator)
        browser = await tools.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = await browser.new_page(base_url=gateway.url)
        errors: list[object] = []
        page.on("pageerror", lambda error: errors.append(error))
        dialog, stream = page.locator("#sign-in"), page.locator("#streams .name")
        await page.goto("/live")
        await expect(dialog).to_be_visible()
        await sign_in(page, "cwt_wrong")
        await expect(page.locator("#sign-in-problem")).to_contain_text("not known here")
        await sign_in(page, keys["reader"])
        # A reader has results and no samples.
        await expect(dialog).to_be_hidden()
        await expect(stream).to_have_text(scenario.STREAM)
        await expect(page.locator("#connection-text")).to_have_text("Connected")
        await expect(page.locator("#toasts")).to_contain_text("may not read samples")
        await page.locator("#plot").focus()
        with fail_after(60):
            while "Hz" not in await page.locator("#readout").inner_text():
                await page.keyboard.press("ArrowUp")
        await page.reload()
        await expect(stream).to_have_text(scenario.STREAM)
        await page.get_by_role("button", name="Sign out").click()
        await expect(dialog).to_be_visible()
        # As `pycwt-mod up --secure` prints it.
        await page.goto("about:blank")
        await page.goto(f"/live#key={keys['operator']}")
        await expect(stream).to_have_text(scenario.STREAM)
        await expect(page.locator("#connection-text")).to_have_text("Connected")
        assert keys["operator"] not in page.url
        assert keys["operator"] not in await page.evaluate("document.cookie + location.href")
        await revoke_key(await system.bus.log.bucket(storage.KV_KEYS), "for-operator")
        await expect(page.locator("#connection-text")).to_contain_text("was revoked")
        await expect(dialog).to_be_visible()
        await browser.close()
        assert errors == []
