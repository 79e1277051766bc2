"""What a batch reports: its summary, and every view of it."""
