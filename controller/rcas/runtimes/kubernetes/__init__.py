"""Trainings as Kubernetes Jobs."""
