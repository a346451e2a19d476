//! Whole lives over real sockets, with a real WebSocket client: tungstenite, which shares no code with the hub.

mod again;
mod client;
mod doors;
mod ends;
mod frames;
mod house;
mod irc;
mod limits;
mod mesh;
mod moderation;
mod presence;
mod rest;
mod resume;
mod talk;
