"""A durable function that fails as its event asks it to."""

from aws_durable_execution_sdk_python import DurableContext, durable_execution


class OutOfStock(Exception):
    """A failure of the function's own."""


@durable_execution
def handler(event, context: DurableContext):
    fail = event.get("fail", "none")
    if fail == "exception":
        raise Exception("I failed!")  # mark: exception
    if fail == "own":
        raise OutOfStock("no stock for sku TA-404")  # mark: own
    if fail == "text":
        raise ValueError("größer als 東京\nzweite Zeile: 🚀")  # mark: text
    return {"ok": True}
