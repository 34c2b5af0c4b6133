"""Policies: from what a robot perceives to where its joints shall be. No ROS, no threads."""
