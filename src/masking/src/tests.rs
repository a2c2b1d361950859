//! What comes out of a masked stream.
