"""Rotations as vectors: axis times angle (rad), and back.

    exp(w) = I + sin|w| [n] + (1 - cos|w|) [n]²,   n = w / |w|      (Rodrigues)
    log is its inverse with |w| <= pi

`log` goes by the unit quaternion, which is well conditioned at every angle (Shepperd 1978); turns
by exactly pi have two vectors, of which it gives one.
"""

import numpy as np


def exp(vector: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) of a vector (3,) rad."""
    angle = float(np.linalg.norm(vector))
    cross = _cross(vector)
    if angle < 1e-8:  # the next terms are beyond a float's digits
        return np.eye(3) + cross + 0.5 * cross @ cross
    first = np.sin(angle) / angle
    second = (1.0 - np.cos(angle)) / angle**2
    turned: np.ndarray = np.eye(3) + first * cross + second * cross @ cross
    return turned


def log(rotation: np.ndarray) -> np.ndarray:
    """The vector (3,) rad of a rotation (3, 3)."""
    real, imaginary = _quaternion(rotation)
    length = float(np.linalg.norm(imaginary))
    if length < 1e-12:
        return 2.0 * imaginary
    angle = 2.0 * np.arctan2(length, real)
    vector: np.ndarray = angle / length * imaginary
    return vector


def _cross(vector: np.ndarray) -> np.ndarray:
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _quaternion(rotation: np.ndarray) -> tuple[float, np.ndarray]:
    """Real part, not below 0, and imaginary part (3,), from the largest of the four."""
    trace = np.trace(rotation)
    squares = np.array([*np.diag(rotation), 0.0])
    squares = 1.0 + np.append(2.0 * squares[:3] - trace, trace)  # four times each part's square
    largest = int(np.argmax(squares))
    double = np.sqrt(squares[largest])
    skew = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    if largest == 3:
        return double / 2, skew / (2 * double)
    symmetric = rotation[largest] + rotation[:, largest]
    imaginary = symmetric / (2 * double)
    imaginary[largest] = double / 2
    real = skew[largest] / (2 * double)
    return (real, imaginary) if real >= 0 else (-real, -imaginary)
