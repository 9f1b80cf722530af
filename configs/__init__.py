"""Settings that ship with the product: default.yaml explains every key."""
