"""Two normals of correlation .8, as a user would write them."""


def log_density(x):
    a, b = x.unbind(1)
    return -0.5 * (a**2 + (b - 0.8 * a) ** 2 / (1 - 0.8**2))
