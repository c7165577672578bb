#!/usr/bin/env bash
# asyncua: a server's deadband compares with the last value written, not with the last one reported, and hides a drift
#
# Seen with asyncua 2.1.0 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: with an absolute deadband of 1.0 a client is never more than 1.0 away from the server's value. OPC UA Part
# 4, 7.22.2 DataChangeFilter, compares with the last cached value, "defined as the last value pushed to the queue".
# Seen: a value that climbs from 20 to 70 in steps of 0.5 is never reported; the client still holds 20. Steps of 1.5
# are all reported. So the faster a device writes, the less its clients learn: a cooling circuit that warms up, or
# an electrode that wears, shows a flat line.
#
# What to do: no deadband for items of an asyncua server (filter in the client), or read the value from time to time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check asyncua==2.1.0
venv/bin/python - <<'PY'
import asyncio
import logging
import socket

from asyncua import Client, Server, ua

logging.disable(logging.CRITICAL)
LAST = -1.0  # far from everything else, so it is reported in any case


class Reported:
    def __init__(self):
        self.values, self.done = [], asyncio.Event()

    def datachange_notification(self, node, value, data):
        self.values.append(value)
        if value == LAST:
            self.done.set()


async def reported(server, url, step, filtered):
    variable = await server.nodes.objects.add_variable(1, f"{step}-{filtered}", 20.0)
    async with Client(url) as client:
        handler, node = Reported(), client.get_node(variable.nodeid)
        subscription = await client.create_subscription(50, handler)
        if filtered:
            await subscription.deadband_monitor(node, 1.0, deadbandtype=ua.DeadbandType.Absolute, queuesize=1000)
        else:
            await subscription.subscribe_data_change(node, queuesize=1000)
        value = 20.0
        while value < 70.0:
            value += step
            await variable.write_value(value)
        await variable.write_value(LAST)
        await asyncio.wait_for(handler.done.wait(), 30)
    return handler.values[:-1]


async def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"opc.tcp://127.0.0.1:{probe.getsockname()[1]}/"
    server = Server()
    await server.init()
    server.set_endpoint(url)
    async with server:
        plain = await reported(server, url, 0.5, filtered=False)
        slow = await reported(server, url, 0.5, filtered=True)
        fast = await reported(server, url, 1.5, filtered=True)
    for title, values in [("0.5, no deadband", plain), ("0.5, deadband 1.0", slow), ("1.5, deadband 1.0", fast)]:
        print(f"  steps of {title}: {len(values)} values reported, the last of them {values[-1]}")
    assert len(plain) == 101 and plain[-1] == 70.0, "values are missing without a deadband, too"
    assert fast[-1] >= 70.0 and slow == [20.0], "the finding is out of date"
    print("seen: a rise by fifty deadbands that no client hears of")


asyncio.run(main())
PY
