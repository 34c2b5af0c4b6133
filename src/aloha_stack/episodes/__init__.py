"""Episodes on disk: one rosbag2 folder each, written as messages arrive and read without ROS."""
