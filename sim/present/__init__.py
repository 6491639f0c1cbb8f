"""From tables to what people read: figures and screens. Nothing here runs a model."""
