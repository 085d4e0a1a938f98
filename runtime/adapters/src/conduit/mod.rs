//! Conduits: servers of tools. The contract is [`eywa_weave::ports::conduit`].

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "conduit-mcp")]
pub mod mcp;

#[cfg(feature = "in-memory")]
pub use in_memory::InMemoryConduit;
#[cfg(feature = "conduit-mcp")]
pub use mcp::McpConduit;
