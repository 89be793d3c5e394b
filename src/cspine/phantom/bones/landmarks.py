"""Solids at landmarks given for an average adult, scaled by a factor `k` to a person."""

from cspine.phantom.bones.primitives import Ellipsoid, Strip, Tube, Vector


def ellipsoid(k: float, at: Vector, radii: Vector, exponent: float = 2.0) -> Ellipsoid:
    """Return an ellipsoid whose landmarks are scaled by `k`."""
    return Ellipsoid((at[0] * k, at[1] * k, at[2] * k), (radii[0] * k, radii[1] * k, radii[2] * k), exponent=exponent)


def tube(k: float, path: tuple[Vector, ...], radii: tuple[float, ...]) -> Tube:
    """Return a tube whose landmarks are scaled by `k`."""
    return Tube(tuple((p[0] * k, p[1] * k, p[2] * k) for p in path), tuple(r * k for r in radii))


def strip(
    k: float, path: tuple[Vector, ...], heights: tuple[float, ...], thicks: tuple[float, ...], up: Vector = (0, 0, 1)
) -> Strip:
    """Return a strip whose landmarks are scaled by `k`."""
    scaled = tuple((p[0] * k, p[1] * k, p[2] * k) for p in path)
    return Strip(scaled, tuple(h * k for h in heights), tuple(t * k for t in thicks), up)
