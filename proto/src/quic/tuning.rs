//! The limits of connections between nodes.

use std::{sync::Arc, time::Duration};

use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// How connections between nodes behave. The defaults suit a data centre and the public internet alike.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// How many requests a peer may have open on one connection. Default 4,096; followers may take three quarters of
    /// it. A peer is first granted [`Tuning::STREAMS_AT_FIRST`] and gets twice as many whenever it has half of them
    /// open, because each granted stream costs about 0.2 KB whether it is used or not.
    pub streams: u32,
    /// Bytes of one stream that may be on their way unread. Default 4 MiB: 320 Mbit/s per stream at 100 ms.
    pub stream_window: u32,
    /// Bytes of one connection that may be on their way unread. Default 16 MiB: 1.3 Gbit/s at 100 ms.
    pub window: u32,
    /// Bytes of one connection that may be sent and not yet acknowledged. Default 16 MiB.
    pub send_window: u64,
    /// Bytes of datagrams (RFC 9221) that may wait on each side of a connection; with more, the oldest are lost.
    /// Default 1 MiB: a word about each of a thousand channels.
    pub datagrams: usize,
    /// How often the asking side of a quiet connection shows that it is alive. Default 1 s.
    pub keep_alive: Duration,
    /// After how long without an answer the peer is dead. Default 1.9 s: together with [`Tuning::keep_alive`], for what is
    /// sent into the void starts it anew once (RFC 9000 §10.1), an edge notices within 3 s.
    pub idle: Duration,
    /// How long making a connection may take. Default 3 s.
    pub connect: Duration,
    /// How long a request may take from the opening of its stream to its last byte. Default 5 s.
    pub request: Duration,
    /// How long streams that are under way may go on once the node shuts down. Default 5 s.
    pub drain: Duration,
    /// Handshakes from the outside that may be pending. Default 4,096 (quinn: 65,536); more are dropped. From a quarter
    /// of it on, whoever knocks must first prove its address (RFC 9000 §8.1.2).
    pub max_incoming: usize,
    /// Bytes that one pending handshake may send ahead. Default 1 MB.
    pub incoming_buffer: u64,
    /// Bytes that all pending handshakes may send ahead. Default 32 MB.
    pub incoming_buffers: u64,
    /// The shortest pause after a failed connection; doubled with each failure, then drawn between half and whole.
    /// Default 100 ms.
    pub backoff_min: Duration,
    /// The longest pause after a failed connection. Default 2 s.
    pub backoff_max: Duration,
    /// Bytes that the system may hold of the socket, each way; default 4 MiB. The system may allow less
    /// (`net.core.rmem_max`, `wmem_max`). What doesn't fit is lost and sent again.
    pub socket_buffer: usize,
    /// Several datagrams in one system call (GSO), worth 2.4 to 3.3 times the CPU. Default on.
    pub segmentation_offload: bool,
    /// Look for larger datagrams than 1,200 bytes (RFC 9000 §14.3). Default on.
    pub mtu_discovery: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            streams: 4096,
            stream_window: 4 << 20,
            window: 16 << 20,
            send_window: 16 << 20,
            datagrams: 1 << 20,
            keep_alive: Duration::from_secs(1),
            idle: Duration::from_millis(1900),
            connect: Duration::from_secs(3),
            request: Duration::from_secs(5),
            drain: Duration::from_secs(5),
            max_incoming: 4096,
            incoming_buffer: 1_000_000,
            incoming_buffers: 32_000_000,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            socket_buffer: 4 << 20,
            segmentation_offload: true,
            mtu_discovery: true,
        }
    }
}

impl Tuning {
    /// How many streams a peer is granted before it has shown that it needs more.
    pub const STREAMS_AT_FIRST: u32 = 128;

    /// How many of a connection's streams followers may take: three quarters.
    pub fn follower_streams(&self) -> u32 {
        (self.streams / 4).saturating_mul(3).max(1)
    }

    pub(super) fn streams_at_first(&self) -> u32 {
        self.streams.min(Self::STREAMS_AT_FIRST)
    }

    /// Of a connection that others make to us: we answer.
    pub(super) fn answering(&self) -> Arc<TransportConfig> {
        let mut config = self.common();
        config.max_concurrent_bidi_streams(VarInt::from_u32(self.streams_at_first()));
        Arc::new(config)
    }

    /// Of a connection that we make: nobody asks us anything on it, and we keep it alive.
    pub(super) fn asking(&self) -> Arc<TransportConfig> {
        let mut config = self.common();
        config.max_concurrent_bidi_streams(VarInt::from_u32(0)).keep_alive_interval(Some(self.keep_alive));
        Arc::new(config)
    }

    fn common(&self) -> TransportConfig {
        let mut config = TransportConfig::default();
        config
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32(self.stream_window))
            .receive_window(VarInt::from_u32(self.window))
            .send_window(self.send_window)
            .max_idle_timeout(IdleTimeout::try_from(self.idle).ok())
            // Both sides must say that they take some, or neither may send any.
            .datagram_receive_buffer_size(Some(self.datagrams))
            .datagram_send_buffer_size(self.datagrams)
            .enable_segmentation_offload(self.segmentation_offload)
            .mtu_discovery_config(self.mtu_discovery.then(MtuDiscoveryConfig::default));
        config
    }
}
