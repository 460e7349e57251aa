"""The checkout's virtual environment, and the locks that it is filled from."""
