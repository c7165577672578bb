#!/usr/bin/env python3
"""A page of very many workers that is put in again and again keeps nobody waiting.

usage: updates.py BASE_URL SECONDS     (scheduler/tests/console_load.rs makes the fleet for it)
"""

import os
import sys

from playwright.sync_api import sync_playwright

BASE, SECONDS = sys.argv[1], float(sys.argv[2])
# Longer than this a person notices that a click or a key waits.
MOST_MS = 50

WATCH = """
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((task) => task.duration)))
        .observe({ type: "longtask" });
    window.renewed = 0;
    new MutationObserver(() => window.renewed++).observe(document.body, { childList: true });
"""


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["CHROMIUM"], args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{BASE}/ui/workers")
        page.evaluate(WATCH)
        page.wait_for_timeout(SECONDS * 1000)
        tasks, renewed = page.evaluate("[window.tasks, window.renewed]")
        browser.close()
    longest = max(tasks, default=0)
    print(f"renewed {renewed} times in {SECONDS:.0f} s; tasks over {MOST_MS} ms: {len(tasks)}, the longest {longest:.0f} ms")
    assert renewed >= SECONDS / 5, "it is to be renewed every two seconds"
    # One that another process held up is not the page's; with all workers on one page most renewals took longer.
    assert len([task for task in tasks if task > MOST_MS]) * 4 <= renewed, tasks


if __name__ == "__main__":
    main()
