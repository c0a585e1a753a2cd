"""A function that fails while it is loaded."""

import no_module_of_that_name


def handler(event, context):
    return no_module_of_that_name.answer()
