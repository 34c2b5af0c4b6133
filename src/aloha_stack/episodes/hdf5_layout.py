"""ALOHA's HDF5 files: what is where, and what ours have beside it.

/action, /observations/qpos, qvel and effort (T, 14); /observations/images/{camera} (T, H, W, 3)
uint8 RGB, or JPEG bytes (T, padded) with their lengths in /compress_len (cameras, T). So write the
record_episodes.py of tonyzhaozh/aloha (raw), MarkFzp/mobile-aloha, Interbotix/aloha (compressed).

The colours of compressed pictures: those recorders hand RGB arrays to cv2.imencode, which takes
them for BGR. In their JPEGs red and blue are exchanged, and cv2.imdecode gives RGB back. A file of
ours holds the camera's own JPEGs, whose colours are right, and says so: JPEG_COLOURS. A file that
says nothing is taken for one of theirs.
"""

JPEG_COLOURS = "jpeg_colours"
"""Attribute of a compressed file: TRUE or EXCHANGED."""
TRUE, EXCHANGED = "true", "exchanged"

IMAGES = "/observations/images"
STEP_NS = "/observations/step_ns"  # (T,) int64
CAPTURE_NS = "/observations/capture_ns"  # (T, cameras) int64, exposure; names in `columns`
JOINT_AGE_NS = "/observations/joint_age_ns"  # (T, topics) int64; names in `columns`
COMMANDER = "/commander"
"""(T,) uint8: who gave the action of each step, as a number in the attribute CODES. A file without
it is a demonstration: a human did."""
CODES = "codes"
"""Attribute of COMMANDER: what 0, 1, … mean (`commanders.COMMANDERS`)."""
METHOD = "method"
"""Attribute: how samples were chosen for the steps (`step_grid.METHODS`)."""
COLUMNS = "columns"
"""What ours has beside ALOHA's: when things really happened. Other readers pass over it."""
