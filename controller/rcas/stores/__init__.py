"""Object stores: whole objects, written on a condition."""
