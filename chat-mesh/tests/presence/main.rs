//! How many read a channel: what is known of its users, and how hubs tell each other.

mod counting;
mod sketch;
