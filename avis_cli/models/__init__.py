"""One folder for each published system, and the table of them."""
