"""One step of damped least squares towards a wanted pose.

    dq = J^T (J J^T + lambda² I)^-1 e,    e = [position error, rotation vector of the error]

Source: Wampler 1986 (damped least squares).
"""

import numpy as np

MAX_STEP_RAD = 0.2


def damped_step(jacobian: np.ndarray, error: np.ndarray, damping: float) -> np.ndarray:
    """The change of joints (n,) rad, none by more than MAX_STEP_RAD, from the geometric Jacobian
    (6, n) and the error (6,), m and rad. `damping` is lambda²."""
    gram = jacobian @ jacobian.T + damping * np.eye(len(error))
    step: np.ndarray = jacobian.T @ np.linalg.solve(gram, error)
    return step * min(1.0, MAX_STEP_RAD / max(float(np.abs(step).max()), 1e-12))
