//! Why a message of media can't be used.

/// Why a message was not turned into media: [`FlvError::refuses`] tells whether only this message is lost, or whether
/// nothing of the track will ever be usable, so that the publisher must be told and its stream ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlvError {
    /// The encoder's settings: a video codec that isn't packaged.
    #[error("video codec {0} is not supported; set the encoder to H.264")]
    VideoCodec(String),
    /// The encoder's settings: an audio codec that isn't packaged.
    #[error("audio codec {0} is not supported; set the encoder to AAC")]
    AudioCodec(String),
    /// The encoder's settings: several tracks in one stream (Enhanced RTMP v2).
    #[error("multitrack {0} is not supported; switch off multitrack in the encoder")]
    Multitrack(&'static str),
    /// An Enhanced RTMP packet modifier. The remedy: an encoder setting that doesn't need them.
    #[error("Enhanced RTMP ModEx packets are not supported")]
    ModEx,
    /// The encoder's fault: a first AVCDecoderConfigurationRecord that can't be read.
    #[error("unreadable H.264 configuration: {0}")]
    AvcConfig(String),
    /// The encoder's fault: a first AudioSpecificConfig that can't be read.
    #[error("unreadable AAC configuration: {0}")]
    AacConfig(String),
    /// A changed configuration that can't be read: the track goes on with the one it had.
    #[error("a changed configuration was ignored: {0}")]
    Reconfiguration(String),
    /// A message that ends inside its header.
    #[error("message is cut off")]
    Truncated,
    /// A NAL unit that ends after its message.
    #[error("a NAL unit of {length} bytes in {left} bytes of frame")]
    NalUnit {
        /// What its length field says.
        length: usize,
        /// What is left.
        left: usize,
    },
    /// A frame before the configuration of its track.
    #[error("frame before the configuration of its track")]
    BeforeConfig,
    /// Metadata that can't be read.
    #[error("unreadable metadata")]
    Metadata,
}

impl FlvError {
    /// Whether the publisher must be refused; otherwise only this message is lost.
    pub fn refuses(&self) -> bool {
        matches!(
            self,
            Self::VideoCodec(_)
                | Self::AudioCodec(_)
                | Self::Multitrack(_)
                | Self::ModEx
                | Self::AvcConfig(_)
                | Self::AacConfig(_)
        )
    }
}
