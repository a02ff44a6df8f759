"""Helpers of the tests of paid providers: orders without a run, and a broker that works step by step."""

from dam_connector.store.tasks import TaskOrigin, TaskRecord
from dam_connector.usecases import provider_orders
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.provider_orders import ProviderOrder
from dam_connector.wiring import Services
from tests.support import picture, product

CUBE = {"width": 30, "height": 30, "depth": 30, "unit": "cm"}
PRICE = 0.30


def place(services: Services, number: int, name: str = "tripo", batch_id: str = "") -> TaskRecord:
    """Place an order for a run that does not exist."""
    origin = TaskOrigin(
        run_id=f"run_{number}",
        provider=name,
        sku=f"S{number}",
        category="decor",
        deliverable="model",
        batch_id=batch_id,
    )
    pictures = {"front": services.blobs.put(picture(size=(64, 64)))}
    return provider_orders.place_order(
        services, origin, ProviderOrder(product=product(f"S{number}"), pictures=pictures, seed=number)
    )


def run_broker(broker: Broker, count: int = 1) -> None:
    """Let the broker work `count` times, and wait for its requests each time."""
    for _ in range(count):
        broker.tick()
        broker.drain()
