"""From results to tables: arithmetic on recorded outcomes, never a run of the model."""
