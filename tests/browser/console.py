#!/usr/bin/env python3
"""The console in a real browser: every view and action, every role, by keyboard alone, checked by axe.

usage: console.py BASE_URL PICTURES_DIR PASSWORD RUN     (scheduler/tests/console_browser.rs makes the plant for it)
       console.py BASE_URL PICTURES_DIR                  a console without users, on loopback

The plant has the users `viewer`, `reviewer` and `operator`, more than 100 NOK welds of today that MySQL has too, the
open backfill RUN of two days and dead jobs of two causes. What was done is checked in its stores by whoever started
this.
"""

import os
import sys
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

BASE, PICTURES = sys.argv[1], Path(sys.argv[2])
PASSWORD, RUN = sys.argv[3:5] if len(sys.argv) > 3 else ("", "")
ONLOOKER = "onlooker"
VIEWS = ["/ui", "/ui/backfills", "/ui/workers", "/ui/jobs", "/ui/nok", "/ui/events"]
REVIEWS = 100
SERIOUS = {"serious", "critical"}


def watched(page: Page) -> Page:
    """Whatever the browser complains about, a breach of the policy above all, ends the test."""

    def complain(what: str) -> None:
        raise AssertionError(f"{page.url}: {what}")

    def read(line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            complain(line.text)

    page.on("pageerror", lambda error: complain(str(error)))
    page.on("console", read)
    page.complain = read
    return page


def accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [rule for rule in found if rule["impact"] in SERIOUS]
    assert not serious, f"{page.url}: {[(rule['id'], rule['nodes'][0]['html']) for rule in serious]}"


def sign_in(page: Page, name: str) -> None:
    page.goto(f"{BASE}/ui")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    accessible(page)
    page.get_by_label("name").fill(name)
    page.get_by_label("password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{name} ({name})")).to_be_visible()


def every_view(page: Page, role: str) -> None:
    """By the links; forms only for whoever may. In both languages, light and dark, for whoever sees the most and the
    least."""
    whole = role in ("operator", ONLOOKER)
    for scheme, lang in (("light", "en"), ("dark", "zh")) if whole else (("light", "en"),):
        page.emulate_media(color_scheme=scheme)
        for view in VIEWS:
            page.goto(f"{BASE}/ui?lang={lang}")
            page.locator(f'nav a[href="{view}?lang={lang}"]').click()
            expect(page.locator(f'nav a[aria-current="page"][href^="{view}?"]')).to_be_visible()
            assert page.locator("html").get_attribute("lang") == lang
            accessible(page)
            offers(page, role)
        page.goto(f"{BASE}/ui/nok?lang={lang}")
        page.locator("tbody a").first.click()
        expect(page.locator("svg polyline").first).to_be_visible()
        assert "ms" in page.locator("svg desc").text_content()
        forms = page.locator('main form[action^="/ui/review?"]').count()
        assert forms == (1 if role in ("reviewer", "operator") else 0), f"{role}: {forms} review forms"
        accessible(page)
        if role == ONLOOKER:
            offers(page, role)
    page.emulate_media(color_scheme="light")


def offers(page: Page, role: str) -> None:
    """Nothing that changes something is offered to who may not; to an onlooker not even to sign out."""
    where = "main" if role != ONLOOKER else "html"
    changes = page.locator(f'{where} form[method="post"]').count()
    assert role == "operator" or changes == 0, f"{role} {page.url}: {changes} forms"


def turn_keys_off(page: Page, _role: str) -> None:
    """Single keys do nothing once they are turned off, on every page, until they are turned on again."""
    page.goto(f"{BASE}/ui/nok?lang=en")
    page.get_by_role("button", name="Turn single keys off").click()
    page.locator("tbody a").first.click()
    page.wait_for_url("**/ui/weld?**")
    expect(page.get_by_role("button", name="Turn single keys on")).to_be_visible()
    expect(page.locator("kbd").first).to_be_hidden()
    # A key that does something is taken from the browser.
    press = """key => document.body.dispatchEvent(
        new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }))"""
    here = page.url
    assert all(page.evaluate(press, key) for key in "cfunjz")
    page.keyboard.press("n")
    expect(page.get_by_label("note")).not_to_be_focused()
    page.reload()
    assert page.evaluate(press, "n") and page.url == here
    accessible(page)
    page.get_by_role("button", name="Turn single keys on").click()
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("n")
    expect(page.get_by_label("note")).to_be_focused()


def seen(page: Page) -> None:
    """Keys that send something are taken from now on."""
    expect(page.locator("form[aria-busy]")).to_have_count(0)


def review_by_keyboard(page: Page, _role: str) -> None:
    """A hundred welds without a mouse; one review is taken back and made anew."""
    page.goto(f"{BASE}/ui/nok?lang=en&review=open")
    page.keyboard.press("j")
    page.wait_for_url("**/ui/weld?**")
    # What comes too soon for anybody to have seen the weld is no review of it.
    page.add_init_script("""addEventListener("DOMContentLoaded", () => document.body.dispatchEvent(
        new KeyboardEvent("keydown", { key: "u", bubbles: true, cancelable: true })))""")
    page.reload()
    for place in range(REVIEWS):
        here = page.url
        seen(page)
        if place % 10 == 0:
            page.keyboard.press("n")
            expect(page.get_by_label("note")).to_be_focused()
            page.keyboard.type(f"seen c f u {place}")
            page.keyboard.press("Escape")
        page.keyboard.press("cfu"[place % 3])
        page.wait_for_url(lambda url: url != here)
        expect(page.get_by_role("status")).to_contain_text(["confirmed", "false alarm", "unsure"][place % 3])
        if place == 50:
            # On whichever page of theirs: the message is told once, the way back stays.
            page.reload()
            seen(page)
            page.keyboard.press("z")
            expect(page.get_by_role("status")).to_contain_text("taken back")
            expect(page.locator(".undo")).to_have_count(0)
            seen(page)
            page.keyboard.press("f")
            page.wait_for_url(lambda url: url != here)
            expect(page.get_by_role("status")).to_contain_text("false alarm")


def operate(page: Page, _role: str) -> None:
    page.goto(f"{BASE}/ui?lang=en")
    page.get_by_label("why").fill("tip dress")
    page.get_by_role("button", name="Pause the fleet").click()
    expect(page.get_by_role("status")).to_contain_text("nothing new is claimed")
    expect(page.get_by_role("heading", name="Nothing is judged until somebody does something")).to_be_visible(timeout=10_000)
    picture(page, "/ui", "console-now")
    page.goto(f"{BASE}/ui?lang=en")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("workers claim again")

    steer(page, "Hold", "held")
    steer(page, "Resume", "open")
    steer(page, "newest day first", "newest day first")
    expect(page.get_by_role("button", name="oldest day first")).to_be_visible()
    picture(page, "/ui/backfills", "console-backfills")
    page.goto(f"{BASE}/ui/jobs?lang=en")
    page.screenshot(path=PICTURES / "console-jobs.png")
    for button, cause in (("Retry", "the model file is gone"), ("Drop", "no such column")):
        row = page.get_by_role("row").filter(has_text=cause)
        row.get_by_label("why").fill("a test")
        row.get_by_role("button", name=button).click()
        expect(page.get_by_role("status")).to_contain_text("jobs")
        expect(page.get_by_role("row").filter(has_text=cause)).to_have_count(0, timeout=10_000)

    steer(page, "Cancel", "cancelled")
    page.goto(f"{BASE}/ui/events?lang=en")
    done = ("pause", "resume", "backfill hold", "backfill order", "backfill cancel", "jobs retry", "jobs drop", "review")
    for what in done:
        expect(page.get_by_role("cell", name=what, exact=True).first).to_be_visible()


def steer(page: Page, button: str, state: str) -> None:
    page.goto(f"{BASE}/ui/backfills?lang=en")
    row = page.get_by_role("row").filter(has_text=RUN)
    row.get_by_label("why").fill("a test")
    row.get_by_role("button", name=button).click()
    expect(page.get_by_role("status")).to_contain_text(RUN)
    cell = page.get_by_role("row").filter(has_text=RUN).get_by_role("cell").filter(has_text=state)
    expect(cell.first).to_be_visible(timeout=10_000)


def live(page: Page, _role: str) -> None:
    """A live page goes on under the keyboard, stands still under a hand and says so, and never looks newer than it is."""
    with page.expect_request("**/ui/changes"):
        page.goto(f"{BASE}/ui/backfills?lang=en")
    age, holding, lost = (page.locator(f".{name}") for name in ("age", "holding", "lost"))
    mark = "document.querySelector('main h1').dataset.old = '1'"
    old = page.locator("h1[data-old]")

    page.locator(".wide").focus()
    page.evaluate(mark)
    expect(old).to_have_count(0, timeout=10_000)
    expect(page.locator(".wide")).to_be_focused()

    if page.locator("main button").count():
        page.locator("main button").first.focus()
        page.evaluate(mark)
        before = age.text_content()
        expect(holding).to_be_visible(timeout=10_000)
        expect(age).not_to_have_text(before, timeout=10_000)
        expect(old).to_have_count(1)
        page.evaluate("document.activeElement.blur()")
        expect(holding).to_be_hidden(timeout=10_000)
        expect(old).to_have_count(0, timeout=10_000)

    # A scheduler that answers no more.
    page.route("**/ui/backfills*", lambda route: route.abort())
    page.remove_listener("console", page.complain)
    expect(lost).to_be_visible(timeout=10_000)
    page.unroute("**/ui/backfills*")
    expect(lost).to_be_hidden(timeout=10_000)
    page.on("console", page.complain)

    # Told nothing, it asks by itself.
    page.route("**/ui/changes", lambda route: route.fulfill(status=204))
    page.reload()
    for _ in range(3):
        page.evaluate(mark)
        expect(old).to_have_count(0, timeout=4_000)
    page.unroute("**/ui/changes")


def downloads(page: Page, _role: str) -> None:
    for view in VIEWS:
        page.goto(f"{BASE}{view}?lang=en")
        # The list's own is the last of them.
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").last.click()
        text = Path(download.value.path()).read_text(encoding="utf-8-sig")
        least = {"/ui/nok": 120, "/ui/events": 100, "/ui": 1, "/ui/backfills": 1}.get(view, 0) if PASSWORD else 0
        assert len(text.splitlines()) >= 1 + least, f"{view}: {text}"


def picture(page: Page, view: str, name: str) -> None:
    """In both languages."""
    for lang, suffix in (("en", ""), ("zh", "-zh")):
        page.goto(f"{BASE}{view}?lang={lang}")
        page.screenshot(path=PICTURES / f"{name}{suffix}.png")


def pictures(page: Page, _role: str) -> None:
    picture(page, "/ui/nok", "console-nok")
    for lang, suffix in (("en", ""), ("zh", "-zh")):
        page.goto(f"{BASE}/ui/nok?lang={lang}")
        page.locator("tbody a").first.click()
        expect(page.locator("svg polyline").first).to_be_visible()
        page.screenshot(path=PICTURES / f"console-weld{suffix}.png", full_page=True)


def steps(role: str) -> list:
    return {
        ONLOOKER: [every_view, live, downloads],
        "viewer": [sign_in, every_view],
        "reviewer": [sign_in, every_view, pictures, turn_keys_off, review_by_keyboard],
        "operator": [sign_in, every_view, live, operate, downloads],
    }[role]


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["CHROMIUM"], args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            for role in ("viewer", "reviewer", "operator") if PASSWORD else (ONLOOKER,):
                context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
                context.set_default_timeout(20_000)
                page = watched(context.new_page())
                for step in steps(role):
                    begun = time.monotonic()
                    step(page, role)
                    print(f"{role}: {step.__name__}, {time.monotonic() - begun:.1f} s", flush=True)
                if PASSWORD:
                    page.goto(f"{BASE}/ui?lang=en")
                    page.get_by_role("button", name="Sign out").click()
                    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
                context.close()
        finally:
            browser.close()


if __name__ == "__main__":
    main()
