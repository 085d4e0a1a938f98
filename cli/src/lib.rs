//! The eywa command.
