"""The stores that come with the product, each found by its entry point like anybody else's."""
