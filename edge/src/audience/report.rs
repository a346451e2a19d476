//! Reads what players report of themselves: CMCD version 2 in event mode (CTA-5004-B), one report a line.
//!
//! ```text
//! body of POST /api/cmcd ──lines──▶ field ──▶ Report, of which a session is made
//! ```
//! What a report says besides is read and left out. Two keys are our own: `com.freshet-g2g`, how many milliseconds what is shown
//! is behind the camera, and `com.freshet-df`, how many frames of the session were dropped so far (as `dfa` is).

use freshet_proto::id::ChannelName;

use super::field::{self, Item, Unreadable, Value};

/// The most reports in one body: players send one to a few.
pub const MAX_LINES: usize = 256;

/// The longest line, in bytes.
pub const MAX_LINE: usize = 8192;

/// The longest session id, in bytes (CTA-5004-B, `sid`).
pub const MAX_SID: usize = 64;

/// The longest time that is believed, in milliseconds: an hour.
const MAX_MS: u64 = 3_600_000;

/// The highest bitrate that is believed, in kbit/s.
const MAX_KBPS: u64 = 1_000_000;

/// Why a body is refused; nothing of it is taken then. The player's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Refused {
    /// Which line, from 1.
    pub line: usize,
    /// Why.
    pub why: Why,
}

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// It is no line of CMCD.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It can't be used without that key.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// The key does not say what it is to say.
    #[error("`{key}` must be {must}")]
    Wrong {
        /// Which.
        key: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// One line too many.
    #[error("a body has at most {MAX_LINES} lines")]
    Lines,
    /// It is too long.
    #[error("a line has at most {MAX_LINE} bytes")]
    Long,
}

/// What a player does (`sta`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `s`, `d`: it was told to play, and has shown nothing yet.
    Starting,
    /// `p`: pictures move.
    Playing,
    /// `r`: they stand because nothing is there to play.
    Rebuffering,
    /// `a`, `k`, `w`: they stand because somebody wants it so.
    Paused,
    /// `e`, `q`: it is over.
    Over,
    /// `f`: it can't go on.
    Failed,
}

/// What a player reports at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<'a> {
    /// The session of playback.
    pub sid: std::borrow::Cow<'a, str>,
    /// The channel.
    pub channel: ChannelName,
    /// When, by the player's own clock, in ms since 1970.
    pub ts: u64,
    /// Whether it reports an error (`e=e`).
    pub is_error: bool,
    /// What it does.
    pub state: Option<State>,
    /// How long it took to begin, in milliseconds (`msd`).
    pub startup_ms: Option<u64>,
    /// How far it is behind the camera (`com.freshet-g2g`), else behind the origin (`ltc`), in milliseconds.
    pub latency_ms: Option<u64>,
    /// Whether it has stood for lack of data since its last report (`bs`).
    pub starved: bool,
    /// For how long, in milliseconds (`bsd`).
    pub starved_ms: Option<u64>,
    /// Bits a second of what it plays (`br`, which is in kbit/s).
    pub bitrate: Option<u64>,
    /// How many frames of the session were dropped so far (`com.freshet-df`, `dfa`).
    pub dropped_frames: Option<u64>,
}

/// The reports of a body, in order. Empty lines are left out.
///
/// # Errors
/// See [`Refused`]. The first line that is wrong is named.
pub fn reports(body: &str) -> Result<Vec<Report<'_>>, Refused> {
    let lines = body.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut reports = Vec::new();
    for (at, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let refused = |why| Refused { line: at + 1, why };
        if reports.len() == MAX_LINES {
            return Err(refused(Why::Lines));
        }
        if line.len() > MAX_LINE {
            return Err(refused(Why::Long));
        }
        reports.push(report(line).map_err(refused)?);
    }
    Ok(reports)
}

fn report(line: &str) -> Result<Report<'_>, Why> {
    let mut keys = Keys(field::members(line)?);
    if keys.number("v", u64::MAX)? != Some(2) {
        return Err(Why::Wrong { key: "v", must: "2: reports are of version 2 of CMCD" });
    }
    let sid = keys.required("sid")?;
    let sid = match sid {
        Value::Item(Item::Text(sid)) if (1..=MAX_SID).contains(&sid.len()) => sid,
        _ => return Err(Why::Wrong { key: "sid", must: "text of 1 to 64 characters" }),
    };
    let channel = keys.required("cid")?.text().and_then(|cid| cid.parse().ok());
    let event = keys.required("e")?;
    let event = event.text().ok_or(Why::Wrong { key: "e", must: "a token" })?;
    let ours = keys.number("com.freshet-g2g", MAX_MS)?;
    let latency_ms = ours.or(keys.number("ltc", MAX_MS)?);
    let dropped = keys.number("com.freshet-df", u64::MAX)?;
    Ok(Report {
        sid,
        channel: channel.ok_or(Why::Wrong { key: "cid", must: "the name of a channel" })?,
        ts: keys.number("ts", u64::MAX)?.ok_or(Why::Missing("ts"))?,
        is_error: event == "e",
        state: keys.state()?,
        startup_ms: keys.number("msd", MAX_MS)?,
        latency_ms,
        starved: keys.flag("bs")?,
        starved_ms: keys.number("bsd", MAX_MS)?,
        bitrate: keys.number("br", MAX_KBPS)?.map(|kbps| kbps * 1000),
        dropped_frames: dropped.or(keys.number("dfa", u64::MAX)?),
    })
}

/// The keys of a line; of one that is there twice, the last counts (RFC 9651 §3.2).
struct Keys<'a>(Vec<(&'a str, Value<'a>)>);

impl<'a> Keys<'a> {
    fn take(&mut self, key: &str) -> Option<Value<'a>> {
        let at = self.0.iter().rposition(|(name, _)| *name == key)?;
        Some(self.0.swap_remove(at).1)
    }

    fn required(&mut self, key: &'static str) -> Result<Value<'a>, Why> {
        self.take(key).ok_or(Why::Missing(key))
    }

    /// A whole number, or the sum of a list of them; at most `most`.
    fn number(&mut self, key: &'static str, most: u64) -> Result<Option<u64>, Why> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let wrong = Why::Wrong { key, must: "a whole number, or a list of them, and not negative" };
        value.sum().map(|number| Some(number.min(most))).ok_or(wrong)
    }

    fn flag(&mut self, key: &'static str) -> Result<bool, Why> {
        match self.take(key) {
            None => Ok(false),
            Some(Value::Item(Item::Flag(flag))) => Ok(flag),
            Some(_) => Err(Why::Wrong { key, must: "a flag" }),
        }
    }

    fn state(&mut self) -> Result<Option<State>, Why> {
        let Some(value) = self.take("sta") else { return Ok(None) };
        match value.text() {
            Some("s" | "d") => Ok(Some(State::Starting)),
            Some("p") => Ok(Some(State::Playing)),
            Some("r") => Ok(Some(State::Rebuffering)),
            Some("a" | "k" | "w") => Ok(Some(State::Paused)),
            Some("e" | "q") => Ok(Some(State::Over)),
            Some("f") => Ok(Some(State::Failed)),
            _ => Err(Why::Wrong { key: "sta", must: "one of s, d, p, r, a, k, w, e, q, f" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"bl=(1300),br=(1000;v 128;a),bs,bsd=(400),cid="ada",com.freshet-df=7,com.freshet-g2g=1900,e=ps,ltc=1500,msd=640,mtp=(67500),pr=1.1,sf=h,sid="s1",sn=4,st=ll,sta=p,ts=1795241923670,v=2"#;

    fn plain() -> Report<'static> {
        Report {
            sid: "s1".into(),
            channel: "ada".parse().unwrap(),
            ts: 5,
            is_error: false,
            state: None,
            startup_ms: None,
            latency_ms: None,
            starved: false,
            starved_ms: None,
            bitrate: None,
            dropped_frames: None,
        }
    }

    #[test]
    fn a_report_says_how_a_player_fares() {
        let whole = Report {
            ts: 1_795_241_923_670,
            state: Some(State::Playing),
            startup_ms: Some(640),
            latency_ms: Some(1900),
            starved: true,
            starved_ms: Some(400),
            bitrate: Some(1_128_000),
            dropped_frames: Some(7),
            ..plain()
        };
        assert_eq!(reports(WHOLE), Ok(vec![whole]));
    }

    #[test]
    fn one_report_a_line_and_little_is_needed() {
        let least = r#"e=t,cid="ada",sid="s1",ts=5,v=2"#;
        assert_eq!(reports(least), Ok(vec![plain()]));
        let two = format!("\n{least}\r\n{}\n", least.replace("e=t", "e=e,ltc=9"));
        let error = Report { is_error: true, latency_ms: Some(9), ..plain() };
        assert_eq!(reports(&two), Ok(vec![plain(), error]));
        assert_eq!(reports("\n"), Ok(vec![]));
        let twice = reports(r#"v=1,e=t,cid="bob",cid="ada",sid="s1",ts=5,v=2"#);
        assert_eq!(twice, Ok(vec![plain()]), "the last of a key counts");
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        for (line, expected) in [
            (r#"e=t,cid="ada",sid="s1",ts=5"#, "line 2: `v` must be 2: reports are of version 2 of CMCD"),
            (r#"e=t,cid="ada",ts=5,v=2"#, "line 2: `sid` is missing"),
            (r#"e=t,cid="ada",sid=s1,ts=5,v=2"#, "line 2: `sid` must be text of 1 to 64 characters"),
            (r#"e=t,sid="s1",ts=5,v=2"#, "line 2: `cid` is missing"),
            (r#"e=t,cid="Ada!",sid="s1",ts=5,v=2"#, "line 2: `cid` must be the name of a channel"),
            (r#"cid="ada",sid="s1",ts=5,v=2"#, "line 2: `e` is missing"),
            (r#"e=t,cid="ada",sid="s1",v=2"#, "line 2: `ts` is missing"),
            (r#"e=t,cid="ada",sid="s1",ts=5,v=2,sta=x"#, "line 2: `sta` must be one of s, d, p, r, a, k, w, e, q, f"),
            (
                r#"e=t,cid="ada",sid="s1",ts=5,v=2,ltc=-1"#,
                "line 2: `ltc` must be a whole number, or a list of them, and not negative",
            ),
            (r#"e=t,cid="ada",sid="s1",ts=5,v=2,bs=1"#, "line 2: `bs` must be a flag"),
            ("<html>", "line 2: a key is expected at byte 0"),
        ] {
            let body = format!("{}\n{line}", r#"e=t,cid="ada",sid="s1",ts=5,v=2"#);
            assert_eq!(reports(&body).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_body_has_its_limits_and_times_are_believed_up_to_an_hour() {
        let line = r#"e=t,cid="ada",sid="s1",ts=5,v=2"#;
        assert_eq!(reports(&vec![line; MAX_LINES].join("\n")).map(|reports| reports.len()), Ok(MAX_LINES));
        let why = |body: &str| reports(body).unwrap_err();
        assert_eq!(why(&vec![line; MAX_LINES + 1].join("\n")), Refused { line: MAX_LINES + 1, why: Why::Lines });
        let long = format!("{line},x=\"{}\"", "y".repeat(MAX_LINE));
        assert_eq!(why(&long), Refused { line: 1, why: Why::Long });
        let far = reports(r#"e=t,cid="ada",sid="s1",ts=5,v=2,ltc=999999999999,br=(999999999999)"#).unwrap();
        assert_eq!((far[0].latency_ms, far[0].bitrate), (Some(MAX_MS), Some(MAX_KBPS * 1000)));
        let sid = |length: usize| format!("e=t,cid=\"ada\",sid=\"{}\",ts=5,v=2", "s".repeat(length));
        assert!(reports(&sid(MAX_SID)).is_ok() && reports(&sid(MAX_SID + 1)).is_err() && reports(&sid(0)).is_err());
    }
}
