"""What every camera source has to do. Inherit the mixin and provide the fixture `source`."""

import itertools

import cv2
import numpy as np
import pytest

from aloha_stack.cameras.source import CameraSource, Frame, SourceError

PATIENCE_S = 20.0


def next_frame(source: CameraSource) -> Frame:
    frame = source.read(PATIENCE_S)
    assert frame is not None
    return frame


class SourceConformance:
    """`source`: a closed source that delivers without end, of `width` x `height` pixels."""

    width, height = 320, 240

    def test_frames_are_jpegs_of_the_size_they_say(self, source: CameraSource) -> None:
        source.open()
        frame = next_frame(source)
        image = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape == (frame.height, frame.width, 3) == (self.height, self.width, 3)

    def test_stamps_rise_and_sequences_count(self, source: CameraSource) -> None:
        source.open()
        frames = [next_frame(source) for _ in range(4)]
        assert frames[0].sequence >= 0
        for before, after in itertools.pairwise(frames):
            assert after.stamp_ns > before.stamp_ns
            assert after.sequence > before.sequence

    def test_reading_a_closed_source_is_an_error(self, source: CameraSource) -> None:
        with pytest.raises(SourceError, match="closed"):
            source.read(0.1)

    def test_it_can_be_closed_twice_and_opened_again(self, source: CameraSource) -> None:
        source.open()
        next_frame(source)
        source.close()
        source.close()
        source.open()
        assert next_frame(source).sequence < 10

    def test_opening_it_twice_is_an_error(self, source: CameraSource) -> None:
        source.open()
        with pytest.raises(SourceError, match="open already"):
            source.open()
