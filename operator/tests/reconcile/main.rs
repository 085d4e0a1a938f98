//! The reconcilers and the elector, driven through scenarios against an API server in memory.

mod api;
mod conduit;
mod leader;
mod spirit;
mod vigil;
