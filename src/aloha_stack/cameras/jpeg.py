"""The one place where images become JPEG."""

import cv2
import numpy as np

from aloha_stack.cameras.source import SourceError


def encode(bgr: np.ndarray, quality: int) -> bytes:
    """JPEG of an image (height, width, 3) uint8, BGR as OpenCV has it; quality 1-100."""
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise SourceError(f"OpenCV could not encode an image of shape {bgr.shape} as JPEG")
    return jpeg.tobytes()


def encode_rgb(rgb: np.ndarray, quality: int) -> bytes:
    """JPEG of an image (height, width, 3) uint8, RGB."""
    return encode(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), quality)
