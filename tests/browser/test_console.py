"""What a person sees and does in the console."""

import asyncio
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from engine.model.events import CallEnded, CallStage
from engine.model.ids import CallId
from engine.model.outcome import Blame, Outcome
from tests.browser.conftest import Console
from tests.console.seed import ALICE, CLEAN, RED, SPOKEN, WARNED

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def mark(page: Page) -> None:
    """Leave something on the page that a reload would wipe out."""
    await page.evaluate("document.body.dataset.mark = 'here'")


async def unmoved(page: Page) -> bool:
    return bool(await page.evaluate("document.body.dataset.mark === 'here'"))


async def until(page: Page, expression: str) -> None:
    """Wait until a script expression holds; the page's policy forbids the browser's own way of waiting."""
    for _ in range(200):
        if await page.evaluate(expression):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"never true: {expression}")


async def test_the_live_list_follows_calls_without_a_reload(console: Console) -> None:
    page = await console.open("/")
    await console.streaming()
    await mark(page)
    world = console.world
    reported = {"reason": "reported_by_subscribers", "level": "yellow"}
    await world.call("c-new", WARNED, ALICE, "warn", ago_s=1, stages=("ringing",), **reported)
    row = page.locator("tr[data-call=c-new]")
    await expect(row).to_contain_text("Warned")
    await expect(row).to_contain_text("Yellow")
    await expect(row).to_contain_text("Ringing")
    await expect(page.locator("#calls tbody tr").first).to_have_attribute("data-call", "c-new")
    await expect(page.locator("[data-figure=calls]")).to_have_text("12")
    await expect(page.locator("[data-figure=warned]")).to_have_text("4")
    ticking = row.locator(".duration")
    before = await ticking.text_content()
    await expect(ticking).not_to_have_text(before or "")
    call_id = CallId("c-new")
    await world.tell(world.clock(), CallStage(call_id=call_id, stage="warning"))
    await expect(row).to_contain_text("Warning plays")
    outcome = Outcome(Blame.CALLEE, "warning_refused")
    await world.tell(world.clock(), CallEnded(call_id=call_id, outcome=outcome, status=603))
    await expect(row).to_contain_text("Refused after the warning")
    assert await row.get_attribute("data-live") is None
    assert await unmoved(page)


async def test_rows_do_not_move_under_a_reader(console: Console) -> None:
    page = await console.open("/")
    await console.streaming()
    await page.locator("tr[data-call=c-talk] .row-link").focus()
    await console.world.call("c-later", CLEAN, ALICE, "allow", ago_s=0)
    waiting = page.locator("#new-rows")
    await expect(waiting).to_have_text("1 new call")
    await expect(page.locator("tr[data-call=c-later]")).to_have_count(0)
    await waiting.click()
    await expect(page.locator("#calls tbody tr").first).to_have_attribute("data-call", "c-later")
    await expect(waiting).to_be_hidden()


async def test_the_list_is_narrowed_while_typing_and_stays_so(console: Console) -> None:
    page = await console.open("/")
    await console.streaming()
    rows = page.locator("#calls tbody tr")
    await page.keyboard.press("/")
    await page.keyboard.type("136 1111")
    await expect(rows).to_have_count(2)
    await console.world.call("c-other", RED, ALICE, "allow", ago_s=0)
    await console.world.call("c-fits", CLEAN, ALICE, "allow", ago_s=0)
    await expect(rows).to_have_count(3)
    await page.get_by_role("button", name="Blocked").click()
    await expect(page.get_by_text("No call matches")).to_be_visible()
    assert page.url.endswith("/?verdict=reject&text=136+1111")
    await page.reload()
    await expect(page.get_by_text("No call matches")).to_be_visible()


async def test_a_lost_stream_is_shown_and_what_was_missed_comes_after(console: Console) -> None:
    page = await console.open("/")
    await console.streaming()
    await mark(page)
    await page.context.set_offline(True)
    for subscription in list(console.world.feed._subscriptions):
        subscription.close()
    await expect(page.locator("#stream-state")).to_contain_text("Connection lost")
    await console.world.call("c-missed", RED, ALICE, "reject", reason="police_list", level="red", ago_s=0)
    await page.context.set_offline(False)
    await expect(page.locator("tr[data-call=c-missed]")).to_be_visible()
    await console.streaming()
    assert await unmoved(page)
    console.forgive("ERR_INTERNET_DISCONNECTED")


async def test_the_language_is_switched_and_kept(console: Console) -> None:
    page = await console.open("/risk?text=555")
    await page.get_by_role("button", name="中文").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("风险号码表")
    assert page.url.endswith("/risk?text=555")
    await console.open("/calls/c-warn")
    await expect(page.get_by_text("播放警示")).to_be_visible()
    await page.get_by_role("button", name="深色").click()
    await expect(page.locator("html")).to_have_css("background-color", "rgb(15, 18, 20)")
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_text("Warning plays", exact=True)).to_be_visible()


async def test_times_are_in_the_browsers_zone_from_the_first_page(console: Console) -> None:
    page = await console.open("/calls/c-red")
    at = console.world.clock() - timedelta(seconds=120) + timedelta(hours=8)
    shown = page.locator(".timeline time").first
    await expect(shown).to_have_text(at.strftime("%H:%M:%S"))
    await page.reload()
    await expect(shown).to_have_text(at.strftime("%H:%M:%S"))


async def test_a_popup_appears_on_its_handset_before_anything_is_stored(console: Console) -> None:
    page = await console.open("/handset/+8613600000000")
    await console.streaming()
    await expect(page.get_by_text("No message yet")).to_be_visible()
    world = console.world
    world.show_popup(world.popup("p-other", "c-x", "risk_label", WARNED, ALICE))
    world.show_popup(world.popup("p-mine", "c-y", "fraud_blocked", RED, "+8613600000000"))
    message = page.locator(".message")
    await expect(message).to_have_count(1)
    await expect(message).to_contain_text("A fraud call was blocked")
    await expect(message).to_contain_text("+86 170 0000 0001")
    await expect(message).to_contain_text("已为您拦截")
    await expect(page.get_by_text("No message yet")).to_be_hidden()


async def test_the_feed_learns_whom_a_popup_was_for(console: Console) -> None:
    page = await console.open("/handset")
    await console.streaming()
    world = console.world
    world.show_popup(world.popup("p-new", "c-new", "risk_label", WARNED, ALICE))
    row = page.locator("tr[data-popup=p-new]")
    await expect(row).to_contain_text("Suspicious call")
    await world.call("c-new", WARNED, ALICE, "label", ago_s=0)
    await expect(row).to_contain_text("+86 138 0013 8000")
    await row.locator(".row-link").click()
    await expect(page).to_have_url(f"{console.url}/handset/{ALICE}")


async def test_a_recording_plays_and_follows_its_transcript(console: Console) -> None:
    page = await console.open("/recordings/r-warn")
    await expect(page.locator("#proof")).to_contain_text("Verified unchanged")
    position = "document.getElementById('audio').currentTime"
    line = page.locator(".line").nth(4)
    await line.click()
    start_s = SPOKEN[4][2] / 1000
    await until(page, f"{position} > {start_s + 0.3}")
    assert await page.evaluate(position) < start_s + 5
    await expect(line).to_have_attribute("aria-current", "true")
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.locator("#main").focus()
    await page.keyboard.press(" ")
    await expect(page.get_by_role("button", name="Play")).to_be_visible()
    paused = await page.evaluate(position)
    await page.keyboard.press("ArrowLeft")
    assert await page.evaluate(position) == pytest.approx(max(paused - 5, 0), abs=0.1)
    box = await page.locator("#wave").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    length = await page.evaluate("document.getElementById('audio').duration")
    assert await page.evaluate(position) == pytest.approx(length / 2, abs=0.3)
    await page.get_by_label("Speed").select_option("2")
    assert await page.evaluate("document.getElementById('audio').playbackRate") == 2
    await page.locator("#main").focus()
    await page.keyboard.press("<")
    assert await page.evaluate("document.getElementById('audio').playbackRate") == 1.5


async def test_the_waveform_is_drawn_for_both_sides(console: Console) -> None:
    page = await console.open("/recordings/r-warn")
    painted = """(() => {
      const canvas = document.querySelector('#wave canvas');
      const height = canvas.height / 2;
      const data = canvas.getContext('2d').getImageData(0, %d * height, canvas.width, height).data;
      let count = 0;
      for (let i = 3; i < data.length; i += 4) count += data[i] > 0 ? 1 : 0;
      return count > canvas.width * 5;
    })()"""
    for half in (0, 1):
        await until(page, painted % half)


async def test_a_transcript_appears_when_it_is_ready(console: Console) -> None:
    await console.world.record("r-new", "c-talk", CLEAN, ALICE)
    page = await console.open("/recordings/r-new")
    await expect(page.locator("#job")).to_contain_text("Queued")
    await mark(page)
    await console.world.transcribe("r-new")
    await expect(page.locator(".line")).to_have_count(len(SPOKEN))
    await expect(page.locator("#job")).to_contain_text("Transcribed")
    assert await unmoved(page)


async def test_the_risk_table_is_searched_and_a_number_explained(console: Console) -> None:
    page = await console.open("/risk")
    rows = page.locator(".risk-grid tbody tr")
    await expect(rows).to_have_count(50)
    await page.get_by_role("link", name="Next").click()
    await expect(rows).to_have_count(15)
    await page.keyboard.press("/")
    await page.keyboard.type("7000000")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(3)
    await page.get_by_role("button", name="Red", exact=True).click()
    await expect(rows).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("+86 170 0000 0001")
    await expect(page.get_by_text("Notice 2026-118")).to_be_visible()


async def test_a_number_is_added_and_removed_by_hand(console: Console) -> None:
    page = await console.open("/risk")
    await page.get_by_role("button", name="Add a number").click()
    await page.get_by_label("Number or prefix").fill("+86 170 9999 9999")
    await page.get_by_label("Reason").fill("reported_fraud")
    await page.get_by_label("Your name").fill("wang li")
    await page.get_by_role("button", name="Add to the table").click()
    await expect(page.get_by_role("heading", level=2).first).to_have_text("Reported for fraud")
    await page.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Your name").fill("wang li")
    await dialog.get_by_label("Reason").fill("mistaken")
    await dialog.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("Not on the risk table")).to_be_visible()


async def test_the_kill_switch_asks_first(console: Console) -> None:
    page = await console.open("/")
    switch = console.world.services.switches
    button = page.get_by_role("button", name="Stop all blocking")
    await button.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Stop all blocking?")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    assert not switch.state().on
    await button.click()
    confirm = dialog.get_by_role("button", name="Stop all blocking")
    await confirm.click()
    await expect(dialog).to_be_visible()
    await dialog.get_by_label("Your name").fill("wang li")
    await dialog.get_by_label("Reason").fill("false positives")
    await confirm.click()
    await expect(page.get_by_text("Blocking is off.")).to_be_visible()
    assert switch.state().on and switch.state().by == "wang li"
    await expect(page.get_by_role("button", name="Turn blocking back on")).to_be_visible()


@pytest.mark.parametrize("width", [390, 768, 1440])
async def test_no_page_is_wider_than_its_window(console: Console, width: int) -> None:
    await console.page.set_viewport_size({"width": width, "height": 844})
    for path in (
        "/",
        "/calls/c-warn",
        f"/handset/{ALICE}",
        "/handset",
        "/risk",
        "/recordings/r-warn",
        "/help",
    ):
        page = await console.open(path)
        wide = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, path
