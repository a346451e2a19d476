//! The media core, sans-IO: bytes of RTMP and FLV in, bytes of CMAF and HLS out. Nothing here does I/O or reads a
//! clock; time is an argument or comes with the media.

pub mod aac;
pub mod avc;
mod cmaf;
pub mod flv;
pub mod frame;
pub mod health;
pub mod lint;
pub mod output;
pub mod pipeline;
pub mod playlist;
pub mod rtmp;
mod segmenter;
mod timeline;
