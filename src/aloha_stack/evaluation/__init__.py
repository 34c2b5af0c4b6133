"""Success rates of policies in the twin, without ROS: rollouts in model time, through the same JPEG
bytes, limits and delays as the graph."""
