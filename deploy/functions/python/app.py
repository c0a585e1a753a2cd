"""A function that fails on purpose: {} has no price. It succeeds with {"price": 2, "quantity": 3}."""


def total(order):
    return order["price"] * order["quantity"]


def handler(event, context):
    return {"total": total(event)}
