//! Where closed sessions go besides storage.

pub(crate) mod alerts;
