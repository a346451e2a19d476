//! The descriptor limit: the soft one is raised to the hard one before thousands of sockets are opened.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's descriptor limit as far as it goes and returns it.
pub fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Where this fails the old limit stands, and opening too many sockets says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
