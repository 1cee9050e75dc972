"""What tests of several folders share; pytest puts ``tests`` on the path, so it is imported as ``helpers``."""
