"""What runs trainings."""
