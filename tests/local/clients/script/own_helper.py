"""A module beside the script."""


def accuracy(model, table):
    """Share of right answers."""
    return float(model.score(table[:, 1:], table[:, 0]))
