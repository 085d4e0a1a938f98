//! Every store, held to the contract of its port.
