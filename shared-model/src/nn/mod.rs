//! Layers (owner fills in).
