#!/usr/bin/env python3
"""A page of a standby goes on while the leader dies: never stale, never loaded anew, and what comes after is on it.

usage: standby.py BASE_URL TEXT     (scheduler/tests/console_browser.rs kills the leader once this says `open`)
"""

import os
import sys

from playwright.sync_api import expect, sync_playwright

BASE, TEXT = sys.argv[1:3]
# Until another scheduler leads and has been told to pause.
MOST_MS = 60_000

WATCH = """
    window.stale = 0;
    new MutationObserver(() => { window.stale += document.body.classList.contains("stale"); })
        .observe(document.body, { attributeFilter: ["class"] });
"""


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["CHROMIUM"], args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page()
        page.goto(f"{BASE}/ui?lang=en")
        page.evaluate(WATCH)
        age = page.locator(".age")
        before = age.text_content()
        expect(age).not_to_have_text(before, timeout=10_000)
        print("open", flush=True)
        expect(page.get_by_text(TEXT).first).to_be_visible(timeout=MOST_MS)
        # `None` of a page that was loaded anew.
        assert page.evaluate("window.stale") == 0
        browser.close()


if __name__ == "__main__":
    main()
