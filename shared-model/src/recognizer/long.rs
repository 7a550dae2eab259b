//! Long audio in overlapping windows.
