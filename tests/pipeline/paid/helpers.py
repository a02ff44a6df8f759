"""An order that nobody else knows; a broker's turn."""

from dam_connector.store.tasks import TaskOrigin, TaskRecord
from dam_connector.usecases import provider_orders
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.provider_orders import Order
from dam_connector.wiring import Services
from tests.support import picture, product

CUBE = {"width": 30, "height": 30, "depth": 30, "unit": "cm"}
PRICE = 0.30


def place(services: Services, n: int, name: str = "tripo", batch_id: str = "") -> TaskRecord:
    """An order of a run that nobody else knows."""
    about = TaskOrigin(
        run_id=f"run_{n}",
        provider=name,
        sku=f"S{n}",
        category="decor",
        deliverable="model",
        batch_id=batch_id,
    )
    pictures = {"front": services.blobs.put(picture(size=(64, 64)))}
    return provider_orders.ordered(
        services, about, Order(product=product(f"S{n}"), pictures=pictures, seed=n)
    )


def turn(broker: Broker, count: int = 1) -> None:
    for _ in range(count):
        broker.turn()
        broker.settle()
