"""The ALOHA stack in rqt."""
