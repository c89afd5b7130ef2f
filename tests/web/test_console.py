"""The console's addresses that others link to."""

from __future__ import annotations

from middleware.app import create_app
from middleware.testing import drain
from middleware.web.console import one_time_link
from tests.world import World, place


def test_the_shop_links_to_an_order_by_its_own_id(database_url: str) -> None:
    runtime = World(database_url).runtime()
    for number, uuid in enumerate(["uuid-1", "uuid-2", "uuid-3"]):
        place(runtime, uuid, f"m{number}", number="1001" if uuid == "uuid-3" else f"100{number}")
    drain(runtime)
    client = create_app(runtime).test_client()
    assert client.get("/console/orders/find/uuid-2").status_code == 401
    client.get(one_time_link(runtime, "http://localhost").removeprefix("http://localhost"))
    found = client.get("/console/orders/find/uuid-2", follow_redirects=True)
    assert (found.status_code, "uuid-2" in found.text, "uuid-1" in found.text) == (200, True, False)
    assert client.get("/console/orders/find/1001").location == "/console/?find=1001"  # two orders have that number
    assert client.get("/console/orders/find/nobody").location == "/console/?find=nobody"
    runtime.close()
