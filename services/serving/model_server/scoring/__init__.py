"""What runs inside a worker process: requests read, rows merged, predictions made and written."""
