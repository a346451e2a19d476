//! A session that another origin began: its playlists, until the encoder's first frames show whether it can go on.
//!
//! ```text
//! Inherited ──new──▶ Heir ──announce──▶ Output::{Constants, Multivariant, Playlist}   as the other origin left them
//!                     └── tracks, codecs ──live──▶ Live                               or why another session is needed
//! ```

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{PackagingConfig, live, live::Live};
use crate::{
    frame::{CodecConfig, TrackId, TrackKind},
    output::{self, Output},
    playlist::{MediaPlaylist, PlaylistConfig, RenditionReport, inherit::Inherited},
    segmenter::Rules,
};

const OTHER_TRACKS: &str = "the encoder sends other tracks than the session has";
const OTHER_CODECS: &str = "the encoder's codecs are not those of the session";
const LONG_FRAMES: &str = "the audio's frames are too long for the session's parts";

/// A session to be gone on with.
#[derive(Debug)]
pub(super) struct Heir {
    index: Bytes,
    codecs: Vec<String>,
    target_duration: Duration,
    part_target: Duration,
    next_msn: u64,
    playlists: Vec<(TrackId, MediaPlaylist)>,
    /// Another session was asked for: nothing more is taken.
    pub(super) refused: bool,
}

impl Heir {
    pub(super) fn new(config: &PackagingConfig, inherited: Inherited) -> Self {
        let next_msn = inherited.next_msn();
        let Inherited { index, tracks, codecs } = inherited;
        let constants = tracks.first().map(|track| (track.target_duration, track.part_target));
        let (target_duration, part_target) = constants.unwrap_or_default();
        let inherit = |track| MediaPlaylist::inherit(track, config.window());
        let playlists = tracks.into_iter().map(|track| (track.track, inherit(track))).collect();
        Self { index, codecs, target_duration, part_target, next_msn, playlists, refused: false }
    }

    /// Shows the session as it was left.
    pub(super) fn announce(&mut self, config: &PackagingConfig, out: &mut Vec<Output>) {
        let Self { target_duration, part_target, .. } = *self;
        let keep = PlaylistConfig { target_duration, part_target, window: config.window() }.keep();
        out.push(Output::Constants(output::Constants { target_duration, part_target, keep }));
        out.push(Output::Multivariant(self.index.clone()));
        self.render(out);
    }

    /// The session is over before it could go on.
    pub(super) fn end(&mut self, out: &mut Vec<Output>) {
        self.playlists.iter_mut().for_each(|(_, playlist)| playlist.end());
        self.render(out);
    }

    fn render(&mut self, out: &mut Vec<Output>) {
        let reports: Vec<RenditionReport> =
            self.playlists.iter().filter_map(|(_, playlist)| playlist.report()).collect();
        out.extend(
            self.playlists.iter_mut().map(|(track, playlist)| Output::Playlist(*track, playlist.render(&reports))),
        );
    }

    pub(super) fn next_msn(&self) -> u64 {
        self.next_msn
    }

    pub(super) fn kinds(&self) -> Vec<TrackKind> {
        self.playlists.iter().map(|(track, _)| track.kind).collect()
    }

    /// Goes on in `epoch` with `tracks`, which come in the session's order.
    ///
    /// # Errors
    /// Why another session is needed; then nothing has changed.
    pub(super) fn live(
        &mut self,
        config: &PackagingConfig,
        epoch: u64,
        tracks: &[(TrackId, Arc<CodecConfig>)],
    ) -> Result<Live, &'static str> {
        let ours = self.playlists.iter().map(|(track, _)| track);
        if tracks.iter().map(|(track, _)| track).ne(ours) {
            return Err(OTHER_TRACKS);
        }
        if !tracks.iter().all(|(_, codec)| self.codecs.iter().any(|known| family(known) == family(name(codec)))) {
            return Err(OTHER_CODECS);
        }
        let rules = self.rules(config, tracks).ok_or(LONG_FRAMES)?;
        let playlists = std::mem::take(&mut self.playlists).into_iter();
        let tracks = playlists.zip(tracks).map(|((id, playlist), (_, codec))| (id, Arc::clone(codec), playlist));
        Ok(Live::inherit(config, rules, self.part_target, (epoch, self.next_msn), tracks.collect()))
    }

    fn rules(&self, config: &PackagingConfig, tracks: &[(TrackId, Arc<CodecConfig>)]) -> Option<Rules> {
        let audio_frame = tracks.iter().find_map(|(_, codec)| live::audio_frame(codec)).unwrap_or_default();
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let (aim, segment) = (ms(config.part_ms), ms(config.segment_ms));
        let rules = Rules::within(aim, self.part_target, audio_frame, segment, self.target_duration.as_secs())?;
        Some(Rules { lag: super::gather::lag(config), ..rules })
    }
}

fn name(codec: &CodecConfig) -> &str {
    match codec {
        CodecConfig::Avc(avc) => &avc.codec,
        CodecConfig::Aac(aac) => &aac.codec,
    }
}

/// `avc1` of `avc1.64001f` (RFC 6381): what another init can't change.
fn family(codec: &str) -> &str {
    codec.split('.').next().unwrap_or(codec)
}
