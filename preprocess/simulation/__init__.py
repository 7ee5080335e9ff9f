"""The simulated archive: a forward model from truth to products, labels and match-ups."""
