//! How much one RTMP connection may cost.

/// What a peer may make us hold and do. Every buffer and map of a connection is bounded by one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one audio, video or data message. The largest intra pictures of 4K at 100 Mbit/s are below 2 MiB.
    pub message: usize,
    /// Bytes of any message before the publish is accepted, and of commands and control messages always.
    pub command: usize,
    /// Bytes of all unfinished messages of the connection together.
    pub unfinished: usize,
    /// Chunk streams of a connection. Encoders use three to six.
    pub chunk_streams: usize,
    /// Message streams (`createStream`) of a connection. Encoders use one.
    pub message_streams: u32,
    /// The largest chunk the peer may send; a larger Set Chunk Size is taken for this (§5.4.1).
    pub chunk_size: u32,
    /// The chunk size we announce, which ffmpeg adopts for its own chunks.
    pub own_chunk_size: u32,
    /// How deep AMF0 objects and arrays may nest.
    pub amf_depth: usize,
    /// AMF0 values in one message.
    pub amf_values: usize,
    /// Bytes after which we ask the peer to acknowledge, and after which we do where the peer doesn't say (§5.4.4).
    pub window: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 8 << 20,
            command: 256 << 10,
            unfinished: 16 << 20,
            chunk_streams: 64,
            message_streams: 8,
            chunk_size: 0xFF_FFFF,
            own_chunk_size: 65_536,
            amf_depth: 16,
            amf_values: 4_096,
            window: 2_500_000,
        }
    }
}
